"""The description record: it makes the records behind it the tiles of one image, a grid. Knows no models and no
files.

    byte    0  4  "ATLC"
            4  1  version: 1
            5  1  channels: 1 or 3
            6  1  seams: 0 tiles side by side, 1 blended over their overlap, 2 filtered, 3 blended and smoothed
            7  1  zero
            8  4  rows of the image, in pixels
           12  4  columns of the image
           16  4  id of the codec of all tiles
           20  2  rows of a tile, in pixels
           22  2  columns of a tile
           24  2  overlap of neighbours, in pixels
           26  2  zeros
           28 16  the first bytes of the SHA-256 of all tiles; zeros: not given
           44 ..  zeros
          196  4  what makes the CRC-32 of the 200 bytes 0x41544C01

All numbers are big-endian. How many tiles there are follows from the sizes. `docs/format.md` says the same for readers
in other languages, and `docs/reference.py` is the same in readable form: the tests compare this file with it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import NotARecord
from atlcodec.record import RECORD_BYTES, Records, ids
from atlcodec.shape import SIDES, Shape

ID = 0x41544C01  # the CRC-32 of every description: one of the reserved ids
MAGIC = b"ATLC"
VERSION = 1
BESIDE, BLENDED, FILTERED, SMOOTHED = range(4)  # how seams are treated

_LAYOUT = struct.Struct(">4sBBBx II I HHH2x 16s 152x")
_MOST = 0xFFFFFFFF  # rows or columns
_POLYNOMIAL = 0xEDB88320  # of CRC-32, reflected


@dataclass(frozen=True)
class Description:
    """An image of `height` x `width` pixels in `channels` (1 or 3), as tiles of the codec `codec`, row by row.

    Neighbours share `overlap` pixels. Raises `NotARecord` for values that no description has."""

    height: int
    width: int
    channels: int
    codec: int
    tile: tuple[int, int]  # rows and columns
    overlap: int = 0
    seams: int = BESIDE
    digest: bytes = bytes(16)

    def __post_init__(self) -> None:
        sizes = 1 <= self.height <= _MOST and 1 <= self.width <= _MOST
        if not sizes or any(side not in SIDES for side in self.tile):
            tile = " x ".join(map(str, self.tile))
            raise _bad(f"sizes that no grid has: {self.height} x {self.width}, tiles of {tile}")
        if self.channels not in (1, 3):
            raise _bad(f"{self.channels} channels, not 1 or 3")
        if not 0 <= self.overlap <= min(self.tile) // 2:
            raise _bad(f"an overlap of {self.overlap} pixels, which is more than half a tile")
        if self.seams not in ((BLENDED, SMOOTHED) if self.overlap else (BESIDE, FILTERED)):
            raise _bad(f"seams of a kind that this version does not know ({self.seams} with overlap {self.overlap})")

    @property
    def shape(self) -> Shape:
        """The shape of the image's array."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)

    @property
    def steps(self) -> tuple[int, int]:
        """How many pixels lie between the beginnings of two neighbours: rows, columns."""
        return self.tile[0] - self.overlap, self.tile[1] - self.overlap

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return _count(self.height, self.steps[0], self.overlap)

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return _count(self.width, self.steps[1], self.overlap)

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    def pack(self) -> bytes:
        """The record of 200 bytes."""
        tail = (*self.tile, self.overlap, self.digest)
        head = _LAYOUT.pack(MAGIC, VERSION, self.channels, self.seams, self.height, self.width, self.codec, *tail)
        return head + closing(head, ID)


def unpack(record: bytes) -> Description:
    """The description in a record of 200 bytes. Raises `NotARecord` if it is not a valid one."""
    if len(record) != RECORD_BYTES or zlib.crc32(record) != ID or record[:4] != MAGIC:
        raise NotARecord("is not a description of a grid")
    head, version = record[: _LAYOUT.size], record[4]
    if version != VERSION:
        raise NotARecord(f"is a description of version {version}; a newer atlcodec may read it")
    _, _, channels, seams, height, width, codec, rows, columns, overlap, digest = _LAYOUT.unpack(head)
    found = Description(height, width, channels, codec, (rows, columns), overlap, seams, digest)
    if found.pack() != record:  # a byte that must be zero is not
        raise NotARecord("is a description with fields that this version does not know; a newer atlcodec may read it")
    return found


def found(records: Records) -> NDArray[np.bool_]:
    """Which of these records, uint8 (N, 200), have the id of a description, valid or not: (N,)."""
    return np.asarray(ids(records) == ID)


def closing(head: bytes, crc: int) -> bytes:
    """The four bytes that, behind `head`, make the CRC-32 of all of them `crc`.

    Eight steps of the CRC for each byte can be undone: from the register that is wanted at the end, 32 steps back give
    what the register and the four bytes must be together."""
    register = crc ^ 0xFFFFFFFF
    for _ in range(32):
        out = register >> 31
        register = ((register ^ (_POLYNOMIAL if out else 0)) << 1 | out) & 0xFFFFFFFF
    return (register ^ zlib.crc32(head) ^ 0xFFFFFFFF).to_bytes(4, "little")


def _count(side: int, step: int, overlap: int) -> int:
    """How many tiles cover a side; one covers the overlap, too."""
    return max(1, -((overlap - side) // step))


def _bad(why: str) -> NotARecord:
    return NotARecord(f"is a description with {why}; it is damaged, or a newer atlcodec may read it")
