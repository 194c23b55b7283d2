"""Descriptions of grids: the layout against the readable reference, a frozen one, and what is refused."""

from __future__ import annotations

import hashlib
import random
import zlib

import pytest

import reference
from atlcodec import description, record
from atlcodec.description import BESIDE, BLENDED, FILTERED, SMOOTHED, Description, unpack
from atlcodec.errors import NotARecord

KNOWN = Description(300, 200, 1, 0xE82C50A7, (28, 28), 4, BLENDED, bytes(range(16)))
FROZEN = "41544c4301010100" + "0000012c000000c8" + "e82c50a7001c001c00040000" + bytes(range(16)).hex() + "00" * 152


def described(**fields: object) -> Description:
    return Description(**{**KNOWN.__dict__, **fields})


def resealed(packed: bytes, at: int, value: int) -> bytes:
    """A description with another byte, and a valid CRC-32."""
    head = bytearray(packed[:196])
    head[at] = value
    return bytes(head) + description.closing(bytes(head), description.ID)


def test_a_description_never_changes() -> None:
    assert KNOWN.pack()[:196].hex() == FROZEN
    assert KNOWN.pack()[196:].hex() == "1e22b632"
    assert zlib.crc32(KNOWN.pack()) == description.ID == 0x41544C01
    assert description.ID in record.RESERVED
    assert (KNOWN.rows, KNOWN.columns, KNOWN.tiles, KNOWN.shape) == (13, 9, 117, (300, 200))


def test_it_agrees_with_the_reference() -> None:
    draw = random.Random(1)
    for _ in range(100):
        tile = draw.randint(8, 256), draw.randint(8, 256)
        overlap = draw.choice([0, draw.randint(1, min(tile) // 2)])
        seams = draw.choice([BLENDED, SMOOTHED] if overlap else [BESIDE, FILTERED])
        sizes = draw.choice([1, 300, 2**32 - 1]), draw.randint(1, 2**32 - 1), draw.choice([1, 3])
        codec, sha256 = draw.getrandbits(32), hashlib.sha256(draw.randbytes(8)).digest()
        made = Description(*sizes, codec, tile, overlap, seams, sha256[:16])
        assert made.pack() == reference.describe(sizes, codec, tile, overlap, seams, sha256)
        assert unpack(made.pack()) == made


@pytest.mark.parametrize("overlap", [0, 1, 4, 14])
def test_the_tiles_cover_the_image_and_no_row_is_too_many(overlap: int) -> None:
    for side in range(1, 200):
        made = described(height=side, width=7, overlap=overlap, seams=BLENDED if overlap else BESIDE)
        assert made.rows == reference.tiles(side, 28, overlap)
        assert made.columns == 1


def test_four_bytes_make_any_crc() -> None:
    draw = random.Random(2)
    for _ in range(100):
        head, crc = draw.randbytes(draw.randint(0, 300)), draw.getrandbits(32)
        assert zlib.crc32(head + description.closing(head, crc)) == crc


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"height": 0}, "sizes that no grid has: 0 x 200"),
        ({"width": 2**32}, "sizes that no grid has"),
        ({"tile": (7, 28)}, "tiles of 7 x 28"),
        ({"tile": (28, 257)}, "sizes"),
        ({"channels": 2}, "2 channels"),
        ({"overlap": 15}, "an overlap of 15 pixels"),
        ({"overlap": -1}, "overlap"),
        ({"seams": 4}, "a kind that this version does not know"),
        ({"overlap": 0}, "seams"),
        ({"seams": FILTERED}, "seams"),
    ],
)
def test_values_that_no_description_has(fields: dict[str, object], why: str) -> None:
    with pytest.raises(NotARecord, match=why):
        described(**fields)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (4, 2, "of version 2; a newer atlcodec may read it"),
        (4, 0, "of version 0"),
        (7, 1, "fields that this version does not know"),
        (26, 1, "fields"),
        (44, 255, "fields"),
        (195, 1, "fields"),
        (5, 4, "4 channels"),
        (6, 9, "seams"),
        (20, 255, "sizes"),
        (0, 66, "is not a description"),
    ],
)
def test_a_later_version_is_refused_by_name(at: int, value: int, why: str) -> None:
    with pytest.raises(NotARecord, match=why):
        unpack(resealed(KNOWN.pack(), at, value))


def test_random_bytes_behind_a_valid_crc_are_refused_or_understood() -> None:
    draw, understood = random.Random(3), 0
    for _ in range(2000):
        packed = bytearray(KNOWN.pack()[:196])
        for _ in range(draw.randint(1, 3)):
            packed[draw.choice([*range(4, 44), draw.randrange(196)])] = draw.randrange(256)
        whole = bytes(packed) + description.closing(bytes(packed), description.ID)
        try:
            assert unpack(whole).pack() == whole
            understood += 1
        except NotARecord:
            pass
    assert 100 < understood < 1900


@pytest.mark.parametrize("other", [b"", KNOWN.pack()[:-1], KNOWN.pack() + b"x", bytes(200), KNOWN.pack()[::-1]])
def test_other_bytes_are_not_a_description(other: bytes) -> None:
    with pytest.raises(NotARecord, match="is not a description of a grid"):
        unpack(other)
