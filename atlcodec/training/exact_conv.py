"""The accurate classifier of `conv.py` as whole numbers.

    latents -> picture in steps, every second row and column -> stages of convolutions -> features 0..127
    latents for labels -> features 0..127;  both -> logits

A stage is a convolution and residual blocks behind it. All values between are bytes, 0..127; what a block adds is
-128..127. So ONNX Runtime computes all of it with integers: it would not where the sums of a convolution leave it as
they are."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from atlcodec.training.exact import GREY, PICTURE, ExactHead
from atlcodec.training.exact_path import FINE, ExactPath
from atlcodec.training.layers import Add, BatchNorm, Concatenate, FixedLinear
from atlcodec.training.quantise import MOST, Columns, Kernels, Operand, Product, active, rounded, steps

ADDED = -128, 127  # what a block adds
FIRST = 2  # side of the squares of pixels that become channels


class ExactFolded(nn.Module):
    """A 3 x 3 convolution with its batch normalisation in it. Its parameters have the units of the network in floats;
    `step_in` (inputs,) and `step_out` (outputs,) are the values of a step of each channel."""

    step_in: Tensor
    step_out: Tensor

    def __init__(self, conv: nn.Conv2d, norm: BatchNorm, operand: Operand) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert conv.bias is not None
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        self.weight = nn.Parameter((conv.weight * factor[:, None, None, None]).detach().clone())
        self.bias = nn.Parameter(((conv.bias - norm.running_mean) * factor + norm.bias).detach().clone())
        self.stride, self.operand = conv.stride[0], operand
        self.register_buffer("step_in", torch.ones(self.weight.shape[1]))
        self.register_buffer("step_out", torch.ones(len(self.weight)))

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Kernels (outputs, parts * inputs, 3, 3) and biases in steps of the output, not rounded."""
        weight = self.weight * (self.step_in[:, None, None] / self.step_out[:, None, None, None])
        return torch.cat([weight * unit for unit in self.operand.units], 1), self.bias / self.step_out

    @torch.no_grad()
    def integers(self) -> Kernels:
        reach = torch.tensor(self.operand.reach).float().repeat_interleave(self.weight.shape[1])
        return Kernels.of(*self.scaled(), reach)

    def forward(self, x: Tensor) -> Tensor:
        """Whole numbers (N, inputs, H, W) -> sums in steps of the output, not rounded."""
        weight, bias = self.integers().straight(*self.scaled())
        return functional.conv2d(self.operand.parts(x, 1), weight, bias, self.stride, padding=1)

    def floats(self, x: Tensor) -> Tensor:
        """The same of the network in floats."""
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding=1)


class ExactStage(nn.Module):
    """A convolution, and residual blocks: x + b(relu(a(x)))."""

    def __init__(self, entry: ExactFolded, blocks: list[tuple[ExactFolded, ExactFolded]]) -> None:
        super().__init__()
        self.entry = entry
        self.first = nn.ModuleList(first for first, _ in blocks)
        self.second = nn.ModuleList(second for _, second in blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = active(self.entry(x))
        for first, second in zip(self.first, self.second, strict=True):
            x = active(x + rounded(second(active(first(x))), *ADDED))
        return x

    @torch.no_grad()
    def calibrate(self, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Choose the steps by the input in floats, whose steps are given. Returns the same of the output."""
        self.entry.step_in.copy_(step)
        x = self.entry.floats(x).relu()
        largest = x.amax((0, 2, 3))
        for first, second in zip(self.first, self.second, strict=True):
            assert isinstance(first, ExactFolded)
            assert isinstance(second, ExactFolded)
            hidden = first.floats(x).relu()
            first.step_out.copy_(steps(hidden.amax((0, 2, 3)), MOST))
            second.step_in.copy_(first.step_out)
            x = (x + second.floats(hidden)).relu()
            largest = torch.maximum(largest, x.amax((0, 2, 3)))
        step = steps(largest, MOST)
        self.entry.step_out.copy_(step)
        for first, second in zip(self.first, self.second, strict=True):
            first.get_buffer("step_in").copy_(step)
            second.get_buffer("step_out").copy_(step)
        return x, step


class ExactConvHead(nn.Module):
    """The classifier of `conv.py`. Raises `BadModel` for others."""

    def __init__(self, network: nn.Sequential, packing: Packing, shape: tuple[int, int]) -> None:
        super().__init__()
        both, *_, last = network
        if not isinstance(both, Concatenate) or not isinstance(last, nn.Linear):
            raise BadModel("only a classifier of the architecture conv can be made exact so")
        linear, *layers = both.first
        assert isinstance(linear, FixedLinear)
        numbers = torch.arange(linear.weight.shape[0], dtype=torch.float32).view(1, 1, *shape)
        self.sides = shape[0] // FIRST, shape[1] // FIRST
        self.path = ExactPath(linear, packing, functional.pixel_unshuffle(numbers, FIRST).flatten().long(), PICTURE)
        self.stages = nn.ModuleList(_stages(layers))
        (dense,) = (layer for layer in layers if isinstance(layer, nn.Linear))
        self.dense = Product(dense.weight, dense.bias, Columns.of(dense.in_features, Operand()))
        self.labels = ExactHead(nn.Sequential(*list(both.second)[:-1]), packing)  # without its ReLU
        self.last = Product(last.weight, last.bias, Columns.of(last.in_features, Operand()))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> logits (N, classes), whole numbers: see `step`."""
        x = self.path(latents).view(len(latents), -1, *self.sides)
        for stage in self.stages:
            x = stage(x)
        image = active(self.dense(x.flatten(1)))
        (labels,) = self.labels.products
        return rounded(self.last(torch.cat((image, active(labels(self.labels.pieces(latents)))), dim=1)))

    @property
    def step(self) -> float:
        """What a logit of 1 is in logits of the network in floats."""
        return float(self.last.step_out[0])

    @torch.no_grad()
    def calibrate(self, latents: Tensor, logit: float) -> None:
        """Choose the steps by latents (N, M); `logit` is that of the logits."""
        x = self.path(latents).view(len(latents), -1, *self.sides) / (FINE * GREY)
        step = torch.full((x.shape[1],), 1 / (FINE * GREY))
        for stage in self.stages:
            assert isinstance(stage, ExactStage)
            x, step = stage.calibrate(x, step)
        image = functional.relu(functional.linear(x.flatten(1), self.dense.weight, self.dense.bias))
        self.dense.step_in.copy_(step.repeat_interleave(x[0, 0].numel()))
        self.dense.step_out.copy_(steps(image.amax(0), MOST))
        (labels,) = self.labels.products
        assert isinstance(labels, Product)
        said = functional.relu(functional.linear(latents[:, -self.labels.count :], labels.weight, labels.bias))
        labels.step_out.copy_(steps(said.amax(0), MOST))
        self.last.step_in.copy_(torch.cat((self.dense.step_out, labels.step_out)))
        self.last.step_out.fill_(logit)


def _stages(layers: list[nn.Module]) -> list[ExactStage]:
    """The stages in the layers of a network."""
    found, operand = list[tuple[ExactFolded, list[tuple[ExactFolded, ExactFolded]]]](), PICTURE
    for layer, behind in itertools.pairwise(layers):
        if isinstance(layer, nn.Conv2d):
            assert isinstance(behind, BatchNorm)
            found.append((ExactFolded(layer, behind, operand), []))
            operand = Operand()
        elif isinstance(layer, Add):
            first, first_norm, _, second, second_norm = layer.beside
            assert isinstance(first, nn.Conv2d)
            assert isinstance(first_norm, BatchNorm)
            assert isinstance(second, nn.Conv2d)
            assert isinstance(second_norm, BatchNorm)
            pair = ExactFolded(first, first_norm, Operand()), ExactFolded(second, second_norm, Operand())
            found[-1][1].append(pair)
    return [ExactStage(entry, blocks) for entry, blocks in found]
