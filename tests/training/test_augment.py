"""Augmentation: training images are moved, and lose nothing."""

from __future__ import annotations

import pytest
import torch

from atlcodec.training.augment import augment, cutout, random_shift


def test_a_random_shift_moves_images_and_loses_nothing_inside() -> None:
    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 10:18] = torch.randint(1, 255, (50, 8, 8), dtype=torch.uint8)
    moved = random_shift(images, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum(dim=(1, 2)), images.sum(dim=(1, 2)))
    assert not torch.equal(moved, images)
    assert moved[:, :8].sum() == 0


@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_edge_moves_in_where_black_would_be_foreign(channels: tuple[int, ...]) -> None:
    images = torch.full((50, 12, 16, *channels), 90, dtype=torch.uint8)
    images[:, :, 0] = 200
    moved = random_shift(images, 3, torch.Generator().manual_seed(0), edge=True)
    assert set(moved.flatten().tolist()) == {90, 200}
    columns = (moved[:, 5] == 200).flatten(2).all(dim=2).sum(dim=1) if channels else (moved[:, 5] == 200).sum(dim=1)
    assert set(columns.tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("changes", ["affine", "mirror", "affine+mirror", "elastic", "elastic+mirror"])
def test_a_share_of_the_images_is_changed_and_stays_recognisable(changes: str) -> None:
    images = torch.zeros(400, 28, 28, dtype=torch.uint8)
    images[:, 8:20, 6:12] = 200
    changed = augment(images, changes, torch.Generator().manual_seed(0), share=0.25, strength=1)
    different = (changed != images).flatten(1).any(dim=1)
    flipped = 0.5 if changes == "mirror" else 1
    assert 0.15 * flipped < different.float().mean() < 0.35 * flipped
    mass = changed[different].float().sum(dim=(1, 2)) / images[0].float().sum()
    assert ((mass > 0.4) & (mass < 2)).all()
    again = augment(images, changes, torch.Generator().manual_seed(0), share=0.25, strength=1)
    assert torch.equal(again, changed)


def test_strength_is_how_far_pixels_move() -> None:
    images = torch.zeros(200, 28, 28, dtype=torch.uint8)
    images[:, 8:20, 8:20] = 200
    mild, strong = (
        augment(images, "elastic", torch.Generator().manual_seed(0), share=1, strength=strength).float()
        for strength in (0.2, 1.5)
    )
    assert (mild - images).abs().mean() * 3 < (strong - images).abs().mean()


@pytest.mark.parametrize("channels", [(), (3,)])
def test_cutout_hides_a_rectangle_of_half_of_the_images(channels: tuple[int, ...]) -> None:
    images = torch.full((400, 28, 14, *channels), 9, dtype=torch.uint8)
    hidden = (
        (cutout(images, torch.Generator().manual_seed(0)) == 0).flatten(3).all(dim=3)
        if channels
        else (cutout(images, torch.Generator().manual_seed(0)) == 0)
    )
    rows, columns = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(hidden.sum(dim=(1, 2)), rows * columns)  # a rectangle
    assert (int(rows.max()), int(columns.max())) == (12, 6)
    assert 0.4 < (rows > 0).float().mean() < 0.6


def test_an_unknown_change_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown augmentation 'twirl'"):
        augment(torch.zeros(9, 28, 28, dtype=torch.uint8), "twirl", torch.Generator(), share=1)
