"""Batch functions for a cluster: pictures to records, records to pictures, records to labels.

    Encode(model)     image  -> record
    Decode()          record -> image
    Classify()        record -> record, label, probability

They are plain callables and import no cluster's library: Ray Data, Spark or a loop may call them (docs/cluster.md). A
batch is a dict of NumPy arrays or a pyarrow Table, and comes back as the same kind; columns that are not named here
pass through. They are pickled as their arguments alone, so that the networks are loaded by the worker that makes them,
or unpickles them.

    image         uint8 (N, 28, 28); as a column of Arrow, tensors, or bytes or lists of 784
    record        uint8 (N, 200); as a column of Arrow, fixed-size binary, as `atlcodec.arrow` has it
    label         text, and `probability` float32
    problem       text: why this row could not be done; null for all the others

A row that cannot be done costs itself alone: its results are null, and `problem` says why; later functions leave it
alone. NumPy has no null; there the results are zeros, "" and NaN. (200 zeros are no record of any codec.) With
`strict=True` the first such row is an error instead, `BadImage` or `NotARecord`. What is wrong with the job and not
with a row, such as a model that is not installed or a column of another type, is an error in any case."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow, record
from atlcodec.card import SHAPE
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError, BadImage, NotARecord, UnknownModel
from atlcodec.reader import Reader
from atlcodec.record import Records

if TYPE_CHECKING:
    import pyarrow as pa

Batch = TypeVar("Batch", bound="Mapping[str, NDArray[Any]] | pa.Table")
Texts = NDArray[np.object_]  # of each row, as text; "" is none


@dataclass(eq=False)
class _Function:
    """One of the three, as its fields describe it."""

    strict: bool = field(default=False, kw_only=True)

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return functools.partial(type(self), **{each.name: getattr(self, each.name) for each in fields(self)}), ()


@dataclass(eq=False)
class Encode(_Function):
    """`image` becomes `record`, of one codec: by name, by id, or by a path that every worker can read.

    There is no choice among models here, which each batch would make anew: let `atlcodec.api.choose` make it once,
    from a sample. `effort` is that of `Codec.encode`.

    Raises `UnknownModel` or `BadModel` when it is made, `BadImage` for a column that holds no pictures."""

    model: str | os.PathLike[str]
    effort: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._codec = Codec.load(self.model)
        self._encode(np.zeros((1, *SHAPE), np.uint8))  # what is wrong with its files comes out before the first batch

    def __call__(self, batch: Batch) -> Batch:
        images, problems = _read(batch, "image", SHAPE, BadImage)
        if self.strict:
            _refuse(batch, problems, BadImage)
        good = problems == ""
        records = np.zeros((len(images), record.RECORD_BYTES), np.uint8)
        records[good] = self._encode(images[good])
        return _write(batch, {"record": records}, problems, without="image", id=self._codec.id)

    def _encode(self, images: Images) -> Records:
        how: dict[str, Any] = {} if self.effort is None else {"effort": self.effort}
        return self._codec.encode(images, **how)


@dataclass(eq=False)
class Decode(_Function):
    """`record` becomes `image`. Each record names its codec, any that is installed; with `model`, it must be that one.

    Raises `UnknownModel` or `BadModel` when it is made, `NotARecord` for a column that holds no records, and `BadModel`
    for records of an installed model whose files are not in order."""

    model: str | os.PathLike[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._codecs = _Codecs(self.model, None)

    def __call__(self, batch: Batch) -> Batch:
        records, problems = _read(batch, "record", (record.RECORD_BYTES,), NotARecord)
        images = np.zeros((len(records), *SHAPE), np.uint8)
        for codec, rows in self._codecs.of(records, problems):
            images[rows] = codec.decode(records[rows], verify=False)  # sorting them out by their ids has verified them
        if self.strict:
            _refuse(batch, problems, NotARecord)
        return _write(batch, {"image": images}, problems, without="record")


@dataclass(eq=False)
class Classify(_Function):
    """Adds the `label` of each `record` and its `probability`, by the codec's default classifier or the one named
    `head`.

    `model` is as in `Decode`. `label` names the column of the labels: where the batch has one of that name already, the
    truth perhaps, it must be another.

    Raises as `Decode` does. A codec that has no such classifier is a problem of its records, or an error if `model`
    names it."""

    head: str | None = None
    model: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    label: str = field(default="label", kw_only=True)

    def __post_init__(self) -> None:
        self._codecs = _Codecs(self.model, self.head)
        for codec in self._codecs.named:
            _ = codec.head

    def __call__(self, batch: Batch) -> Batch:
        records, problems = _read(batch, "record", (record.RECORD_BYTES,), NotARecord)
        labels = np.full(len(records), "", object)
        probability = np.full(len(records), np.nan, np.float32)
        for codec, rows in self._codecs.of(records, problems):
            try:
                names = np.array(codec.labels, object)
            except UnknownModel as error:
                problems[rows] = str(error)
                continue
            scores = codec.classify(records[rows], verify=False)
            labels[rows] = names[scores.argmax(1)]
            probability[rows] = scores.max(1)
        if self.strict:
            _refuse(batch, problems, NotARecord)
        return _write(batch, {self.label: labels, "probability": probability}, problems)


class _Codecs:
    """The codecs of records: all that are installed, or only the one that you name."""

    def __init__(self, model: str | os.PathLike[str] | None, head: str | None) -> None:
        self._reader = Reader(model, head)
        self.named = [] if model is None else [self._reader.codec(id) for id in self._reader.models]

    def of(self, records: Records, problems: Texts) -> Iterator[tuple[Codec, NDArray[np.intp]]]:
        """Each codec with the rows of its records, among the rows without a problem. A record without a codec gets a
        problem."""
        good = np.nonzero(problems == "")[0]
        for rows, codec, problem in self._reader.group(records[good]):
            if codec is None:
                problems[good[rows]] = f"the record: {problem}"
            else:
                yield codec, good[rows]


# -- columns -----------------------------------------------------------------------------------------------------------


def _names(batch: Mapping[str, NDArray[Any]] | pa.Table) -> list[str]:
    if isinstance(batch, Mapping):
        return list(batch)
    if not hasattr(batch, "combine_chunks"):
        raise AtlcError(
            f"a batch is a dict of NumPy arrays or a pyarrow Table, not a {type(batch).__name__}; "
            'batch_format="pyarrow"?'
        )
    return list(batch.column_names)


def _values(batch: Mapping[str, NDArray[Any]] | pa.Table, name: str) -> list[Any]:
    return list(batch[name].tolist() if isinstance(batch, Mapping) else batch[name].to_pylist())


def _read(
    batch: Mapping[str, NDArray[Any]] | pa.Table, name: str, shape: tuple[int, ...], error: type[AtlcError]
) -> tuple[NDArray[np.uint8], Texts]:
    """A column of the batch as uint8 (N, *shape), and what is wrong with its rows, or was before."""
    if name not in _names(batch):
        raise error(
            f"the batch has no column {name!r} but {', '.join(_names(batch)) or 'none'}; rename the one that is meant"
        )
    if not len(batch[name]):  # of whatever type: nobody could know it
        return np.zeros((0, *shape), np.uint8), np.full(0, "", object)
    try:
        rows, wrong = (_from_numpy if isinstance(batch, Mapping) else _from_arrow)(batch[name], shape)
    except TypeError as other:
        wanted = f"uint8 (N, {', '.join(map(str, shape))}), or {math.prod(shape)} bytes a row"
        raise error(f"column {name!r} is {other}; it must be {wanted}") from None
    problems = np.full(len(rows), "", object)
    for row, why in wrong.items():
        problems[row] = f"the {name} {why}"
    if "problem" in _names(batch):
        for row, before in enumerate(_values(batch, "problem")):
            problems[row] = before or problems[row]  # the first is the cause of the others
    return rows, problems


def _refuse(batch: Mapping[str, NDArray[Any]] | pa.Table, problems: Texts, error: type[AtlcError]) -> None:
    for row in np.nonzero(problems)[0][:1].tolist():
        path = f" ({_values(batch, 'path')[row]})" if "path" in _names(batch) else ""
        raise error(f"row {row} of the batch{path}: {problems[row]}; without strict=True it alone is left out")


def _write(
    batch: Batch, made: Mapping[str, NDArray[Any]], problems: Texts, without: str | None = None, id: int | None = None
) -> Batch:
    """The batch with the columns `made`, and `problem`; without the one they were made of, if they take its place."""
    for name in made:
        if name in _names(batch) and name != without:
            other = ', or name another: Classify(label="predicted")' if name == "label" else ""
            raise AtlcError(f"the batch has a column {name!r} already; rename it or drop it{other}")
    kept = [name for name in _names(batch) if name not in (without, "problem")]
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
    cells = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), math.prod(SHAPE), mask=pa.array(null))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), SHAPE), cells)
