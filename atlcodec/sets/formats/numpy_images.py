"""Images in arrays of NumPy: what the axes of an array mean, and the images of one split, in bounded memory.

    (N, rows, columns)      (N, rows, columns, 1, 3 or 4)      (N, 1, 3 or 4, rows, columns)
    (N, k*k) and (N, 3*k*k): a row for each image, where k is at least 8
    (rows, columns) and (rows, columns, 1, 3 or 4): one image

An array of two axes has a row for each image if its second axis is such a square, or three of them, and the first is
not as long: (64, 64) is one image, (100, 64) are 100 of 8 x 8. It is one image, too, if both sides are between 8 and
4096, and neither is more than 8 times the other. Labels settle it: with 64 of them, (64, 64) are 64 images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec.sets.formats.joined import chained
from atlcodec.sets.formats.numpy_arrays import Array
from atlcodec.sets.formats.parts import Batch

CHANNELS = (1, 3, 4)
SMALLEST, LONGEST, SLIMMEST = 8, 4096, 8
OBJECTS = "holds Python objects, which are not safe to read; save plain arrays"
_SAMPLE = 64  # images whose colours are looked at


@dataclass(frozen=True)
class Stack:
    """Images in one array: it is cut along its first axis, and each part is reshaped to `stored`. With `planes`, the
    first axis of that are the colours, which then become the last."""

    array: Array
    stored: tuple[int, ...]
    planes: bool = False

    def __len__(self) -> int:
        return self.array.shape[0]

    def images(self, size: int, start: int = 0) -> Iterator[NDArray[Any]]:
        for rows in self.array.rows(size, start):
            yield self.shaped(rows)

    def shaped(self, rows: NDArray[Any]) -> NDArray[Any]:
        images = rows.reshape(len(rows), *self.stored)
        return np.moveaxis(images, 1, -1) if self.planes else images


@dataclass(frozen=True, eq=False)
class Part:
    """The images of one split, in one array or in several files (then `path` is their folder)."""

    split: str
    path: Path
    labels: NDArray[np.int64] | None
    stacks: tuple[Stack, ...]

    def __len__(self) -> int:
        return sum(map(len, self.stacks))

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        """As in `parts.Part`."""
        return chained(self.stacks, size, start)


def is_stack(shape: tuple[int, ...]) -> bool:
    """Whether an array without a name that tells is taken for images, and not for labels or others."""
    return (len(shape) in (3, 4) and _axes(shape) is not None) or (len(shape) == 2 and _flat(shape[1]) is not None)


def stack(array: Array, counts: Collection[int] = (), planes: bool | None = None) -> Stack:
    """The images of an array. `counts` are the numbers of labels that may belong to it. `planes` says for rows of
    3*k*k numbers whether the colours follow each other; None looks at the images.

    Raises `BadData`."""
    shape = array.shape
    if array.dtype.hasobject:
        raise array.wrong(OBJECTS)
    if array.dtype.kind not in "biuf":
        raise array.wrong(f"holds values of the type {array.dtype}, not pixels; save them as uint8")
    if shape and not math.prod(shape):
        raise array.wrong(f"has no images: its shape is {shape}; save it with at least one")
    rows = len(shape) == 2 and (shape[0] in counts or (_flat(shape[1]) is not None and shape[0] != shape[1]))
    stored = _flat(shape[1]) if rows else None
    if stored is not None:
        found = Stack(array, stored)
        if len(stored) == 3 and (_in_planes(found) if planes is None else planes):
            return Stack(array, (stored[2], *stored[:2]), planes=True)
        return found
    axes = None if rows else _axes(shape)
    if axes is None:
        raise array.wrong(_why_not(shape))
    one, first = axes
    return Stack(dataclasses.replace(array, shape=(1, *shape)) if one else array, shape[not one :], planes=first)


def colour_order(stacks: Iterable[Stack]) -> bool | None:
    """`planes` of the first of these that has rows of 3*k*k numbers, for the others; None without such rows."""
    return next((one.planes for one in stacks if _has_colour_rows(one)), None)


def colour_notes(stacks: Iterable[Stack]) -> list[str]:
    """A note about how rows of 3*k*k numbers are read, which is a guess."""
    for one in filter(_has_colour_rows, stacks):
        how = "all red before green and blue" if one.planes else "red, green and blue of each pixel together"
        return [f"rows of {one.array.shape[1]} numbers are read as colours: {how}"]
    return []


def _has_colour_rows(stack: Stack) -> bool:
    return len(stack.array.shape) == 2 and len(stack.stored) == 3


def _axes(shape: tuple[int, ...]) -> tuple[bool, bool] | None:
    """Whether it is one image, and whether the colours come before the rows; None if it has no images."""
    if len(shape) == 2:
        slim = max(shape) > SLIMMEST * min(shape)
        return None if min(shape) < SMALLEST or max(shape) > LONGEST or slim else (True, False)
    if len(shape) == 3:
        return shape[2] in CHANNELS and min(shape[:2]) >= SMALLEST, False
    if len(shape) == 4 and shape[3] in CHANNELS:
        return False, False
    return (False, True) if len(shape) == 4 and shape[1] in CHANNELS else None


def _flat(length: int) -> tuple[int, ...] | None:
    """The shape of an image with this number of values, if it is a square, grey or in colour."""
    for channels in ((), (3,)):
        side = math.isqrt(length // math.prod(channels))
        if side >= SMALLEST and side * side * math.prod(channels) == length:
            return side, side, *channels
    return None


def _in_planes(stack: Stack) -> bool:
    """Whether all red values come before all green ones, as in CIFAR: pixels beside each other are then more alike than
    with the three values of each pixel together."""
    rows = next(stack.array.rows(_SAMPLE)).astype(np.float64)
    rows, side = np.nan_to_num(rows), stack.stored[0]
    together = _roughness(rows.reshape(-1, side, side, 3))
    return _roughness(np.moveaxis(rows.reshape(-1, 3, side, side), 1, -1)) < together


def _roughness(images: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean())


def _why_not(shape: tuple[int, ...]) -> str:
    sides = " x ".join(map(str, shape[1:]))
    if len(shape) == 2:
        return (
            f"has rows of {shape[1]} numbers, which are not square images ({SMALLEST} x {SMALLEST} or more, grey or in "
            "3 colours); reshape it to (N, rows, columns)"
        )
    if len(shape) >= 4:
        return (
            f"has the shape {shape}: {shape[0]} volumes or films of {sides}, not images (N, rows, columns, 1, 3 or 4); "
            "save their slices"
        )
    return f"has the shape {shape}, not that of images (N, rows, columns); reshape it"
