"""Which column of a Parquet file has the images, which has the labels, and how images are written there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow
from atlcodec.errors import BadData
from atlcodec.sets.formats.csv_columns import shape_of
from atlcodec.sets.formats.parquet_file import leaf
from atlcodec.sets.formats.parts import Raw

IMAGES = "image img images picture photo pixels pixel_values png jpg jpeg webp x data bytes input".split()
LABELS = "label labels class target y digit letter fine_label emotion category".split()
EXPECTED = "the images are in a column `image`: image files, k*k or 3*k*k bytes, or lists of numbers"
LONGEST_NOTE = 1 << 24  # bytes of what Hugging Face writes beside the columns
_FILES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")  # the first bytes of image files


@dataclass(frozen=True)
class ImageColumn:
    """The column of images."""

    path: str  # of what is read of it: `image`, or `image.bytes`
    kind: str  # "bytes", or "numbers" in lists
    whole: bool = False  # whole numbers of another type than uint8
    shares: bool = False  # whether many rows may share one long value


def image_column(schema: Any, name: str) -> ImageColumn:
    """Raises `BadData` if there is no such column, or more than one might be."""
    low = [column.lower() for column in schema.names]
    if "record" in low and not any(word in low for word in IMAGES):
        raise BadData(f"{name}: holds records already; `atlc decode` makes images of them")
    named = [schema.field(low.index(word)) for word in IMAGES if word in low]
    for field in named:
        found = _of_type(field, name)
        if found is not None:
            return found
    others = [found for found in (_of_type(field, name) for field in schema) if found is not None]
    if not others and any(arrow.require_pyarrow().types.is_string(field.type) for field in named):
        raise _only_paths(name, named[0].name)
    if len(others) != 1:
        has = ", ".join(schema.names)[:200]
        raise BadData(f"{name}: has no column of images; its columns are: {has}; {EXPECTED}")
    return others[0]


def label_column(schema: Any, image: ImageColumn) -> str | None:
    """The name of the column of labels."""
    types = arrow.require_pyarrow().types
    by_name = {column.lower(): column for column in reversed(schema.names)}
    for word in LABELS:
        if word not in by_name or by_name[word] == image.path.split(".")[0]:
            continue
        kind = schema.field(by_name[word]).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        checks = types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string
        if any(check(kind) for check in (*checks, types.is_null)):
            return str(by_name[word])
    return None


def names_of_labels(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...]:
    """The names of classes, as Hugging Face writes them beside the columns; empty if it does not. Two
    may be the same."""
    note = (metadata or {}).get(b"huggingface", b"")
    if len(note) > LONGEST_NOTE:
        return ()
    try:
        names = json.loads(note)["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        return ()
    return tuple(names)


def _of_type(field: Any, name: str) -> ImageColumn | None:
    types = arrow.require_pyarrow().types
    kind = field.type
    if types.is_struct(kind):
        members = [kind.field(number).name for number in range(kind.num_fields)]
        if "bytes" in members and _is_binary(kind.field("bytes").type) and "." not in field.name:
            return ImageColumn(f"{field.name}.bytes", "bytes", shares=True)
        if "path" in members:
            raise _only_paths(name, field.name)
        return None
    if _is_binary(kind) or types.is_fixed_size_binary(kind):
        return ImageColumn(field.name, "bytes", shares=_is_binary(kind))
    depth = 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    if not 1 <= depth <= 3 or not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        return None
    return ImageColumn(field.name, "numbers", types.is_integer(kind) and not types.is_uint8(kind))


def _is_binary(kind: Any) -> bool:
    types = arrow.require_pyarrow().types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _only_paths(name: str, column: str) -> BadData:
    return BadData(
        f"{name}: its column {column} has only the paths of images, not their bytes; put the image files into folders "
        "named by their labels, or write the table again with the bytes"
    )


# -- values ------------------------------------------------------------------------------------------------------------


def images_of(rows: Any, column: ImageColumn, first: int, name: str, seen: dict[bytes, bytes]) -> Sequence[Raw]:
    """The images of a batch of rows with this column alone. `first` is the number of its first row, for messages;
    `seen` are the long values of the batches before, which are not kept twice.

    Raises `BadData`."""
    array = leaf(rows.column(0), column.path)
    if column.kind == "bytes":
        values = array.to_pylist() if not is_shared(array) else _shared(array, seen)
        return _of_bytes(values, first, name, given=column.path.endswith(".bytes"))
    try:
        return _of_lists(array)
    except ValueError:  # images of different shapes, or something wrong
        return [_of_list(array[row : row + 1], first + row, name) for row in range(len(array))]


def check_bytes(rows: Any, column: ImageColumn, name: str) -> None:
    """Raise `BadData` if the first rows have no bytes at all."""
    array = leaf(rows.column(0), column.path)
    if column.path.endswith(".bytes") and len(array) and array.null_count == len(array):
        raise _only_paths(name, column.path.partition(".")[0])


def _shared(array: Any, seen: dict[bytes, bytes]) -> list[bytes | None]:
    """The values of a dictionary array: those that are equal are one object."""
    indices = array.indices.to_pylist()
    used = {index: array.dictionary[index].as_py() for index in {*indices} - {None}}
    used = {index: seen.setdefault(value, value) for index, value in used.items()}
    return [used.get(index) for index in indices]


def is_shared(array: Any) -> bool:
    """Whether an array came as a dictionary."""
    return bool(arrow.require_pyarrow().types.is_dictionary(array.type))


def _of_bytes(values: list[bytes | None], first: int, name: str, *, given: bool) -> Sequence[Raw]:
    """Image files as they are, an empty one for a null; or an array of the images, whose pixels the bytes are."""
    present = [value for value in values if value is not None]
    shape = shape_of(len(present[0])) if present and not given else None
    if shape is None or _is_file(present[0]):
        return [value or b"" for value in values]
    size = len(present[0])
    wrong = next((row for row, value in enumerate(values) if value is None or len(value) != size), None)
    if wrong is not None:
        value = values[wrong]
        has = "no image" if value is None else f"{len(value)} bytes, not {size}"
        raise BadData(f"{name}: row {first + wrong}: has {has}; leave the row out, or mend it")
    return cast(Sequence[Raw], np.frombuffer(b"".join(present), np.uint8).reshape(-1, *shape))


def _is_file(value: bytes) -> bool:
    return value.startswith(_FILES) or value[4:8] == b"ftyp"


def _of_list(array: Any, row: int, name: str) -> Raw:
    """One image of lists."""
    try:
        return _of_lists(array)[0]
    except ValueError as error:
        raise BadData(f"{name}: row {row}: {error}; leave the row out, or mend it") from error


def _of_lists(array: Any) -> Sequence[Raw]:
    """Lists of numbers, nested or not, to an array. Raises `ValueError` if their lengths differ."""
    pa = arrow.require_pyarrow()
    count, shape = len(array), list[int]()
    while not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)):
        if array.null_count:
            raise ValueError("has no image, or an empty row in it")
        lengths = pa.compute.unique(pa.compute.list_value_length(array)).to_pylist()
        if len(lengths) != 1 or not lengths[0]:
            raise ValueError(f"has lists of different lengths: {', '.join(map(str, lengths[:3]))}")
        shape.append(lengths[0])
        array = array.flatten()
    if array.null_count:
        raise ValueError("has a pixel that is null")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    values = values.astype(np.uint8) if values.dtype == np.bool_ else values
    values = values.astype(np.float32) if values.dtype.kind == "f" else values
    return cast(Sequence[Raw], _shaped(values.reshape(count, *shape)))


def _shaped(values: NDArray[Any]) -> NDArray[Any]:
    """As images: a flat one gets rows and columns, and colours come last."""
    if values.ndim == 2:
        shape = shape_of(values.shape[1])
        if shape is None:
            raise ValueError(f"has {values.shape[1]} values, which is not k*k or 3*k*k")
        return values.reshape(-1, *shape)
    if values.ndim == 4 and values.shape[-1] not in (1, 2, 3, 4):
        if values.shape[1] not in (1, 2, 3, 4):
            raise ValueError(f"has an image of {' x '.join(map(str, values.shape[1:]))}")
        return values.transpose(0, 2, 3, 1)
    return values
