"""A folder of Parquet files of records, as Ray and Spark write them: `part-00000.parquet`, ..., `_SUCCESS`. It is read
as one file, whose records follow each other in the order of the files' names."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np

from atlcodec.errors import NotARecord
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import parquet
from atlcodec.sets.formats import parquet_file
from atlcodec.sets.manifest import Check, Entry
from atlcodec.sets.parquet import RecordTable, Rows
from atlcodec.spans import Span


def open(path: str | os.PathLike[str]) -> RecordTable | RecordFolder:
    """The records of a Parquet file, or of a folder of them. Raises what `parquet.open` raises."""
    name = os.fspath(path)
    if not os.path.isdir(name):
        return parquet.open(name)
    try:
        files = parquet_file.files_in(Path(name))
    except OSError as error:
        raise NotARecord(f"{name}: {error.strerror or error}") from error
    return RecordFolder([parquet.open(file) for file in files], name)


class RecordFolder(Rows):
    """The records of several Parquet files, a `files.RecordSource`; else as `parquet.RecordTable`."""

    def __init__(self, files: list[RecordTable], name: str) -> None:
        """Raises `NotARecord` if there are no files."""
        if not files:
            raise NotARecord(f"{name}: is a directory without Parquet files of records")
        self.name = name
        self.torn = 0
        self.size = sum(file.size for file in files)
        self.ids = tuple(sorted({id for file in files for id in file.ids}))
        self._files = files
        self.in_tiles = any(file.in_tiles for file in files)
        self._starts = [0, *accumulate(len(file) for file in files)]

    def __len__(self) -> int:
        return self._starts[-1]

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """Those of the files."""
        for file, begin in zip(self._files, self._starts, strict=False):
            for span in file.spans(known):
                yield Span(begin * RECORD_BYTES + span.start, span.count, span.skipped, span.why)

    @property
    def has_list(self) -> bool:
        """Whether there are paths or labels."""
        return any(file.has_list for file in self._files)

    def entries(self, check: Check | None = None) -> Iterator[Entry]:
        """Path and label of each row, in order. If a file has no paths, all paths are the numbers of the records.

        Raises `BadData`, also if two files have the same path."""
        check = check or Check(self.name)
        named = all(file.has_paths for file in self._files if len(file))
        for file in self._files:
            yield from file.entries(check, len(self), named=named)

    def _read(self, start: int, stop: int) -> Records:
        parts = [np.empty((0, RECORD_BYTES), np.uint8)]
        while start < stop:
            number = bisect_right(self._starts, start) - 1
            begin, end = self._starts[number : number + 2]
            parts.append(self._files[number][start - begin : min(stop, end) - begin])
            start = min(stop, end)
        return parts[1] if len(parts) == 2 else np.concatenate(parts)
