"""How images lie in memory: uint8 (N, *shape) everywhere but in networks, float32 (N, C, H, W) there. `shape` is
(H, W), or (H, W, 3) for red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atlcodec.errors import AtlcError, BadData
from atlcodec.shape import Shape

GREY: Shape = (28, 28)  # the shape of the bundled codecs, and the only one of some architectures
CHUNK = 2048  # such images that go through a network at once; of larger ones, fewer


def sizes(shape: Shape) -> tuple[int, int, int]:
    """Channels, rows and columns of images of a shape."""
    return shape[2] if len(shape) == 3 else 1, shape[0], shape[1]


def planes(images: Tensor) -> Tensor:
    """Images (N, *shape) of any type, as networks take them: float32 (N, C, H, W)."""
    return (images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()).float()


def pictures(planes: Tensor) -> Tensor:
    """Back again: (N, C, H, W) -> (N, *shape), of the same type."""
    return planes.squeeze(1) if planes.shape[1] == 1 else planes.permute(0, 2, 3, 1).contiguous()


def chunks(images: Tensor) -> Sequence[Tensor]:
    """Images (N, *shape), or records (N, 200), in pieces that go through a network at once."""
    values, most = images[:1].numel(), GREY[0] * GREY[1]
    return torch.split(images, max(16, CHUNK * most // max(values, most)))


def check_shape(architecture: str, shape: Shape) -> None:
    """Raise `AtlcError` if an architecture does not take images of a shape."""
    if architecture != "pca" and shape != GREY:
        raise AtlcError(f"the architecture {architecture} takes 28 x 28 grey images only; use --architecture pca")


def same_shape(name: str, shape: Shape, wanted: Shape) -> None:
    """Raise `BadData` unless the images of the set `name` have the shape of the others."""
    if shape != wanted:
        raise BadData(f"{name}: images of the shape {shape}, not {wanted}; all images of a run must have the same")
