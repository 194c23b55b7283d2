"""Sets of whole images in tiles: their list says how many records each image has, and every reader follows it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import description, neighbours, sets
from atlcodec.codec import Codec
from atlcodec.errors import BadData, DamagedRecord, NotARecord
from atlcodec.grid_file import Grid
from atlcodec.record import Records
from atlcodec.sets import encode_grids, manifest, parquet
from atlcodec.sets.journal import Journal
from grid_kit import add_colours, scene
from kit import MNIST, Cli, files_below, json_lines, put, shown

SIZES = {"a/one.png": (60, 90), "a/two.png": (28, 28), "b/three.png": (100, 40), "b/four.png": (31, 29)}
IN_ORDER = sorted(SIZES)
Rows = list[dict[str, str]]


@pytest.fixture
def place(workplace: Path) -> Path:
    """The current folder, with four images of four sizes in `pictures`, one of them of the codec's shape."""
    for name, size in SIZES.items():
        put(workplace / "pictures" / name, np.rot90(scene(*size), 2))  # so that no two begin alike
    return workplace


@pytest.fixture(params=["set.atlc", "set.parquet"])
def output(request: pytest.FixtureRequest, cli: Cli, place: Path) -> str:
    name = str(request.param)
    assert cli("encode", "pictures", "-o", name, "--grid", "-m", MNIST).code == 0
    return name


def alone(name: str) -> Records:
    """The records of one image, encoded by itself."""
    return np.frombuffer(atlcodec.encode_image(Path("pictures", name), MNIST), np.uint8).reshape(-1, 200)


def listed(path: str = "set.csv") -> Rows:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_records_of_all_images_and_how_many_each_has(cli: Cli, output: str) -> None:
    expected = [alone(name) for name in IN_ORDER]
    found = sets.open(output)
    assert np.array_equal(np.asarray(found.file.array), np.concatenate(expected))
    entries = list(found.entries())
    assert [(entry.path, entry.label, entry.records) for entry in entries] == [
        (name, name[0], len(records)) for name, records in zip(IN_ORDER, expected, strict=True)
    ]
    assert [entry.record for entry in entries] == np.cumsum([0, *map(len, expected)])[:-1].tolist()
    if output == "set.atlc":
        assert Path("set.csv").read_text().splitlines()[:2] == ["record,path,label,records", f"0,{IN_ORDER[0]},a,13"]


def test_parquet_has_one_value_for_each_image(cli: Cli, place: Path) -> None:
    import pyarrow.parquet as pq

    cli("encode", "pictures", "-o", "set.parquet", "--grid", "-m", MNIST)
    table = pq.read_table("set.parquet")
    assert table.column_names == ["record", "label", "path", "records"]
    assert [len(value) for value in table.column("record").to_pylist()] == [len(alone(name)) * 200 for name in IN_ORDER]
    assert table.column("record")[0].as_py() == alone(IN_ORDER[0]).tobytes()
    assert table.schema.metadata[b"atlc.ids"] == f"{Codec.load(MNIST).id:08x}".encode()


def test_decode_gives_each_image_its_path_and_its_size(cli: Cli, output: str) -> None:
    ran = cli("decode", output, "-o", "out", "--json")
    assert files_below("out") == IN_ORDER
    for line, name in zip(json_lines(ran), IN_ORDER, strict=True):
        assert (line["path"], line["label"], line["width"], line["height"]) == (name, name[0], *SIZES[name][::-1])
        assert np.array_equal(shown(Path("out", name)), atlcodec.decode_image(alone(name)))
    assert "4 of 4 images already exist" in cli("decode", output, "-o", "out").complaint


def test_a_label_for_each_image_or_each_tile(cli: Cli, output: str) -> None:
    codec = Codec.load(MNIST)
    lines = json_lines(cli("classify", output, "--json"))
    assert [line["path"] for line in lines] == IN_ORDER
    for line, name in zip(lines, IN_ORDER, strict=True):
        records = alone(name)
        scores = codec.classify(records[~description.found(records)]).mean(axis=0)
        assert (line["index"], line["true_label"]) == (int(scores.argmax()), name[0])
        assert line["probability"] == pytest.approx(float(scores.max()), abs=1e-5)
    lines = json_lines(cli("classify", output, "--json", "--tiles"))
    assert [line["path"] for line in lines] == [name for name in IN_ORDER for _ in range(max(1, len(alone(name)) - 1))]
    first = [line for line in lines if line["path"] == IN_ORDER[0]]
    assert [(line["row"], line["column"]) for line in first] == [
        (row, column) for row in range(3) for column in range(4)
    ]
    assert cli("classify", output, "--summary").out.startswith(f"{output}: 4 records".encode())


def test_info_counts_images_and_tiles(cli: Cli, output: str) -> None:
    lines = cli("info", output, "--summary").lines
    assert f"{output}: labels: 2 of a, 2 of b" in lines
    assert (
        lines[-1]
        == f"{output}: 3 images in {sum(len(alone(name)) - 1 for name in IN_ORDER if 'two' not in name)} tiles"
    )


def test_sets_open_gives_images_and_tiles_with_their_entries(cli: Cli, output: str) -> None:
    found = sets.open(output)
    assert found.has_grids
    images = list(found.images())
    assert [entry.path for _, entries in images for entry in entries or ()] == IN_ORDER
    assert [isinstance(one, Grid) for one, _ in images] == ["two" not in name for name in IN_ORDER]
    tiles = [entry.path for part in found for entry in part.entries or ()]
    assert tiles == [name for name in IN_ORDER for _ in range(max(1, len(alone(name)) - 1))]


def test_readers_of_single_records_take_tiles_only_when_told_so(cli: Cli, output: str) -> None:
    Path("query.atlc").write_bytes(alone("a/two.png").tobytes())
    complaint = cli("similar", "query.atlc", output).complaint
    assert complaint == f"atlc: {output}: holds images in tiles (grids); --tiles compares their tiles one by one"
    (line,) = json_lines(cli("similar", "query.atlc", output, "--tiles", "--top", "1", "--json"))
    assert (line["nearest"][0]["path"], line["nearest"][0]["distance"]) == ("a/two.png", 0)
    codec, records = Codec.load(MNIST), sets.open(output).file
    with pytest.raises(DamagedRecord, match=r"describes an image in tiles.*tiles=True"):
        neighbours.nearest(codec, alone("a/two.png"), records)
    numbers, distances = neighbours.nearest(codec, alone("a/two.png"), records, top=1, tiles=True)
    assert (int(numbers[0, 0]), float(distances[0, 0])) == (line["nearest"][0]["record"], 0)


def test_datasets_and_heads(cli: Cli, place: Path) -> None:
    from atlcodec.training import heads
    from atlcodec.training.records import RecordDataset

    cli("encode", "pictures", "-o", "set.atlc", "--grid", "-m", MNIST)
    with pytest.raises(NotARecord, match=r"set.atlc: holds images in tiles \(grids\); tiles=True"):
        RecordDataset("set.atlc")
    data = RecordDataset("set.atlc", "set.csv", tiles=True)
    counts = [max(1, len(alone(name)) - 1) for name in IN_ORDER]
    assert len(data) == sum(counts)
    assert [label for _, label in data.__getitems__(range(len(data)))] == np.repeat([0, 0, 1, 1], counts).tolist()
    model = Codec.load(MNIST).model
    with pytest.raises(NotARecord, match="holds images in tiles"):
        heads.load(Path("set.atlc"), Path("set.csv"), model)
    examples = heads.load(Path("set.atlc"), Path("set.csv"), model, tiles=True)
    assert np.array_equal(examples.records, [packed.numpy() for packed, _ in data.__getitems__(range(len(data)))])
    assert "holds images in tiles" in cli("train-head", "--records", "set.atlc", "-o", "head").err


def test_more_images_can_be_added(cli: Cli, output: str) -> None:
    put(Path("more/c/five.png"), scene(50, 30))
    assert cli("encode", "more", "-o", output, "--append", "--grid").code == 0
    put(Path("again/d/six.png"), scene(28, 28))
    assert cli("encode", "again", "-o", output, "--append").code == 0  # single records among grids
    expected = [*IN_ORDER, "c/five.png", "d/six.png"]
    assert [entry.path for entry in sets.open(output).entries()] == expected
    cli("decode", output, "-o", "out")
    assert files_below("out") == expected
    assert shown("out/c/five.png").shape == (50, 30)


def test_grids_can_be_added_to_single_records(cli: Cli, place: Path) -> None:
    put(Path("small/c/five.png"), scene(28, 28))
    for name in ("set.atlc", "set.parquet"):
        cli("encode", "small", "-o", name, "-m", MNIST)
        assert cli("encode", "pictures", "-o", name, "--append", "--grid").code == 0
        assert [entry.path for entry in sets.open(name).entries()] == ["c/five.png", *IN_ORDER]
    assert listed()[0] == {"record": "0", "path": "c/five.png", "label": "", "records": "1"}


def test_a_stopped_run_goes_on(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, count = encode_grids.encoded, 0

    def broken(*arguments: object) -> Records:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return encoded(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(encode_grids, "encoded", broken)
    with pytest.raises(KeyboardInterrupt):
        atlcodec.encode_folder("pictures", "set.atlc", model=MNIST, grid=True)
    with Journal("set.atlc", in_tiles=True):
        assert [entry.path for entry in manifest.entries(Path(".set.atlc.part/list.csv"))] == IN_ORDER[:2]
    done = atlcodec.encode_folder("pictures", "set.atlc", model=MNIST, grid=True)
    assert count == 5
    assert done.records == sum(len(alone(name)) for name in IN_ORDER)
    assert done.images == 4
    assert Path("set.atlc").read_bytes() == b"".join(alone(name).tobytes() for name in IN_ORDER)


def test_the_codec_of_a_set_is_chosen_once(cli: Cli, place: Path, user_folder: Path) -> None:
    done = atlcodec.encode_folder("pictures", "set.atlc", grid=True)
    assert done.choice == "chosen"
    models = {part.codec.name for part in sets.open("set.atlc") if part.codec}
    assert models == {done.model}
    put(place / "pictures/c.png", scene(40, 40, 3))
    ran = cli("encode", "pictures", "-o", "again.atlc", "--grid", "-m", MNIST)
    assert (ran.code, len(sets.open("again.atlc").paths)) == (1, 4)
    assert "c.png: is in colour; --gray" in ran.err
    add_colours(place)
    assert cli("encode", "pictures", "-o", "colours.atlc", "--grid", "-m", "colours").code == 0
    cli("decode", "colours.atlc", "-o", "out")
    assert shown("out/c.png").shape == (40, 40, 3)


def test_named_images_become_one_set(cli: Cli, place: Path) -> None:
    names = ["pictures/a/one.png", "pictures/a/two.png"]
    assert cli("encode", *names, "--grid", "-m", MNIST, "-o", "set.atlc").err.startswith(
        "2 images -> set.atlc, set.csv  2800 bytes  mnist  "
    )
    assert [(row["path"], row["record"], row["records"]) for row in listed()] == [
        (names[0], "0", "13"),
        (names[1], "13", "1"),
    ]
    assert Path("set.atlc").read_bytes() == alone("a/one.png").tobytes() + alone("a/two.png").tobytes()
    ran = cli("encode", names[0], "missing.png", "--grid", "-m", MNIST, "-o", "other.atlc")
    assert (ran.code, len(listed("other.csv"))) == (1, 1)


def test_other_shapes_are_refused_with_both_ways_out(cli: Cli, place: Path) -> None:
    ways = "--fit contain (fit='contain') scales it, atlc encode --grid (encode_image) keeps its size"
    assert ways in cli("encode", "pictures/a/one.png").complaint
    assert ways in cli("encode", "pictures/a/one.png", "pictures/a/two.png", "-o", "x.atlc").err
    assert ways in cli("encode", "pictures", "-o", "all.atlc").err


def test_a_list_that_lies_is_found_out(cli: Cli, place: Path) -> None:
    cli("encode", "pictures", "-o", "set.atlc", "--grid", "-m", MNIST)
    good = Path("set.csv").read_text()
    for wrong in (good.replace(",13\n", ",12\n"), good.replace(",13\n", ",0\n"), good.replace(",13\n", ",x\n")):
        Path("set.csv").write_text(wrong)
        with pytest.raises(BadData):
            list(sets.open("set.atlc").entries())
        ran = cli("decode", "set.atlc", "-o", "out", "-f")
        assert "going on without paths" in ran.err or "set.csv: line" in ran.err


def test_hostile_parquet(cli: Cli, place: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = alone("a/one.png").tobytes()
    for records, counts in [([packed], [12]), ([packed], [0]), ([packed], [None]), ([packed] * 3, [13, 1, 13])]:
        pq.write_table(pa.table({"record": pa.array(records, pa.binary()), "records": counts}), "x.parquet")
        with pytest.raises(NotARecord, match=r"x.parquet: "):
            _ = parquet.open("x.parquet").array
    huge = {"record": pa.array([packed * 100] * 100, pa.binary()), "records": [1] * 100}
    pq.write_table(pa.table(huge), "x.parquet")
    with pytest.raises(NotARecord, match="image 0: has 260000 bytes of records, not 200"):
        _ = parquet.open("x.parquet").array


def test_usage(cli: Cli, place: Path) -> None:
    assert "one model" in cli("encode", "pictures", "-o", "x.atlc", "--grid", "--each").misuse
    with pytest.raises(ValueError, match="excludes each"):
        atlcodec.encode_folder("pictures", "x.atlc", grid=True, fit="cover")
    with pytest.raises(ValueError, match="overlap"):
        atlcodec.encode_folder("pictures", "x.atlc", overlap=3)
    np.save("images.npy", np.zeros((20, 28, 28), np.uint8))
    assert "--grid (grid=True) takes image files" in cli("encode", "images.npy", "--grid", "-o", "x.atlc").complaint
    assert cli("encode", "pictures", "--grid", "-o", "x.atlc", "--dry-run").lines[0].startswith("pictures: 4 images")
    ran = cli("encode", "pictures", "--grid", "-o", "-", "-m", MNIST)
    assert ran.out == b"".join(alone(name).tobytes() for name in IN_ORDER)
