"""Latents of several widths, packed into symbols, and the moves that seal them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import record
from atlcodec.card import read_model
from atlcodec.errors import BadModel
from atlcodec.latents import NEVER, UNIFORM, Packing

PACKINGS = [
    UNIFORM,
    Packing(((8, 48), (4, 204), (2, 200))),
    Packing(((8, 2), (6, 52), (4, 96), (3, 104), (2, 288))),
    Packing(((8, 200),)),
    Packing(((2, 800),)),
    Packing(((1, 1600),)),
]


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
    assert packing.pack(latents[:0]).shape == (0, 400)


def test_the_bits_lie_in_order() -> None:
    packing = Packing(((8, 2), (6, 4), (4, 386), (2, 4), (1, 8)))
    latents = np.zeros((1, packing.count), np.uint8)
    latents[0, :7] = 0xAB, 0x12, 0b111000, 0b000111, 0b101010, 0b010101, 9
    latents[0, -12:] = 3, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1
    packed = record.pack(packing.pack(latents))[0]
    assert packed[:6].tolist() == [0xAB, 0x12, 0b11100000, 0b01111010, 0b10010101, 0x90]
    assert packed[-2:].tolist() == [0b11000110, 0b10000001]


@pytest.mark.parametrize(
    "widths", [((4, 399),), ((4, 400), (2, 4)), ((3, 1), (4, 399)), ((8, 201), (4, -2)), ((9, 1),), ()]
)
def test_latents_that_do_not_fill_a_record(widths: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="do not fill 200 bytes"):
        Packing(widths)


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_a_move_is_one_step_of_one_latent(packing: Packing) -> None:
    latents = some(packing, 12)
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
        if (costs[:, symbol] == NEVER).any():  # it holds high bits alone
            continue
        assert (abs(change.sum(axis=1)) == 1).all()
        assert np.allclose(costs[:, symbol], (change * gradient).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("packing", PACKINGS[1:3], ids=str)
def test_a_record_is_sealed_by_cheap_steps(packing: Packing) -> None:
    rest = np.random.default_rng(2).uniform(-0.5, 0.5, (300, packing.count)).astype(np.float32)
    latents = np.clip(some(packing, 300) + rest, 0, packing.top).astype(np.float32)
    sealed = record.seal(*packing.nearest(latents), id=0x12345678)
    assert (record.ids(record.pack(sealed)) == 0x12345678).all()
    change = abs(packing.unpack(sealed) - np.rint(latents))
    assert change.max() == 1
    assert 5 < (change != 0).sum(axis=1).mean() < 25
    moved = abs(latents - np.rint(latents))[change != 0]
    assert moved.mean() > 0.35  # they lay near the middle between two levels


@pytest.mark.parametrize("labels", [-1, 640, 8.5, "8"])
def test_a_card_with_an_invalid_number_of_label_latents_is_refused(labels: object, mine: Path) -> None:
    card = json.loads((mine / "card.json").read_text())
    widths = {"latents": [[4, 320], [1, 320]], "label_latents": labels}
    (mine / "card.json").write_text(json.dumps({**card, **widths}))
    with pytest.raises(BadModel, match=r"label_latents how many of them are for labels"):
        read_model(mine)


@pytest.mark.parametrize("effort", [-1, 10, 2.5, "5"])
def test_a_card_with_an_invalid_effort_is_refused(effort: object, mine: Path) -> None:
    card = json.loads((mine / "card.json").read_text())
    (mine / "card.json").write_text(json.dumps({**card, "effort": effort}))
    with pytest.raises(BadModel, match=r"effort in card\.json"):
        read_model(mine)


def test_latents_for_labels_never_move() -> None:
    packing = Packing(((4, 320), (2, 160)), labels=24)
    latents = some(packing, 40)
    gradient = np.zeros(latents.shape, np.float32)  # every move costs the same
    symbols, alternatives, costs = packing.moves(latents.astype(np.float32), gradient)
    moved = packing.unpack(np.where(costs < NEVER, alternatives, symbols))
    assert (moved != latents).sum() > 300 * len(latents)
    assert np.array_equal(moved[:, -24:], latents[:, -24:])
    sealed = packing.unpack(record.seal(symbols, alternatives, costs, 0x12345678))
    assert np.array_equal(sealed[:, -24:], latents[:, -24:])


@pytest.mark.parametrize("widths", [[[4, 399]], "all", [[4]], [[4.0, 400]], {"4": 400}, None])
def test_a_card_with_invalid_widths_is_refused(widths: object, mine: Path) -> None:
    card = json.loads((mine / "card.json").read_text())
    (mine / "card.json").write_text(json.dumps({**card, "latents": widths}))
    with pytest.raises(BadModel, match=r"latents in card\.json"):
        read_model(mine)
