"""The three networks of a codec, and the rounding between them; and a teacher of its labels.

A compressor maps pixels to latents, a decompressor and a classifier read symbols. Each is an `nn.Sequential` of layers
that `export.py` can write as ONNX, so a new architecture needs three lists of layers and nothing else.

The rounding is finite scalar quantization (FSQ; Mentzer et al. 2023), straight-through: 16 levels per latent, or
other numbers where latents have several widths.

Shapes: images float32 (N, C, H, W) in 0..255, which are (N, 1, 28, 28) for all architectures but `pca`; latents float32
(N, 16, 5, 5), or (N, M) if they have several widths; logits float32 (N, classes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.latents import UNIFORM
from atlcodec.record import RECORD_BYTES
from atlcodec.training import conv, lenet, mixer, pca
from atlcodec.training.layers import Concatenate
from atlcodec.training.layout import check_shape, sizes
from atlcodec.training.start import Start, blank
from atlcodec.training.teacher import teacher

PARTS = ("compressor", "decompressor", "classifier")


class _Round(torch.autograd.Function):
    """Round to the nearest level 0..top. The gradient goes straight through, except where a latent lies outside the
    range and the gradient would push it further out. A hard clamp would stop the gradient in both directions, and a
    latent outside the range would never come back."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor, top: Tensor) -> Tensor:
        ctx.save_for_backward(latents, top)
        return torch.minimum(latents.round().clamp(min=0), top)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        latents, top = ctx.saved_tensors
        # Descent moves against the gradient: a negative one raises the latent.
        outwards = ((latents < 0) & (gradient > 0)) | ((latents > top) & (gradient < 0))
        return gradient.masked_fill(outwards, 0.0), None


def quantise(latents: Tensor, top: Tensor) -> Tensor:
    """Latents to their nearest levels 0..top (as floats), differentiable by the straight-through rule."""
    rounded: Tensor = _Round.apply(latents, top)  # type: ignore[no-untyped-call]
    return rounded


# What builds each network. A start is the mean, the components and the packing of the latents; only `pca` and `conv`
# need it.
COMPRESSORS: dict[str, Callable[[Start], nn.Sequential]] = {
    "lenet": lambda start: lenet.compressor(),
    "mixer": lambda start: mixer.compressor(),
    "pca": pca.compressor,
}
DECOMPRESSORS: dict[str, Callable[[Start], nn.Sequential]] = {
    "lenet": lambda start: lenet.decompressor(),
    "mixer": lambda start: mixer.decompressor(),
    "pca": pca.decompressor,
}
CLASSIFIERS: dict[str, Callable[[Start, int], nn.Sequential]] = {
    "lenet": lambda start, classes: lenet.classifier(classes),
    "mixer": lambda start, classes: mixer.classifier(classes),
    "pca": pca.classifier,
    "dense": pca.dense_classifier,
    "conv": conv.classifier,
}
NO_START = blank(UNIFORM)


class Networks(nn.Module):
    """One compressor, and for each domain (data set) a decompressor and a classifier. `classes` are the number of
    classes of each domain. `parts` are those to build: the classifier alone is enough to train a head. `start` is where
    training starts from; its packing is that of the latents, its shape that of images. `taught_by` is the size of a
    teacher beside them, if there is one. Raises `AtlcError` if the architecture does not take these."""

    top: Tensor
    first_byte: Tensor
    shift: Tensor

    def __init__(
        self,
        architecture: str,
        classes: Sequence[int],
        parts: Sequence[str] = PARTS,
        start: Start = NO_START,
        taught_by: str | None = None,
    ) -> None:
        super().__init__()
        check_shape(architecture, start.shape)
        self.architecture, self.packing, self.shape = architecture, start.packing, start.shape
        self.classes = tuple(classes)
        levels = start.packing.top.reshape(start.packing.shape)
        self.register_buffer("top", torch.from_numpy(levels), persistent=False)
        # Where each latent lies in a record: in two bytes, from the first of them on, so many bits from their end.
        ends = np.cumsum(start.packing.bits)
        first_byte = (ends - start.packing.bits) // 8
        self.register_buffer("first_byte", torch.from_numpy(first_byte), persistent=False)
        self.register_buffer("shift", torch.from_numpy(8 * first_byte + 16 - ends).int(), persistent=False)
        if "compressor" in parts:
            self.compressor = COMPRESSORS[architecture](start)
        if "decompressor" in parts:
            self.decompressors = nn.ModuleList(DECOMPRESSORS[architecture](start) for _ in classes)
        if "classifier" in parts:
            self.classifiers = nn.ModuleList(CLASSIFIERS[architecture](start, count) for count in classes)
        self.teacher = teacher(classes[0], sizes(start.shape)[0], taught_by) if taught_by else None

    def part(self, name: str, domain: int = 0) -> nn.Module:
        """`compressor`, `decompressor` or `classifier`, the latter two of one domain; `teacher`; or `labels`, the path
        of a pca compressor that makes the latents for labels."""
        if name == "compressor":
            return self.compressor
        if name == "labels":
            both = self.compressor[0]
            assert isinstance(both, Concatenate)
            return both.second
        if name == "teacher":
            assert self.teacher is not None
            return self.teacher
        return (self.decompressors if name == "decompressor" else self.classifiers)[domain]

    def picture_latents(self, images: Tensor) -> Tensor:
        """What the compressor makes of images, but zeros in place of the latents for labels, if it has such. These
        never change a decoded image, and their path takes half of the time."""
        if not self.packing.labels:
            latents: Tensor = self.compressor(images)
            return latents
        both = self.compressor[0]
        assert isinstance(both, Concatenate)
        return functional.pad(both.first(images).float(), (0, self.packing.labels))

    def quantise(self, latents: Tensor) -> Tensor:
        """The compressor's latents on their levels, float32; see `quantise`."""
        return quantise(latents.float(), self.top)

    def pack(self, latents: Tensor) -> Tensor:
        """Latents on their levels -> unsealed records, uint8 (N, 200)."""
        flat = latents.flatten(1).to(torch.uint8)
        if self.packing.uniform:
            return flat[:, 0::2] << 4 | flat[:, 1::2]
        spread = flat.int() << self.shift
        pairs = torch.zeros(len(flat), RECORD_BYTES + 1, dtype=torch.int32, device=flat.device)
        pairs.index_add_(1, self.first_byte, spread >> 8)  # no two latents share a bit, so a sum joins them
        pairs.index_add_(1, self.first_byte + 1, spread & 255)
        return pairs[:, :RECORD_BYTES].to(torch.uint8)

    def unpack(self, records: Tensor) -> Tensor:
        """Records, uint8 (N, 200) -> latents on their levels, float32 (N, *packing.shape)."""
        if not self.packing.uniform:
            padded = functional.pad(records, (0, 1)).int()
            pairs = padded.index_select(1, self.first_byte) << 8 | padded.index_select(1, self.first_byte + 1)
            return (pairs >> self.shift).float().remainder(self.top + 1)
        latents = torch.empty(*records.shape, 2, device=records.device)
        latents[..., 0] = records >> 4
        latents[..., 1] = records & 15
        return latents.view(-1, *self.packing.shape)
