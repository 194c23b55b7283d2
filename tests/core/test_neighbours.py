"""Nearest neighbours: exact, the same for a file and an array, and only among records of one model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import arrow, neighbours, record
from atlcodec.codec import Codec
from atlcodec.errors import DamagedRecord
from atlcodec.sets import manifest, parquet
from drawings import Pixels
from kit import Cli


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load("mnist-lenet")


@pytest.fixture(scope="module")
def records(codec: Codec, draw: Callable[[float], Pixels]) -> Pixels:
    """Sevens that slant more and more, and the first of them once more."""
    slants = [*np.linspace(-5, 5, 40), -5]
    return codec.encode(np.stack([draw(slant) for slant in slants]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, records: Pixels, digit: Pixels) -> Path:
    root = tmp_path_factory.mktemp("sets")
    atlcodec.write(root / "set.atlc", records)
    manifest.write(
        root / "set.csv", [manifest.Entry(k, f"sevens/{k}.png", "7" if k % 2 else None) for k in range(len(records))]
    )
    atlcodec.write(root / "query.atlc", records[[0, 30]])
    atlcodec.write(root / "one.atlc", records[[12]])
    atlcodec.write(root / "other.atlc", Codec.load("fashion-lenet").encode(digit[None]))
    (root / "mixed.atlc").write_bytes((root / "other.atlc").read_bytes() + records.tobytes())
    (root / "empty.atlc").touch()
    return root


def test_distances_are_exact_and_equal_ones_stay_in_order() -> None:
    rng = np.random.default_rng(0)
    symbols = rng.choice(np.array([0, 1, 14, 15], np.uint8), (9000, 400))  # the largest sums there are
    symbols[8000] = symbols[50] = symbols[3]
    queries = symbols[[3, 77]]
    search = neighbours.Nearest(queries.astype(np.float32), 9)
    for start in range(0, 9000, 700):
        search.add(
            start + np.arange(len(symbols[start : start + 700])), symbols[start : start + 700].astype(np.float32)
        )
    numbers, distances = search.result()

    squares = ((symbols[None].astype(np.int64) - queries[:, None].astype(np.int64)) ** 2).sum(axis=2)
    expected = np.argsort(squares, axis=1, kind="stable")[:, :9]
    assert numbers.tolist() == expected.tolist()
    assert numbers[0, :3].tolist() == [3, 50, 8000]
    assert np.array_equal(np.rint(distances.astype(np.float64) ** 2), np.take_along_axis(squares, expected, axis=1))


def test_a_file_and_an_array_give_the_same(codec: Codec, records: Pixels, folder: Path) -> None:
    numbers, distances = neighbours.nearest(codec, records[[20]], atlcodec.open(folder / "set.atlc"), top=100)
    parquet.write(folder / "same.parquet", [arrow.batch(records)])
    table = parquet.open(folder / "same.parquet")
    assert np.array_equal(neighbours.nearest(codec, records[[20]], table, top=100)[0], numbers)
    assert numbers.shape == (1, len(records))  # all there are
    assert sorted(numbers[0].tolist()) == list(range(len(records)))
    assert (numbers[0, 0], distances[0, 0]) == (20, 0)
    assert np.array_equal(neighbours.nearest(codec, records[20].tobytes(), records, top=100)[0], numbers)
    far = record.unpack(records[[20, numbers[0, -1]]]).astype(float)
    assert distances[0, -1] == pytest.approx(np.linalg.norm(far[0] - far[1]))

    by_scores, apart = neighbours.nearest(codec, records[[20]], records, 3, "scores")
    logs = np.log(codec.classify(records[[20, by_scores[0, 2]]]).astype(float))
    assert apart[0, 2] == pytest.approx(np.linalg.norm(logs[0] - logs[1]), abs=0.02)


def test_a_record_of_another_model_or_damaged_is_refused(codec: Codec, records: Pixels, folder: Path) -> None:
    other = atlcodec.open(folder / "other.atlc").array
    with pytest.raises(DamagedRecord, match="record 0 is not one of mnist-lenet: written by fashion-lenet"):
        neighbours.nearest(codec, other, records)
    damaged = records.copy()
    damaged[5, 0] ^= 1
    with pytest.raises(DamagedRecord, match="record 5 is not one of mnist-lenet: damaged"):
        neighbours.nearest(codec, records[:1], damaged)


def test_the_command_prints_numbers_distances_paths_and_labels(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    first, second, third = cli("similar", "one.atlc", "set.atlc", "--top", "3").lines
    assert first == "one.atlc: set.atlc[12]  0.00  sevens/12.png"
    assert {second.split("  ")[0], third.split("  ")[0]} == {"one.atlc: set.atlc[11]", "one.atlc: set.atlc[13]"}
    assert second.endswith(".png  7")

    answers = [json.loads(line) for line in cli("similar", "query.atlc", "set.atlc", "--top", "2", "--json").lines]
    assert [answer["record"] for answer in answers] == [0, 1]
    assert answers[0]["nearest"] == [
        {"record": 0, "distance": 0.0, "path": "sevens/0.png", "label": None},
        {"record": 40, "distance": 0.0, "path": "sevens/40.png", "label": None},
    ]
    assert answers[1]["nearest"][0]["record"] == 30
    (scores,) = (
        json.loads(line)
        for line in cli("similar", "one.atlc", "set.atlc", "--top", "1", "--by", "scores", "--json").lines
    )
    assert scores["by"] == "scores"
    assert scores["nearest"][0]["record"] == 12

    entries = list(manifest.entries("set.csv"))
    batch = arrow.batch(atlcodec.open("set.atlc").array, [e.label for e in entries], [e.path for e in entries])
    parquet.write(tmp_path / "set.parquet", [batch])
    ran = cli("similar", "one.atlc", tmp_path / "set.parquet", "--top", "1")
    assert ran.lines == [f"one.atlc: {tmp_path}/set.parquet[12]  0.00  sevens/12.png"]

    piped = cli("similar", "-", "set.atlc", "--top", "1", stdin=(folder / "one.atlc").read_bytes())
    assert piped.lines == ["standard input: set.atlc[12]  0.00  sevens/12.png"]
    assert "read only once" in cli("similar", "-", "-").misuse


def test_models_are_not_compared_with_each_other(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    complaint = cli("similar", "other.atlc", "set.atlc").complaint
    assert "other.atlc: record 0 is a record of fashion-lenet, but set.atlc has records of mnist-lenet" in complaint
    assert cli("similar", "one.atlc", "mixed.atlc", "--top", "1").lines == ["one.atlc: mixed.atlc[13]  0.00"]
    assert "written by fashion-lenet" in cli("similar", "-m", "mnist-lenet", "other.atlc", "set.atlc").complaint


def test_damage_is_reported_and_the_rest_is_searched(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray((folder / "set.atlc").read_bytes())
    data[12 * 200] ^= 1
    (tmp_path / "set.atlc").write_bytes(data)
    (tmp_path / "set.csv").write_text("record,path,label\n0,0.png,7\n")
    monkeypatch.chdir(tmp_path)
    done = cli("similar", folder / "one.atlc", "set.atlc", "--top", "1")
    assert done.code == 1
    assert "record 12: damaged" in done.err
    assert "set.csv: lists 1 records, but set.atlc has 41 records: they do not belong together" in done.err
    assert done.lines[0].split("  ")[0].endswith(("set.atlc[11]", "set.atlc[13]"))

    empty = cli("similar", folder / "one.atlc", folder / "empty.atlc")
    assert (empty.code, empty.out) == (0, b"")
    assert "is empty (no records)" in empty.err
