"""The image codecs that records are compared with: those of Pillow, and principal components."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Mapping
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
        return load(file, self.format)

    def best_that_fits(self, image: Pixels, limit: int) -> bytes:
        """The lossless file if it has at most `limit` bytes; else, of the qualities near that of a bisection, the file
        that fits and loses least; else the file of the lowest quality."""
        if self.lossless and len(file := self.encode(image, None)) <= limit:
            return file
        encode = cache(partial(self.encode, image))
        found = bisect_right(self.qualities, limit, key=lambda quality: len(encode(quality)))
        middle = self.qualities[max(0, found - 1)]
        near = [encode(middle + step) for step in NEAR if middle + step in self.qualities]

        def loss(file: bytes) -> float:
            return float(metrics.squared_error(image[None], self.decode(file)[None])[0])

        fitting = [file for file in near if len(file) <= limit]
        return min(fitting, key=loss) if fitting else encode(self.qualities.start)


def save(image: Pixels, format: str, settings: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, **settings)
    return buffer.getvalue()


def load(file: bytes, format: str) -> Pixels:
    image = Image.open(io.BytesIO(file), formats=[format])
    return np.asarray(image if image.mode == "L" else image.convert("L"))


# WebP's slowest method is its best. Effort 7 is libjxl's default; higher efforts do not make such small images smaller.
WEBP = ImageCodec("WebP", "WEBP", range(101), {"method": 6}, {"method": 6, "lossless": True, "quality": 100})
ONE_THREAD = {"effort": 7, "num_threads": 0}
JXL = ImageCodec("JPEG XL", "JXL", range(100), ONE_THREAD, {**ONE_THREAD, "lossless": True})
JPEG = ImageCodec("JPEG", "JPEG", range(1, 96), {"optimize": True})
IMAGE_CODECS = (WEBP, JXL, JPEG)
USUAL_WEBP = ImageCodec("WebP, default method", "WEBP", range(101), {})  # what speeds are compared with
USUAL_QUALITY = 50


def register_jxl() -> None:
    """JPEG XL for Pillow, decoded in one thread."""
    import pillow_jxl.JpegXLImagePlugin

    pillow_jxl.JpegXLImagePlugin.DECODE_THREADS = 0


# -- principal components ----------------------------------------------------------------------------------------------

MOST = 8  # bits of one component: codes are bytes
# With 0..8 bits and unit variance, the best uniform quantiser (Max, 1960, Table II): its cell's width, its error.
STEP = np.array([0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308], np.float32)
ERROR = np.array([1, 0.3634, 0.1188, 0.03744, 0.01154, 0.003490, 0.001041, 0.000304, 0.0000877])
SCALES = np.linspace(0.5, 1.8, 27, dtype=np.float32)  # of the cells, to choose from for each component


@dataclass(frozen=True)
class Components:
    """Images uint8 (N, 28, 28) <-> packed codes uint8 (N, bytes)."""

    mean: NDArray[np.float32]  # (784,)
    components: NDArray[np.float32]  # (784, K), orthonormal columns
    step: NDArray[np.float32]  # (K,), the width of a cell
    bits: NDArray[np.int64]  # (K,), each 1..MOST

    @classmethod
    def fit(cls, images: Pixels, budget: int) -> Components:
        """With `budget` bits an image. Each bit goes to the component whose expected squared error shrinks most, which
        is reverse water-filling in whole bits. Then the quantisers are scaled to the images."""
        pixels = images.reshape(len(images), -1).astype(np.float32)
        mean = pixels.mean(axis=0)
        variances, components = np.linalg.eigh(np.cov(pixels, rowvar=False, dtype=np.float32))
        bits = np.zeros(len(mean), np.int64)
        gains = np.append(ERROR[:-1] - ERROR[1:], 0)  # of the next bit
        for _ in range(budget):
            bits[(variances * gains[bits]).argmax()] += 1
        kept = bits > 0
        step, half = np.sqrt(variances[kept]) * STEP[bits[kept]], (1 << bits[kept]) / 2
        scores = ((pixels[:: max(1, len(pixels) // 10_000)] - mean) @ components[:, kept]) / step
        cells = [np.clip(np.floor(scores / scale), -half, half - 1) + 0.5 for scale in SCALES]
        errors = [np.square(scores - cell * scale).mean(axis=0) for cell, scale in zip(cells, SCALES, strict=True)]
        return cls(mean, components[:, kept], (step * SCALES[np.argmin(errors, axis=0)]).astype(np.float32), bits[kept])

    def encode(self, images: Pixels) -> Pixels:
        scores = (images.reshape(len(images), -1) - self.mean) @ self.components
        codes = np.clip(scores / self.step + (1 << self.bits) / 2, 0, (1 << self.bits) - 1).astype(np.uint8)
        return np.packbits(np.unpackbits(codes[:, :, None], axis=2)[:, self._used], axis=1)

    def decode(self, packed: Pixels) -> Pixels:
        bits = np.zeros((len(packed), len(self.bits), MOST), np.uint8)
        bits[:, self._used] = np.unpackbits(packed, axis=1, count=int(self.bits.sum()))
        scores = ((np.packbits(bits, axis=2)[:, :, 0] + 0.5 - (1 << self.bits) / 2) * self.step).astype(np.float32)
        return np.clip(np.rint(self.mean + scores @ self.components.T), 0, 255).astype(np.uint8).reshape(-1, 28, 28)

    @property
    def _used(self) -> NDArray[np.bool_]:
        """The bits that are kept of each code, (K, 8): the lowest."""
        return np.arange(MOST) >= MOST - self.bits[:, None]
