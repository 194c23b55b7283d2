"""Random changes of images that keep their labels: uint8 (N, 28, 28) -> the same. All randomness comes from the
generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def random_shift(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Move each image by up to `most` pixels in each direction; black moves in."""
    n, height, width = images.shape
    padded = functional.pad(images, (most, most, most, most))
    dy, dx = torch.randint(0, 2 * most + 1, (2, n, 1, 1), generator=generator).to(images.device)
    y = torch.arange(height, device=images.device).view(1, -1, 1) + dy
    x = torch.arange(width, device=images.device).view(1, 1, -1) + dx
    return padded[torch.arange(n, device=images.device).view(-1, 1, 1), y, x]


def random_affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate each image by up to 10 degrees, scale and shear it by up to a tenth, and move it by up to 2 pixels."""
    n = len(images)
    rotation, stretch_x, stretch_y, shear, dx, dy = torch.rand(6, n, generator=generator) * 2 - 1
    angle = rotation * math.radians(10)
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


def augment_half(images: Tensor, changes: str, generator: torch.Generator) -> Tensor:
    """Change half of the images, chosen at random. `changes` are "affine" and "mirror" (which flips half of the chosen
    ones), joined by "+". Raises `ValueError`."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5).nonzero().squeeze(1).to(images.device)
    if not len(chosen):
        return images
    changed = images[chosen]
    for change in changes.split("+"):
        if change == "affine":
            changed = random_affine(changed, generator)
        elif change == "mirror":
            flips = (torch.rand(len(changed), generator=generator) < 0.5).view(-1, 1, 1).to(images.device)
            changed = torch.where(flips, changed.flip(2), changed)
        else:
            raise ValueError(f"unknown augmentation {change!r}; use affine, mirror or affine+mirror")
    return images.index_copy(0, chosen, changed)
