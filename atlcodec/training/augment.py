"""Random changes of images that keep their labels: uint8 (N, *shape) -> the same. All randomness comes from the
generator.

What is said of pixels is so for 28 x 28 of them: a larger image moves by the same share of its sides."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from atlcodec.training.layout import pictures, planes

NODES = 5  # of the grid whose random moves bend an image


def random_shift(images: Tensor, most: int, generator: torch.Generator, *, edge: bool = False) -> Tensor:
    """Move each image by up to `most` pixels, of any size, in each direction; black moves in, or the edge is
    repeated."""
    n, height, width = images.shape[:3]
    if edge:
        rows, columns = (torch.arange(-most, side + most).clamp(0, side - 1) for side in (height, width))
        padded = images[:, rows.to(images.device)][:, :, columns.to(images.device)]
    else:
        padded = functional.pad(images, (0, 0) * (images.dim() - 3) + (most, most, most, most))
    dy, dx = torch.randint(0, 2 * most + 1, (2, n, 1, 1), generator=generator).to(images.device)
    y = torch.arange(height, device=images.device).view(1, -1, 1) + dy
    x = torch.arange(width, device=images.device).view(1, 1, -1) + dx
    return padded[torch.arange(n, device=images.device).view(-1, 1, 1), y, x]


def random_affine(images: Tensor, strength: float, generator: torch.Generator, *, bend: bool = False) -> Tensor:
    """Rotate each image by up to 10 degrees, scale and shear it by up to a tenth, and move it by up to 2 pixels; all
    times `strength`. `bend` also moves the nodes of a coarse grid, each by up to 2 pixels, and what lies between them
    (elastic distortion; Simard et al. 2003)."""
    n, height, width = images.shape[:3]
    rotation, stretch_x, stretch_y, shear, dx, dy = (torch.rand(6, n, generator=generator) * 2 - 1) * strength
    angle = rotation * math.radians(10)
    cos, sin = angle.cos(), angle.sin()
    a, b, c, d = cos * (1 + stretch_x / 10), -sin + shear / 10, sin + shear / 10, cos * (1 + stretch_y / 10)
    b, c = b * (height / width), c * (width / height)  # the grid measures in sides
    moves = torch.stack((a, b, dx * (2 / 14), c, d, dy * (2 / 14)), dim=1).view(n, 2, 3).to(images.device)
    grid = functional.affine_grid(moves, [n, 1, height, width], align_corners=False)
    if bend:
        nodes = (torch.rand(n, 2, NODES, NODES, generator=generator) * 2 - 1) * (strength * 2 / 14)
        bent = functional.interpolate(nodes.to(images.device), (height, width), mode="bicubic", align_corners=False)
        grid = grid + bent.permute(0, 2, 3, 1)
    return pictures(functional.grid_sample(planes(images), grid, align_corners=False)).round().to(torch.uint8)


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make half of the images black in a rectangle of 3/7 of their sides, whose middle lies anywhere (DeVries and
    Taylor 2017)."""
    n, height, width = images.shape[:3]
    middle_y, middle_x, chosen = torch.rand(3, n, 1, 1, generator=generator).to(images.device)
    y = torch.arange(height, device=images.device).view(1, -1, 1) + 0.5
    x = torch.arange(width, device=images.device).view(1, 1, -1) + 0.5
    inside = ((y - middle_y * height).abs() < height * 3 / 14) & ((x - middle_x * width).abs() < width * 3 / 14)
    black = inside & (chosen < 0.5)
    return images.masked_fill(black.view(n, height, width, *[1] * (images.dim() - 3)), 0)


def augment(
    images: Tensor, changes: str, generator: torch.Generator, share: float = 0.5, strength: float = 1
) -> Tensor:
    """Change a share of the images, chosen at random. `changes` are "affine", "elastic" (affine, and bent), "mirror"
    (which flips half of the chosen ones) and "cutout", joined by "+". Raises `ValueError`."""
    chosen = (torch.rand(len(images), generator=generator) < share).nonzero().squeeze(1).to(images.device)
    if not len(chosen):
        return images
    changed = images[chosen]
    for change in changes.split("+"):
        if change in ("affine", "elastic"):
            changed = random_affine(changed, strength, generator, bend=change == "elastic")
        elif change == "mirror":
            flips = (torch.rand(len(changed), generator=generator) < 0.5).to(images.device)
            changed = torch.where(flips.view(-1, *[1] * (images.dim() - 1)), changed.flip(2), changed)
        elif change == "cutout":
            changed = cutout(changed, generator)
        else:
            raise ValueError(f"unknown augmentation {change!r}; use affine, elastic, mirror, cutout, joined by a plus")
    return images.index_copy(0, chosen, changed)
