"""Networks that start where PCA ends: a linear path that is fixed from the start, and MLP-Mixers beside it that begin
as zero.

    compressor      image -> components / steps, plus what a mixer adds -> latents
                    image -> convolutions -> the last latents, which are for labels
    decompressor    latents -> mean + components * steps = an image; plus what a mixer corrects in it
    classifier      the last latents -> logits

The picture's latents learn from the squared error alone, the latents for labels from the labels alone. So neither task
disturbs the other in the compressor: 16 of 1,600 bits are what the labels cost the picture.

The linear path alone is PCA with 1,600 bits. So a codec of few training images is not worse than that, and training
begins at its PSNR. See `start.py` for the fit, and `mixer.py` for the mixers.

Images have any shape that a codec can have. The larger they are, the larger are the patches of the mixers and the steps
of the convolutions, and from 4,096 values on the linear path takes a reduced image; so large images do not take much
larger files. Below, C x H x W is an image; 28 x 28 grey pixels have 49 patches of 4 x 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from atlcodec.shape import Shape
from atlcodec.training.grid import Join, MixChannels, MixTokens, Patches, Unpatches, Unshuffle
from atlcodec.training.layers import (
    Add,
    Concatenate,
    ConvNorm,
    Dropout,
    FixedLinear,
    Last,
    Levels,
    Linear8,
    Scale,
    Standardise,
)
from atlcodec.training.layout import sizes
from atlcodec.training.resample import Resample, enlarging, nearest
from atlcodec.training.start import Start, reduced, reduction

PATCHES, TOKENS = (4, 8, 16, 32), 64  # sides of a patch to choose from; the most tokens
ROWS = 16  # of the images that the path for labels begins with, at most
FEATURES = 64  # of the path for labels
LABELS_HIDDEN = 128  # of the classifier


@dataclass(frozen=True)
class Size:
    """How large the networks are beside their linear paths."""

    depth: int  # mixers of each kind
    width: int  # channels of the compressor's mixers
    hidden: int
    width_back: int  # channels of the decompressor's mixers
    hidden_back: int
    channels: int  # of the path for labels
    blocks: int


SIZES = {"small": Size(2, 48, 128, 64, 192, 64, 2), "large": Size(3, 96, 256, 96, 384, 96, 3)}


def patches(shape: Shape) -> Patches:
    """The smallest patches that cover an image with at most `TOKENS` of them."""
    made = [Patches(size, shape) for size in PATCHES]
    return next(each for each in made if each.rows * each.columns <= TOKENS)


def _mixing(depth: int, tokens: int, width: int, hidden: int) -> list[nn.Module]:
    return [layer for _ in range(depth) for layer in (MixTokens(tokens, 2 * tokens), MixChannels(width, hidden))]


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def compressor(start: Start) -> nn.Sequential:
    """CxHxW -> latents (M,)."""
    grid, size = patches(start.shape), SIZES[start.size]
    tokens, pixels = grid.rows * grid.columns, grid.channels * grid.size**2
    rows = (start.components / start.steps).T[: start.picture]
    dense = FixedLinear(rows, start.middle[: start.picture] - rows @ start.mean)
    linear = nn.Sequential(*_resampling(start.shape, nearest), nn.Flatten(), dense)
    mixer = nn.Sequential(
        Scale(1 / 128),
        grid,
        nn.Linear(pixels, size.width),
        *_mixing(size.depth, tokens, size.width, size.hidden),
        Join(tokens, size.width),
        _zero(Linear8(tokens * size.width, start.picture, step=1 / 128)),
        Scale(4),
    )
    return nn.Sequential(Concatenate(nn.Sequential(Add(linear, mixer)), labels(start)))


def labels(start: Start) -> nn.Sequential:
    """CxHxW -> 32x14x14 -> 64x7x7 -> the latents for labels, for 28 x 28 pixels and the size small; the middle ones
    have at most 16 rows for others. With integers, three times as fast as with floats."""
    square = next(side for side in (2, 4, 8, 16) if side * ROWS >= max(start.shape[:2]))
    grid, channels = Unshuffle(square, start.shape), SIZES[start.size].channels
    last = nn.Linear(FEATURES, start.packing.labels)
    nn.init.constant_(last.bias, 1.5 / 2)  # the middle of the four levels
    return nn.Sequential(
        Scale(1 / 128),
        grid,
        Levels(1 / 128),
        ConvNorm(grid.channels * square**2, channels // 2),
        Levels(1 / 64),
        ConvNorm(channels // 2, channels, stride=2),
        Levels(1 / 64),
        *[layer for _ in range(SIZES[start.size].blocks) for layer in _block(channels)],
        nn.Flatten(),
        Dropout(0.2),
        nn.Linear(channels * -(-grid.rows // 2) * -(-grid.columns // 2), FEATURES),
        nn.ReLU(),
        last,
        Scale(2),
    )


def _block(channels: int) -> list[nn.Module]:
    """A residual block (He et al. 2016)."""
    beside = (ConvNorm(channels, channels), Levels(1 / 64), ConvNorm(channels, channels), Levels(1 / 32, signed=True))
    return [Add(nn.Sequential(), nn.Sequential(*beside)), Levels(1 / 32)]


def decompressor(start: Start) -> nn.Sequential:
    """Latents (M,) -> CxHxW."""
    grid, size = patches(start.shape), SIZES[start.size]
    tokens, pixels = grid.rows * grid.columns, grid.channels * grid.size**2
    mixer = nn.Sequential(
        Scale(1 / 128),
        grid,
        nn.Linear(pixels, size.width_back),
        *_mixing(size.depth, tokens, size.width_back, size.hidden_back),
        _zero(nn.Linear(size.width_back, pixels)),
        Scale(128),
        Unpatches(grid.size, start.shape),
    )
    return nn.Sequential(*linear_path(start), Add(nn.Sequential(), mixer))


def linear_path(start: Start) -> list[nn.Module]:
    """Latents (M,) -> CxHxW, as PCA decodes them."""
    columns = start.components * start.steps
    dense = FixedLinear(columns, start.mean - columns @ start.middle)
    return [dense, nn.Unflatten(1, reduced(start.shape)), *_resampling(start.shape, enlarging)]


def _resampling(shape: Shape, matrix: Callable[[int, int], NDArray[np.float32]]) -> list[nn.Module]:
    """The layer between an image and the reduced one, if the linear path needs that: one of `nearest`, or one of
    `enlarging`."""
    (_, height, width), by = sizes(shape), reduction(shape)
    return [] if by == 1 else [Resample(matrix(height, by), matrix(width, by))]


def classifier(start: Start, classes: int) -> nn.Sequential:
    """The latents for labels -> 128 -> classes. It does not look at the others: with them, it learns the training
    images by heart, and is less right about new ones."""
    return nn.Sequential(*label_latents(start, LABELS_HIDDEN), nn.Linear(LABELS_HIDDEN, classes))


def label_latents(start: Start, features: int) -> list[nn.Module]:
    """Latents (M,) -> features of those for labels; of all of them, if none are for labels alone."""
    count = start.packing.labels or start.packing.count
    return [Last(start.packing.labels), standardised(start, count), nn.Linear(count, features), nn.ReLU()]


def dense_classifier(start: Start, classes: int) -> nn.Sequential:
    """M -> 256 -> 64 -> classes: for records whose latents for labels were learned from other labels."""
    return nn.Sequential(
        standardised(start, start.packing.count),
        nn.Linear(start.packing.count, 256),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(256, 64),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(64, classes),
    )


def standardised(start: Start, count: int) -> Standardise:
    """The last `count` latents."""
    mean = start.middle if start.fitted else np.zeros_like(start.middle)  # exported weights contain it
    return Standardise(torch.from_numpy(mean[-count:]), torch.from_numpy(1 / start.deviations[-count:]))
