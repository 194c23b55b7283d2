"""Where training starts from: the principal components of the training images (PCA), each with a number of bits.

The components are those of pixels with the channels one after another, (C, H, W). Of larger pictures they are those of
a reduced one, so that the files stay small (`resample.py`).

The variances of image coefficients differ a thousandfold. So the first components get latents of 8 or 6 bits, the next
ones of 4 or 3 and the rest of 2: as many of each as predict the least squared error. The step of a latent is the best
one of a small grid. The last latents, of 2 bits, have no component: they are kept for labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atlcodec.latents import Packing
from atlcodec.record import SYMBOLS
from atlcodec.shape import Shape
from atlcodec.training.layout import GREY, sizes
from atlcodec.training.resample import nearest

Floats = NDArray[np.float32]

IMAGES = 12_000  # images that the components are computed from
# Of fewer images, copies moved by a pixel are taken in too, which fill the directions that are missing. Of very few,
# also those moved in two directions.
FEW, VERY_FEW = 20_000, 5_000
STEPS_FROM = 6_000  # of these, images that the steps are chosen by
PIXELS = 4096  # of the picture that has components: a larger one is reduced
COMPONENTS = 760  # at most; with fewer pixels, as many as there are pixels
FEWEST = 256  # latents of at most 8 bits that fill a record: with fewer pixels, some latents stay without a component
SMALL = 1024  # pixels of a picture whose components always come from their covariance
VALUES = 36_000_000  # pixels of all images that are looked at together
SOME = 64  # large images that are reduced together
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
    step of each latent and the standard deviation of its level, float32 (M,); and the shape of images."""

    packing: Packing
    mean: Floats
    components: Floats
    steps: Floats
    deviations: Floats
    shape: Shape = GREY
    size: str = "small"  # of the networks (`pca.SIZES`)
    fitted: bool = True  # False: the weights are loaded afterwards

    @property
    def picture(self) -> int:
        """How many latents are for the picture: the first ones."""
        return self.packing.count - self.packing.labels

    @property
    def middle(self) -> Floats:
        """The level of a coefficient of zero, float32 (M,)."""
        return self.packing.top / np.float32(2)


def reduction(shape: Shape) -> int:
    """How many rows and columns of pixels become one, so that the reduced picture has at most `PIXELS` values."""
    channels, height, width = sizes(shape)
    return next(by for by in itertools.count(1) if channels * -(-height // by) * -(-width // by) <= PIXELS)


def reduced(shape: Shape) -> tuple[int, int, int]:
    """Channels, rows and columns of the picture that has components."""
    channels, height, width = sizes(shape)
    by = reduction(shape)
    return channels, -(-height // by), -(-width // by)


def blank(packing: Packing, shape: Shape = GREY, size: str = "small") -> Start:
    """A start without data: for weights that are loaded afterwards."""
    channels, height, width = reduced(shape)
    zeros, ones = np.zeros((channels * height * width, packing.count), np.float32), np.ones(packing.count, np.float32)
    return Start(packing, zeros[:, 0], zeros, ones, ones, shape, size, fitted=False)


def fit(images: NDArray[np.uint8], size: str = "small") -> Start:
    """The start of training on images, uint8 (N, *shape), two or more."""
    shape = images.shape[1:]
    found = small(images, np.random.default_rng(0).permutation(len(images))[:IMAGES])
    mean, variances, components = principal(found, moves_of(len(images)))
    some: Floats = found[:STEPS_FROM].reshape(-1, len(mean)) - mean
    if len(variances) < FEWEST:
        variances = np.pad(variances, (0, FEWEST - len(variances)))
        components = np.pad(components, ((0, 0), (0, FEWEST - components.shape[1])))
    variances = np.maximum(variances, np.float32(1e-6))
    deviations: Floats = np.sqrt(variances)
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
        shape,
        size,
    )


def moves_of(count: int) -> list[tuple[int, int]]:
    """By how many rows and columns the copies of so many images are moved; the first are the images themselves."""
    most = 2 if count < VERY_FEW else 1 if count < FEW else 0
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if abs(dy) + abs(dx) <= most]
    return sorted(moves, key=lambda move: abs(move[0]) + abs(move[1]))


def small(images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> Floats:
    """Some images of uint8 (N, *shape), channel by channel and reduced: float32 (K, C, h, w)."""
    shape = images.shape[1:]
    channels, height, width = sizes(shape)
    found = np.empty((len(chosen), *reduced(shape)), np.float32)
    rows, columns = (nearest(side, reduction(shape)) for side in (height, width))
    for first in range(0, len(chosen), SOME):
        some = images[chosen[first : first + SOME]].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        found[first : first + SOME] = some if reduction(shape) == 1 else rows @ some.astype(np.float32) @ columns.T
    return found


def principal(pictures: Floats, moves: list[tuple[int, int]]) -> tuple[Floats, Floats, Floats]:
    """The principal components of pictures, float32 (K, C, h, w), and of copies of them that are moved so: the mean,
    float32 (D,), the variances, (M,), the largest first, and the components, (D, M)."""
    parts = [(len(part), part.mean(axis=0)) for part in _parts(pictures, moves)]
    lengths, means = zip(*parts, strict=True)
    total, mean = sum(lengths), np.average(means, axis=0, weights=lengths).astype(np.float32)
    pixels = len(mean)
    if total < pixels > SMALL:  # the components are sums of images
        (part,) = _parts(pictures, moves)
        centred = (part - mean).astype(np.float64)
        variances, shares = np.linalg.eigh(centred @ centred.T / total)
        kept = np.flatnonzero(variances > 1e-6)[::-1][:COMPONENTS]
        components = centred.T @ (shares[:, kept] / np.sqrt(variances[kept] * total))
        return mean, variances[kept].astype(np.float32), components.astype(np.float32)
    covariance = np.zeros((pixels, pixels), np.float32)
    for part in _parts(pictures, moves):
        part -= mean
        covariance += part.T @ part
        del part  # it may take 200 MB
    covariance /= total
    variances, components = np.linalg.eigh(covariance)
    return mean, variances[::-1][:COMPONENTS], components[:, ::-1][:, :COMPONENTS].copy()


def _parts(pictures: Floats, moves: list[tuple[int, int]]) -> Iterator[Floats]:
    """Pictures and their moved copies, some moves at a time, as pixels float32 (K, D)."""
    together = max(1, VALUES // pictures.size)
    for first in range(0, len(moves), together):
        some = [moved(pictures, dy, dx).reshape(len(pictures), -1) for dy, dx in moves[first : first + together]]
        yield np.concatenate(some)


def moved(pictures: Floats, dy: int, dx: int) -> Floats:
    """Pictures (K, C, h, w) moved by a pixel or none in each direction; the edge is repeated."""
    if not dy and not dx:
        return pictures
    height, width = pictures.shape[2:]
    padded = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    return padded[:, :, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def fit_records(
    records: NDArray[np.uint8],
    packing: Packing,
    linear: tuple[Floats, Floats] | None = None,
    shape: Shape = GREY,
    size: str = "small",
) -> Start:
    """The start of a classifier alone, on records uint8 (N, 200): the deviations of their latents, and the linear path
    of their codec, if it has one: its weights, float32 (D, M), and biases, float32 (D,). `shape` is that of images."""
    latents = packing.read(records[:IMAGES]).reshape(-1, packing.count)
    start = replace(
        blank(packing, shape, size), deviations=np.maximum(latents.std(axis=0), 0.5).astype(np.float32), fitted=True
    )
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
