"""The networks of the paper's Table 1, and the rounding between them.

A compressor maps pixels to latents, a decompressor and a classifier read symbols. Each is an `nn.Sequential` of layers that
`export.py` can write as ONNX, so a network of one's own needs nothing but a list of layers. Pixels are scaled by 1/256, symbols
by 1/8: powers of two, so that the exporter can fold them into the weights without changing a bit of a product.

Shapes: images float32 (N, 1, 28, 28) in 0..255, latents and symbols float32 (N, 16, 5, 5), logits float32 (N, classes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 16
BOTTLENECK = (16, 5, 5)


class _Round(torch.autograd.Function):
    """To the nearest of the 16 levels; the gradient goes straight through (Theis et al. 2017), except where a latent lies
    outside 0..15 and the gradient would push it further out. A hard clamp would stop the gradient in both directions, and a
    latent that once left the range would never come back."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor) -> Tensor:
        ctx.save_for_backward(latents)
        return latents.round().clamp(0, LEVELS - 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (latents,) = ctx.saved_tensors
        # Descent moves against the gradient: a negative one raises the latent.
        outwards = ((latents < 0) & (gradient > 0)) | ((latents > LEVELS - 1) & (gradient < 0))
        return gradient.masked_fill(outwards, 0.0)


def quantise(latents: Tensor) -> Tensor:
    """Latents to symbols 0..15 (as floats), differentiable by the straight-through rule."""
    rounded: Tensor = _Round.apply(latents)  # type: ignore[no-untyped-call]
    return rounded


class Scale(nn.Module):
    """Times a constant, a power of two."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


# Along one axis, a 3-tap filter over doubled samples is, for the even and the odd outputs, a 2-tap filter over the samples
# themselves: taps (w0 + w1, w2) and (w0, w1 + w2).
_TAPS = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])
# (9, 16): from a 3 x 3 kernel to four 2 x 2 kernels, in the order (row phase, column phase, row tap, column tap).
MERGE = torch.einsum("asu,btv->uvabst", _TAPS, _TAPS).reshape(9, 16)


class UpscaleConv2d(nn.Module):
    """Upscale by 2 (nearest), pad by 2, 3 x 3 convolution: (N, C, H, W) -> (N, D, 2H + 2, 2W + 2).

    Computed as four 2 x 2 convolutions at the lower resolution and a pixel shuffle, the same up to rounding and with 2.25 times
    fewer multiplications. The parameters are those of the 3 x 3 convolution."""

    merge: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        like = nn.Conv2d(inputs, outputs, 3)
        self.weight, self.bias = like.weight, like.bias
        self.register_buffer("merge", MERGE, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        outputs, inputs = self.weight.shape[:2]
        merged = (self.weight.reshape(outputs * inputs, 9) @ self.merge).reshape(outputs, inputs, 4, 2, 2)
        weight = merged.transpose(1, 2).reshape(outputs * 4, inputs, 2, 2)
        assert self.bias is not None
        bias = self.bias.repeat_interleave(4)
        return functional.pixel_shuffle(functional.conv2d(x, weight, bias, padding=1), 2)


def lenet_compressor() -> nn.Sequential:
    """Table 1: 1x28x28 -> 6x24x24 -> 6x28x28 -> 6x14x14 -> 16x10x10 -> latents 16x5x5. No ReLU after the last convolution:
    the clamp to 0..15 does its work."""
    last = nn.Conv2d(6, 16, 5)
    assert last.bias is not None
    nn.init.constant_(last.bias, 7.5 / 8)  # start in the middle of the 16 levels
    return nn.Sequential(
        Scale(1 / 256),
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.ZeroPad2d(2),
        nn.MaxPool2d(2),
        last,
        Scale(8),
        nn.MaxPool2d(2),
    )


def lenet_decompressor() -> nn.Sequential:
    """Table 1: 16x5x5 -> upscaled, padded to 14 -> 16x12x12 -> upscaled, padded to 28 -> 6x26x26 -> padded to 30 -> 1x28x28."""
    return nn.Sequential(
        Scale(1 / 8),
        UpscaleConv2d(16, 16),
        nn.ReLU(),
        UpscaleConv2d(16, 6),
        nn.ReLU(),
        nn.Conv2d(6, 1, 3, padding=2),
        Scale(256),
    )


def lenet_classifier(classes: int) -> nn.Sequential:
    """Table 1: 400 -> 120 -> dropout 0.5 -> 84 -> dropout 0.5 -> classes."""
    return nn.Sequential(
        Scale(1 / 8),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(84, classes),
    )


COMPRESSORS: dict[str, Callable[[], nn.Sequential]] = {"lenet": lenet_compressor}
DECOMPRESSORS: dict[str, Callable[[], nn.Sequential]] = {"lenet": lenet_decompressor}
CLASSIFIERS: dict[str, Callable[[int], nn.Sequential]] = {"lenet": lenet_classifier}


class Networks(nn.Module):
    """One compressor, and for each domain (data set) a decompressor and a classifier; most often there is one domain."""

    def __init__(self, architecture: str, classes: Sequence[int]) -> None:
        super().__init__()
        self.architecture = architecture
        self.classes = tuple(classes)
        self.compressor = COMPRESSORS[architecture]()
        self.decompressors = nn.ModuleList(DECOMPRESSORS[architecture]() for _ in classes)
        self.classifiers = nn.ModuleList(CLASSIFIERS[architecture](count) for count in classes)

    def part(self, name: str, domain: int = 0) -> nn.Module:
        """`compressor`, `decompressor` or `classifier`; the latter two of one domain."""
        return {
            "compressor": self.compressor,
            "decompressor": self.decompressors[domain],
            "classifier": self.classifiers[domain],
        }[name]
