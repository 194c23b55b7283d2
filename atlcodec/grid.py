"""An image of any size <-> tiles of one shape: cut, pad and join. `docs/format.md` says how tiles are joined; all of it
is whole numbers, so that every reader gets the same pixels from the same tiles.

Images come and go in strips of rows, so that no second copy of a large one is needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from atlcodec.description import BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.shape import Shape

Pixels = NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)

LARGEST = 500_000_000  # pixels of an image that are encoded or decoded at once
BLOCK = 16 << 20  # bytes of tiles at a time, or one row of them
EDGE = 32  # a larger step between two tiles is an edge in the image, which no filter may smooth
STEEP = 64  # the same where tiles that overlap are smoothed: those of codecs that are bad at borders differ more
UNKNOWN = 128  # fills a tile that has no neighbours


class Rows(Protocol):
    """An image that gives its rows in parts: (stop - start, columns) or (stop - start, columns, 3)."""

    @property
    def shape(self) -> Shape: ...
    def rows(self, start: int, stop: int) -> Pixels: ...


@dataclass(frozen=True)
class Whole:
    """An array as `Rows`."""

    array: Pixels

    @property
    def shape(self) -> Shape:
        return self.array.shape

    def rows(self, start: int, stop: int) -> Pixels:
        return self.array[start:stop]


class Region(NamedTuple):
    """Rows and columns of tiles, or of pixels: from `top` and `left`, up to and without `bottom` and `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        return self.bottom - self.top

    @property
    def columns(self) -> int:
        return self.right - self.left


class Tiles(NamedTuple):
    """A row of tiles, uint8 (N, rows, columns) or (N, rows, columns, 3), and which of them are there: bool (N,)."""

    pixels: Pixels
    there: NDArray[np.bool_]


def region(left: int, top: int, width: int, height: int) -> Region:
    """The region that a crop names."""
    return Region(top, left, top + height, left + width)


# -- cutting -----------------------------------------------------------------------------------------------------------


def cut(image: Rows, described: Description, colours: bool) -> Iterator[Pixels]:
    """All tiles of an image, row by row, some rows at a time: uint8 (N, rows, columns), or (N, rows, columns, 3) with
    `colours`. The last row and column of pixels are repeated where tiles reach beyond."""
    per_block = rows_at_once(described, colours)
    for top in range(0, described.rows, per_block):
        yield cut_rows(image, described, colours, top, min(top + per_block, described.rows))


def cut_rows(image: Rows, described: Description, colours: bool, top: int, bottom: int) -> Pixels:
    """The tiles of the rows from `top` to `bottom` (of tiles)."""
    (height, width), (down, across) = described.tile, described.steps
    strip = image.rows(top * down, min(bottom * down + described.overlap, described.height))
    missing = (bottom - top) * down + described.overlap - len(strip)
    beyond = described.columns * across + described.overlap - described.width
    strip = np.pad(strip, ((0, missing), (0, beyond), (0, 0))[: strip.ndim], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(strip, (height, width), axis=(0, 1))[::down, ::across]
    if strip.ndim == 3:
        windows = windows.transpose(0, 1, 3, 4, 2)
    tiles = windows.reshape(-1, *windows.shape[2:])
    return np.repeat(tiles[..., None], 3, axis=-1) if colours and strip.ndim == 2 else tiles


def rows_at_once(described: Description, colours: bool) -> int:
    """How many rows of tiles make a block."""
    row = described.columns * described.tile[0] * described.tile[1] * (3 if colours else 1)
    return max(1, BLOCK // row)


# -- joining -----------------------------------------------------------------------------------------------------------


def around(described: Description, crop: Region) -> Region:
    """The tiles that the pixels of a crop depend on: those that cover them or touch them."""
    height, width = described.tile
    down, across = described.steps
    return Region(
        max(0, -((height - crop.top) // down)),
        max(0, -((width - crop.left) // across)),
        min(described.rows, crop.bottom // down + 1),
        min(described.columns, crop.right // across + 1),
    )


def join(described: Description, rows: Iterable[Tiles], at: Region, crop: Region) -> Iterator[Pixels]:
    """The pixels of a crop, in strips of rows, from the rows of the tiles `at`, which `around` gives.

    A tile that is not there gets the mean of its neighbours."""
    grey = (_grey(described, row) for row in rows)
    parts = (row.pixels for row in _filled(grey))
    strips = (_blended if described.seams in (BLENDED, SMOOTHED) else _side_by_side)(described, parts)
    if described.seams == SMOOTHED:
        strips = _smoothed_rows(_smoothed_columns(strips, described, at), described, at)
    top, (left, right) = at.top * described.steps[0], (side - at.left * described.steps[1] for side in crop[1::2])
    for strip in strips:
        first, last = max(crop.top - top, 0), min(crop.bottom - top, len(strip))
        top += len(strip)
        if first < last:
            yield strip[first:last, left:right]


def _grey(described: Description, row: Tiles) -> Tiles:
    """Tiles of a codec in colour as those of a grey image, if it is one."""
    if described.channels == 3 or row.pixels.ndim == 3:
        return row
    return row._replace(pixels=((row.pixels.sum(axis=3, dtype=np.uint16) + 1) // 3).astype(np.uint8))


def _filled(rows: Iterable[Tiles]) -> Iterator[Tiles]:
    """The rows with the tiles that are missing."""
    above: Tiles | None = None
    row: Tiles | None = None
    for below in itertools.chain(rows, (None,)):
        if row is not None:
            yield row if row.there.all() else _fill(row, above, below)
            above = row
        row = below


def _fill(row: Tiles, above: Tiles | None, below: Tiles | None) -> Tiles:
    """A row whose missing tiles have one colour: the mean of the tiles beside, above and below that are there."""
    pixels = row.pixels.copy()
    for column in np.nonzero(~row.there)[0].tolist():
        near = [(row, column - 1), (row, column + 1), (above, column), (below, column)]
        seen = [
            some.pixels[k].reshape(row.pixels.shape[1] * row.pixels.shape[2], -1)
            for some, k in near
            if some is not None and 0 <= k < len(some.there) and some.there[k]
        ]
        if not seen:
            pixels[column] = UNKNOWN
            continue
        count = sum(map(len, seen))
        total = np.sum([each.sum(axis=0, dtype=np.int64) for each in seen], axis=0)
        colour = (total + count // 2) // count
        pixels[column] = colour if pixels.ndim == 4 else colour[0]
    return row._replace(pixels=pixels)


def _blended(described: Description, rows: Iterable[Pixels]) -> Iterator[Pixels]:
    """Strips of pixels from rows of tiles that overlap."""
    overlap, down, half = described.overlap, described.steps[0], 2 * described.overlap**2
    tail = None  # the last rows of the strip above, which the next one overlaps
    for row in rows:
        strip = _mixed(row, described)
        body = strip[:down] * (2 * overlap)
        if tail is not None:
            body[:overlap] = _mix(tail, strip[:overlap], 0)
        tail = strip[down:]
        yield ((body + half) // (2 * half)).astype(np.uint8)
    if tail is not None:
        yield ((tail * (2 * overlap) + half) // (2 * half)).astype(np.uint8)


def _mixed(row: Pixels, described: Description) -> NDArray[np.int32]:
    """A row of tiles as one strip: 2 x overlap times the value of each pixel, blended from left to right."""
    overlap, across = described.overlap, described.steps[1]
    tiles = row.astype(np.int32)
    body = tiles[:, :, :across] * (2 * overlap)
    body[1:, :, :overlap] = _mix(tiles[:-1, :, across:], tiles[1:, :, :overlap], 2)
    return np.concatenate([_beside(body), tiles[-1, :, across:] * (2 * overlap)], axis=1)


def _mix(before: NDArray[np.int32], after: NDArray[np.int32], axis: int) -> NDArray[np.int32]:
    """Two parts that overlap, weighted along an axis: 2 x overlap times the value of each pixel."""
    overlap = after.shape[axis]
    weights = 2 * np.arange(overlap, dtype=np.int32) + 1
    weights = weights.reshape(-1, *[1] * (after.ndim - axis - 1))
    return np.asarray(before * (2 * overlap - weights) + after * weights)


def _smoothed_columns(strips: Iterator[Pixels], described: Description, at: Region) -> Iterator[Pixels]:
    """The strips, smoothed where tiles of one row overlap."""
    columns = _places(at.columns, described.steps[1], described.overlap, described.width - at.left * described.steps[1])
    for strip in strips:
        strip[:, columns] = _mean_of_three(strip.swapaxes(0, 1), columns).swapaxes(0, 1)
        yield strip


def _smoothed_rows(strips: Iterator[Pixels], described: Description, at: Region) -> Iterator[Pixels]:
    """The strips, smoothed where rows of tiles overlap. Each is held back until the row below its last one is there."""
    wanted = _places(at.rows, described.steps[0], described.overlap, described.height - at.top * described.steps[0])
    held, begin = np.empty(0, np.uint8), 0  # the last two rows, the first of them given already; and its number
    for strip in strips:
        rows = np.concatenate([held, strip]) if len(held) else strip
        some = wanted[(wanted > begin) & (wanted < begin + len(rows) - 1)] - begin
        done = rows.copy()
        done[some] = _mean_of_three(rows, some)
        yield done[max(0, len(held) - 1) : -1]
        held, begin = rows[-2:], begin + len(rows[:-2])
    yield held[-1:]


def _places(tiles: int, step: int, overlap: int, end: int) -> NDArray[np.int64]:
    """The rows, or columns, that are smoothed: where two tiles overlap, and the next one; with a neighbour on both
    sides, so before the last one, `end` - 1."""
    begins = step * np.arange(1, tiles)[:, None]
    found = np.unique(begins + np.arange(overlap + 1))
    return np.asarray(found[found < end - 1])


def _mean_of_three(pixels: Pixels, rows: NDArray[np.int64]) -> Pixels:
    """These rows, each blended with those beside it, but not across edges."""
    before, here, after = (pixels[rows + number].astype(np.int16) for number in (-1, 0, 1))
    spread = np.maximum(np.maximum(before, here), after) - np.minimum(np.minimum(before, here), after)
    return np.where(spread < STEEP, (before + 2 * here + after + 2) // 4, here).astype(np.uint8)


def _side_by_side(described: Description, rows: Iterable[Pixels]) -> Iterator[Pixels]:
    """Strips of pixels from rows of tiles that do not overlap; filtered, if that is asked for."""
    smooth, width, last = described.seams == FILTERED, described.tile[1], None
    for row in rows:
        strip = _beside(row)
        if smooth and len(row) > 1:
            seam = np.arange(width, strip.shape[1], width)
            strip[:, seam - 1], strip[:, seam] = _smoothed(strip[:, seam - 1], strip[:, seam])
        if not smooth:
            yield strip
            continue
        if last is not None:
            last[0], strip[0] = _smoothed(last[0], strip[0])
            yield last
        yield strip[:-1]
        last = strip[-1:]
    if last is not None:
        yield last


def _smoothed(before: Pixels, after: Pixels) -> tuple[Pixels, Pixels]:
    """The pixels on both sides of seams, half as far apart."""
    step = after.astype(np.int16) - before
    move = np.where(np.abs(step) < EDGE, (step + 2) // 4, 0)
    return (before + move).astype(np.uint8), (after - move).astype(np.uint8)


def _beside(tiles: NDArray[T]) -> NDArray[T]:
    """Tiles (N, rows, columns, ...) beside each other: (rows, N x columns, ...), a copy."""
    return np.array(tiles.swapaxes(0, 1), order="C").reshape(tiles.shape[1], -1, *tiles.shape[3:])
