"""Latents of 8, 4 and 2 bits, packed into symbols, and the moves that seal them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import record
from atlcodec.card import read_model
from atlcodec.errors import BadModel
from atlcodec.latents import NEVER, Packing

PACKINGS = [Packing(), Packing(48, 204, 200), Packing(20, 192, 336), Packing(200, 0, 0), Packing(0, 0, 800)]


def some(packing: Packing, count: int = 50) -> NDArray[np.uint8]:
    """Random latents; the first two rows are the lowest and the highest levels."""
    latents = np.random.default_rng(0).integers(0, packing.top.astype(int) + 1, (count, packing.count)).astype(np.uint8)
    latents[0], latents[1] = 0, packing.top
    return latents


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_packing_and_unpacking_are_inverse(packing: Packing) -> None:
    latents = some(packing)
    symbols = packing.pack(latents)
    assert symbols.shape == (len(latents), 400)
    assert symbols.max() <= 15
    assert np.array_equal(packing.unpack(symbols), latents)
    assert np.array_equal(packing.start(symbols.astype(np.float32)), latents)


def test_the_bytes_are_the_latents() -> None:
    packing = Packing(2, 392, 8)
    latents = np.zeros((1, packing.count), np.uint8)
    latents[0, :3], latents[0, -4:] = (0xAB, 0x12, 7), (3, 0, 1, 2)
    packed = record.pack(packing.pack(latents))[0]
    assert packed[:3].tolist() == [0xAB, 0x12, 0x70]
    assert packed[-1] == 0b11000110


@pytest.mark.parametrize("counts", [(0, 399, 2), (0, 400, 4), (1, 397, 2), (-2, 404, 0), (201, -2, 0)])
def test_latents_that_do_not_fill_a_record(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="do not fill 400 symbols"):
        Packing(*counts)


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_a_move_is_one_step_of_one_latent(packing: Packing) -> None:
    latents = some(packing)
    gradient = np.random.default_rng(1).standard_normal(latents.shape).astype(np.float32)
    symbols, alternatives, costs = packing.moves(latents.astype(np.float32), gradient)
    assert np.array_equal(symbols, packing.pack(latents))
    assert (symbols != alternatives).all()
    assert alternatives.max() <= 15
    for symbol in range(400):
        moved = symbols.copy()
        moved[:, symbol] = alternatives[:, symbol]
        change = packing.unpack(moved).astype(int) - latents
        assert ((change != 0).sum(axis=1) == 1).all()
        step = change.sum(axis=1)
        if symbol < 2 * packing.n8 and symbol % 2 == 0:
            assert (costs[:, symbol] == NEVER).all()
            continue
        assert (abs(step) == 1).all()
        assert np.allclose(costs[:, symbol], (change * gradient).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("packing", PACKINGS[1:3], ids=str)
def test_a_record_is_sealed_without_a_high_half(packing: Packing) -> None:
    latents = some(packing, 300)
    gradient = np.random.default_rng(2).standard_normal(latents.shape).astype(np.float32)
    sealed = record.seal(*packing.moves(latents.astype(np.float32), gradient), id=0x12345678)
    assert (record.ids(record.pack(sealed)) == 0x12345678).all()
    change = abs(packing.unpack(sealed).astype(int) - latents)
    assert change.max() == 1
    assert 5 < (change != 0).sum(axis=1).mean() < 25


def test_the_residual_of_a_symbol_belongs_to_its_low_bits() -> None:
    packing = Packing(1, 396, 4)
    symbols = packing.pack(some(packing, 3)[2:]).astype(np.float32)
    symbols[0, 1], symbols[0, 2], symbols[0, -1] = 5.25, 6.5, 4 * 2 + 1 - 0.25
    start = packing.start(symbols)[0]
    assert start[0] == symbols[0, 0] * 16 + 5.25
    assert start[1] == 6.5
    assert (start[-2], start[-1]) == (2, 0.75)


@pytest.mark.parametrize("counts", [[1, 2, 3], "all", [0, 400], [0, 400, 0.0], None])
def test_a_card_with_other_counts_is_refused(counts: object, mine: Path) -> None:
    card = json.loads((mine / "card.json").read_text())
    (mine / "card.json").write_text(json.dumps({**card, "latents": counts}))
    with pytest.raises(BadModel, match=r"latents in card\.json"):
        read_model(mine)
