"""The format in readable form, one record at a time.

docs/format.md quotes this file, and the tests compare atlcodec/record.py with it."""

from __future__ import annotations

import zlib

from bitstring import BitArray, Bits


def pack(symbols: list[int]) -> bytes:
    """400 symbols 0..15, in channel, row, column order, to the 200 bytes of a record."""
    record = BitArray()
    for symbol in symbols:
        record.append(Bits(uint=symbol, length=4))
    return record.tobytes()


def unpack(record: bytes) -> list[int]:
    """The 400 symbols of a record."""
    return [nibble.uint for nibble in Bits(record).cut(4)]


def seal(symbols: list[int], alternatives: list[int], costs: list[float], id: int) -> list[int]:
    """Move symbols to their alternatives so that the CRC-32 of the packed record is `id`."""
    crc = zlib.crc32(pack(symbols))
    basis: list[tuple[int, set[int]]] = []  # (change of the CRC, the positions that cause it together)
    for position in sorted(range(400), key=lambda i: (costs[i], i)):
        moved = [*symbols[:position], alternatives[position], *symbols[position + 1 :]]
        change, positions = reduce(zlib.crc32(pack(moved)) ^ crc, {position}, basis)
        if change:
            basis.append((change, positions))
        if len(basis) == 32:
            break
    rest, positions = reduce(crc ^ id, set(), basis)
    assert rest == 0, "32 independent changes reach every CRC"
    return [alternatives[i] if i in positions else symbol for i, symbol in enumerate(symbols)]


def reduce(change: int, positions: set[int], basis: list[tuple[int, set[int]]]) -> tuple[int, set[int]]:
    """Gaussian elimination over GF(2): subtract what the basis reaches. Moving a symbol twice cancels out."""
    for vector, members in basis:
        if change ^ vector < change:
            change, positions = change ^ vector, positions ^ members
    return change, positions


def describe(
    image: tuple[int, int, int], codec: int, tile: tuple[int, int], overlap: int, seams: int, sha256: bytes
) -> bytes:
    """The description of a grid: an image of (rows, columns, channels) in tiles of (rows, columns)."""
    rows, columns, channels = image
    record = BitArray(b"ATLC")
    for value, bits in [(1, 8), (channels, 8), (seams, 8), (0, 8), (rows, 32), (columns, 32), (codec, 32)]:
        record.append(Bits(uint=value, length=bits))
    for value in (*tile, overlap, 0):
        record.append(Bits(uint=value, length=16))
    record.append(sha256[:16])
    record.append(Bits.from_zeros(1600 - len(record)))
    crc = zlib.crc32(record.tobytes())
    basis: list[tuple[int, set[int]]] = []
    for position in range(1568, 1600):  # the bits of the last four bytes: 32 independent changes
        moved = BitArray(record)
        moved.invert(position)
        basis.append(reduce(zlib.crc32(moved.tobytes()) ^ crc, {position}, basis))
    record.invert(reduce(crc ^ 0x41544C01, set(), basis)[1])
    return record.tobytes()


def tiles(side: int, tile: int, overlap: int) -> int:
    """How many tiles cover the rows, or the columns, of an image."""
    count = 1
    while count * (tile - overlap) + overlap < side:
        count += 1
    return count
