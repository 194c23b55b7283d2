"""The three networks of a codec, and the rounding between them.

A compressor maps pixels to latents, a decompressor and a classifier read symbols. Each is an `nn.Sequential` of layers
that `export.py` can write as ONNX, so a new architecture needs three lists of layers and nothing else.

The rounding is finite scalar quantization (FSQ; Mentzer et al. 2023): 16 levels per latent, straight-through.

Shapes: images float32 (N, 1, 28, 28) in 0..255, latents and symbols float32 (N, 16, 5, 5), logits float32 (N, classes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from atlcodec.record import LEVELS
from atlcodec.training import lenet, mixer

PARTS = ("compressor", "decompressor", "classifier")


class _Round(torch.autograd.Function):
    """Round to the nearest level. The gradient goes straight through, except where a latent lies outside 0..15 and the
    gradient would push it further out. A hard clamp would stop the gradient in both directions, and a latent outside
    the range would never come back."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor) -> Tensor:
        ctx.save_for_backward(latents)
        return latents.round().clamp(0, LEVELS - 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (latents,) = ctx.saved_tensors
        # Descent moves against the gradient: a negative one raises the latent.
        outwards = ((latents < 0) & (gradient > 0)) | ((latents > LEVELS - 1) & (gradient < 0))
        return gradient.masked_fill(outwards, 0.0)


def quantise(latents: Tensor) -> Tensor:
    """Latents to symbols 0..15 (as floats), differentiable by the straight-through rule."""
    rounded: Tensor = _Round.apply(latents)  # type: ignore[no-untyped-call]
    return rounded


COMPRESSORS: dict[str, Callable[[], nn.Sequential]] = {"lenet": lenet.compressor, "mixer": mixer.compressor}
DECOMPRESSORS: dict[str, Callable[[], nn.Sequential]] = {"lenet": lenet.decompressor, "mixer": mixer.decompressor}
CLASSIFIERS: dict[str, Callable[[int], nn.Sequential]] = {"lenet": lenet.classifier, "mixer": mixer.classifier}


class Networks(nn.Module):
    """One compressor, and for each domain (data set) a decompressor and a classifier. `classes` are the number of
    classes of each domain. `parts` are those to build: the classifier alone is enough to train a head."""

    def __init__(self, architecture: str, classes: Sequence[int], parts: Sequence[str] = PARTS) -> None:
        super().__init__()
        self.architecture = architecture
        self.classes = tuple(classes)
        if "compressor" in parts:
            self.compressor = COMPRESSORS[architecture]()
        if "decompressor" in parts:
            self.decompressors = nn.ModuleList(DECOMPRESSORS[architecture]() for _ in classes)
        if "classifier" in parts:
            self.classifiers = nn.ModuleList(CLASSIFIERS[architecture](count) for count in classes)

    def part(self, name: str, domain: int = 0) -> nn.Module:
        """`compressor`, `decompressor` or `classifier`; the latter two of one domain."""
        if name == "compressor":
            return self.compressor
        return (self.decompressors if name == "decompressor" else self.classifiers)[domain]
