"""Labels in arrays of NumPy: numbers, texts, or rows with a single 1 in them; and the classes that they stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec.sets.formats.numpy_arrays import LARGEST, Array
from atlcodec.sets.formats.numpy_images import OBJECTS
from atlcodec.sets.labels import in_order
from atlcodec.sets.manifest import counted

NO_LABEL = -1
_HIGHEST = 0x10FFFF  # of the characters of Unicode
Values = NDArray[Any]  # (N,): int64, or texts


def counts(array: Array) -> int:
    """For how many images an array has labels."""
    return array.shape[0] if array.shape else 0


def read(array: Array, images: int) -> Values | str:
    """The labels of a number of images, int64 or texts (N,); or why they cannot be used: "has 90 labels for 100
    images". Raises `BadData` if the file is damaged, or holds Python objects."""
    if array.dtype.hasobject:
        raise array.wrong(OBJECTS)
    if counts(array) != images:
        return f"has {counted(counts(array), 'label')} for {counted(images, 'image')}"
    if array.dtype.kind not in "biufSU":
        return f"holds values of the type {array.dtype}"
    if array.dtype.itemsize * math.prod(array.shape) > LARGEST:
        return f"needs more than {LARGEST} bytes"
    values = array.whole()
    values = values.reshape(len(values), -1)
    if values.shape[1] != 1:
        return _one_hot(values)
    return _texts(values[:, 0]) if values.dtype.kind in "SU" else _numbers(values[:, 0])


def classes(found: Sequence[Values | None]) -> tuple[tuple[str, ...], list[NDArray[np.int64] | None]]:
    """The classes of the labels of all parts, sorted, and for each part the numbers of its classes."""
    present = [values for values in found if values is not None]
    numbers = all(values.dtype.kind == "i" for values in present)
    same = [values if numbers else _as_texts(values) for values in present]
    missing: Any = NO_LABEL if numbers else ""
    every = np.unique(np.concatenate([np.unique(values) for values in same])) if same else np.empty(0, np.int64)
    every = every[every != missing]
    if not numbers:
        every = np.array(sorted(map(str, every), key=in_order), every.dtype)
    order = np.argsort(every, kind="stable")

    def numbered(values: Values) -> NDArray[np.int64]:
        if not len(every):
            return np.full(len(values), NO_LABEL, np.int64)
        places = np.minimum(np.searchsorted(every, values, sorter=order), len(every) - 1)
        return np.where(values == missing, NO_LABEL, order[places]).astype(np.int64)

    waiting = iter(same)
    return tuple(map(str, every)), [None if values is None else numbered(next(waiting)) for values in found]


def _one_hot(values: Values) -> Values | str:
    width = values.shape[1]
    if values.dtype.kind not in "biuf" or not ((values == 0) | (values == 1)).all():
        return f"has {width} values for each image, not one label"
    ones = np.count_nonzero(values, axis=1)
    if (ones != 1).any():
        return "has several labels for one image" if (ones > 1).any() else "has rows without a 1"
    found: Values = np.argmax(values, axis=1).astype(np.int64)
    return found


def _numbers(values: Values) -> Values | str:
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.trunc(values))).all():
        return "has numbers that are not whole"
    if values.dtype.kind in "fu" and len(values) and max(abs(float(values.min())), float(values.max())) >= 2.0**53:
        return "has numbers that are too large"
    return values.astype(np.int64)


def _texts(values: Values) -> Values | str:
    try:
        decoded = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    except UnicodeDecodeError:
        return "has texts that are not UTF-8"
    texts: Values = decoded.astype(decoded.dtype.newbyteorder("="))
    if (np.frombuffer(texts.tobytes(), np.uint32) > _HIGHEST).any():
        return "has texts that are not Unicode"
    return texts


def _as_texts(values: Values) -> Values:
    return values if values.dtype.kind == "U" else np.where(values == NO_LABEL, "", values.astype(str))
