"""The decompressor of the paper's Table 1 as whole numbers: convolutions of bytes, 0..127 between them.

    symbols 16x5x5 -> 64x6x6 = 16x12x12 -> 24x13x13 -> 4x14x14 = 1x28x28

Each convolution gives the four phases of an image of twice the size; see `layers.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.errors import BadModel
from atlcodec.record import BOTTLENECK
from atlcodec.training.layers import PhasesConv2d, Scale, UpscaleConv2d
from atlcodec.training.quantise import MOST, Kernels, active, rounded, steps

TOP = 15  # of a symbol


class ExactConv(nn.Module):
    """A convolution to four phases. Its parameters have the units of the network in floats; `step_in` (inputs,) and
    `step_out` (outputs,) are the values of a step of each channel. The four phases of a channel have the same."""

    step_in: Tensor
    step_out: Tensor

    def __init__(self, layer: UpscaleConv2d | PhasesConv2d, most: int) -> None:
        super().__init__()
        self.layer, self.most = layer, float(most)
        self.shuffles = isinstance(layer, PhasesConv2d) or layer.shuffle
        weight, bias = layer.merged()
        self.register_buffer("step_in", torch.ones(weight.shape[1]))
        self.register_buffer("step_out", torch.ones(len(bias)))

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Kernels and biases in steps of the output, not rounded."""
        weight, bias = self.layer.merged()
        return weight * (self.step_in[:, None, None] / self.step_out[:, None, None, None]), bias / self.step_out

    @torch.no_grad()
    def integers(self) -> Kernels:
        return Kernels.of(*self.scaled(), torch.full((len(self.step_in),), self.most))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> sums (N, outputs, H + 1, W + 1) in steps of the output, not rounded."""
        weight, bias = self.integers().straight(*self.scaled())
        return functional.conv2d(x, weight, bias, padding=1)

    def shuffled(self, x: Tensor) -> Tensor:
        """Phases as one image, unless the next convolution takes phases."""
        return functional.pixel_shuffle(x, 2) if self.shuffles else x


class ExactLenet(nn.Module):
    """The decompressor of the architecture `lenet` as whole numbers. All of it learns."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        scales = [layer.factor for layer in network if isinstance(layer, Scale)]
        layers = [layer for layer in network if isinstance(layer, UpscaleConv2d | PhasesConv2d)]
        if len(scales) != 2 or len(layers) != 3 or len(network) != 7:
            raise BadModel("only a decompressor of the architecture lenet can be made exact so")
        self.before, self.after = scales
        made = [ExactConv(layer, MOST if number else TOP) for number, layer in enumerate(layers)]
        self.convolutions = nn.ModuleList(made)

    def forward(self, symbols: Tensor) -> Tensor:
        """Symbols (N, 16, 5, 5) -> pixels in 0..255, (N, 1, 28, 28): whole numbers."""
        x = symbols.view(-1, *BOTTLENECK)
        *hidden, last = [each for each in self.convolutions if isinstance(each, ExactConv)]
        for convolution in hidden:
            x = convolution.shuffled(active(convolution(x)))
        return functional.pixel_shuffle(rounded(last(x), 0, 255), 2)

    @torch.no_grad()
    def calibrate(self, symbols: Tensor) -> None:
        """Choose the steps by symbols (N, 16, 5, 5): the largest value of each channel becomes the largest operand."""
        x, step = symbols.view(-1, *BOTTLENECK) * self.before, torch.full((BOTTLENECK[0],), self.before)
        for convolution in self.convolutions:
            assert isinstance(convolution, ExactConv)
            convolution.step_in.copy_(step)
            weight, bias = convolution.layer.merged()
            x = functional.conv2d(x, weight, bias, padding=1).relu()
            channels = steps(x.amax((0, 2, 3)).view(-1, 4).amax(1), MOST)
            step = channels.repeat_interleave(4)
            convolution.step_out.copy_(step)
            if convolution.shuffles:
                x, step = functional.pixel_shuffle(x, 2), channels
        last = self.convolutions[-1]
        assert isinstance(last, ExactConv)
        last.step_out.fill_(1 / self.after)
