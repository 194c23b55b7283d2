"""A linear codec to compare with: the principal components of training images, each with the number of bits it earns.

Each bit goes to the component whose expected squared error shrinks most, which is reverse water-filling in whole bits.
The quantisers begin as the best uniform ones for a normal distribution (Max, 1960, Table II) and are then scaled to the
images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 8  # bits of one component: codes are bytes
# With 0..8 bits and unit variance: the width of a cell, and the squared error.
STEP = np.array([0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308], np.float32)
SCALES = np.linspace(0.5, 1.8, 27, dtype=np.float32)  # of the cells, to choose from for each component
ERROR = np.array([1, 0.3634, 0.1188, 0.03744, 0.01154, 0.003490, 0.001041, 0.000304, 0.0000877])


@dataclass(frozen=True)
class Pca:
    """Images uint8 (N, 28, 28) <-> packed codes uint8 (N, bytes)."""

    mean: NDArray[np.float32]  # (784,)
    components: NDArray[np.float32]  # (784, K), orthonormal columns
    step: NDArray[np.float32]  # (K,), the width of a cell
    bits: NDArray[np.int64]  # (K,), each 1..MOST

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        scores = (images.reshape(len(images), -1) - self.mean) @ self.components
        codes = np.clip(scores / self.step + (1 << self.bits) / 2, 0, (1 << self.bits) - 1).astype(np.uint8)
        return np.packbits(np.unpackbits(codes[:, :, None], axis=2)[:, self._used], axis=1)

    def decode(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        bits = np.zeros((len(packed), len(self.bits), MOST), np.uint8)
        bits[:, self._used] = np.unpackbits(packed, axis=1, count=int(self.bits.sum()))
        scores = ((np.packbits(bits, axis=2)[:, :, 0] + 0.5 - (1 << self.bits) / 2) * self.step).astype(np.float32)
        return np.clip(np.rint(self.mean + scores @ self.components.T), 0, 255).astype(np.uint8).reshape(-1, 28, 28)

    @property
    def _used(self) -> NDArray[np.bool_]:
        """The bits that are kept of each code, (K, 8): the lowest."""
        return np.arange(MOST) >= MOST - self.bits[:, None]


def fit(images: NDArray[np.uint8], budget: int) -> Pca:
    """The codec of training images, uint8 (N, 28, 28), with `budget` bits per image."""
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
    step *= SCALES[np.argmin(errors, axis=0)]
    return Pca(mean, components[:, kept], step.astype(np.float32), bits[kept])
