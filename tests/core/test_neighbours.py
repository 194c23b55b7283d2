"""Nearest neighbours: exact, the same for a file and an array, and only among records of one model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlcodec
from atlcodec import arrow, neighbours, record
from atlcodec.codec import Codec
from atlcodec.errors import DamagedRecord
from atlcodec.sets import parquet
from drawings import Pixels


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load("mnist-lenet")


@pytest.fixture(scope="module")
def records(codec: Codec, draw: Callable[[float], Pixels]) -> Pixels:
    """Sevens that slant more and more, and the first of them once more."""
    slants = [*np.linspace(-5, 5, 40), -5]
    return codec.encode(np.stack([draw(slant) for slant in slants]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "x"}, "by must be 'latents' or 'scores', not 'x'"),
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"top": -1}, "top must be at least 1, not -1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, codec: Codec, records: Pixels) -> None:
    with pytest.raises(ValueError, match=message):
        neighbours.nearest(codec, records[0], records, **options)


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


def test_a_file_and_an_array_give_the_same(codec: Codec, records: Pixels, tmp_path: Path) -> None:
    atlcodec.write(tmp_path / "set.atlc", records)
    numbers, distances = neighbours.nearest(codec, records[[20]], atlcodec.open(tmp_path / "set.atlc"), top=100)
    parquet.write(tmp_path / "same.parquet", [arrow.batch(records)])
    table = parquet.open(tmp_path / "same.parquet")
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


def test_a_record_of_another_model_or_damaged_is_refused(codec: Codec, records: Pixels, digit: Pixels) -> None:
    other = Codec.load("fashion-lenet").encode(digit[None])
    with pytest.raises(DamagedRecord, match="record 0: written by fashion-lenet"):
        neighbours.nearest(codec, other, records)
    damaged = records.copy()
    damaged[5, 0] ^= 1
    with pytest.raises(DamagedRecord, match="record 5: damaged"):
        neighbours.nearest(codec, records[:1], damaged)
