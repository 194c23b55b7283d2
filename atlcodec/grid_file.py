"""A grid in a file: its tiles, decoded and put together. `grid_finder` finds them.

Nothing is allocated because a description promises it: a grid
is decoded only if a fair part of its tiles is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atlcodec import grid, record
from atlcodec.codec import Codec
from atlcodec.description import Description
from atlcodec.errors import NotARecord
from atlcodec.files import RecordSource
from atlcodec.grid import Pixels, Region, Tiles
from atlcodec.reader import Part
from atlcodec.record import RECORD_BYTES, Records

MISSING = 16  # times as many tiles as there are: an image that lacks more is not decoded
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """An image in tiles. `numbers` are those of the tiles that are there, row by row, ascending, and `places` the bytes
    of the file where they begin."""

    file: RecordSource
    number: int  # of its description among the records of the file
    description: Description
    codec: Codec
    numbers: Numbers
    places: Numbers
    problems: list[str] = field(default_factory=list)

    def records(self, wanted: Numbers) -> tuple[Records, NDArray[np.bool_]]:
        """The records of tiles with these numbers, uint8 (N, 200), and which of them are there: bool (N,)."""
        at = np.searchsorted(self.numbers, wanted)
        there = at < len(self.numbers)
        there[there] = self.numbers[at[there]] == wanted[there]
        packed = np.zeros((len(wanted), RECORD_BYTES), np.uint8)
        rows, places = np.nonzero(there)[0], self.places[at[there]]
        for run in np.split(np.arange(len(rows)), np.nonzero(np.diff(places) != RECORD_BYTES)[0] + 1):
            if len(run):
                data = self.file.bytes(int(places[run[0]]), len(run) * RECORD_BYTES)
                packed[rows[run]] = data.reshape(-1, RECORD_BYTES)
        there[rows] = record.ids(packed[rows]) == self.codec.id
        return packed, there

    def strips(self, crop: Region | None = None) -> Iterator[Pixels]:
        """The pixels of the image, or of a part of it, in strips of rows.

        Raises `NotARecord` at once for a part outside the image, and if too few of its tiles are there."""
        described = self.description
        crop = crop or Region(0, 0, described.height, described.width)
        _check(crop, described.height, described.width)
        at = grid.around(described, crop)
        most = min(len(self.numbers), at.rows * at.columns)
        if at.rows * at.columns > MISSING * most:
            raise NotARecord(
                f"an image of {described.width} x {described.height} pixels needs {at.rows * at.columns} tiles, "
                f"and the file has only {most}; get another copy"
            )
        if crop.rows * crop.columns > grid.LARGEST:
            raise NotARecord(
                f"{crop.columns} x {crop.rows} pixels are more than {grid.LARGEST}; decode a part of them, a crop"
            )
        return grid.join(described, self._rows(at), at, crop)

    def _rows(self, at: Region) -> Iterator[Tiles]:
        """The rows of the tiles in a region, decoded."""
        columns = self.description.columns
        per_block = max(1, grid.rows_at_once(self.description, len(self.codec.shape) == 3) * columns // at.columns)
        for top in range(at.top, at.bottom, per_block):
            rows = np.arange(top, min(top + per_block, at.bottom))[:, None]
            wanted = (rows * columns + np.arange(at.left, at.right)).ravel()
            packed, there = self.records(wanted)
            pixels = np.zeros((len(wanted), *self.codec.shape), np.uint8)
            if there.any():
                pixels[there] = self.codec.decode(packed[there])
            for some in np.split(np.arange(len(wanted)), len(rows)):
                yield Tiles(pixels[some], there[some])


def pixels(found: Grid | Part, crop: Region | None = None) -> Pixels:
    """The pixels of an image, or of a part of it: uint8 (rows, columns) or (rows, columns, 3)."""
    if isinstance(found, Grid):
        shape = found.description.shape
        strips = found.strips(crop)
        made = np.empty((crop.rows, crop.columns, *shape[2:]) if crop else shape, np.uint8)
        at = 0
        for strip in strips:
            made[at : at + len(strip)] = strip
            at += len(strip)
        return made
    assert found.codec is not None
    image = found.codec.decode(found.records)[0]
    crop = crop or Region(0, 0, *image.shape[:2])
    _check(crop, *image.shape[:2])
    return np.asarray(image[crop.top : crop.bottom, crop.left : crop.right])


def _check(crop: Region, height: int, width: int) -> None:
    """Raise `NotARecord` unless a crop lies in an image."""
    if not (0 <= crop.top < crop.bottom <= height and 0 <= crop.left < crop.right <= width):
        raise NotARecord(
            f"the crop of {crop.columns} x {crop.rows} pixels at {crop.left}, {crop.top} does not lie in the image of "
            f"{width} x {height}"
        )
