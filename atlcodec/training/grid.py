"""The layers of networks that cut images into a grid of patches, or tokens, and mix those."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.shape import Shape
from atlcodec.training.layout import GREY, sizes


class _Grid(nn.Module):
    """Divides images of a shape into squares of `size` pixels: `rows` times `columns` of them. At the right and below,
    zeros fill up sides that do not divide."""

    def __init__(self, size: int, shape: Shape = GREY) -> None:
        super().__init__()
        self.size = size
        self.channels, self.height, self.width = sizes(shape)
        self.rows, self.columns = -(-self.height // size), -(-self.width // size)

    @property
    def divides(self) -> bool:
        """Whether nothing has to be filled up."""
        return self.padded == (self.height, self.width)

    @property
    def padded(self) -> tuple[int, int]:
        """The sides of images that are filled up."""
        return self.rows * self.size, self.columns * self.size

    def unshuffled(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * pixels of a square, rows, columns)."""
        if not self.divides:
            height, width = self.padded
            x = functional.pad(x, (0, width - self.width, 0, height - self.height))
        return functional.pixel_unshuffle(x, self.size)


class Unshuffle(_Grid):
    """Squares of pixels as channels: (N, C, H, W) -> (N, C * pixels of a square, rows, columns)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.unshuffled(x)


class Patches(_Grid):
    """Images (N, C, H, W) as a grid of square patches, one after another: (tokens, N, C * pixels of a patch)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.unshuffled(x).flatten(2).permute(2, 0, 1).contiguous()


class Unpatches(_Grid):
    """Back again: (tokens, N, C * pixels of a patch) -> (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 2, 0).reshape(x.shape[1], x.shape[2], self.rows, self.columns)
        return functional.pixel_shuffle(x, self.size)[:, :, : self.height, : self.width]


class Tokens(nn.Module):
    """Features (N, tokens * channels) as (tokens, N, channels)."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), self.tokens, -1).transpose(0, 1).contiguous()


class Join(nn.Module):
    """(tokens, N, channels) as features (N, tokens * channels)."""

    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        self.tokens, self.channels = tokens, channels

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).flatten(1)


class _Mix(nn.Module):
    """The weights of x + B relu(A x + a), which starts as the identity."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        like = nn.Linear(size, hidden)
        self.weight, self.bias = like.weight, like.bias
        self.back = nn.Parameter(torch.zeros(size, hidden))


class MixChannels(_Mix):
    """Over the last dimension, the channels."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        hidden = functional.relu(functional.linear(flat, self.weight, self.bias))
        return torch.addmm(flat, hidden, self.back.t()).view(x.shape)


class MixTokens(_Mix):
    """Over the first dimension, the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(len(x), -1)
        hidden = functional.relu(torch.addmm(self.bias.unsqueeze(1), self.weight, flat))
        return torch.addmm(flat, self.back, hidden).view(x.shape)
