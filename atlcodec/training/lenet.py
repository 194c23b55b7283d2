"""The networks of the paper's Table 1. Pixels are scaled by 1/256, symbols by 1/8: powers of two, so that the exporter
can fold them into the weights without changing a bit of a product."""

from __future__ import annotations

from torch import nn

from atlcodec.training.layers import ConvPool2d, PhasesConv2d, Scale, UpscaleConv2d, dense_classifier


def compressor() -> nn.Sequential:
    """Table 1: 1x28x28 -> 6x24x24 -> 6x28x28 -> 6x14x14 -> 16x10x10 -> latents 16x5x5. Padding by 2 and pooling is done
    as pooling and padding by 1: (6x24x24 ->) 6x12x12 -> 6x14x14. No ReLU after the last convolution: the clamp to 0..15
    does its work."""
    last = ConvPool2d(6, 16)
    assert last.bias is not None
    nn.init.constant_(last.bias, 7.5 / 8)  # start in the middle of the 16 levels
    return nn.Sequential(Scale(1 / 256), ConvPool2d(1, 6), nn.ReLU(), nn.ZeroPad2d(1), last, Scale(8))


def decompressor() -> nn.Sequential:
    """Table 1: 16x5x5 -> upscaled, padded to 14 -> 16x12x12 -> upscaled, padded to 28 -> 6x26x26 -> padded to 30 ->
    1x28x28."""
    return nn.Sequential(
        Scale(1 / 8),
        UpscaleConv2d(16, 16),
        nn.ReLU(),
        UpscaleConv2d(16, 6, shuffle=False),
        nn.ReLU(),
        PhasesConv2d(6, 1),
        Scale(256),
    )


def classifier(classes: int) -> nn.Sequential:
    """Table 1: 400 -> 120 -> dropout 0.5 -> 84 -> dropout 0.5 -> classes."""
    return dense_classifier(120, 84, classes, 0.5)
