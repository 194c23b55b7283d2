"""Whether WebP would be smaller: what `atlc encode` says of large images, measured on a part of them."""

from __future__ import annotations

import numpy as np

from atlcodec import grid_finder, metrics, picture
from atlcodec.files import RecordFile
from atlcodec.grid import Pixels, Region, Rows
from atlcodec.grid_file import Grid, pixels
from atlcodec.reader import Reader
from atlcodec.record import Records

LARGE = 512 * 512  # pixels: nobody keeps smaller images for their size
PART = 384  # rows and columns of the part, at most


def smaller_as_webp(image: Rows, records: Records) -> str:
    """A line, if WebP reproduces the middle of a large image better with as many bytes as its tiles have; else ""."""
    height, width = image.shape[:2]
    if height * width < LARGE:
        return ""
    found, _ = grid_finder.only(Reader(), RecordFile(records.reshape(-1), "the image"), complete=False)
    if not isinstance(found, Grid):
        return ""
    rows, columns = min(PART, height), min(PART, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    crop = Region(top, left, top + rows, left + columns)
    part = np.ascontiguousarray(image.rows(crop.top, crop.bottom)[:, crop.left : crop.right])
    own = _psnr(part, pixels(found, crop))
    other = _as_webp(part, records.size * rows * columns // (height * width))
    if other is None or other <= own:
        return ""
    return f"WebP is smaller at this quality: with as many bytes it has {other:.1f} dB in the middle, here {own:.1f} dB"


def _as_webp(image: Pixels, limit: int) -> float | None:
    """The PSNR of the best WebP file of an image with at most so many bytes; None if all have more."""
    low, high, best = 0, 100, None
    while low <= high:
        quality = (low + high) // 2
        file = picture.encoded(image, "WEBP", quality=quality)
        if len(file) <= limit:
            best, low = file, quality + 1
        else:
            high = quality - 1
    return None if best is None else _psnr(image, picture.decoded(best, "WEBP", image.shape))


def _psnr(image: Pixels, other: Pixels) -> float:
    return metrics.psnr(float(metrics.squared_error(image[None], other[None])[0]))
