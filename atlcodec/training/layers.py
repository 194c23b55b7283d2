"""The layers that networks are made of beside PyTorch's own; `export.py` can write each of them as ONNX. Those of
patches are in `grid.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class Scale(nn.Module):
    """Times a constant, a power of two."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


# The four phases of an image are its pixels at even and odd rows and columns: (C, 2H, 2W) as (4C, H, W). Convolutions
# on phases, at half the resolution and with four times the channels, are fast: upscaling needs no copies, pooling is a
# maximum over channels. The kernels are merged from those of the plain convolution by a constant matrix, so the
# parameters and, up to rounding, the results stay those of the plain one.


def _both_axes(axis: Tensor) -> Tensor:
    """From the taps of a kernel, k x k, to the merged kernels, in the order (row phase, column phase) of the output, of
    the input (if it has any), then (row tap, column tap). `axis` is (output phase, input phase, new tap, old tap)."""
    outputs, inputs, new, old = axis.shape
    return torch.einsum("acsu,bdtv->uvabcdst", axis, axis).reshape(old * old, outputs**2 * inputs**2 * new**2)


def _from_phases(kernel: int) -> Tensor:
    axis = torch.zeros(2, 2, (kernel + 1) // 2, kernel)
    for output in range(2):
        for tap in range(kernel):  # output 2i + `output` reads input 2i + `output` + `tap`
            axis[output, (output + tap) % 2, (output + tap) // 2, tap] = 1
    return _both_axes(axis)


# Along one axis, a 3-tap filter over doubled samples is, for the even and the odd outputs, a 2-tap filter over the
# samples themselves: taps (w0 + w1, w2) and (w0, w1 + w2).
UPSCALED = _both_axes(
    torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]).unsqueeze(1)
)


class _Phased(nn.Module):
    """A convolution, computed as one that gives the four phases of its result as channels."""

    merge: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, merge: Tensor) -> None:
        super().__init__()
        like = nn.Conv2d(inputs, outputs, kernel)
        self.weight, self.bias = like.weight, like.bias
        self.register_buffer("merge", merge, persistent=False)

    def phases(self, x: Tensor, padding: int) -> Tensor:
        weight, bias = self.merged()
        return functional.conv2d(x, weight, bias, padding=padding)

    def merged(self) -> tuple[Tensor, Tensor]:
        """Weights and biases of the convolution that gives the four phases."""
        outputs, inputs, old = self.weight.shape[:3]
        new = (old + 1) // 2
        merged = (self.weight.reshape(outputs * inputs, old * old) @ self.merge).reshape(outputs, inputs, 4, -1)
        assert self.bias is not None
        return merged.transpose(1, 2).reshape(outputs * 4, -1, new, new), self.bias.repeat_interleave(4)


class UpscaleConv2d(_Phased):
    """Upscale by 2 (nearest), pad by 2, 3 x 3 convolution: (N, C, H, W) -> (N, D, 2H + 2, 2W + 2); or, with
    `shuffle=False`, the phases of that, (N, 4D, H + 1, W + 1), for a `PhasesConv2d` behind it. 2.25 times fewer
    multiplications than plainly."""

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


class Dropout(nn.Dropout):
    """PyTorch's own draws its random numbers one by one on a processor, which takes a third of the time of a small
    classifier."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand_like(x) >= self.p) * (1 / (1 - self.p)) if self.training else x


def dense_classifier(wide: int, narrow: int, classes: int, dropout: float) -> nn.Sequential:
    """Symbols: 400 -> wide -> dropout -> narrow -> dropout -> classes."""
    return nn.Sequential(
        Scale(1 / 8),
        nn.Flatten(),
        nn.Linear(400, wide),
        nn.ReLU(),
        Dropout(dropout),
        nn.Linear(wide, narrow),
        nn.ReLU(),
        Dropout(dropout),
        nn.Linear(narrow, classes),
    )


class FixedLinear(nn.Module):
    """A dense layer that does not learn, always in float32."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(np.ascontiguousarray(weight, np.float32)))
        self.register_buffer("bias", torch.from_numpy(np.ascontiguousarray(bias, np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(x.float(), self.weight, self.bias)


class Add(nn.Module):
    """The sum of two paths, in float32; a path without layers is the input itself."""

    def __init__(self, main: nn.Sequential, beside: nn.Sequential) -> None:
        super().__init__()
        self.main, self.beside = main, beside

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.main(x).float() + self.beside(x).float()
        return result


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's own without its count of mini-batches, which an exported file does not hold."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *args: Any, **more: Any) -> None:
        nn.Module._load_from_state_dict(self, *args, **more)  # PyTorch's own would ask for the count


class Levels(nn.Module):
    """Activations of eight bits: multiples of `step`, from 0 to 255 of them, or from -128 to 127 if `signed`. What is
    below zero becomes zero, so this is a ReLU too. The gradient goes straight through the rounding, not through the
    clip."""

    def __init__(self, step: float, *, signed: bool = False) -> None:
        super().__init__()
        self.step, self.zero = step, 128 if signed else 0

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x.float(), self.step, self.zero, 0, 255)


class ConvNorm(nn.Module):
    """A 3 x 3 convolution and its batch normalisation, between two layers of `Levels`. Exported, they are one
    convolution of integers, with weights of seven bits: products of two of them and two activations still fit 16 bits,
    which some processors sum them in."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(nn.Conv2d(inputs, outputs, 3).weight.detach().clone())
        self.norm = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(functional.conv2d(x, self.weight, stride=self.stride, padding=1))
        return result

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The weights and biases of the one convolution."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = self.weight.double() * factor.view(-1, 1, 1, 1)
        bias = norm.bias.double() - norm.running_mean.double() * factor
        return weight.detach().cpu().numpy().astype(np.float32), bias.detach().cpu().numpy().astype(np.float32)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Exported weights have no batch normalisation; one that changes nothing takes its place."""
        bias = state_dict.pop(f"{prefix}bias", None)
        if bias is not None:
            ones = torch.ones_like(bias)
            whole = {"weight": ones, "bias": bias, "running_mean": 0 * ones, "running_var": ones - self.norm.eps}
            state_dict.update({f"{prefix}norm.{key}": value for key, value in whole.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)


class Linear8(nn.Linear):
    """A dense layer behind signed `Levels`. Exported, it is a product of integers, with weights of seven bits."""

    def __init__(self, inputs: int, outputs: int, step: float) -> None:
        super().__init__(inputs, outputs)
        self.levels = Levels(step, signed=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = super().forward(self.levels(x))
        return result


class Concatenate(nn.Module):
    """The features of two paths, one after the other, in float32."""

    def __init__(self, first: nn.Sequential, second: nn.Sequential) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.first(x).float(), self.second(x).float()), dim=1)


class Last(nn.Module):
    """The last `count` features; with 0, all of them."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -self.count :]


class Standardise(nn.Module):
    """(x - mean) * factor, before a dense layer. The exporter folds it into that: loaded weights contain it."""

    mean: Tensor
    factor: Tensor

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.factor
