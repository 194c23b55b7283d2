"""Records in Arrow and Parquet: one column of 200-byte values, with the label and the source of each beside it.

    record    fixed_size_binary(200)     the record, sealed
    label     string, may be null        what the picture shows, where that is known
    source    string, may be null        its path in the folder it came from, as in the list beside an .atlc file

The schema's metadata names the codecs under the key `atlc.ids`: ids of eight hex digits, divided by commas. A Parquet
file is written and read in row groups, never whole. One that comes from a stranger is trusted as little as an .atlc
file: types, sizes and paths are checked, seals tell which records are whole, and the metadata is only a remark. Needs
pyarrow, `atlcodec[arrow]`."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from atlcodec import atomic, manifest, record
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.files import BATCH, RecordFile, Span
from atlcodec.manifest import Entry
from atlcodec.record import RECORD_BYTES, Records

IDS = b"atlc.ids"
GROUP = 65_536  # rows of a row group that is written: 13 MB of records
LARGEST_GROUP = 1 << 30  # bytes of a row group that is read
LARGEST_TEXTS = 16 << 20  # bytes of text in one batch
MOST_IDS = 256  # of codecs in one file; more there are only where records were never sealed


def schema() -> Any:
    """The columns, as a `pyarrow.Schema`."""
    pa = _pyarrow()
    return pa.schema(
        [
            pa.field("record", pa.binary(RECORD_BYTES), nullable=False),
            pa.field("label", pa.string()),
            pa.field("source", pa.string()),
        ]
    )


# -- in memory: without copies -----------------------------------------------------------------------------------------


def batch(
    records: ArrayLike | bytes, labels: Sequence[str | None] | None = None, sources: Sequence[str | None] | None = None
) -> Any:
    """Records, uint8 (N, 200) or bytes, to a `pyarrow.RecordBatch` on the same memory. Raises `NotARecord`."""
    pa = _pyarrow()
    packed = record.as_records(records)
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(RECORD_BYTES), len(packed), [None, pa.py_buffer(packed.reshape(-1))]
    )
    beside = [
        pa.nulls(len(packed), pa.string()) if texts is None else pa.array(texts, pa.string())
        for texts in (labels, sources)
    ]
    if any(len(texts) != len(packed) for texts in beside):
        raise BadData(f"{len(packed)} records, but {len(beside[0])} labels and {len(beside[1])} sources")
    return pa.record_batch([column, *beside], schema=schema())


def records(source: Any) -> Records:
    """The records of an Arrow table, batch, column or array: uint8 (N, 200), on the same memory where it is one piece.

    Raises `NotARecord` for a column of another type, or one with nulls."""
    pa = _pyarrow()
    if isinstance(source, pa.Table | pa.RecordBatch):
        _check_columns(source.schema, "the table")
        source = source.column("record")
    if isinstance(source, pa.ChunkedArray):
        source = (
            source.chunk(0)
            if source.num_chunks == 1
            else pa.concat_arrays(source.chunks or [pa.array([], source.type)])
        )
    if source.type != pa.binary(RECORD_BYTES):
        raise NotARecord(f"records are fixed_size_binary({RECORD_BYTES}), not {source.type}")
    if source.null_count:
        raise NotARecord(f"{source.null_count} of {len(source)} records are null")
    return _view(source)


def _view(column: Any) -> Records:
    data = column.buffers()[1]
    if data is None or not len(column):
        return np.empty((0, RECORD_BYTES), np.uint8)
    return np.frombuffer(data, np.uint8, len(column) * RECORD_BYTES, column.offset * RECORD_BYTES).reshape(
        -1, RECORD_BYTES
    )


# -- Parquet files -----------------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], batches: Iterable[Any]) -> None:
    """Write a Parquet file, whole or not at all, of batches or tables with the columns above: `batch` makes them.

    They are taken one by one and may be of any size; the columns `label` and `source` may be missing. Raises
    `NotARecord`."""
    pa = _pyarrow()
    columns = schema()
    ids: set[int] = set()
    options = {
        "compression": {"record": "none", "label": "zstd", "source": "zstd"},  # nothing makes a record smaller
        "use_dictionary": ["label"],
        "write_statistics": ["label"],
        "write_page_checksum": True,
        "store_schema": False,  # the copy of it would hide the ids, which are known only at the end
    }
    with atomic.file(path) as file, pa.parquet.ParquetWriter(file, columns, **options) as writer:
        waiting = columns.empty_table()
        for part in batches:
            packed = records(part)
            for start in range(0, len(packed), BATCH):
                ids.update(np.unique(record.ids(packed[start : start + BATCH])).tolist())
                if len(ids) > MOST_IDS:
                    raise NotARecord(f"{path}: more than {MOST_IDS} different ids: these are no sealed records")
            waiting = pa.concat_tables([waiting, _complete(part, columns)])
            while len(waiting) >= GROUP:
                writer.write_table(waiting[:GROUP], row_group_size=GROUP)
                waiting = waiting[GROUP:]
        if len(waiting):
            writer.write_table(waiting, row_group_size=GROUP)
        writer.add_key_value_metadata({IDS.decode(): ",".join(f"{id:08x}" for id in sorted(ids))})


def _complete(part: Any, columns: Any) -> Any:
    """A table with just our columns, in their order."""
    pa = _pyarrow()
    arrays = [
        part.column(field.name).cast(field.type) if field.name in part.schema.names else pa.nulls(len(part), field.type)
        for field in columns
    ]
    return pa.table(arrays, schema=columns)


def open(path: str | os.PathLike[str]) -> RecordTable:
    """The records of a Parquet file. Raises `NotARecord` if it is none, or has no column of records."""
    return RecordTable(os.fspath(path))


class RecordTable(RecordFile):
    """The records of a Parquet file, read as those of an .atlc file are: `len`, indexing, `batches`, `spans`.

    Rows come a batch at a time, and going through them in order keeps only one. `entries` gives their sources and
    labels, `ids` what the metadata says of their codecs, which nobody checked."""

    def __init__(self, path: str) -> None:
        self._pa = pa = _pyarrow()
        self.name = path
        self.torn = 0
        with _reported(path):
            self.size = os.stat(path).st_size
            meta = pa.parquet.read_metadata(path)
            self._names = _check_columns(meta.schema.to_arrow_schema(), path)
            # Text as a dictionary: one long text repeated a million times costs its length once. And no page is read
            # ahead.
            self._file = pa.parquet.ParquetFile(
                path,
                read_dictionary=self._names[1:],
                pre_buffer=False,
                buffer_size=1 << 16,
                page_checksum_verification=True,
            )
            groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
            self._starts = np.concatenate([[0], np.cumsum([group.num_rows for group in groups], dtype=np.int64)])
            for group in groups:
                # Of the row group alone: pyarrow ends the process if it is asked for a column's metadata and that is
                # broken.
                if not (
                    0 <= group.total_byte_size <= LARGEST_GROUP and 0 <= group.num_rows <= LARGEST_GROUP // RECORD_BYTES
                ):
                    raise NotARecord(
                        f"{path}: a row group of more than {LARGEST_GROUP} bytes; write it again in smaller ones"
                    )
            self.ids = _ids(meta.metadata)
        self._batches: Iterator[Any] = iter(())
        self._first, self._rows = (
            0,
            np.empty((0, RECORD_BYTES), np.uint8),
        )  # the batch at hand, and the number of its first row

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, which: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]: ...
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
    def array(self) -> Records:  # type: ignore[override]
        """All records at once, in memory."""
        return self._read(0, len(self))

    def batches(self, size: int = BATCH) -> Iterator[Records]:
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def bytes(self, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """Bytes of the records as they would lie in an .atlc file."""
        first, last = start // RECORD_BYTES, -(-(start + count) // RECORD_BYTES)
        return np.asarray(self._read(first, min(last, len(self))).reshape(-1)[start - first * RECORD_BYTES :][:count])

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """What the rows hold, in order: runs of records with one of the `known` ids, and what lies between. Rows do not
        get out of step: each that is no record costs itself alone."""
        good = np.array(sorted(known), np.uint32)
        start = 0
        while start < len(self):
            self._read(start, start + 1)
            rows = self._rows[
                start - self._first :
            ]  # what is left of the batch at hand, so that `bytes` finds it there
            fine = np.isin(record.ids(rows), good)
            edges = [0, *(np.nonzero(np.diff(fine))[0] + 1).tolist(), len(rows)]
            for first, last in pairwise(edges):
                at, count = (start + first) * RECORD_BYTES, last - first
                why = f"{count} damaged or foreign record{'s' if count > 1 else ''}"
                yield Span(at, count) if fine[first] else Span(at, 0, count * RECORD_BYTES, why)
            start += len(rows)

    def entries(self) -> Iterator[Entry]:
        """Source and label of each row, in order, checked as a list beside an .atlc file is. Raises `BadData`."""
        check = manifest.Check(self.name)
        with _reported(self.name):
            for rows in self._file.iter_batches(BATCH, columns=self._names[1:], use_threads=False):
                sources, labels = (self._texts(rows, name) for name in ("source", "label"))
                for source, label in zip(sources, labels, strict=True):
                    if source is None:
                        raise BadData(f"{self.name}: record {check.count}: has no source, where others have")
                    yield check.passed(Entry(check.count, source, label or None))
        if check.count != len(self):
            raise BadData(f"{self.name}: {check.count} sources, but {len(self)} records")
        check.finish()

    @functools.cached_property
    def named(self) -> bool:
        """Whether it has sources: the column is there, and not null in the first row."""
        if "source" not in self._names or not len(self):
            return False
        with _reported(self.name):
            rows = next(self._file.iter_batches(1, columns=["source"], use_threads=False), None)
            return rows is not None and self._texts(rows, "source")[0] is not None

    def _texts(self, rows: Any, name: str) -> list[str | None]:
        if name not in rows.schema.names:
            return [None] * len(rows)
        column = rows.column(name)
        if self._pa.types.is_dictionary(column.type):
            count = self._pa.compute.binary_length
            if (self._pa.compute.sum(count(column.dictionary).take(column.indices)).as_py() or 0) > LARGEST_TEXTS:
                raise BadData(
                    f"{self.name}: the column {name} holds more than {LARGEST_TEXTS} bytes in {len(rows)} rows"
                )
            column = column.dictionary_decode()
        texts: list[str | None] = column.to_pylist()
        return texts

    def _read(self, start: int, stop: int) -> Records:
        """Rows from `start` to `stop`; goes on where the last call ended, or begins again at the row group."""
        parts = []
        while start < stop:
            if not self._first <= start < self._first + len(self._rows):
                self._go_to(start)
            part = self._rows[start - self._first : stop - self._first]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, RECORD_BYTES), np.uint8), *parts])

    def _go_to(self, row: int) -> None:
        with _reported(self.name):
            if row != self._first + len(self._rows) or not row:
                group = int(np.searchsorted(self._starts, row, "right")) - 1
                groups = list(range(group, len(self._starts) - 1))
                self._batches = self._file.iter_batches(BATCH, row_groups=groups, columns=["record"], use_threads=False)
                self._first, self._rows = int(self._starts[group]), self._rows[:0]
            while row >= self._first + len(self._rows):
                self._first += len(self._rows)
                rows = next(self._batches, None)
                if rows is None:
                    raise NotARecord(f"{self.name}: holds fewer records than its metadata says")
                column = rows.column(0)
                self._rows = _view(column)
                if column.null_count:  # what lies there is not defined; no record is all zero
                    self._rows = self._rows.copy()
                    self._rows[np.asarray(column.is_null().to_numpy(zero_copy_only=False))] = 0


def _check_columns(columns: Any, name: str) -> list[str]:
    """Which of our columns there are, `record` first. Raises `NotARecord` if one has another type."""
    pa = _pyarrow()
    for wanted in ("record", "label", "source"):
        if columns.names.count(wanted) > 1 or (wanted == "record" and wanted not in columns.names):
            raise NotARecord(f"{name}: must have one column named {wanted}; it has: {', '.join(columns.names)[:200]}")
    kind = columns.field("record").type
    if kind != pa.binary(RECORD_BYTES):
        raise NotARecord(f"{name}: its column record is {str(kind)[:100]}, not fixed_size_binary({RECORD_BYTES})")
    beside = [wanted for wanted in ("label", "source") if wanted in columns.names]
    for wanted in beside:
        kind = columns.field(wanted).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise NotARecord(f"{name}: its column {wanted} is {str(kind)[:100]}, not string")
    return ["record", *beside]


def _ids(metadata: dict[bytes, bytes] | None) -> tuple[int, ...]:
    found = (metadata or {}).get(IDS, b"")
    return tuple(int(id, 16) for id in found.split(b",")) if re.fullmatch(rb"[0-9a-f]{8}(,[0-9a-f]{8})*", found) else ()


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """pyarrow's errors in ours."""
    pa = _pyarrow()
    try:
        yield
    except AtlcError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = (getattr(error, "strerror", None) or str(error)).strip().splitlines()
        raise NotARecord(
            f"{name}: cannot be read as Parquet ({why[0][:200] if why else type(error).__name__})"
        ) from error


@functools.cache
def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise AtlcError(
            "Arrow and Parquet need pyarrow, which is not installed: pip install 'atlcodec[arrow]'"
        ) from error
    return pyarrow
