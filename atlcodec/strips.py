"""Large images that Pillow holds, a few rows at a time: a second array of them would need much memory."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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
