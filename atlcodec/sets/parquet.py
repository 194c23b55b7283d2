"""Parquet files of records, with the columns of `arrow`. They are written and read in row groups, never whole.

A file from a stranger is trusted as little as an .atlc file: types, sizes and paths are checked."""

from __future__ import annotations

import functools
import itertools
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow, atomic, record
from atlcodec.errors import BadData, NotARecord
from atlcodec.files import BATCH, Bytes
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets.formats import parquet_file
from atlcodec.sets.formats.parquet_file import reported
from atlcodec.sets.manifest import Check, Entry
from atlcodec.spans import Span

GROUP = 65_536  # rows of a row group that is written: 13 MB of records
LARGEST_GROUP = parquet_file.LARGEST_GROUP
LARGEST_TEXTS = 16 << 20  # bytes of text in one batch
MOST_IDS = 256  # codecs in one file; only records that were never sealed have more ids


def write(path: str | os.PathLike[str], batches: Iterable[Any], *, within: Path | None = None) -> None:
    """Write a Parquet file, whole or not at all, from batches or tables with these columns: `arrow.batch` makes them.

    They are taken one by one and may have any size; the columns `label` and `path` may be missing. There is a column
    `model` if the first one has it. `within` is that of `atomic.file`. Raises `NotARecord`."""
    pa = arrow.require_pyarrow()
    batches = iter(batches)
    first = list(itertools.islice(batches, 1))
    columns = arrow.schema(models=any("model" in part.schema.names for part in first))
    ids: set[int] = set()
    with (
        atomic.file(path, within=within) as file,
        pa.parquet.ParquetWriter(file, columns, **options(columns)) as writer,
    ):
        waiting = columns.empty_table()
        for part in itertools.chain(first, batches):
            packed = arrow.records(part)
            for start in range(0, len(packed), BATCH):
                ids.update(np.unique(record.ids(packed[start : start + BATCH])).tolist())
                if len(ids) > MOST_IDS:
                    raise NotARecord(f"{path}: more than {MOST_IDS} different ids: these records are not sealed")
            waiting = pa.concat_tables([waiting, _complete(part, packed, columns)])
            while len(waiting) >= GROUP:
                writer.write_table(waiting[:GROUP], row_group_size=GROUP)
                waiting = waiting[GROUP:]
        if len(waiting):
            writer.write_table(waiting, row_group_size=GROUP)
        writer.add_key_value_metadata(ids_entry(ids))


def options(columns: Any) -> dict[str, Any]:
    """How a file with these columns is written."""
    texts = columns.names[1:]
    return {
        "compression": {"record": "none", **dict.fromkeys(texts, "zstd")},  # nothing makes a record smaller
        "use_dictionary": [name for name in texts if name != "path"],
        "write_statistics": [name for name in texts if name != "path"],
        "write_page_checksum": True,
        "store_schema": False,  # a copy of the schema would hide the ids, which are known only at the end
    }


def ids_entry(ids: Iterable[int]) -> dict[str, str]:
    """The metadata that name the codecs."""
    return {arrow.IDS.decode(): ",".join(f"{id:08x}" for id in sorted(ids))}


def _complete(part: Any, packed: Records, columns: Any) -> Any:
    """A table with just our columns, in their order."""
    pa = arrow.require_pyarrow()
    beside = [
        part.column(field.name).cast(field.type) if field.name in part.schema.names else pa.nulls(len(part), field.type)
        for field in list(columns)[1:]
    ]
    return pa.table([arrow.batch(packed).column("record"), *beside], schema=columns)


def open(path: str | os.PathLike[str]) -> RecordTable:
    """The records of a Parquet file. Raises `FileNotFoundError`, or `NotARecord` if it is not a Parquet file with a
    column of records."""
    name = os.fspath(path)
    with reported(name):
        in_tiles = "records" in arrow.require_pyarrow().parquet.read_schema(name).names
    if not in_tiles:
        return RecordTable(name)
    from atlcodec.sets.parquet_tiles import TileTable  # few files are like that

    return TileTable(name)


class Rows(ABC):
    """Records that are read from any row to any other: what of a `files.RecordSource` follows from that."""

    in_tiles = False  # whether a row is an image that may have several records

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _read(self, start: int, stop: int) -> Records:
        """The records from number `start` to `stop`, uint8 (stop - start, 200)."""

    @overload
    def __getitem__(self, which: int) -> Bytes: ...
    @overload
    def __getitem__(self, which: slice) -> Records: ...
    def __getitem__(self, which: int | slice) -> Records:
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            return self._read(start, max(start, stop))[::step] if step > 0 else self._read(0, len(self))[which]
        if not -len(self) <= which < len(self):
            raise IndexError(f"record {which} of {len(self)}")
        return np.asarray(self._read(which % len(self), which % len(self) + 1)[0])

    @functools.cached_property
    def array(self) -> Records:
        """All records at once, in memory."""
        return self._read(0, len(self))

    def batches(self, size: int = BATCH) -> Iterator[Records]:
        """The records in order, uint8 (up to `size`, 200) at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def bytes(self, start: int, count: int) -> Bytes:
        """Bytes of the records, uint8 (count,), as they would lie in an .atlc file."""
        first, last = start // RECORD_BYTES, -(-(start + count) // RECORD_BYTES)
        return np.asarray(self._read(first, min(last, len(self))).reshape(-1)[start - first * RECORD_BYTES :][:count])


class RecordTable(Rows):
    """The records of a Parquet file, a `files.RecordSource`: `len`, indexing, `batches`, `spans` as for an .atlc file.

    One batch stays in memory at a time, so reading in order is fast and reading at random is slow. `entries` gives the
    paths and labels, `ids` the codecs that the metadata names, which nobody checked."""

    def __init__(self, path: str) -> None:
        pa = arrow.require_pyarrow()
        self.name = path
        self.torn = 0
        with reported(path):
            self.size = os.stat(path).st_size
            meta = pa.parquet.read_metadata(path)
            schema = meta.schema.to_arrow_schema()
            self._names = arrow.check_columns(schema, path)
            self._variable = arrow.is_variable(schema.field("record").type)
            self._file = parquet_file.opened(path, self._names[1:])
            most = LARGEST_GROUP // RECORD_BYTES
            groups = parquet_file.group_sizes(meta, path, largest=LARGEST_GROUP, rows=most)
            self._starts = np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])
            self.ids = _ids(meta.metadata)
        self._batches: Iterator[Any] = iter(())
        self._first = 0  # the number of the first record in the batch at hand
        self._rows = np.empty((0, RECORD_BYTES), np.uint8)
        self._counts: NDArray[np.int64] | None = None  # of the records of each row; None: one

    def __len__(self) -> int:
        return int(self._starts[-1])

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """The rows in order: runs of records with one of the `known` ids, and the others between them. Rows do not get
        out of step: an invalid one costs no others."""
        good = np.array(sorted(known), np.uint32)
        start = 0
        while start < len(self):
            self._read(start, start + 1)
            rows = self._rows[start - self._first :]  # the rest of the batch at hand, where `bytes` finds it
            fine = np.isin(record.ids(rows), good)
            edges = [0, *(np.nonzero(np.diff(fine))[0] + 1).tolist(), len(rows)]
            for first, last in pairwise(edges):
                at, count = (start + first) * RECORD_BYTES, last - first
                why = f"{count} damaged or foreign record{'s' if count > 1 else ''}"
                yield Span(at, count) if fine[first] else Span(at, 0, count * RECORD_BYTES, why)
            start += len(rows)

    def entries(
        self, check: Check | None = None, total: int | None = None, *, named: bool | None = None
    ) -> Iterator[Entry]:
        """Path and label of each row, in order, checked as in a list beside an .atlc file. Without a column of paths
        (or if it shall not be used: `named`), a label has the number of the record as its path, among `total` ones.

        Raises `BadData`."""
        check = check or Check(self.name)
        begin, width = len(check.paths), max(5, len(str((total or len(self)) - 1)))
        named = self.has_paths or not self.has_labels if named is None else named
        with reported(self.name):
            for rows in self._file.iter_batches(BATCH, columns=self._names[1:], use_threads=False):
                paths, labels = (self._texts(rows, name) for name in ("path", "label"))
                for path, label in zip(paths, labels, strict=True):
                    number = len(check.paths)
                    if named and path is None:
                        raise BadData(f"{self.name}: record {number - begin}: has no path, but others have one")
                    given = path if named and path is not None else f"{number:0{width}d}.png"
                    count = 1 if self._counts is None else int(self._counts[number - begin])
                    yield check.accept(Entry(check.records, given, label or None, count))
        images = len(self) if self._counts is None else len(self._counts)
        if len(check.paths) - begin != images:
            raise BadData(f"{self.name}: {len(check.paths) - begin} paths, but {images} records")

    @property
    def has_list(self) -> bool:
        """Whether there are paths or labels."""
        return self.has_paths or self.has_labels

    @functools.cached_property
    def has_paths(self) -> bool:
        """Whether the column of paths exists, and is not null in the first row."""
        if "path" not in self._names or not len(self):
            return False
        with reported(self.name):
            rows = next(self._file.iter_batches(1, columns=["path"], use_threads=False), None)
            return rows is not None and self._texts(rows, "path")[0] is not None

    @functools.cached_property
    def has_labels(self) -> bool:
        """Whether the column of labels exists, and has one."""
        if "label" not in self._names:
            return False
        with reported(self.name):
            batches = self._file.iter_batches(BATCH, columns=["label"], use_threads=False)
            return any(rows.column(0).null_count < len(rows) for rows in batches)

    def _texts(self, rows: Any, name: str) -> list[str | None]:
        if name not in rows.schema.names:
            return [None] * len(rows)
        pa = arrow.require_pyarrow()
        column = rows.column(name)
        if pa.types.is_dictionary(column.type):
            if not pa.types.is_integer(column.type.value_type) and self._text_bytes(column) > LARGEST_TEXTS:
                raise BadData(f"{self.name}: the column {name} has more than {LARGEST_TEXTS} bytes in {len(rows)} rows")
            column = column.dictionary_decode()
        return [None if value is None else str(value) for value in column.to_pylist()]

    @staticmethod
    def _text_bytes(column: Any) -> int:
        compute = arrow.require_pyarrow().compute
        return compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0

    def _read(self, start: int, stop: int) -> Records:
        """Rows from `start` to `stop`. Continues where the last call ended, or starts again at the row group."""
        parts = []
        while start < stop:
            if not self._first <= start < self._first + len(self._rows):
                self._go_to(start)
            part = self._rows[start - self._first : stop - self._first]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, RECORD_BYTES), np.uint8), *parts])

    def _go_to(self, row: int) -> None:
        with reported(self.name):
            if row != self._first + len(self._rows) or not row:
                group = int(np.searchsorted(self._starts, row, "right")) - 1
                self._batches = self._from_group(group)
                self._first, self._rows = int(self._starts[group]), self._rows[:0]
            while row >= self._first + len(self._rows):
                self._first += len(self._rows)
                rows = next(self._batches, None)
                if rows is None:
                    raise NotARecord(f"{self.name}: has fewer records than its metadata says")
                column = rows.column(0)
                self._rows = arrow.view(column, self.name, self._first)
                if column.null_count:  # the bytes of a null are undefined; no sealed record is all zeros
                    self._rows = self._rows.copy()
                    self._rows[np.asarray(column.is_null().to_numpy(zero_copy_only=False))] = 0

    def _from_group(self, first: int) -> Iterator[Any]:
        """The batches of this row group and those after it."""
        for group in range(first, len(self._starts) - 1):
            if self._variable:
                longest = parquet_file.longest(parquet_file.opened(self.name, ["record"]), group, "record")
                if longest > RECORD_BYTES:
                    raise NotARecord(f"{self.name}: has records of {longest} bytes, not {RECORD_BYTES}")
            yield from self._file.iter_batches(BATCH, row_groups=[group], columns=["record"], use_threads=False)


def _ids(metadata: dict[bytes, bytes] | None) -> tuple[int, ...]:
    found = (metadata or {}).get(arrow.IDS, b"")
    return tuple(int(id, 16) for id in found.split(b",")) if re.fullmatch(rb"[0-9a-f]{8}(,[0-9a-f]{8})*", found) else ()
