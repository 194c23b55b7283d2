"""The format: packing against the one-record reference, and a seal that always succeeds and misses nothing."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
from atlcodec import record
from atlcodec.errors import NotARecord

IDS = [0x00000000, 0xFFFFFFFF, 0x12345678, 0x41544C00, 0xDEADBEEF]


def latents(kind: str, n: int = 40) -> NDArray[np.float32]:
    rng = np.random.default_rng(7)
    made = {
        "uniform": rng.uniform(0, 15, (n, 16, 5, 5)),
        "typical": np.clip(rng.normal(5, 4, (n, 16, 5, 5)), 0, 15),
        "blank": np.zeros((n, 16, 5, 5)),
        "saturated": np.full((n, 16, 5, 5), 15.0),
        "half-way": np.full((n, 16, 5, 5), 7.5),
        "whole numbers": rng.integers(0, 16, (n, 16, 5, 5)),
        "extremes": rng.choice([0.0, 15.0], (n, 16, 5, 5)),
        "one pixel": np.where(np.arange(400).reshape(16, 5, 5) == 399, 3.3, 0.0) + np.zeros((n, 1, 1, 1)),
    }[kind]
    return made.astype(np.float32)


KINDS = ["uniform", "typical", "blank", "saturated", "half-way", "whole numbers", "extremes", "one pixel"]


def test_pack_and_unpack_are_inverses_and_agree_with_the_reference() -> None:
    symbols = np.random.default_rng(1).integers(0, 16, (50, 16, 5, 5), np.uint8)
    records = record.pack(symbols)
    assert records.shape == (50, 200)
    assert records.dtype == np.uint8
    assert np.array_equal(record.unpack(records), symbols)
    for row, packed in zip(symbols, records, strict=True):
        assert reference.pack(row.ravel().tolist()) == packed.tobytes()
        assert reference.unpack(packed.tobytes()) == row.ravel().tolist()
    every_byte = np.resize(np.arange(256, dtype=np.uint8), (32, 200))
    assert np.array_equal(record.pack(record.unpack(every_byte)), every_byte)


def test_the_symbols_are_the_hex_digits_of_a_record() -> None:
    packed = record.pack(np.arange(400)[None] % 16)
    assert packed.tobytes().hex() == "0123456789abcdef" * 25


@pytest.mark.parametrize(
    "bad",
    [np.zeros((1, 399), int), np.zeros(400, int), np.full((1, 400), 16), np.full((1, 400), -1), np.zeros((1, 400))],
)
def test_pack_refuses_invalid_symbols(bad: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="symbols are"):
        record.pack(bad)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("id", IDS)
def test_a_seal_always_succeeds_by_the_moves_it_was_given(kind: str, id: int) -> None:
    symbols, alternatives, costs = record.quantise(latents(kind))
    sealed = record.seal(symbols, alternatives, costs, id)
    assert (record.ids(record.pack(sealed)) == id).all()
    assert ((sealed == symbols) | (sealed == alternatives)).all()
    assert (np.abs(sealed.astype(int) - symbols) <= 1).all()
    assert (sealed != symbols).sum(axis=1).max() <= 32


@pytest.mark.parametrize("kind", KINDS)
def test_a_seal_is_the_references(kind: str) -> None:
    symbols, alternatives, costs = record.quantise(latents(kind, 3))
    sealed = record.seal(symbols, alternatives, costs, 0xC0FFEE11)
    for row in range(3):
        expected = reference.seal(symbols[row].tolist(), alternatives[row].tolist(), costs[row].tolist(), 0xC0FFEE11)
        assert sealed[row].tolist() == expected


def test_a_seal_takes_the_cheapest_moves_first_even_below_zero() -> None:
    symbols, alternatives, _ = record.quantise(latents("typical", 4))
    costs = np.random.default_rng(3).normal(0, 1, (4, 400)).astype(np.float32)
    costs[:, :10] = -np.inf
    costs[:, 10:20] = np.inf
    sealed = record.seal(symbols, alternatives, costs, 1)
    for row in range(4):
        assert sealed[row].tolist() == reference.seal(
            symbols[row].tolist(), alternatives[row].tolist(), costs[row].tolist(), 1
        )


def test_all_candidates_are_taken_where_the_cheapest_are_dependent() -> None:
    # Make those moves cheap whose syndromes lie in a space of 31 dimensions: the cheapest 48 then cannot reach every
    # CRC.
    symbols, alternatives, _ = record.quantise(latents("blank", 2))
    syndromes = record.syndromes()[:, 1]
    dependent: list[int] = []
    basis: list[int] = []
    for position, syndrome in enumerate(syndromes.tolist()):
        for vector in basis:
            syndrome = min(syndrome, syndrome ^ vector)
        if syndrome and len(basis) < 31:
            basis.append(syndrome)
        if not syndrome or len(basis) < 31:
            dependent.append(position)
    costs = np.ones((2, 400), np.float32)
    costs[:, dependent] = 0
    assert len(dependent) > 48
    sealed = record.seal(symbols, alternatives, costs, 0x600DF00D)
    assert (record.ids(record.pack(sealed)) == 0x600DF00D).all()


def test_sealing_does_not_depend_on_what_else_is_in_the_batch() -> None:
    symbols, alternatives, costs = record.quantise(latents("typical", 1100))
    together = record.seal(symbols, alternatives, costs, 99)
    alone = np.concatenate(
        [record.seal(symbols[i : i + 1], alternatives[i : i + 1], costs[i : i + 1], 99) for i in range(0, 1100, 97)]
    )
    assert np.array_equal(together[::97], alone)


def test_alternatives_are_the_second_nearest_level() -> None:
    values = latents("uniform").reshape(-1, 400)
    symbols, alternatives, costs = record.quantise(values)
    distances = np.abs(values[..., None] - np.arange(16))
    nearest = np.sort(distances, axis=-1)
    assert np.allclose(np.abs(values - symbols), nearest[..., 0])
    assert np.allclose(np.abs(values - alternatives), nearest[..., 1])
    assert np.allclose(costs, nearest[..., 1] ** 2 - nearest[..., 0] ** 2, atol=1e-5)


def test_every_flipped_bit_changes_the_id() -> None:
    symbols, alternatives, costs = record.quantise(latents("typical", 1))
    sealed = record.pack(record.seal(symbols, alternatives, costs, 0x12345678))
    flipped = np.repeat(sealed, 1600, axis=0)
    for bit in range(1600):
        flipped[bit, bit // 8] ^= 128 >> bit % 8
    found = record.ids(flipped)
    assert len(set(found.tolist())) == 1600
    assert 0x12345678 not in found


def test_every_change_of_up_to_four_bits_changes_the_id() -> None:
    # Up to four bits cancel out only if two pairs of bits, or a bit and a pair, change the CRC alike.
    ones = np.concatenate([record.syndromes()[:, 1 << bit] for bit in range(4)])
    pairs = (ones[:, None] ^ ones)[np.triu_indices(1600, 1)]
    smaller = np.concatenate([np.zeros(1, np.uint32), ones, pairs])
    assert len(np.unique(smaller)) == 1 + 1600 + 1600 * 1599 // 2


def test_ids_are_zlibs() -> None:
    data = np.random.default_rng(0).integers(0, 256, (20, 200), np.uint8)
    assert record.ids(data).tolist() == [zlib.crc32(row.tobytes()) for row in data]
    assert record.ids(data.tobytes()).tolist() == record.ids(data).tolist()
    assert record.ids(b"").shape == (0,)
    assert record.ids(data[::2]).tolist() == record.ids(data).tolist()[::2]


@pytest.mark.parametrize("length", [1, 199, 201, 399])
def test_a_length_that_is_not_a_multiple_of_a_record_is_refused(length: int) -> None:
    with pytest.raises(NotARecord, match="200"):
        record.as_records(bytes(length))


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 199), np.uint8), np.zeros((1, 200), np.int64), np.zeros((1, 1, 200), np.uint8)]
)
def test_arrays_of_another_shape_or_type_are_refused(bad: NDArray[np.generic]) -> None:
    with pytest.raises(NotARecord, match="uint8"):
        record.unpack(bad)
