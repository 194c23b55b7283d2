"""A classifier for those who prefer accuracy to speed: convolutions on the image that the linear path of a `pca` codec
makes of the latents, and the latents themselves beside it. It takes some fifty times as long as the dense one."""

from __future__ import annotations

from torch import nn

from atlcodec.training.layers import Add, BatchNorm, Concatenate, Dropout, Scale
from atlcodec.training.pca import linear_path, standardised
from atlcodec.training.start import Start

CHANNELS, BLOCKS, FEATURES = 64, 2, 128


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), BatchNorm(outputs)]


def _block() -> list[nn.Module]:
    beside = nn.Sequential(*_conv(CHANNELS, CHANNELS), nn.ReLU(), *_conv(CHANNELS, CHANNELS))
    return [Add(nn.Sequential(), beside), nn.ReLU()]


def classifier(start: Start, classes: int) -> nn.Sequential:
    """M -> 1x28x28 -> 32x14x14 -> 64x7x7 -> 128, and M -> 64; together -> classes."""
    image = nn.Sequential(
        *linear_path(start),
        Scale(1 / 128),
        nn.PixelUnshuffle(2),
        *_conv(4, CHANNELS // 2),
        nn.ReLU(),
        *_conv(CHANNELS // 2, CHANNELS, stride=2),
        nn.ReLU(),
        *[layer for _ in range(BLOCKS) for layer in _block()],
        nn.Flatten(),
        Dropout(0.3),
        nn.Linear(CHANNELS * len(start.mean) // 16, FEATURES),
        nn.ReLU(),
    )
    latents = nn.Sequential(standardised(start), nn.Linear(start.packing.count, 64), nn.ReLU())
    return nn.Sequential(Concatenate(image, latents), Dropout(0.2), nn.Linear(FEATURES + 64, classes))
