"""Validation metrics before export: PSNR and accuracy, from unsealed symbols."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlcodec import metrics
from atlcodec.sets.dataset import Images, Split
from atlcodec.training.layout import chunks, pictures, planes
from atlcodec.training.networks import Networks


@torch.no_grad()
def symbols(nets: Networks, images: Images) -> Iterator[Tensor]:
    """Latents on their levels, of images uint8 (N, *shape) or of records uint8 (N, 200), chunk by chunk."""
    device = next(nets.parameters()).device
    nets.eval()  # dropout and the statistics of batch normalisation are for training
    for chunk in chunks(torch.from_numpy(images.copy()).to(device)):
        yield nets.unpack(chunk) if chunk.dim() == 2 else nets.quantise(nets.compressor(planes(chunk)))


@torch.no_grad()
def decoded(nets: Networks, images: Images, domain: int = 0) -> Images:
    """Images uint8 (N, *shape) after compressor and decompressor, the same shape."""
    decompressor = nets.part("decompressor", domain).eval()
    pixels = [decompressor(chunk).clamp(0, 255).round().to(torch.uint8) for chunk in symbols(nets, images)]
    return pictures(torch.cat(pixels)).cpu().numpy()


@torch.no_grad()
def logits(nets: Networks, images: Images, domain: int = 0) -> NDArray[np.float32]:
    """Logits float32 (N, classes) of images uint8 (N, *shape) or of records uint8 (N, 200)."""
    classifier = nets.part("classifier", domain).eval()
    return np.concatenate([classifier(chunk).cpu().numpy() for chunk in symbols(nets, images)])


def psnr(nets: Networks, images: Images, domain: int = 0) -> float:
    """Pooled PSNR in dB of images uint8 (N, *shape)."""
    return metrics.psnr(float(metrics.squared_error(images, decoded(nets, images, domain)).mean()))


@torch.no_grad()
def teacher_accuracy(nets: Networks, split: Split) -> float:
    """The same of the teacher, which sees the images."""
    assert split.labels is not None
    network, device = nets.part("teacher").eval(), next(nets.parameters()).device
    parts = chunks(torch.from_numpy(split.images.copy()).to(device))
    said = np.concatenate([network(planes(chunk)).cpu().numpy() for chunk in parts])
    return metrics.accuracy(said, split.labels)


def accuracy(nets: Networks, split: Split, domain: int = 0) -> float:
    """Share of a labelled split that the classifier gets right, 0..1. Its images may be records."""
    assert split.labels is not None
    return metrics.accuracy(logits(nets, split.images, domain), split.labels)
