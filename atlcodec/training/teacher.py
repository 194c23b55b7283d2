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


def teacher(classes: int, channels: int = 1) -> nn.Sequential:
    """Images float32 (N, C, H, W) in 0..255 -> logits (N, classes). 17 million multiply-adds for 28 x 28 pixels."""
    return nn.Sequential(
        Scale(1 / 128),
        *_conv(channels, 32, stride=2),
        nn.ReLU(),
        _Block(32, 32),
        _Block(32, 64, stride=2),
        _Block(64, 64),
        _Block(64, 128, stride=2),
        _Block(128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, classes),
    )


def load(run: Path, classes: int, channels: int = 1) -> nn.Sequential:
    """The teacher in the folder of a run of the recipe "labels", of images with so many channels. Raises `BadData`."""
    path = run / "checkpoint.pt"
    if not path.is_file():
        raise BadData(f"{run}: no checkpoint.pt in it; name the folder of a run of the recipe labels")
    state = torch.load(path, map_location="cpu", weights_only=True)["networks"]
    network = teacher(classes, channels)
    try:
        network.load_state_dict({name.removeprefix(PART): state[name] for name in state if name.startswith(PART)})
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
