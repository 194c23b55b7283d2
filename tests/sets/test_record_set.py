"""A set opened from Python: records joined with their list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import files, sets
from atlcodec.codec import Codec
from drawings import Pixels
from kit import FASHION, MNIST
from sets_kit import ORDER, Draw, encoded


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_a_record_set_joins_records_and_list(output: str, folder: Path, images: dict[str, Pixels]) -> None:
    pytest.importorskip("pyarrow")
    sets.encode_folder(folder, output, model=MNIST)
    records = sets.open(output)
    assert (len(records), records.has_list) == (7, True)
    (part,) = records
    assert part.codec is not None
    assert part.numbers.tolist() == list(range(7))
    assert [entry.path for entry in part.entries or ()] == ORDER
    assert part.records.tobytes() == encoded([images[path] for path in ORDER])
    assert [part.entries for part in records.parts(entries=False)] == [None]
    assert {number: entry.path for number, entry in records.lookup({2, 5}).items()} == {2: ORDER[2], 5: ORDER[5]}
    (other,) = sets.open(output, model=FASHION)
    assert (other.codec, other.entries) == (None, None)
    assert other.problem.startswith(f"{output}: ")
    with pytest.raises(FileNotFoundError):
        sets.open("missing" + Path(output).suffix)


def test_a_mixed_set_keeps_entries_and_order(packed: Callable[..., None], draw: Draw) -> None:
    packed(*(f"{number}.png" for number in range(40)))
    array = np.array(atlcodec.open("set.atlc").array)
    others = [1, 2, 5, 30, 39]
    array[others] = Codec.load(FASHION).encode(np.stack([draw(0)] * 5), effort=0)
    array[20, 0] ^= 1
    Path("set.atlc").write_bytes(array.tobytes())
    records = sets.open("set.atlc")
    for part in records:
        if part.codec is not None:
            assert [(entry.record, entry.path) for entry in part.entries or ()] == [
                (number, f"{number}.png") for number in part.numbers
            ]
            assert (part.codec.name == FASHION) == (part.numbers[0] in others)
    batches = list(records.map(lambda codec, some: some[:, 0]))
    assert [row.number for rows, _ in batches for row in rows] == [n for n in range(40) if n != 20]
    (problem,) = (problem for _, problem in batches if problem)
    assert problem.startswith("set.atlc: record 20: damaged")


def test_a_list_that_becomes_invalid_later_is_one_problem(
    packed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH", 2)
    packed("a.png", "b.png", "../c.png", "d.png", "e.png")
    parts = list(sets.open("set.atlc"))
    assert [part.problem for part in parts if part.codec is None] == [
        "set.csv: line 4: the path '../c.png' leads out of the folder; going on without paths"
    ]
    first, *others = (part.entries for part in parts if part.codec)
    assert [entry.path for entry in first or ()] == ["a.png", "b.png"]
    assert others == [None, None]
