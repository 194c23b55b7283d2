"""The arithmetic of exact networks, as PyTorch trains it: whole numbers in float32, with gradients that go straight
through the rounding.

Every value between two layers is a whole number. A `Product` takes operands of seven bits and gives sums that are whole
numbers below 2^24 times a power of two, so float32 holds each of them in any order of summing, and this simulation
gives the bits of the exported graph.

A wide value goes into a product as its high part alone, or as two operands, high and low part: see `Operand`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SUM = 1 << 24  # whole numbers below this are exact in float32
MOST = 127  # of a weight, and of an operand
DIGITS = 4  # binary ones of the factor m in a scale m * 2^-k


class _Round(torch.autograd.Function):
    """Round to the nearest whole number in low..high. The gradient goes straight through, except where a value lies
    outside and the gradient would push it further out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        least, largest = (float(each) for each in x.aminmax())
        ctx.limits = low, high
        ctx.save_for_backward(*([] if low <= least and largest <= high else [x]))  # mostly, all values are inside
        return x.round().clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        if ctx.saved_tensors:
            (x,), (low, high) = ctx.saved_tensors, ctx.limits
            gradient = gradient.masked_fill(((x < low) & (gradient > 0)) | ((x > high) & (gradient < 0)), 0.0)
        return gradient, None, None


class _Replace(torch.autograd.Function):
    """The second value with the gradient of the first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def rounded(x: Tensor, low: float = -SUM, high: float = SUM) -> Tensor:
    """Round half to even and clip, straight through."""
    result: Tensor = _Round.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


def active(x: Tensor) -> Tensor:
    """ReLU, rounded and clipped to the largest operand."""
    return rounded(functional.relu(x), 0, MOST)


def replaced(x: Tensor, value: Tensor) -> Tensor:
    """`value`, with the gradient going to `x`."""
    result: Tensor = _Replace.apply(x, value)  # type: ignore[no-untyped-call]
    return result


@dataclass(frozen=True)
class Operand:
    """How a product takes a whole number x: as its high part, round(x / 2^shift) + zero, in 0..127; and, if `low`, what
    is left of it, plus zero, too. Without shift and zero it is x itself: what comes from a ReLU."""

    shift: int = 0
    zero: int = 0
    low: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """The x that fit: a value is clipped to these before."""
        return -self.zero << self.shift, (MOST - self.zero) << self.shift

    @property
    def reach(self) -> tuple[int, ...]:
        """The largest size of each part, its zero subtracted."""
        high = max(self.zero, MOST - self.zero)
        return (high, 1 << self.shift - 1) if self.low else (high,)

    @property
    def units(self) -> tuple[int, ...]:
        """What a step of each part is in steps of x."""
        return (1 << self.shift, 1) if self.low else (1 << self.shift,)

    def parts(self, x: Tensor, dim: int) -> Tensor:
        """The parts of x, zero subtracted, one after the other along a dimension."""
        if not self.shift:
            return x
        unit = float(1 << self.shift)
        high = replaced(x / unit, (x.detach() / unit).round())
        if not self.low:
            return high
        return torch.cat((high, (x - high * unit).detach()), dim)  # the high part takes the whole gradient


@dataclass(frozen=True)
class Columns:
    """The columns of a product: the input that each stands for, what a step of it is in steps of that, and the largest
    size that it has."""

    index: Tensor
    unit: Tensor
    reach: Tensor

    @classmethod
    def of(cls, inputs: int, operand: Operand) -> Columns:
        """The parts of an operand, one after the other."""
        repeats = len(operand.units)
        unit, reach = (torch.tensor(each).float().repeat_interleave(inputs) for each in (operand.units, operand.reach))
        return cls(torch.arange(inputs).repeat(repeats), unit, reach)


class Product(nn.Module):
    """A dense layer. Its parameters have the units of the network in floats; `step_in` (inputs,) are the values of a
    step of its inputs, `step_out` (outputs,) those of its outputs.

    Each row of weights, in steps of its output, is whole numbers of seven bits and a sign times m * 2^-k, m <= 15."""

    index: Tensor
    unit: Tensor
    reach: Tensor
    step_in: Tensor
    step_out: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, columns: Columns) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
        self.register_buffer("index", columns.index, persistent=False)
        self.register_buffer("unit", columns.unit, persistent=False)
        self.register_buffer("reach", columns.reach, persistent=False)
        self.register_buffer("step_in", torch.ones(weight.shape[1]))
        self.register_buffer("step_out", torch.ones(len(weight)))

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Weights (outputs, columns) and biases in steps of the output, not rounded."""
        weight = self.weight * (self.step_in / self.step_out[:, None])
        return weight.index_select(1, self.index) * self.unit, self.bias / self.step_out

    @torch.no_grad()
    def integers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights -127..127 (outputs, columns), biases, and m and k of each row's scale m * 2^-k."""
        return integers(*self.scaled(), self.reach)

    def forward(self, x: Tensor) -> Tensor:
        """Operands (N, columns) -> sums (N, outputs) in steps of the output, not rounded."""
        weight, bias = self._rounded()
        return torch.addmm(bias, x, weight.t())

    def left(self, x: Tensor) -> Tensor:
        """The same along the first dimension: (columns, N) -> (outputs, N)."""
        weight, bias = self._rounded()
        return torch.addmm(bias[:, None], weight, x)

    def _rounded(self) -> tuple[Tensor, Tensor]:
        weight, bias = self.scaled()
        whole, biases, m, k = integers(weight.detach(), bias.detach(), self.reach)
        scale = torch.ldexp(m, -k)
        return replaced(weight, whole * scale[:, None]), replaced(bias, biases * scale)


def integers(weight: Tensor, bias: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of weights as whole numbers -127..127 times m * 2^-k; see `Product.integers`. The scale of a row is the
    smallest one that holds its largest weight and keeps m times the largest sum below 2^24. `reach` is the largest size
    of each operand."""
    largest = weight.abs().amax(1)
    largest = torch.maximum(largest, largest.max() * 2.0**-12)  # so that k is small in rows of zeros, too
    fraction, exponent = torch.frexp(torch.clamp(largest, min=2.0**-20) / MOST)
    chosen: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    for digits in range(DIGITS, -8, -1):  # from one on, m is 1 and weights have fewer bits
        m, k = _reduced(torch.ceil(torch.ldexp(fraction, torch.tensor(digits))), digits - exponent)
        scale = torch.ldexp(m, -k)
        whole = (weight / scale[:, None]).round().clamp_(-MOST, MOST)
        biases = (bias / scale).round()
        if chosen is None:
            chosen = whole, biases, m, k
            continue
        large = ((chosen[0].abs() @ reach) + chosen[1].abs()) * chosen[2] >= SUM
        if not large.any():
            break
        chosen = (
            torch.where(large[:, None], whole, chosen[0]),
            torch.where(large, biases, chosen[1]),
            torch.where(large, m, chosen[2]),
            torch.where(large, k, chosen[3]),
        )
    assert chosen is not None
    return chosen


def _reduced(m: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """m * 2^-k with the smallest whole m."""
    for _ in range(DIGITS):
        even = m.remainder(2) == 0
        m, k = torch.where(even, m / 2, m), torch.where(even, k - 1, k)
    return m, k


class Kernels(NamedTuple):
    """Of a convolution: weights -127..127 (outputs, inputs, height, width), biases, and m and k of each output's scale
    m * 2^-k."""

    weight: Tensor
    bias: Tensor
    m: Tensor
    k: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, reach: Tensor) -> Kernels:
        """Weights (outputs, inputs, height, width) in steps of the output. `reach` is the largest size of each
        input."""
        whole, biases, m, k = integers(weight.flatten(1), bias, reach.repeat_interleave(weight[0, 0].numel()))
        return cls(whole.view(weight.shape), biases, m, k)

    def straight(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """These as numbers in floats, with gradients to the weights and biases that they were made from."""
        scale = torch.ldexp(self.m, -self.k)
        return replaced(weight, self.weight * scale.view(-1, 1, 1, 1)), replaced(bias, self.bias * scale)


def steps(largest: Tensor, most: int) -> Tensor:
    """The step of each channel, by its largest value: that becomes `most`. A channel that is never active gets the step
    of the largest."""
    return torch.where(largest > largest.max() * 1e-3, largest, largest.max()) / most


def wide(weight: Tensor, top: Tensor, factor: Tensor, bias: Tensor, shift: int = 7) -> tuple[Tensor, Tensor, int]:
    """Weights (outputs, M) of 15 bits, for two products: their high parts times 2^shift, and their low parts. Both, and
    the biases, are whole numbers times 2^-k for the whole matrix, and k is the largest one that fits.

    `top` is the largest value of each input, and `factor` what the weight of its highest piece is multiplied with.
    Returns weights and biases, float64, and k."""
    weight, bias = weight.double(), bias.double()
    for k in range(24, -24, -1):
        whole, biases = torch.ldexp(weight, torch.tensor(k)).round(), torch.ldexp(bias, torch.tensor(k)).round()
        # The parts are summed apart, and rounding may make each larger than what it is a part of.
        sums = whole.abs() @ top.double() + biases.abs() + (top.double().sum() * (1 << shift))
        if (whole * factor).abs().max() < (MOST << shift) and sums.max() < SUM:
            return whole, biases, k
    raise ValueError("weights of a wide product are too large")
