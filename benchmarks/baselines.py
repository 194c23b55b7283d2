"""The image codecs of Pillow, which records are compared with."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlcodec import metrics

NEAR = range(-5, 7)  # qualities to try around that of a bisection: neither size nor loss is monotone in the quality
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)  # a key of dictionaries
class ImageCodec:
    """One format with fixed settings. A quality of None means lossless."""

    name: str
    format: str
    qualities: range
    settings: Mapping[str, Any]
    lossless: Mapping[str, Any] | None = None

    def encode(self, image: Pixels, quality: int | None) -> bytes:
        settings = self.lossless if quality is None else {**self.settings, "quality": quality}
        return save(image, self.format, settings or {})

    def decode(self, file: bytes) -> Pixels:
        return np.asarray(Image.open(io.BytesIO(file), formats=[self.format]).convert("L"))

    def highest_that_fits(self, encode: Callable[[int], bytes], limit: int) -> int:
        """The highest quality with at most `limit` bytes, by bisection, or the lowest quality."""
        fitting = bisect_right(self.qualities, limit, key=lambda quality: len(encode(quality)))
        return self.qualities[max(0, fitting - 1)]

    def best_that_fits(self, image: Pixels, limit: int) -> bytes:
        """The lossless file if it has at most `limit` bytes; else, of the qualities near that of a bisection, the file
        that fits and loses least; else the file of the lowest quality."""
        if self.lossless and len(file := self.encode(image, None)) <= limit:
            return file
        encode = cache(partial(self.encode, image))
        middle = self.highest_that_fits(encode, limit)
        near = [encode(middle + step) for step in NEAR if middle + step in self.qualities]

        def loss(file: bytes) -> float:
            return float(metrics.squared_error(image[None], self.decode(file)[None])[0])

        fitting = [file for file in near if len(file) <= limit]
        return min(fitting, key=loss) if fitting else encode(self.qualities.start)


def save(image: Pixels, format: str, settings: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, **settings)
    return buffer.getvalue()


# WebP's slowest method is its best. Effort 7 is libjxl's default; higher efforts do not make such small images smaller.
WEBP = ImageCodec("WebP", "WEBP", range(101), {"method": 6}, {"method": 6, "lossless": True, "quality": 100})
ONE_THREAD = {"effort": 7, "num_threads": 0}
JXL = ImageCodec("JPEG XL", "JXL", range(100), ONE_THREAD, {**ONE_THREAD, "lossless": True})
JPEG = ImageCodec("JPEG", "JPEG", range(1, 96), {"optimize": True})
IMAGE_CODECS = (WEBP, JXL, JPEG)


def prepare() -> None:
    """For each process that uses JPEG XL: register it with Pillow, and decode in one thread."""
    import pillow_jxl.JpegXLImagePlugin

    pillow_jxl.JpegXLImagePlugin.DECODE_THREADS = 0
