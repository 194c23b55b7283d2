"""Similarity search: the nearest neighbours of a record, without decoding. Exact, in bounded memory, with NumPy alone.

    numbers, distances = neighbours.nearest(codec, query, atlcodec.open("set.atlc"), top=10)

The compressor puts similar images near each other, so the distance of two records is the Euclidean distance of their
latents. All distances from some queries to some records are one matrix product, |q|^2 + |r|^2 - 2 q r. Every number in
it is an integer below 2^24, and float32 is exact. `by="scores"` compares the log probabilities of the classes
instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import description, files, record
from atlcodec.codec import Codec
from atlcodec.files import RecordSource
from atlcodec.record import Records

By = Literal["latents", "scores"]
Features = NDArray[np.float32]

_QUERIES, _ROWS = 256, 4096  # distances computed at a time: 4 MB


def nearest(
    codec: Codec,
    queries: ArrayLike | bytes,
    records: RecordSource | ArrayLike | bytes,
    top: int = 10,
    by: By = "latents",
    tiles: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest of the `records`, uint8 (N, 200), to each of the `queries`, uint8 (Q, 200), all of one codec.

    Returns their numbers, int64 (Q, K), and distances, float32 (Q, K), nearest first; of equal distances, the lower
    number comes first. K is `top`, or N if that is less. If `records` are of images in tiles (grids), `tiles=True`
    leaves out the descriptions. Raises `NotARecord`, `DamagedRecord` for a record of another
    codec, or `ValueError` for another `by` or a `top` below 1."""
    if top < 1:
        raise ValueError(f"top must be at least 1, not {top}")
    wanted = record.as_records(queries)
    codec.check(wanted, 0)
    features = by_name(codec, by)
    search = Nearest(features(wanted), top)
    rows = records if isinstance(records, RecordSource) else record.as_records(records)
    for start in range(0, len(rows), files.BATCH):
        batch = rows[start : start + files.BATCH]
        numbers = start + np.arange(len(batch))
        if tiles:
            images = ~description.found(batch)
            batch, numbers = batch[images], numbers[images]
        codec.check_numbered(batch, numbers)
        search.add(numbers, features(batch))
    return search.result()


def by_name(codec: Codec, by: By) -> Callable[[Records], Features]:
    """The function from records, uint8 (N, 200), to features: their latents, float32 (N, M), or the logarithms of the
    classifier's probabilities, float32 (N, classes). The caller checks the seals.

    Raises `ValueError` for another name."""
    if by not in ("latents", "scores"):
        raise ValueError(f"by must be 'latents' or 'scores', not {by!r}")
    if by == "latents":
        return lambda records: codec.model.card.packing.read(records).reshape(len(records), -1).astype(np.float32)
    least = np.finfo(np.float32).tiny
    return lambda records: np.log(np.maximum(codec.classify(records, verify=False), least))


class Nearest:
    """The nearest of many rows to a few queries, float32 (Q, D). `add` the rows batch by batch, then take the
    `result`; no batch is kept."""

    def __init__(self, queries: Features, top: int) -> None:
        self._queries, self._top = queries, top
        self._lengths = _lengths(queries)
        self._best = np.empty((len(queries), 0), np.int64)  # distance and number in one integer: it sorts by both

    def add(self, numbers: NDArray[np.int64], rows: Features) -> None:
        """Rows float32 (N, D), and the number of each, below 2^32."""
        for start in range(0, len(rows), _ROWS):
            chunk = slice(start, start + _ROWS)
            lengths = _lengths(rows[chunk])
            kept = min(self._top, self._best.shape[1] + len(lengths))
            best = np.empty((len(self._queries), kept), np.int64)
            for first in range(0, len(self._queries), _QUERIES):
                some = slice(first, first + _QUERIES)
                squares = self._queries[some] @ rows[chunk].T
                squares *= -2
                squares += lengths
                squares += self._lengths[some, None]
                np.maximum(squares, 0, out=squares)  # rounding can make the distance of equal rows negative
                keys = squares.view(np.int32).astype(np.int64)  # non-negative floats sort like their bits
                keys <<= 32
                keys |= numbers[chunk]
                found = np.concatenate([self._best[some], keys], axis=1)
                best[some] = np.partition(found, kept - 1, axis=1)[:, :kept] if kept else found
            self._best = best

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Numbers, int64 (Q, K), and distances, float32 (Q, K), of the nearest rows, nearest first. K is `top`, or the
        number of rows if that is less."""
        best = np.sort(self._best, axis=1)
        squares = (best >> 32).astype(np.int32).view(np.float32)
        return best & 0xFFFFFFFF, np.sqrt(squares)


def _lengths(rows: Features) -> NDArray[np.float32]:
    return np.asarray(np.einsum("nd,nd->n", rows, rows))
