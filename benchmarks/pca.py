"""A linear codec to compare with: the principal components of training images, each with the number of bits it earns.

Bits are dealt one at a time to the component whose squared error on the training images shrinks most, which is reverse
water-filling in whole bits. Each component has a uniform quantiser that cuts off the best share of the tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 8  # bits of one component: codes are bytes
TAILS = (0.0, 0.0003, 0.001, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1)  # shares to cut off at either end of a range
ENOUGH = 10_000  # training images from which quantisers are learned; the components use all
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pca:
    """Images uint8 (N, 28, 28) <-> packed codes uint8 (N, bytes)."""

    mean: Floats  # (784,)
    components: Floats  # (784, K), orthonormal columns
    bits: NDArray[np.int64]  # (K,), each 1..MOST
    low: Floats  # (K,), where the first cell of each quantiser begins
    step: Floats  # (K,)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        scores = (images.reshape(len(images), -1).astype(np.float32) - self.mean) @ self.components
        codes = np.clip((scores - self.low) / self.step, 0, (1 << self.bits) - 1).astype(np.uint8)
        return np.packbits(np.unpackbits(codes[:, :, None], axis=2)[:, self._used], axis=1)

    def decode(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        bits = np.zeros((len(packed), len(self.bits), MOST), np.uint8)
        bits[:, self._used] = np.unpackbits(packed, axis=1, count=int(self.bits.sum()))
        scores = self.low + (np.packbits(bits, axis=2)[:, :, 0] + np.float32(0.5)) * self.step
        pixels = self.mean + scores @ self.components.T
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).reshape(-1, 28, 28)

    @property
    def _used(self) -> NDArray[np.bool_]:
        """The bits that are kept of each code, (K, 8): the lowest."""
        return np.arange(MOST) >= MOST - self.bits[:, None]


def fit(images: NDArray[np.uint8], budgets: Sequence[int]) -> dict[int, Pca]:
    """For each budget, in bits per image, the codec of training images, uint8 (N, 28, 28)."""
    pixels = images.reshape(len(images), -1).astype(np.float32)
    mean = pixels.mean(axis=0)
    pixels -= mean
    values, vectors = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    components = vectors[:, values > values[-1] * 1e-6][:, ::-1]  # the largest first
    few = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), ENOUGH)).astype(int)]
    errors, low, step = _quantisers(few @ components)
    found = {}
    for budget in budgets:
        bits = _deal(errors, budget)
        kept = np.nonzero(bits)[0]
        best = bits[kept], kept
        found[budget] = Pca(mean, np.ascontiguousarray(components[:, kept]), bits[kept], low[best], step[best])
    return found


def _quantisers(scores: Floats) -> tuple[Floats, Floats, Floats]:
    """The best uniform quantiser of each component with 0..MOST bits: squared error, low end, step, (MOST + 1, K)."""
    errors = np.full((MOST + 1, scores.shape[1]), np.inf, np.float32)
    low, step = np.zeros((2, *errors.shape), np.float32)
    errors[0] = np.square(scores).mean(axis=0)
    for tail in TAILS:
        first, last = np.quantile(scores, [tail, 1 - tail], axis=0).astype(np.float32)
        for bits in range(1, MOST + 1):
            width = np.maximum((last - first) / (1 << bits), np.finfo(np.float32).tiny)
            codes = np.clip(np.floor((scores - first) / width), 0, (1 << bits) - 1)
            error = np.square(first + (codes + np.float32(0.5)) * width - scores).mean(axis=0)
            better = error < errors[bits]
            errors[bits, better], low[bits, better], step[bits, better] = error[better], first[better], width[better]
    return errors, low, step


def _deal(errors: Floats, budget: int) -> NDArray[np.int64]:
    """The number of bits of each component: errors (MOST + 1, K) -> (K,)."""
    gains = np.pad(errors[:-1] - errors[1:], ((0, 1), (0, 0)), constant_values=-np.inf)
    bits = np.zeros(errors.shape[1], np.int64)
    for _ in range(budget):
        offered = gains[bits, np.arange(len(bits))]
        best = offered.argmax()
        if offered[best] <= 0:
            break
        bits[best] += 1
    return bits
