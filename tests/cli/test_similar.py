"""`atlc similar`: numbers, distances, paths and labels of the nearest records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import arrow
from atlcodec.codec import Codec
from atlcodec.sets import manifest, parquet
from drawings import Pixels
from kit import Cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw: Callable[[float], Pixels], digit: Pixels) -> Path:
    """Sets of sevens that slant more and more, and the first of them once more; and queries."""
    records = Codec.load("mnist-lenet").encode(np.stack([draw(slant) for slant in (*np.linspace(-5, 5, 40), -5)]))
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
    ran = cli("similar", "one.atlc", "mixed.atlc", "--top", "1")
    assert ran.lines == ["one.atlc: mixed.atlc[13]  0.00"]
    assert ran.err.startswith("mixed.atlc: left out ")
    assert ran.err.count("\n") == 1
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
    assert "set.csv: lists 1 record, but set.atlc has 41: the file was cut or replaced" in done.err
    assert done.lines[0].split("  ")[0].endswith(("set.atlc[11]", "set.atlc[13]"))

    empty = cli("similar", folder / "one.atlc", folder / "empty.atlc")
    assert (empty.code, empty.out) == (0, b"")
    assert "is empty (no records)" in empty.err
