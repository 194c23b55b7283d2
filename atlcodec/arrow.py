"""Records in Arrow, without copies: a column of 200-byte values, with the label and the path of each image beside it.

    record    fixed_size_binary(200)     the record, sealed; binary is read, too, if each value has 200 bytes
    label     string, may be null        what the image shows, if that is known; whole numbers are read, too
    path      string, may be null        the image's path in its folder, as in the list beside an .atlc file
    model     string                     the name of its codec, only in tables with records of several ones
    records   int32                      how many records an image has, only in tables of images in tiles: `record` is
                                         then binary, 200 bytes for each of them

The schema's metadata names the codecs under the key `atlc.ids`: ids of eight hex digits with commas between them. It is
not checked: the seals say which records are whole. `sets.parquet` reads and writes Parquet files with these columns.
Needs pyarrow, `atlcodec[arrow]`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import record
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.record import RECORD_BYTES, Records

IDS = b"atlc.ids"


def schema(*, models: bool = False) -> Any:
    """The columns, as a `pyarrow.Schema`: with `models`, also the column `model`."""
    pa = require_pyarrow()
    return pa.schema(
        [
            pa.field("record", pa.binary(RECORD_BYTES), nullable=False),
            pa.field("label", pa.string()),
            pa.field("path", pa.string()),
            *([pa.field("model", pa.string())] if models else []),
        ]
    )


def batch(
    records: ArrayLike | bytes,
    labels: Sequence[str | None] | None = None,
    paths: Sequence[str | None] | None = None,
    models: Sequence[str] | None = None,
) -> Any:
    """Records, uint8 (N, 200) or bytes, to a `pyarrow.RecordBatch` on the same memory.

    Raises `NotARecord`, or `BadData` for another number of labels, paths or models."""
    pa = require_pyarrow()
    packed = record.as_records(records)
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(RECORD_BYTES), len(packed), [None, pa.py_buffer(packed.reshape(-1))]
    )
    beside = [
        pa.nulls(len(packed), pa.string()) if texts is None else pa.array(texts, pa.string())
        for texts in (labels, paths)
    ]
    if any(len(texts) != len(packed) for texts in beside):
        raise BadData(f"{len(packed)} records, but {len(beside[0])} labels and {len(beside[1])} paths")
    if models is not None:
        if len(models) != len(packed):
            raise BadData(f"{len(packed)} records, but {len(models)} models")
        beside.append(pa.array(models, pa.string()))
    return pa.record_batch([column, *beside], schema=schema(models=models is not None))


def images(records: Records, counts: Sequence[int], labels: Sequence[str | None], paths: Sequence[str | None]) -> Any:
    """Images in tiles to a `pyarrow.RecordBatch`: the records of all of them, uint8 (N, 200), and how many each has."""
    pa = require_pyarrow()
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]) * RECORD_BYTES
    if ends[-1] != records.size or ends[-1] > np.iinfo(np.int32).max:
        raise NotARecord(f"{records.size} bytes of records, but the images have {ends[-1]}")
    offsets, content = pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(records).reshape(-1))
    columns = [
        pa.Array.from_buffers(pa.binary(), len(counts), [None, offsets, content]),
        pa.array(labels, pa.string()),
        pa.array(paths, pa.string()),
        pa.array(counts, pa.int32()),
    ]
    texts = [field for field in schema() if field.name != "record"]
    kinds = [pa.field("record", pa.binary(), nullable=False), *texts, pa.field("records", pa.int32(), nullable=False)]
    return pa.record_batch(columns, schema=pa.schema(kinds))


def records(source: Any) -> Records:
    """The records of an Arrow table, batch, column or array: uint8 (N, 200), on the same memory if it is one piece.

    Raises `NotARecord` for a column of another type, or one with nulls or values of another length."""
    pa = require_pyarrow()
    if isinstance(source, pa.Table | pa.RecordBatch):
        check_columns(source.schema, "the table")
        source = source.column("record")
    if isinstance(source, pa.ChunkedArray):
        source = (
            source.chunk(0)
            if source.num_chunks == 1
            else pa.concat_arrays(source.chunks or [pa.array([], source.type)])
        )
    if source.type != pa.binary(RECORD_BYTES) and not is_variable(source.type):
        raise NotARecord(f"records are fixed_size_binary({RECORD_BYTES}), not {source.type}")
    if source.null_count:
        raise NotARecord(f"{source.null_count} of {len(source)} records are null")
    return view(source)


def view(column: Any, name: str = "the column record", first: int = 0) -> Records:
    """A column of records as uint8 (N, 200), on the same memory. The bytes of a null are undefined.

    Raises `NotARecord` for a value of another length. `first` is the number of the first one, for messages."""
    if not len(column):
        return np.empty((0, RECORD_BYTES), np.uint8)
    _, *buffers = column.buffers()
    if not is_variable(column.type):
        start = column.offset * RECORD_BYTES
    else:
        kind = np.int64 if column.type == require_pyarrow().large_binary() else np.int32
        offsets = np.frombuffer(buffers[0], kind, len(column) + 1, column.offset * np.dtype(kind).itemsize)
        wrong = np.flatnonzero(np.diff(offsets) != RECORD_BYTES)
        if len(wrong):
            return _without_nulls(column, offsets, name, first)
        start = int(offsets[0])
    if buffers[-1] is None:  # all are null
        return np.zeros((len(column), RECORD_BYTES), np.uint8)
    return np.frombuffer(buffers[-1], np.uint8, len(column) * RECORD_BYTES, start).reshape(-1, RECORD_BYTES)


def _without_nulls(column: Any, offsets: NDArray[Any], name: str, first: int) -> Records:
    """A column of variable size in which a null takes no bytes: a copy."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(offsets)
    wrong = np.flatnonzero(valid & (lengths != RECORD_BYTES))
    if len(wrong):
        raise NotARecord(f"{name}: record {first + wrong[0]}: has {lengths[wrong[0]]} bytes, not {RECORD_BYTES}")
    rows = np.zeros((len(column), RECORD_BYTES), np.uint8)
    if valid.any():
        rows[valid] = view(column.drop_null())
    return rows


def is_variable(kind: Any) -> bool:
    """Whether a type is binary without a fixed size, which may hold records."""
    pa = require_pyarrow()
    return bool(kind == pa.binary() or kind == pa.large_binary())


def check_columns(columns: Any, name: str) -> list[str]:
    """Which of the three columns a schema has, `record` first. Raises `NotARecord` if one has another type."""
    pa = require_pyarrow()
    for wanted in ("record", "label", "path"):
        if columns.names.count(wanted) > 1 or (wanted == "record" and wanted not in columns.names):
            raise NotARecord(f"{name}: must have one column named {wanted}; it has: {', '.join(columns.names)[:200]}")
    kind = columns.field("record").type
    if kind != pa.binary(RECORD_BYTES) and not is_variable(kind):
        raise NotARecord(f"{name}: its column record is {str(kind)[:100]}, not fixed_size_binary({RECORD_BYTES})")
    beside = [wanted for wanted in ("label", "path") if wanted in columns.names]
    for wanted in beside:
        kind = columns.field(wanted).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        fine = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
        if not fine and not (wanted == "label" and pa.types.is_integer(kind)):
            raise NotARecord(f"{name}: its column {wanted} is {str(kind)[:100]}, not string")
    return ["record", *beside]


@functools.cache
def require_pyarrow() -> Any:
    """pyarrow with its modules compute and parquet. Raises `AtlcError` if it is not installed."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise AtlcError(
            "Arrow and Parquet need pyarrow, which is not installed: pip install 'atlcodec[arrow]'"
        ) from error
    return pyarrow
