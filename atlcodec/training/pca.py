"""Networks that start where PCA ends: a linear path that is fixed from the start, and MLP-Mixers beside it that begin
as zero.

    compressor      image -> components / steps, plus what a mixer adds -> latents
    decompressor    latents -> mean + components * steps = an image; plus what a mixer corrects in it

The linear path alone is PCA with 1,600 bits. So a codec of few training images is not worse than that, and training
begins at its PSNR. See `start.py` for the fit, and `mixer.py` for the mixers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from atlcodec.training.layers import (
    Add,
    Dropout,
    FixedLinear,
    Join,
    MixChannels,
    MixTokens,
    Patches,
    Scale,
    Standardise,
    Unpatches,
)
from atlcodec.training.start import Start

PATCH, TOKENS = 4, 49
WIDTH, HIDDEN, DEPTH = 64, 256, 3


def _mixing() -> list[nn.Module]:
    return [layer for _ in range(DEPTH) for layer in (MixTokens(TOKENS, 2 * TOKENS), MixChannels(WIDTH, HIDDEN))]


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def compressor(start: Start) -> nn.Sequential:
    """1x28x28 -> latents (M,)."""
    rows = (start.components / start.steps).T
    linear = nn.Sequential(nn.Flatten(), FixedLinear(rows, start.middle - rows @ start.mean))
    mixer = nn.Sequential(
        Scale(1 / 128),
        Patches(PATCH),
        nn.Linear(PATCH**2, WIDTH),
        *_mixing(),
        Join(TOKENS, WIDTH),
        _zero(nn.Linear(TOKENS * WIDTH, start.packing.count)),
        Scale(4),
    )
    return nn.Sequential(Add(linear, mixer))


def decompressor(start: Start) -> nn.Sequential:
    """Latents (M,) -> 1x28x28."""
    columns = start.components * start.steps
    side = round(len(start.mean) ** 0.5)
    mixer = nn.Sequential(
        Scale(1 / 128),
        Patches(PATCH),
        nn.Linear(PATCH**2, WIDTH),
        *_mixing(),
        _zero(nn.Linear(WIDTH, PATCH**2)),
        Scale(128),
        Unpatches(PATCH),
    )
    return nn.Sequential(
        FixedLinear(columns, start.mean - columns @ start.middle),
        nn.Unflatten(1, (1, side, side)),
        Add(nn.Sequential(), mixer),
    )


def classifier(start: Start, classes: int) -> nn.Sequential:
    """M -> 256 -> 64 -> classes."""
    mean = start.middle if start.fitted else np.zeros_like(start.middle)  # exported weights contain it
    return nn.Sequential(
        Standardise(torch.from_numpy(mean), torch.from_numpy(1 / start.deviations)),
        nn.Linear(start.packing.count, 256),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(256, 64),
        nn.ReLU(),
        Dropout(0.2),
        nn.Linear(64, classes),
    )
