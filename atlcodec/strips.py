"""Pillow images a few rows at a time: what is done to a large one in one go would need several copies of it.

What reads their pixels is here, too."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIP = 256  # rows of pixels at a time
NEARLY_GREY = 2  # levels between the channels of red, green and blue

_silence = threading.Lock()


def load(image: Image.Image) -> None:
    """Read the pixels of an image. For a compressed TIFF file that is damaged, libtiff would write lines of its own to
    stderr: not here. What other threads write there meanwhile is lost."""
    if image.format != "TIFF":
        image.load()
        return
    with _silence, open(os.devnull, "wb") as nowhere:
        try:
            before = os.dup(2)
        except OSError:  # there is no stderr
            image.load()
            return
        try:
            os.dup2(nowhere.fileno(), 2)
            image.load()
        finally:
            os.dup2(before, 2)
            os.close(before)


def rows_of(image: Image.Image, top: int, bottom: int) -> Image.Image:
    """Some rows of an image, with what it says of transparency."""
    part = image.crop((0, top, image.width, bottom))
    if "transparency" in image.info:
        part.info["transparency"] = image.info["transparency"]
    return part


def in_strips(mode: str, size: tuple[int, int], make: Callable[[int, int], Image.Image]) -> Image.Image:
    """An image of this mode and size, made some rows at a time: in one go, a large one would need several copies."""
    result = Image.new(mode, size)
    for top in range(0, size[1], STRIP):
        result.paste(make(top, min(top + STRIP, size[1])), (0, top))
    return result


def is_grey(image: Image.Image) -> bool:
    """Whether the channels of red, green and blue are equal, or nearly so: those of a lossy WebP differ by a level."""
    for top in range(0, image.height, STRIP):
        pixels = np.asarray(rows_of(image, top, min(top + STRIP, image.height)).convert("RGB"))
        if (pixels.max(axis=2) - pixels.min(axis=2) > NEARLY_GREY).any():
            return False
    return True


def shows(image: Image.Image) -> bool:
    """Whether not all pixels of an image are equal, as they show: colours that are transparent do not."""
    first: NDArray[Any] | None = None
    for top in range(0, image.height, STRIP):
        part = rows_of(image, top, min(top + STRIP, image.height))
        if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
            pixels = np.asarray(part.convert("RGBA").convert("RGBa"))
        else:
            pixels = np.asarray(part.convert("RGB") if image.mode == "P" else part)
        first = pixels[:1, :1] if first is None else first
        if (pixels != first).any():
            return True
    return False


def varies(pixels: NDArray[Any]) -> bool:
    """Whether not all pixels (rows, columns, ...) are equal."""
    return bool((pixels != pixels[:1, :1]).any())


class Upright:
    """The pixels of an image that Pillow holds, a few rows at a time."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @property
    def shape(self) -> tuple[int, ...]:
        size = self._image.height, self._image.width
        return size if self._image.mode == "L" else (*size, 3)

    def rows(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The rows from `start` to `stop`: (stop - start, columns) or (stop - start, columns, 3)."""
        return np.asarray(self._image.crop((0, start, self._image.width, stop)))


class Canvas:
    """An image that is made a few rows at a time, from the top."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._image = Image.new("L" if len(shape) == 2 else "RGB", (shape[1], shape[0]))
        self._next = 0

    def add(self, strip: NDArray[np.uint8]) -> None:
        self._image.paste(Image.fromarray(strip), (0, self._next))
        self._next += len(strip)

    def png(self) -> bytes:
        """The bytes of a PNG file."""
        buffer = io.BytesIO()
        self._image.save(buffer, "PNG")
        return buffer.getvalue()
