"""Whole folders: encoded into one file and a list, and decoded into a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec.sets import manifest, sources
from atlcodec.sets.manifest import Entry
from drawings import Pixels
from kit import MNIST, Cli, files_below, json_lines, put
from sets_kit import ORDER, Draw, encoded, idx

pytestmark = pytest.mark.usefixtures("workplace")


def write_idx(folder: Path, name: str, array: Pixels) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(idx(array))


def test_encode_and_decode_a_folder(cli: Cli, folder: Path, images: dict[str, Pixels]) -> None:
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "elsewhere").symlink_to("/")
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert (ran.code, ran.out) == (0, b"")
    assert "7 images -> set.atlc, set.csv  1400 bytes" in ran.err
    assert "in: 7 images, 4 labels: 1 2 10 2-x (1 without a label); left out: elsewhere, notes.txt" in ran.err
    assert Path("set.atlc").read_bytes() == encoded([images[path] for path in ORDER])
    labels = ["1", "1", "1", "10", "2", "2-x", None]
    assert manifest.read("set.csv") == [Entry(n, *entry) for n, entry in enumerate(zip(ORDER, labels, strict=True))]
    assert sorted(os.listdir()) == ["in", "set.atlc", "set.csv"]

    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("out") == sorted(ORDER)
    for path, packed in zip(ORDER, atlcodec.open("set.atlc").array, strict=True):
        assert np.array_equal(np.asarray(Image.open(Path("out", path))), atlcodec.decode(packed))
    lines = json_lines(cli("classify", "--json", "set.atlc"))
    assert [(line["record"], line["path"], line["true_label"]) for line in lines] == list(
        zip(range(7), ORDER, labels, strict=True)
    )
    assert [line["label"] for line in lines] == [
        atlcodec.classify(packed).label for packed in atlcodec.open("set.atlc").array
    ]
    assert cli("classify", "set.atlc").lines[2].startswith("set.atlc[2]: ")
    assert cli("info", "set.atlc").lines[-2:] == [
        f"set.atlc: 1400 bytes, 7 records (7 of {MNIST})",
        "set.atlc: labels: 3 of 1, 1 of 10, 1 of 2, 1 of 2-x, 1 without a label",
    ]
    (line,) = json_lines(cli("info", "--summary", "--json", "set.atlc"))
    assert line["models"] == {MNIST: 7}
    assert line["labels"] == {"1": 3, "10": 1, "2": 1, "2-x": 1}
    assert len(cli("info", "--summary", "set.atlc").lines) == 2


def test_a_parquet_file_is_the_same_set(cli: Cli, folder: Path) -> None:
    pytest.importorskip("pyarrow")
    for output in ("set.atlc", "set.parquet"):
        ran = cli("encode", folder, "-o", output, "-m", MNIST)
        assert f"  {Path(output).stat().st_size} bytes  {MNIST}" in ran.err
        assert cli("decode", output, "-o", f"{output}.out/").code == 0
    from atlcodec.sets import parquet

    assert parquet.open("set.parquet").array.tobytes() == Path("set.atlc").read_bytes()
    assert [*parquet.open("set.parquet").entries()] == manifest.read("set.csv")
    assert sorted(os.listdir()) == ["in", "set.atlc", "set.atlc.out", "set.csv", "set.parquet", "set.parquet.out"]
    assert [Path("set.atlc.out", path).read_bytes() for path in ORDER] == [
        Path("set.parquet.out", path).read_bytes() for path in ORDER
    ]
    for command in (["classify", "--json"], ["classify"], ["info", "--json"], ["info"]):
        ran = cli(*command, "set.parquet")
        ran_of_atlc = cli(*command, "set.atlc")
        size = f"{Path('set.parquet').stat().st_size} bytes"
        assert ran.out.decode().replace("parquet", "atlc").replace(size, "1400 bytes") == ran_of_atlc.out.decode()
        assert (ran.code, ran.err) == (0, "")


def test_damage_in_parquet_is_reported_as_in_an_atlc_file(cli: Cli, folder: Path) -> None:
    pytest.importorskip("pyarrow")
    from atlcodec import arrow
    from atlcodec.sets import parquet

    assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 0
    records, listed = np.array(atlcodec.open("set.atlc").array), manifest.read("set.csv")
    records[3, 100] ^= 0x10
    Path("set.atlc").write_bytes(records.tobytes())
    parquet.write("set.parquet", [arrow.batch(records, [e.label for e in listed], [e.path for e in listed])])
    for command in (["classify", "--json"], ["decode", "-o", "out"], ["info", "--json"]):
        of_atlc = cli(*command, "set.atlc", *(["-f"] if command[0] == "decode" else []))
        of_parquet = cli(*command, "set.parquet", *(["-f"] if command[0] == "decode" else []))
        assert of_atlc.code == of_parquet.code == 1
        assert "record 3: damaged" in of_parquet.err
        assert of_parquet.err.replace("parquet", "atlc") == of_atlc.err
        assert of_parquet.out.replace(b"parquet", b"atlc") == of_atlc.out
    assert files_below("out") == sorted(path for path in ORDER if path != ORDER[3])


def test_labels_below_train_and_test(cli: Cli, digit: Pixels) -> None:
    for path in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "train/3.png", "other/x/4.png"):
        put(Path("in", path), digit)
    assert cli("encode", "in", "-o", "set.atlc", "-m", MNIST).code == 0
    assert {entry.path: entry.label for entry in manifest.read("set.csv")} == {
        "other/x/4.png": None,
        "test/cat/2.png": "cat",
        "train/3.png": None,
        "train/cat/1.png": "cat",
        "train/dog/1.png": "dog",
    }


def test_idx_files(cli: Cli, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BATCH", 4)
    images = np.stack([draw(slant / 5) for slant in range(-9, 6)])
    write_idx(Path("in"), "train-images-idx3-ubyte", images[:10])
    write_idx(Path("in"), "train-labels-idx1-ubyte", np.arange(10, dtype=np.uint8) % 2)
    write_idx(Path("in"), "t10k-images-idx3-ubyte", images[10:])
    Path("in/labels.txt").write_text("ant\nbee\n")
    ran = cli("encode", "in", "-o", "set.atlc")
    assert ran.code == 0
    assert " (chosen) " in ran.err
    assert Path("set.atlc").read_bytes() == encoded(list(images), ran.err.split("bytes")[1].split()[0])
    entries = manifest.read("set.csv")
    assert [entry.path for entry in entries] == [f"train/{n:05d}.png" for n in range(10)] + [
        f"test/{n:05d}.png" for n in range(5)
    ]
    assert [entry.label for entry in entries] == ["ant", "bee"] * 5 + [None] * 5
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert len(files_below("out/train")) == 10
    with Path("in/t10k-images-idx3-ubyte").open("ab") as file:
        file.write(b"!")
    assert "it has more" in cli("encode", "in", "-o", "x.atlc").err
    with Path("in/t10k-images-idx3-ubyte").open("ab") as file:
        file.truncate(1000)
    assert "it has fewer" in cli("encode", "in", "-o", "x.atlc").err
    assert not Path("x.atlc").exists()


def test_images_that_lie_on_their_sides(cli: Cli, draw: Draw) -> None:
    """As EMNIST's."""
    images = np.stack([draw(slant) for slant in range(3)])
    write_idx(Path("in"), "train-images-idx3-ubyte", images.swapaxes(1, 2))
    assert cli("encode", "in", "-o", "set.atlc", "-m", MNIST, "--transpose").code == 0
    assert Path("set.atlc").read_bytes() == encoded(list(images), MNIST)
    put(Path("x.png"), 255 - images[0].T)
    assert cli("encode", "x.png", "-m", MNIST, "--transpose", "--invert").code == 0
    assert Path("x.atlc").read_bytes() == Path("set.atlc").read_bytes()[:200]


def test_one_model_is_chosen_for_a_set(cli: Cli, folder: Path, images: dict[str, Pixels]) -> None:
    chosen, together = (
        cli("encode", *names, "-o", output).err.splitlines()[0].split("bytes")[1].split()
        for names, output in (([folder], "set.atlc"), ([folder / path for path in ORDER], "x.atlc"))
    )
    assert chosen == together
    assert (
        Path("set.atlc").read_bytes()
        == Path("x.atlc").read_bytes()
        == encoded([images[path] for path in ORDER], chosen[0])
    )
    for path in ORDER:
        put(folder / path, np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8))
    assert "warning: set.atlc: 7 of 7 measured images" in cli("encode", folder, "-f", "-o", "set.atlc").err


@pytest.mark.usefixtures("batches_of_two")
def test_several_reading_processes_give_the_same(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PER_PROCESS", 1)
    (folder / "1/bad.png").write_text("not an image")
    ran = [cli("encode", folder, "-o", f"{jobs}.atlc", "-m", MNIST, "-j", jobs) for jobs in "12"]
    assert [each.code for each in ran] == [1, 1]
    assert "1/bad.png: not an image" in ran[1].err
    assert ran[0].err == ran[1].err.replace(" 2.", " 1.")
    assert Path("1.atlc").read_bytes() == Path("2.atlc").read_bytes()
    assert Path("1.csv").read_bytes() == Path("2.csv").read_bytes()


def test_pipes_take_only_the_records(cli: Cli, folder: Path, images: dict[str, Pixels]) -> None:
    ran = cli("encode", folder, "-o", "-", "-m", MNIST)
    assert (ran.code, ran.out) == (0, encoded([images[path] for path in ORDER]))
    assert "7 images -> standard output  1400 bytes  mnist" in ran.err
    ran = cli("encode", folder, "-o", "/dev/null", "-m", MNIST)
    assert ran.code == 0
    assert "7 images -> /dev/null  1400 bytes  mnist" in ran.err
    assert os.listdir() == ["in"]


def test_bad_images_and_names_are_reported_and_the_others_are_encoded(cli: Cli, folder: Path) -> None:
    (folder / "1/bad.png").write_text("not an image")
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    for name in ("back\\slash.png", "con.png", "FLAT.png"):
        shutil.copy(folder / "flat.png", folder / name)
    shutil.copy(folder / "flat.png", folder / "\udcff.png")
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert ran.code == 1
    for complaint in (
        "in/1/bad.png: not an image",
        "in/broken.png: No such file",
        "in/loop.png: Too many levels of symbolic links",
        "1 path in the list differs from the name",
    ):
        assert complaint in ran.err
    others = ["FLAT.png", "_.png", "back\\slash.png", "con.png"]
    assert sorted(entry.path for entry in manifest.read("set.csv")) == sorted([*ORDER, *others])
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("out") == sorted([*ORDER, *others])


def test_nothing_to_encode(cli: Cli) -> None:
    Path("in").mkdir()
    assert "in: is empty" in cli("encode", "in", "-o", "set.atlc").complaint
    Path("in/bad.png").write_text("not an image")
    for output in ("set.atlc", "-"):
        ran = cli("encode", "in", "-o", output)
        assert (ran.code, ran.out) == (1, b"")
        assert "in/bad.png: not an image" in ran.err
        assert "atlc: in: no image could be encoded; nothing was written\n" in ran.err
        assert ran.err.endswith("in: 0 images, no labels; 1 image could not be read\n")
    assert os.listdir() == ["in"]


def test_nothing_is_overwritten_without_force(cli: Cli, folder: Path) -> None:
    for name in ("set.atlc", "set.csv", "set.parquet"):
        Path(name).write_text("mine")
        output = "set.parquet" if name == "set.parquet" else "set.atlc"
        why = "is not a list of atlc; choose another -o" if name == "set.csv" else "already exists; -f replaces it"
        assert f"{name}: {why}" in cli("encode", folder, "-o", output).complaint
        assert Path(name).read_text() == "mine"
        assert not [left for left in os.listdir() if left.startswith(".")]
        Path(name).unlink()
    Path("set.csv").write_text("mine")  # a list of something else, which -f does not replace either
    assert (
        "set.csv: is not a list of atlc; choose another -o" in cli("encode", folder, "-f", "-o", "set.atlc").complaint
    )
    assert Path("set.csv").read_text() == "mine"
    assert sorted(os.listdir()) == ["in", "set.csv"]
    Path("set.csv").unlink()
    for force in ([], ["-f"]):
        assert cli("encode", folder, *force, "-o", "set.atlc").code == 0
        assert len(manifest.read("set.csv")) == 7
    assert (
        "warning: set.csv: lists the records that set.atlc had before"
        in cli("encode", "in/flat.png", "-f", "-o", "set.atlc").err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["in"],
        ["in", "-o", "out/"],
        ["in", "-o", "in"],
        ["in", "-o", "set.jpg"],
        ["in", "in", "-o", "set.atlc"],
        ["in", "-o", "set.atlc", "--append", "-f"],
        ["in", "-o", "-", "--append"],
        ["in/flat.png", "-o", "set.atlc", "--append"],
        ["in/flat.png", "-o", "set.parquet"],
        ["in", "-o", "set.atlc", "-j", "0"],
    ],
)
def test_bad_usage(arguments: list[str], cli: Cli, folder: Path) -> None:
    assert cli("encode", *arguments).misuse.startswith("Usage: atlc")
    assert os.listdir() == ["in"]
