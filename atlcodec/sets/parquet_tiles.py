"""Parquet files of images in tiles: a row is an image, and its value in the column `record` has 200 bytes for each of
its records: a description and the tiles behind it, or one record. A column `records` says how many."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow, atomic, description, record
from atlcodec.errors import NotARecord
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import parquet
from atlcodec.sets.formats import parquet_file
from atlcodec.sets.formats.parquet_file import LARGEST_GROUP, reported
from atlcodec.sets.parquet import RecordTable

GROUP = 16 << 20  # bytes of records at which a row group ends


def write(path: str | os.PathLike[str], batches: Iterable[Any], *, within: Path | None = None) -> None:
    """Write a Parquet file, whole or not at all, from batches of `arrow.images`. `within` is that of `atomic.file`.
    Raises `NotARecord`."""
    pa = arrow.require_pyarrow()
    columns = arrow.images(np.empty((0, RECORD_BYTES), np.uint8), [], [], []).schema
    ids: set[int] = set()
    how = parquet.options(columns)
    with atomic.file(path, within=within) as file, pa.parquet.ParquetWriter(file, columns, **how) as writer:
        waiting: list[Any] = []
        for batch in batches:
            content = np.frombuffer(batch.column("record").buffers()[2] or b"", np.uint8)
            ids.update(np.unique(record.ids(content.reshape(-1, RECORD_BYTES))).tolist())
            if len(ids) > parquet.MOST_IDS:
                raise NotARecord(f"{path}: more than {parquet.MOST_IDS} different ids: these records are not sealed")
            waiting.append(batch)
            if sum(each.nbytes for each in waiting) >= GROUP:
                _write(writer, waiting)
                waiting = []
        if waiting:
            _write(writer, waiting)
        writer.add_key_value_metadata(parquet.ids_entry(ids - {description.ID}))


def _write(writer: Any, batches: list[Any]) -> None:
    table = arrow.require_pyarrow().Table.from_batches(batches)
    writer.write_table(table, row_group_size=len(table))


class TileTable(RecordTable):
    """The records of such a file, one image after the other, a `files.RecordSource`. One row group stays in memory at a
    time. How many records an image has is believed only as far as its value has so many bytes."""

    in_tiles = True

    def __init__(self, path: str) -> None:
        super().__init__(path)
        pa, rows = arrow.require_pyarrow(), self._starts
        with reported(path):
            kind = self._file.schema_arrow.field("records").type
            if not pa.types.is_integer(kind) or not self._variable:
                raise NotARecord(
                    f"{path}: has a column records, so it must be whole numbers, and record must be binary"
                )
            column = self._file.read(columns=["records"], use_threads=False).column(0)
            counts = column.cast(pa.int64()).fill_null(0).to_numpy()
        if len(counts) != rows[-1] or (counts < 1).any() or (counts > LARGEST_GROUP // RECORD_BYTES).any():
            raise NotARecord(f"{path}: its column records has wrong numbers; get another copy")
        self._images, self._counts = rows, counts  # the first image of each row group; records by image
        self._starts = np.concatenate([[0], np.cumsum(counts)])[rows]
        if (np.diff(self._starts) > LARGEST_GROUP // RECORD_BYTES).any():
            raise NotARecord(f"{path}: a row group has more than {LARGEST_GROUP} bytes of records")

    def _go_to(self, row: int) -> None:
        group = int(np.searchsorted(self._starts, row, "right")) - 1
        assert self._counts is not None
        with reported(self.name):
            counts = self._counts[self._images[group] : self._images[group + 1]]
            self._rows = self._of_group(group, counts)
        self._first = int(self._starts[group])

    def _of_group(self, group: int, counts: NDArray[np.int64]) -> Records:
        """All records of a row group. Their lengths are checked before values that several images share are copied."""
        pa, parts = arrow.require_pyarrow(), [np.empty((0, RECORD_BYTES), np.uint8)]
        column = parquet_file.opened(self.name, ["record"]).read_row_group(group, ["record"], use_threads=False)
        begin = 0
        for chunk in column.column(0).chunks:
            lengths = pa.compute.binary_length(chunk.dictionary).take(chunk.indices).fill_null(0).to_numpy()
            wrong = np.flatnonzero(lengths != counts[begin : begin + len(lengths)] * RECORD_BYTES)
            if len(wrong):
                at, number = int(wrong[0]), int(self._images[group]) + begin + int(wrong[0])
                promised = int(counts[begin + at]) * RECORD_BYTES
                raise NotARecord(f"{self.name}: image {number}: has {lengths[at]} bytes of records, not {promised}")
            begin += len(lengths)
            values = chunk.dictionary_decode()
            _, offsets, content = values.buffers()
            first = int(np.frombuffer(offsets, np.int32, 1, 4 * values.offset)[0])
            size = int(lengths.sum())
            parts.append(np.frombuffer(content or b"", np.uint8, size, first).reshape(-1, RECORD_BYTES))
        return np.concatenate(parts)
