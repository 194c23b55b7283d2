"""The image codecs that records are compared with: those of Pillow, and principal components."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlcodec import metrics
from atlcodec.training.rivals import best_quality

NEAR = range(-5, 7)  # qualities to try around that of a bisection: neither size nor loss is monotone in the quality
Pixels = NDArray[np.uint8]


def save(image: Pixels, format: str, settings: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, **settings)
    return buffer.getvalue()


def load(file: bytes, format: str, mode: str = "L") -> Pixels:
    image = Image.open(io.BytesIO(file), formats=[format])
    return np.asarray(image if image.mode == mode else image.convert(mode))


def scan(file: bytes) -> int:
    """Bytes of a JPEG without its headers: those between the header of its only scan and the end."""
    start = file.rindex(b"\xff\xda")
    return len(file) - start - 2 - int.from_bytes(file[start + 2 : start + 4], "big") - 2


def media(file: bytes) -> int:
    """Bytes of an AVIF file without its headers: the content of its box `mdat`, the last one."""
    return len(file) - file.index(b"mdat") - 4


@dataclass(frozen=True)
class ImageCodec:
    """A format of Pillow with fixed settings, lossy and without loss."""

    name: str
    format: str
    qualities: range
    settings: Mapping[str, Any]
    lossless: Mapping[str, Any] | None
    counted: Callable[[bytes], int] = len  # the bytes of a file that count

    def encode(self, image: Pixels, quality: int | None) -> bytes:
        """A quality of None means lossless."""
        return save(
            image, self.format, (self.lossless or {}) if quality is None else {**self.settings, "quality": quality}
        )

    def best_that_fits(self, image: Pixels, limit: int) -> bytes:
        """The lossless file if it has at most `limit` bytes; else, of the qualities near that of a bisection, the file
        that fits and loses least; else the file of the lowest quality."""
        size, mode = self.counted, "L" if image.ndim == 2 else "RGB"
        if self.lossless and size(file := self.encode(image, None)) <= limit:
            return file

        def loss(file: bytes) -> float:
            return float(metrics.squared_error(image[None], load(file, self.format, mode)[None])[0])

        return best_quality(partial(self.encode, image), loss, self.qualities, limit, NEAR, size)


# WebP's slowest method is its best. Effort 7 is libjxl's default; higher efforts do not make such small images smaller.
IMAGE_CODECS = (
    ImageCodec("WebP", "WEBP", range(101), {"method": 6}, {"method": 6, "lossless": True, "quality": 100}),
    ImageCodec("JPEG XL", "JXL", range(100), {"effort": 7}, {"effort": 7, "lossless": True}),
    ImageCodec("JPEG", "JPEG", range(1, 96), {"optimize": True}, None),
)
# In colour, JPEG's headers alone have 600 bytes and AVIF's 280. A reader can know them (Facebook's preview photos).
WITHOUT_HEADERS = (
    ImageCodec("JPEG without its headers", "JPEG", range(1, 96), {}, None, scan),
    ImageCodec("AVIF without its headers", "AVIF", range(101), {}, None, media),
)

# -- principal components ----------------------------------------------------------------------------------------------

# With 0..8 bits and unit variance, the best uniform quantiser (Max, 1960, Table II): its cell's width, its error.
STEP = np.array([0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308], np.float32)
ERROR = np.array([1, 0.3634, 0.1188, 0.03744, 0.01154, 0.003490, 0.001041, 0.000304, 0.0000877])
LARGE, SOME = 4096, 5000  # values of an image; images that the components of larger ones come from
SCALES = np.linspace(0.5, 1.8, 27, dtype=np.float32)  # of the cells, to choose from for each component


@dataclass(frozen=True)
class Components:
    """Images uint8 (N, *shape), of D values, as K quantised components."""

    mean: NDArray[np.float32]  # (D,)
    components: NDArray[np.float32]  # (D, K), orthonormal columns
    step: NDArray[np.float32]  # (K,), the width of a cell
    half: NDArray[np.float32]  # (K,), half the number of cells

    @classmethod
    def fit(cls, images: Pixels, budget: int) -> Components:
        """With `budget` bits an image. Each bit goes to the component whose expected squared error shrinks most, which
        is reverse water-filling in whole bits. Then the quantisers are scaled to the images."""
        mean, variances, components = principal(images)
        bits = np.zeros(len(variances), np.int64)
        gains = np.append(ERROR[:-1] - ERROR[1:], 0)  # of the next bit
        for _ in range(budget):
            bits[(variances * gains[bits]).argmax()] += 1
        kept, few = bits > 0, images[:: max(1, len(images) // 10_000)]
        step, half = np.sqrt(variances[kept]) * STEP[bits[kept]], (2.0 ** bits[kept] / 2).astype(np.float32)
        first = cls(mean, components[:, kept], step, half)
        scores = first.scores(few)
        errors = [np.square(scores - quantised(scores, step * scale, half)).mean(axis=0) for scale in SCALES]
        return replace(first, step=step * SCALES[np.argmin(errors, axis=0)])

    def scores(self, images: Pixels) -> NDArray[np.float32]:
        return np.asarray((images.reshape(len(images), -1) - self.mean) @ self.components, np.float32)

    def decoded(self, images: Pixels) -> Pixels:
        """The images as they come back."""
        pixels = self.mean + quantised(self.scores(images), self.step, self.half) @ self.components.T
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).reshape(images.shape)


def quantised(scores: NDArray[np.float32], step: NDArray[np.float32], half: NDArray[np.float32]) -> NDArray[np.float32]:
    cells = np.clip(np.floor(scores / step), -half, half - 1)
    return np.asarray((cells + np.float32(0.5)) * step, np.float32)


def principal(images: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The mean, the variances and the components of images. Of large ones, the components are sums of some images."""
    pixels = images.reshape(len(images), -1)
    if pixels.shape[1] > LARGE:
        pixels = np.random.default_rng(0).permutation(pixels)[:SOME]
    centred = pixels.astype(np.float32)
    mean = centred.mean(axis=0)
    centred -= mean
    if pixels.shape[1] <= LARGE:
        return mean, *np.linalg.eigh(centred.T @ centred / np.float32(len(centred)))
    variances, shares = np.linalg.eigh((centred @ centred.T / np.float32(len(centred))).astype(np.float64))
    kept = variances > 1e-3
    components = centred.T @ (shares[:, kept] / np.sqrt(variances[kept] * len(centred))).astype(np.float32)
    return mean, variances[kept].astype(np.float32), components
