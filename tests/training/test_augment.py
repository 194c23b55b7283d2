"""Augmentation: training images are moved, and lose nothing."""

from __future__ import annotations

import torch

from atlcodec.training.augment import random_shift


def test_a_random_shift_moves_images_and_loses_nothing_inside() -> None:
    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 10:18] = torch.randint(1, 255, (50, 8, 8), dtype=torch.uint8)
    moved = random_shift(images, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum(dim=(1, 2)), images.sum(dim=(1, 2)))
    assert not torch.equal(moved, images)
    assert moved[:, :8].sum() == 0
