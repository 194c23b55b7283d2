"""Where training starts from: the principal components of the training images (PCA), each with a number of bits.

The variances of image coefficients differ a thousandfold. So the first components get latents of 8 or 6 bits, the next
ones of 4 or 3 and the rest of 2: as many of each as predict the least squared error. The step of a latent is the best
one of a small grid. The last latents, of 2 bits, have no component: they are kept for labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atlcodec.latents import Packing
from atlcodec.record import SYMBOLS

Floats = NDArray[np.float32]

IMAGES = 12_000  # images that the components are computed from
FEW = 5_000  # of fewer images, copies moved by a pixel are taken in too: they fill the directions that are missing
STEPS_FROM = 6_000  # of these, images that the steps are chosen by
COMPONENTS = 760  # at most; with fewer pixels, as many as there are pixels
GRID = {  # steps to try for a latent of so many bits, in standard deviations of its coefficient
    8: np.linspace(0.02, 0.12, 11),
    6: np.linspace(0.06, 0.3, 9),
    4: np.linspace(0.25, 0.6, 8),
    3: np.linspace(0.4, 1.0, 8),
    2: np.linspace(0.8, 1.6, 9),
}
LABELS = 8  # latents for labels, of 2 bits each
BITS = tuple(GRID)


@dataclass(frozen=True)
class Start:
    """The mean image, float32 (D,); the components, float32 (D, M), one for each latent, zero for those for labels; the
    step of each latent and the standard deviation of its level, float32 (M,)."""

    packing: Packing
    mean: Floats
    components: Floats
    steps: Floats
    deviations: Floats
    fitted: bool = True  # False: the weights are loaded afterwards

    @property
    def picture(self) -> int:
        """How many latents are for the picture: the first ones."""
        return self.packing.count - self.packing.labels

    @property
    def middle(self) -> Floats:
        """The level of a coefficient of zero, float32 (M,)."""
        return self.packing.top / np.float32(2)


def blank(packing: Packing, pixels: int = 784) -> Start:
    """A start without data: for weights that are loaded afterwards."""
    zeros, ones = np.zeros((pixels, packing.count), np.float32), np.ones(packing.count, np.float32)
    return Start(packing, zeros[:, 0], zeros, ones, ones, fitted=False)


def fit(images: NDArray[np.uint8]) -> Start:
    """The start of training on images, uint8 (N, H, W), two or more."""
    chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
    pixels, some = _flat(images[chosen]), _flat(images[chosen[:STEPS_FROM]])
    if len(images) < FEW:
        pixels = np.concatenate([_flat(moved(images[chosen], dy, dx)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    mean = pixels.mean(axis=0)
    pixels -= mean
    some -= mean
    variances, components = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    count = min(COMPONENTS, pixels.shape[1])
    variances, components = np.maximum(variances[::-1][:count], 1e-6), components[:, ::-1][:, :count].copy()
    deviations = np.sqrt(variances)
    errors, steps = {}, {}
    for bits, grid in GRID.items():
        errors[bits], steps[bits] = best_steps(some @ components, deviations, bits, grid)
    packing = allot(errors, variances)
    kept = packing.count - LABELS
    step = np.array([steps[bits][component] for component, bits in enumerate(packing.bits[:kept].tolist())])
    return Start(
        packing,
        mean,
        np.pad(components[:, :kept], ((0, 0), (0, LABELS))).astype(np.float32),
        np.pad(step, (0, LABELS), constant_values=1).astype(np.float32),
        np.pad(deviations[:kept] / step, (0, LABELS), constant_values=1).astype(np.float32),
    )


def _flat(images: NDArray[np.uint8]) -> Floats:
    return images.reshape(len(images), -1).astype(np.float32)


def moved(images: NDArray[np.uint8], dy: int, dx: int) -> NDArray[np.uint8]:
    """Images (N, H, W) moved by a pixel or none in each direction; the edge is repeated."""
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def fit_records(records: NDArray[np.uint8], packing: Packing, linear: tuple[Floats, Floats] | None = None) -> Start:
    """The start of a classifier alone, on records uint8 (N, 200): the deviations of their latents, and the linear path
    of their codec, if it has one: its weights, float32 (D, M), and biases, float32 (D,)."""
    latents = packing.read(records[:IMAGES]).reshape(-1, packing.count)
    start = replace(blank(packing), deviations=np.maximum(latents.std(axis=0), 0.5).astype(np.float32), fitted=True)
    if linear is not None:
        weights, biases = linear
        start = replace(start, components=weights, mean=biases + weights @ start.middle)
    return start


def best_steps(coefficients: Floats, deviations: Floats, bits: int, grid: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """For coefficients, float32 (N, K), quantised to so many bits: the least mean squared error of each, (K,), and the
    step that gives it, (K,)."""
    top = 2**bits - 1
    errors = []
    for width in grid:
        step = width * deviations
        levels = np.clip(np.rint(coefficients / step + top / 2), 0, top) - top / 2
        errors.append(((levels * step - coefficients) ** 2).mean(axis=0))
    best = np.argmin(errors, axis=0)
    return np.min(errors, axis=0), (grid[best] * deviations).astype(np.float32)


def allot(errors: dict[int, Floats], variances: Floats) -> Packing:
    """How many components get each number of bits, for the least sum of their errors and of the variances of those that
    get none. The first components get most. The latents for labels come last."""
    budget = 4 * SYMBOLS - 2 * LABELS
    sums = {bits: np.concatenate([[0], np.cumsum(each, dtype=np.float64)]) for bits, each in errors.items()}
    kept = np.concatenate([[0], np.cumsum(variances, dtype=np.float64)])
    left = kept[-1] - kept
    n4, n3 = np.meshgrid(np.arange(0, SYMBOLS + 1, 8), np.arange(0, 8 * SYMBOLS // 6, 8), indexing="ij")
    best, chosen = np.inf, (0, 0, 0, 0, 0)
    for n8 in range(0, 130, 4):
        for n6 in range(0, 4 * SYMBOLS // 6, 4):
            n2 = (budget - 8 * n8 - 6 * n6 - 4 * n4 - 3 * n3) // 2
            ends = np.cumsum(np.stack(np.broadcast_arrays(n8, n6, n4, n3, n2)), axis=0)
            fits = (n2 >= 0) & (n2 % 4 == 0) & (ends[-1] <= len(variances))
            if not fits.any():
                continue
            ends = np.where(fits, ends, 0)
            starts = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
            error = sum(sums[bits][ends[i]] - sums[bits][starts[i]] for i, bits in enumerate(BITS)) + left[ends[-1]]
            error = np.where(fits, error, np.inf)
            at = np.unravel_index(error.argmin(), error.shape)
            if error[at] < best:
                best, chosen = error[at], (n8, n6, int(n4[at]), int(n3[at]), int(n2[at]))
    widths = dict(zip(BITS, chosen, strict=True))
    widths[2] += LABELS
    return Packing(tuple((bits, count) for bits, count in widths.items() if count), LABELS)
