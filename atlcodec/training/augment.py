"""Changed pictures that keep their labels: uint8 (N, 28, 28) -> the same. Random numbers come from the generator
alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to `most` pixels in each direction, black moving in."""
    n, height, width = images.shape
    padded = functional.pad(images, (most, most, most, most))
    dy, dx = torch.randint(0, 2 * most + 1, (2, n, 1, 1), generator=generator).to(images.device)
    y = torch.arange(height, device=images.device).view(1, -1, 1) + dy
    x = torch.arange(width, device=images.device).view(1, 1, -1) + dx
    return padded[torch.arange(n, device=images.device).view(-1, 1, 1), y, x]


def bent(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture turned by up to 10 degrees, made larger or smaller and sheared by up to a tenth, and moved by up to
    2 pixels."""
    n = len(images)
    turn, stretch_x, stretch_y, shear, dx, dy = torch.rand(6, n, generator=generator) * 2 - 1
    angle = turn * math.radians(10)
    cos, sin = angle.cos(), angle.sin()
    a, b, c, d = cos * (1 + stretch_x / 10), -sin + shear / 10, sin + shear / 10, cos * (1 + stretch_y / 10)
    moves = torch.stack((a, b, dx * (2 / 14), c, d, dy * (2 / 14)), dim=1).view(n, 2, 3).to(images.device)
    grid = functional.affine_grid(moves, [n, 1, *images.shape[1:]], align_corners=False)
    return (
        functional.grid_sample(images.unsqueeze(1).float(), grid, align_corners=False)
        .squeeze(1)
        .round()
        .to(torch.uint8)
    )


def some(images: Tensor, kinds: str, generator: torch.Generator) -> Tensor:
    """Half of the pictures, drawn by lot, changed: `kinds` are "bend" and "mirror" (of those, each with odds of a
    half), joined by "+"."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5).nonzero().squeeze(1).to(images.device)
    if not len(chosen):  # of few pictures
        return images
    changed = images[chosen]
    for kind in kinds.split("+"):
        if kind == "bend":
            changed = bent(changed, generator)
        elif kind == "mirror":
            lot = (torch.rand(len(changed), generator=generator) < 0.5).view(-1, 1, 1).to(images.device)
            changed = torch.where(lot, changed.flip(2), changed)
        else:
            raise ValueError(f"no augmentation is called {kind!r}")
    return images.index_copy(0, chosen, changed)
