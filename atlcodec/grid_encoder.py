"""An image of any size -> a grid: the description and the sealed tiles, some rows of tiles at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from atlcodec import grid
from atlcodec.codec import Codec, Images
from atlcodec.description import BESIDE, BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.errors import BadImage
from atlcodec.grid import Rows
from atlcodec.record import RECORD_BYTES

OVERLAP = 4  # pixels, for codecs whose tiles are worse at their borders
BORDER = 2  # pixels of the ring in which that shows
WORSE = 2.0  # times the squared error inside
SAMPLE = 12  # rows of tiles, and tiles of each row, on which codecs are tried


class Encoded(NamedTuple):
    """A grid: its bytes, and what wrote it."""

    data: bytearray
    described: Description
    codec: Codec


class _Tried(NamedTuple):
    codec: Codec
    error: float  # squared, of a pixel that no neighbour shares, if they are worse at the border
    even: bool  # whether it is as good at the border of its images as inside


def encode(
    image: Rows,
    codecs: Sequence[Codec],
    effort: int | None = None,
    overlap: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """An image as tiles of the codec that reproduces a sample of it best: one for all of them.

    `overlap` is how many pixels neighbours share. 0 costs no bytes; seams are then filtered. None takes `OVERLAP` for a
    codec that is much worse at the border of its images than inside, as those are that never saw an image go on there;
    the pixels that its tiles share are smoothed.
    `progress` is told the tiles that are done, and how many there are. Raises `BadImage` for an image in colour and a
    codec in grey, and for an overlap that its tiles cannot have."""
    tried = [_try(image, codec) for codec in codecs]
    best = min(tried, key=lambda one: one.error)
    codec, most = best.codec, min(best.codec.shape[:2]) // 2
    if overlap is None:
        overlap = 0 if best.even else min(OVERLAP, most)
    if not 0 <= overlap <= most:
        raise BadImage(f"tiles of {codec.name} can overlap by 0 to {most} pixels, not by {overlap}")
    described = _described(image, codec, overlap, even=best.even)
    data, digest = bytearray(described.pack()), hashlib.sha256()
    for tiles in grid.cut(image, described, len(codec.shape) == 3):
        records = codec.encode(tiles, effort).tobytes()
        data += records
        digest.update(records)
        if progress:
            progress(len(data) // RECORD_BYTES - 1, described.tiles)
    described = replace(described, digest=digest.digest()[:16])
    data[:RECORD_BYTES] = described.pack()
    return Encoded(data, described, codec)


def choose(images: Iterable[Rows], codecs: Sequence[Codec]) -> Codec:
    """The codec that reproduces samples of these images best. The first one, if there are no images."""
    errors = np.zeros(len(codecs))
    for image in images if len(codecs) > 1 else ():
        errors += [_try(image, codec).error for codec in codecs]
    return codecs[int(errors.argmin())]


def _described(image: Rows, codec: Codec, overlap: int, *, even: bool = True) -> Description:
    height, width, *colours = image.shape
    if colours and len(codec.shape) == 2:
        raise BadImage(f"the image is in colour, and {codec.name} is a codec of grey images")
    rows, columns = codec.shape[:2]
    alone = height <= rows and width <= columns
    shared = BLENDED if even else SMOOTHED
    seams = BESIDE if alone else shared if overlap else FILTERED
    return Description(height, width, 3 if colours else 1, codec.id, (rows, columns), 0 if alone else overlap, seams)


def _sample(image: Rows, codec: Codec) -> Images:
    """Some tiles from all parts of an image, uint8 (N, *shape)."""
    described = _described(image, codec, 0)
    rows, columns = (_spread(count) for count in (described.rows, described.columns))
    colours = len(codec.shape) == 3
    return np.concatenate([grid.cut_rows(image, described, colours, row, row + 1)[columns] for row in rows])


def _spread(count: int) -> list[int]:
    """At most `SAMPLE` of these numbers, evenly spread."""
    return sorted({int(number) for number in np.linspace(0, count - 1, SAMPLE)})


def _try(image: Rows, codec: Codec) -> _Tried:
    """What a codec makes of a sample at effort 0."""
    tiles = _sample(image, codec)
    squared = (codec.decode(codec.encode(tiles, effort=0)).astype(np.float64) - tiles) ** 2
    error = squared.reshape(*tiles.shape[:3], -1).mean(axis=(0, 3))
    inside = np.zeros(error.shape, bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    even = bool(error[~inside].mean() <= WORSE * error[inside].mean())
    return _Tried(codec, float(error.mean() if even else error[inside].mean()), even)
