"""A classifier for those who prefer accuracy to speed: convolutions on the image that the linear path of a `pca` codec
makes of the latents, and the latents for labels beside it."""

from __future__ import annotations

from torch import nn

from atlcodec.training.layers import Add, BatchNorm, Concatenate, Dropout, Scale
from atlcodec.training.pca import label_latents, linear_path
from atlcodec.training.start import Start

WIDE, NARROW, BLOCKS, FEATURES = 48, 96, 3, 128


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), BatchNorm(outputs)]


def _block(channels: int) -> list[nn.Module]:
    """A residual block (He et al. 2016)."""
    beside = nn.Sequential(*_conv(channels, channels), nn.ReLU(), *_conv(channels, channels))
    return [Add(nn.Sequential(), beside), nn.ReLU()]


def classifier(start: Start, classes: int) -> nn.Sequential:
    """M -> 1x28x28 -> 48x14x14 -> 96x7x7 -> 128x4x4 -> 128, and the latents for labels -> 64; together -> classes."""
    image = nn.Sequential(
        *linear_path(start),
        Scale(1 / 128),
        nn.PixelUnshuffle(2),
        *_conv(4, WIDE),
        nn.ReLU(),
        *_block(WIDE),
        *_conv(WIDE, NARROW, stride=2),
        nn.ReLU(),
        *[layer for _ in range(BLOCKS) for layer in _block(NARROW)],
        *_conv(NARROW, FEATURES, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        Dropout(0.3),
        nn.Linear(FEATURES * 16, FEATURES),
        nn.ReLU(),
    )
    latents = nn.Sequential(*label_latents(start, FEATURES // 2))
    together = FEATURES + FEATURES // 2
    return nn.Sequential(Concatenate(image, latents), Dropout(0.2), nn.Linear(together, classes))
