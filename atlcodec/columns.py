"""The columns of a batch <-> arrays. A batch is a dict of NumPy arrays or a pyarrow Table, and stays what it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow, record
from atlcodec.errors import AtlcError

if TYPE_CHECKING:
    import pyarrow as pa

Batch = TypeVar("Batch", bound="Mapping[str, NDArray[Any]] | pa.Table")
Texts = NDArray[np.object_]  # the text of each row, or ""


def names(batch: Mapping[str, NDArray[Any]] | pa.Table) -> list[str]:
    """The columns of a batch. Raises `AtlcError` for another type."""
    if isinstance(batch, Mapping):
        return list(batch)
    if not hasattr(batch, "combine_chunks"):
        raise AtlcError(
            f"a batch must be a dict of NumPy arrays or a pyarrow Table, not a {type(batch).__name__}; "
            'give batch_format="pyarrow"'
        )
    return list(batch.column_names)


def values(batch: Mapping[str, NDArray[Any]] | pa.Table, name: str) -> list[Any]:
    """A column as a list of Python values."""
    return list(batch[name].tolist() if isinstance(batch, Mapping) else batch[name].to_pylist())


def read(
    batch: Mapping[str, NDArray[Any]] | pa.Table, name: str, shape: tuple[int, ...], error: type[AtlcError]
) -> tuple[NDArray[np.uint8], Texts]:
    """A column as uint8 (N, *shape), and the problem of each row: a new one, or the one in the column `problem`.

    Raises `error` for a missing column or another type."""
    if name not in names(batch):
        raise error(f"the batch has no column {name!r}; rename one of its columns: {', '.join(names(batch))}")
    if not len(batch[name]):  # an empty column may have any type
        return np.zeros((0, *shape), np.uint8), np.full(0, "", object)
    try:
        rows, wrong = (_from_numpy if isinstance(batch, Mapping) else _from_arrow)(batch[name], shape)
    except TypeError as other:
        wanted = f"uint8 (N, {', '.join(map(str, shape))}), or {math.prod(shape)} bytes a row"
        raise error(f"column {name!r} is {other}; it must be {wanted}") from None
    problems = np.full(len(rows), "", object)
    for row, why in wrong.items():
        problems[row] = f"the {name} {why}"
    if "problem" in names(batch):
        for row, before in enumerate(values(batch, "problem")):
            problems[row] = before or problems[row]  # the first problem caused the others
    return rows, problems


def refuse(batch: Mapping[str, NDArray[Any]] | pa.Table, problems: Texts, error: type[AtlcError]) -> None:
    """Raise `error` for the first row with a problem."""
    for row in np.nonzero(problems)[0][:1].tolist():
        path = f" ({values(batch, 'path')[row]})" if "path" in names(batch) else ""
        raise error(f"row {row} of the batch{path}: {problems[row]}; without strict=True only this row is left out")


def write(
    batch: Batch, made: Mapping[str, NDArray[Any]], problems: Texts, without: str | None = None, id: int | None = None
) -> Batch:
    """The batch with the columns `made` and `problem`, and without the column `without`, which they replace."""
    for name in made:
        if name in names(batch) and name != without:
            other = ', or name another: Classify(label="predicted")' if name == "label" else ""
            raise AtlcError(f"the batch has a column {name!r} already; rename it or drop it{other}")
    kept = [name for name in names(batch) if name not in (without, "problem")]
    bad = problems != ""
    if isinstance(batch, Mapping):
        columns = {name: batch[name] for name in kept} | {name: _to_numpy(values) for name, values in made.items()}
        return cast("Batch", columns | {"problem": _to_numpy(problems)})
    table = batch.select(kept)
    for name, values in made.items():
        table = table.append_column(name, _to_arrow(values, bad))
    table = table.append_column("problem", _to_arrow(problems, ~bad))
    metadata = {
        key: value for key, value in (batch.schema.metadata or {}).items() if key != arrow.IDS or without != "record"
    }
    metadata |= {} if id is None else {arrow.IDS: f"{id:08x}".encode()}
    return cast("Batch", table.replace_schema_metadata(metadata or None))


def _from_numpy(column: NDArray[Any], shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], dict[int, str]]:
    size = math.prod(shape)
    if column.dtype == np.uint8 and column.shape[1:] in (shape, (size,)):
        return column.reshape(-1, *shape), {}
    if column.ndim != 1 or column.dtype != object:
        raise TypeError(f"{column.dtype} {column.shape}")
    cells, wrong, nothing = [], {}, bytes(size)
    for row, cell in enumerate(column):  # bytes, or arrays that need not be of one shape
        if isinstance(cell, bytes) and len(cell) == size:
            cells.append(cell)
        elif isinstance(cell, np.ndarray) and cell.dtype == np.uint8 and cell.shape in (shape, (size,)):
            cells.append(cell.tobytes())
        else:
            cells.append(nothing)
            wrong[row] = _other(cell, shape)
    return np.frombuffer(b"".join(cells), np.uint8).reshape(-1, *shape), wrong


def _other(cell: object, shape: tuple[int, ...]) -> str:
    if cell is None:
        return "is null"
    if isinstance(cell, bytes):
        return f"has {len(cell)} bytes, not {math.prod(shape)}"
    if isinstance(cell, np.ndarray):
        return f"is {cell.dtype} {cell.shape}, not uint8 {shape}"
    return f"is a {type(cell).__name__}, not uint8 {shape}"


def _to_numpy(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(str) if values.dtype == object else values


def _from_arrow(column: pa.ChunkedArray, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], dict[int, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    size, array = math.prod(shape), column.combine_chunks()
    if isinstance(column.type, pa.BaseExtensionType) and tuple(getattr(column.type, "shape", ())) == shape:
        array = array.storage  # tensors, Arrow's own or Ray's
    if pa.types.is_null(array.type):
        array = array.cast(pa.binary())
    kind = array.type
    lists = kind in (pa.list_(pa.uint8()), pa.large_list(pa.uint8()), pa.list_(pa.uint8(), size))
    if not lists and kind not in (pa.binary(), pa.large_binary(), pa.binary(size)):
        raise TypeError(column.type)
    lengths = (pc.list_value_length if lists else pc.binary_length)(array).fill_null(-1).to_numpy(zero_copy_only=False)
    good = lengths == size
    if not good.all():
        array = array.filter(pa.array(good))
    if lists:
        content = array.flatten().to_numpy()
    else:
        array = array.cast(pa.binary(size))
        content = np.frombuffer(array.buffers()[1] or b"", np.uint8)[
            array.offset * size : (array.offset + len(array)) * size
        ]
    if good.all():
        return content.reshape(-1, *shape), {}
    rows = np.zeros((len(good), *shape), np.uint8)
    rows[good] = content.reshape(-1, *shape)
    bad = np.nonzero(~good)[0].tolist()
    return rows, {row: "is null" if lengths[row] < 0 else f"has {lengths[row]} bytes, not {size}" for row in bad}


def _to_arrow(values: NDArray[Any], null: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.ndim == 1:
        return pa.array(values, pa.string() if values.dtype == object else None, mask=null)
    if values.shape[1:] == (record.RECORD_BYTES,):
        column = arrow.batch(values).column("record")
        return pc.if_else(null, None, column) if null.any() else column
    shape = values.shape[1:]
    cells = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), math.prod(shape), mask=pa.array(null))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), shape), cells)
