"""Search by likeness: the records nearest to a record, without decoding any. NumPy alone, exact, in bounded memory.

    numbers, distances = neighbours.nearest(codec, query, atlcodec.open("set.atlc"), top=10)

The compressor puts pictures that look alike near each other, so the distance between two records is that between their
400 symbols. All distances from some queries to some records are one product of matrices, |q|^2 + |r|^2 - 2 q r. Symbols
are 0..15, so every number in it is a whole one below 2^24, and float32 is exact. The nearest by a classifier's scores
are those of which it thinks the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import files, record
from atlcodec.codec import Codec
from atlcodec.files import RecordFile
from atlcodec.record import Records

By = Literal["symbols", "scores"]
Features = NDArray[np.float32]

_QUERIES, _ROWS = 256, 4096  # of the distances that are computed at a time: 4 MB


def nearest(
    codec: Codec, queries: ArrayLike | bytes, records: RecordFile | ArrayLike | bytes, top: int = 10, by: By = "symbols"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest of the `records`, uint8 (N, 200), to each of the `queries`, uint8 (Q, 200), all of one codec.

    Returns their numbers, int64 (Q, K), and distances, float32 (Q, K), nearest first and of equal ones the first in the
    file; K is `top`, or N where that is fewer. Raises `NotARecord`, or `DamagedRecord` for a record that is not the
    codec's."""
    wanted = record.as_records(queries)
    codec.check(wanted, 0)
    features = by_name(codec, by)
    search = Nearest(features(wanted), top)
    rows = records.array if isinstance(records, RecordFile) else record.as_records(records)
    for start in range(0, len(rows), files.BATCH):
        batch = rows[start : start + files.BATCH]
        codec.check(batch, start)
        search.add(start + np.arange(len(batch)), features(batch))
    return search.result()


def by_name(codec: Codec, by: By) -> Callable[[Records], Features]:
    """What stands for a record in a search: its symbols, float32 (N, 400), or the logarithms of the probabilities that
    the codec's classifier gives, float32 (N, classes). The records' seals are the caller's to check."""
    if by == "symbols":
        return lambda records: record.unpack(records).reshape(-1, record.SYMBOLS).astype(np.float32)
    least = np.finfo(np.float32).tiny
    return lambda records: np.log(np.maximum(codec.classify(records, verify=False), least))


class Nearest:
    """The nearest of many rows to a few queries, float32 (Q, D). The rows come in batches, and are forgotten: `add`
    them all, then take the `result`."""

    def __init__(self, queries: Features, top: int) -> None:
        self._queries, self._top = queries, top
        self._lengths = _lengths(queries)
        self._best = np.empty((len(queries), 0), np.int64)  # distance and number in one integer, that sorts by both

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
                np.maximum(
                    squares, 0, out=squares
                )  # where numbers are not whole, two equal rows may come out a hair below
                keys = squares.view(np.int32).astype(np.int64)  # floats that are not negative sort as their bits do
                keys <<= 32
                keys |= numbers[chunk]
                found = np.concatenate([self._best[some], keys], axis=1)
                best[some] = np.partition(found, kept - 1, axis=1)[:, :kept] if kept else found
            self._best = best

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers int64 (Q, K) and distances float32 (Q, K) of the nearest rows, in order; K is `top`, or all there
        were."""
        best = np.sort(self._best, axis=1)
        squares = (best >> 32).astype(np.int32).view(np.float32)
        return best & 0xFFFFFFFF, np.sqrt(squares)


def _lengths(rows: Features) -> NDArray[np.float32]:
    return np.asarray(np.einsum("nd,nd->n", rows, rows))
