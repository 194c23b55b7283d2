"""A strong classifier of images, from whose probabilities the labels of records are learned (distillation; Hinton et
al. 2015). It is part of a training run only: no file of a codec holds it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.errors import BadData
from atlcodec.training.layers import Scale

PART = "teacher."  # begins the names of its weights in a checkpoint
WIDTHS = {"small": 32, "large": 64}  # channels of the first layers, by size


class _Block(nn.Module):
    """A residual block (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.beside = nn.Sequential(*_conv(inputs, outputs, stride), nn.ReLU(), *_conv(outputs, outputs))
        same = stride == 1 and inputs == outputs
        self.main = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.main(x) + self.beside(x))


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]


def teacher(classes: int, channels: int = 1, size: str = "small") -> nn.Sequential:
    """Images float32 (N, C, H, W) in 0..255 -> logits (N, classes). For 28 x 28 pixels, 17 million multiply-adds; or
    380 million for the size "large"."""
    width = WIDTHS[size]
    first = [_Block(width, width)] if size == "small" else [_Block(width, width), _Block(width, width)]
    return nn.Sequential(
        Scale(1 / 128),
        *_conv(channels, width, stride=2 if size == "small" else 1),
        nn.ReLU(),
        *first,
        _Block(width, 2 * width, stride=2),
        _Block(2 * width, 2 * width),
        _Block(2 * width, 4 * width, stride=2),
        _Block(4 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * width, classes),
    )


def load(run: Path, classes: int, channels: int = 1) -> nn.Sequential:
    """The teacher in the folder of a run of the recipe "labels", of images with so many channels. Raises `BadData`."""
    path = run / "checkpoint.pt"
    if not path.is_file():
        raise BadData(f"{run}: no checkpoint.pt in it; name the folder of a run of the recipe labels")
    state = torch.load(path, map_location="cpu", weights_only=True)["networks"]
    weights = {name.removeprefix(PART): state[name] for name in state if name.startswith(PART)}
    width = len(weights.get("1.weight", ()))
    network = teacher(classes, channels, next((size for size in WIDTHS if WIDTHS[size] == width), "small"))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BadData(
            f"{run}: has no teacher of {classes} labels of such images; name a run of the recipe labels"
        ) from error
    return network.eval()


@torch.no_grad()
def probabilities(network: nn.Module, images: Tensor) -> Tensor:
    """What a trained teacher says of images float32 (N, C, H, W): float32 (N, classes)."""
    found: Tensor = network(images).float().softmax(dim=1)
    return found
