"""What the tests of training share: a tiny data set, quick settings, and weights to compare."""

from __future__ import annotations

import numpy as np
import torch

from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer

# An epoch of `bars()` has six mini-batches.
SETTINGS = Settings(architecture="lenet", batch_size=32, seed=5, shift=1, lr_warmup_steps=9)
Weights = dict[str, torch.Tensor]


class Killed(Exception):
    """Stops a run from within."""


def bars(n: int = 200) -> Dataset:
    """Vertical and horizontal bars, bright on black."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, 28, 28), np.uint8)
    labels = rng.integers(0, 2, n)
    for image, label, at in zip(images, labels, rng.integers(4, 20, n), strict=True):
        (image if label else image.T)[at : at + 4, 4:24] = 220
    return Dataset("bars", Split(images, labels), None, ("upright", "lying"))


def weights(trainer: Trainer) -> Weights:
    return {name: value.clone() for name, value in trainer.nets.state_dict().items()}


def same(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def changed(a: Weights, b: Weights) -> set[str]:
    """The names of the weights that differ."""
    return {name for name in a if not torch.equal(a[name], b[name])}
