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


# The four phases of an image are its pixels at even and odd rows and columns: (C, 2H, 2W) as (4C, H, W). Convolutions on phases, at
# half the resolution and with four times the channels, are what processors are good at: upscaling needs no copies, pooling is a
# maximum over channels. The kernels are merged from those of the plain convolution by a constant matrix, so the parameters and,
# up to rounding, the results stay those of the plain one.


def _both_axes(axis: Tensor) -> Tensor:
    """From the taps of a kernel, k x k, to the merged kernels, in the order (row phase, column phase) of the output, of the input
    (if it has any), then (row tap, column tap). `axis` is (output phase, input phase, new tap, old tap)."""
    outputs, inputs, new, old = axis.shape
    return torch.einsum("acsu,bdtv->uvabcdst", axis, axis).reshape(old * old, outputs**2 * inputs**2 * new**2)


def _from_phases(kernel: int) -> Tensor:
    axis = torch.zeros(2, 2, (kernel + 1) // 2, kernel)
    for output in range(2):
        for tap in range(kernel):  # output 2i + `output` reads input 2i + `output` + `tap`
            axis[output, (output + tap) % 2, (output + tap) // 2, tap] = 1
    return _both_axes(axis)


# Along one axis, a 3-tap filter over doubled samples is, for the even and the odd outputs, a 2-tap filter over the samples
# themselves: taps (w0 + w1, w2) and (w0, w1 + w2).
UPSCALED = _both_axes(torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]).unsqueeze(1))


class _Phased(nn.Module):
    """A convolution, computed as one that gives the four phases of its result as channels."""

    merge: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, merge: Tensor) -> None:
        super().__init__()
        like = nn.Conv2d(inputs, outputs, kernel)
        self.weight, self.bias = like.weight, like.bias
        self.register_buffer("merge", merge, persistent=False)

    def phases(self, x: Tensor, padding: int) -> Tensor:
        outputs, inputs, old = self.weight.shape[:3]
        new = (old + 1) // 2
        merged = (self.weight.reshape(outputs * inputs, old * old) @ self.merge).reshape(outputs, inputs, 4, -1)
        weight = merged.transpose(1, 2).reshape(outputs * 4, -1, new, new)
        assert self.bias is not None
        return functional.conv2d(x, weight, self.bias.repeat_interleave(4), padding=padding)


class UpscaleConv2d(_Phased):
    """Upscale by 2 (nearest), pad by 2, 3 x 3 convolution: (N, C, H, W) -> (N, D, 2H + 2, 2W + 2); or, with `shuffle=False`, the
    phases of that, (N, 4D, H + 1, W + 1), for a `PhasesConv2d` behind it. 2.25 times fewer multiplications than plainly."""

    def __init__(self, inputs: int, outputs: int, *, shuffle: bool = True) -> None:
        super().__init__(inputs, outputs, 3, UPSCALED)
        self.shuffle = shuffle

    def forward(self, x: Tensor) -> Tensor:
        x = self.phases(x, padding=1)
        return functional.pixel_shuffle(x, 2) if self.shuffle else x


class PhasesConv2d(_Phased):
    """Pad by 2 and 3 x 3 convolution of an image that comes as phases: (N, 4C, H, W) -> (N, D, 2H + 2, 2W + 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, _from_phases(3))

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.phases(x, padding=1), 2)


class ConvPool2d(_Phased):
    """5 x 5 convolution, then maximum over 2 x 2: (N, C, H, W), both even -> (N, D, H / 2 - 2, W / 2 - 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, _from_phases(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.phases(functional.pixel_unshuffle(x, 2), padding=0)
        result: Tensor = _Maximum.apply(x.view(len(x), -1, 4, *x.shape[2:]))  # type: ignore[no-untyped-call]
        return result


class _Maximum(torch.autograd.Function):
    """Over the third of five dimensions, which has four; PyTorch's own is several times slower to go back through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        a, b, c, d = x.unbind(2)
        result = torch.maximum(torch.maximum(a, b), torch.maximum(c, d))
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, result = ctx.saved_tensors
        same: Tensor = x == result.unsqueeze(2)
        return same * gradient.unsqueeze(2)


def lenet_compressor() -> nn.Sequential:
    """Table 1: 1x28x28 -> 6x24x24 -> 6x28x28 -> 6x14x14 -> 16x10x10 -> latents 16x5x5. Padding by 2 and pooling is done as pooling
    and padding by 1: (6x24x24 ->) 6x12x12 -> 6x14x14. No ReLU after the last convolution: the clamp to 0..15 does its work."""
    last = ConvPool2d(6, 16)
    assert last.bias is not None
    nn.init.constant_(last.bias, 7.5 / 8)  # start in the middle of the 16 levels
    return nn.Sequential(Scale(1 / 256), ConvPool2d(1, 6), nn.ReLU(), nn.ZeroPad2d(1), last, Scale(8))


def lenet_decompressor() -> nn.Sequential:
    """Table 1: 16x5x5 -> upscaled, padded to 14 -> 16x12x12 -> upscaled, padded to 28 -> 6x26x26 -> padded to 30 -> 1x28x28."""
    return nn.Sequential(
        Scale(1 / 8),
        UpscaleConv2d(16, 16),
        nn.ReLU(),
        UpscaleConv2d(16, 6, shuffle=False),
        nn.ReLU(),
        PhasesConv2d(6, 1),
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
