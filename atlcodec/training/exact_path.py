"""The linear path of the architecture `pca` as whole numbers: latents -> a picture in steps, patch by patch.

    latents -> two products, of the high and the low parts of weights of 15 bits -> the picture, or a reduced one
    reduced picture -> columns, then rows, each in 64ths of two neighbours -> the picture

It does not learn."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from atlcodec.latents import Packing
from atlcodec.training.grid import Patches
from atlcodec.training.layers import FixedLinear
from atlcodec.training.onnx_packing import pieces
from atlcodec.training.quantise import MOST, Operand, wide
from atlcodec.training.resample import Resample

FINE = 8  # steps of the picture in a grey level
SHARES = 64  # of a pixel, between its neighbours in the reduced picture


class ExactPath(nn.Module):
    """The dense layer. `order` are the values that it gives: the numbers of pixels (C, H, W), or -1 for zero."""

    whole: Tensor
    biases: Tensor

    def __init__(self, linear: FixedLinear, packing: Packing, order: Tensor, picture: Operand) -> None:
        super().__init__()
        self.packing, self.picture = packing, picture
        _, factor, _, highest = (torch.from_numpy(each) for each in pieces(packing, MOST))
        top = torch.from_numpy(packing.top)
        whole, biases, self.k = wide(linear.weight * FINE, top, factor[highest], linear.bias * FINE)
        self.register_buffer("whole", _rows(whole, order).float(), persistent=False)
        self.register_buffer("biases", _rows(biases[:, None], order)[:, 0].float(), persistent=False)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> the picture in steps, (N, values)."""
        sums = torch.addmm(self.biases, latents, self.whole.t())
        return (sums * 2.0**-self.k).round().clamp_(*self.picture.limits)


class ExactEnlarging(nn.Module):
    """A reduced picture (N, C * h * w) -> the picture, (N, tokens * pixels of a patch), both in steps.

    `rows` (H, h) and `columns` (W, w) are whole shares, and those of a pixel are `SHARES` together. The picture is
    filled up to whole patches with zeros."""

    rows: Tensor
    columns: Tensor

    def __init__(self, layer: Resample, grid: Patches, picture: Operand) -> None:
        super().__init__()
        self.grid, self.picture = grid, replace(picture, low=True)  # the whole picture, in all forms
        height, width = grid.padded
        self.register_buffer("rows", shares(layer.rows, height), persistent=False)
        self.register_buffer("columns", shares(layer.columns.t(), width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), self.grid.channels, self.rows.shape[1], self.columns.shape[1])
        x = (x @ self.columns.t() / SHARES).round().clamp_(*self.picture.limits)
        x = (self.rows @ x / SHARES).round().clamp_(*self.picture.limits)
        patches: Tensor = nn.functional.pixel_unshuffle(x, self.grid.size)
        return patches.flatten(2).transpose(1, 2).flatten(1)


def shares(matrix: Tensor, side: int) -> Tensor:
    """Weights of neighbours, which add up to 1, as whole shares that add up to `SHARES`; and rows of zeros, up to
    `side`."""
    whole = (matrix * SHARES).round()
    largest = whole.argmax(1, keepdim=True)
    whole.scatter_add_(1, largest, SHARES - whole.sum(1, keepdim=True))
    return nn.functional.pad(whole, (0, 0, 0, side - len(whole)))


def patch_order(grid: Patches) -> Tensor:
    """The pixel of an image (C, H, W) at each place of its patches, (tokens * pixels of a patch,); -1 where it is
    filled up."""
    numbers = torch.arange(1, grid.channels * grid.height * grid.width + 1, dtype=torch.float32)
    image = numbers.view(1, grid.channels, grid.height, grid.width)
    patches: Tensor = grid(image)
    return patches.flatten().long() - 1


def _rows(matrix: Tensor, order: Tensor) -> Tensor:
    return matrix[order.clamp(min=0)] * (order >= 0)[:, None]
