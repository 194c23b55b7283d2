"""Networks that start where PCA ends: a linear path that is fixed from the start, and MLP-Mixers beside it that begin
as zero.

    compressor      image -> components / steps, plus what a mixer adds -> latents
                    image -> convolutions -> the last latents, which are for labels
    decompressor    latents -> mean + components * steps = an image; plus what a mixer corrects in it
    classifier      all latents -> logits

The picture's latents learn from the squared error alone, the latents for labels from the labels alone. So neither task
disturbs the other in the compressor: 16 of 1,600 bits are what the labels cost the picture.

The linear path alone is PCA with 1,600 bits. So a codec of few training images is not worse than that, and training
begins at its PSNR. See `start.py` for the fit, and `mixer.py` for the mixers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from atlcodec.training.layers import (
    Add,
    Concatenate,
    ConvNorm,
    Dropout,
    FixedLinear,
    Join,
    Levels,
    Linear8,
    MixChannels,
    MixTokens,
    Patches,
    Scale,
    Standardise,
    TrustLast,
    Unpatches,
)
from atlcodec.training.start import Start

PATCH, TOKENS = 4, 49
DEPTH = 2
WIDTH, HIDDEN = 48, 128  # of the compressor
WIDTH_BACK, HIDDEN_BACK = 64, 192  # of the decompressor
CHANNELS, BLOCKS, FEATURES = 64, 2, 64  # of the path for labels


def _mixing(width: int, hidden: int) -> list[nn.Module]:
    return [layer for _ in range(DEPTH) for layer in (MixTokens(TOKENS, 2 * TOKENS), MixChannels(width, hidden))]


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def compressor(start: Start) -> nn.Sequential:
    """1x28x28 -> latents (M,)."""
    rows = (start.components / start.steps).T[: start.picture]
    linear = nn.Sequential(nn.Flatten(), FixedLinear(rows, start.middle[: start.picture] - rows @ start.mean))
    mixer = nn.Sequential(
        Scale(1 / 128),
        Patches(PATCH),
        nn.Linear(PATCH**2, WIDTH),
        *_mixing(WIDTH, HIDDEN),
        Join(TOKENS, WIDTH),
        _zero(Linear8(TOKENS * WIDTH, start.picture, step=1 / 128)),
        Scale(4),
    )
    return nn.Sequential(Concatenate(nn.Sequential(Add(linear, mixer)), labels(start)))


def labels(start: Start) -> nn.Sequential:
    """1x28x28 -> 32x14x14 -> 64x7x7 -> the latents for labels. With integers, three times as fast as with floats."""
    last = nn.Linear(FEATURES, start.packing.labels)
    nn.init.constant_(last.bias, 1.5 / 2)  # the middle of the four levels
    return nn.Sequential(
        Scale(1 / 128),
        nn.PixelUnshuffle(2),
        Levels(1 / 128),
        ConvNorm(4, CHANNELS // 2),
        Levels(1 / 64),
        ConvNorm(CHANNELS // 2, CHANNELS, stride=2),
        Levels(1 / 64),
        *[layer for _ in range(BLOCKS) for layer in _block()],
        nn.Flatten(),
        Dropout(0.2),
        nn.Linear(CHANNELS * TOKENS, FEATURES),
        nn.ReLU(),
        last,
        Scale(2),
    )


def _block() -> list[nn.Module]:
    """A residual block (He et al. 2016)."""
    beside = (ConvNorm(CHANNELS, CHANNELS), Levels(1 / 64), ConvNorm(CHANNELS, CHANNELS), Levels(1 / 32, signed=True))
    return [Add(nn.Sequential(), nn.Sequential(*beside)), Levels(1 / 32)]


def decompressor(start: Start) -> nn.Sequential:
    """Latents (M,) -> 1x28x28."""
    mixer = nn.Sequential(
        Scale(1 / 128),
        Patches(PATCH),
        nn.Linear(PATCH**2, WIDTH_BACK),
        *_mixing(WIDTH_BACK, HIDDEN_BACK),
        _zero(nn.Linear(WIDTH_BACK, PATCH**2)),
        Scale(128),
        Unpatches(PATCH),
    )
    return nn.Sequential(*linear_path(start), Add(nn.Sequential(), mixer))


def linear_path(start: Start) -> list[nn.Module]:
    """Latents (M,) -> 1x28x28, as PCA decodes them."""
    columns = start.components * start.steps
    side = round(len(start.mean) ** 0.5)
    return [FixedLinear(columns, start.mean - columns @ start.middle), nn.Unflatten(1, (1, side, side))]


def classifier(start: Start, classes: int) -> nn.Sequential:
    """M -> 256 -> 64 -> classes."""
    return nn.Sequential(
        standardised(start),
        TrustLast(start.packing.labels, hidden=0.9),
        nn.Linear(start.packing.count, 256),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(256, 64),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(64, classes),
    )


def standardised(start: Start) -> Standardise:
    mean = start.middle if start.fitted else np.zeros_like(start.middle)  # exported weights contain it
    return Standardise(torch.from_numpy(mean), torch.from_numpy(1 / start.deviations))
