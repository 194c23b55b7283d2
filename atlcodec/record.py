"""The format: 400 symbols of four bits, sealed. Needs NumPy and zlib; knows no models and no files.

    byte      0         1                   199
           +----+----+----+----+-  ...  -+----+----+
           | s0 | s1 | s2 | s3 |         |s398|s399|      one nibble per symbol, high nibble first
           +----+----+----+----+-  ...  -+----+----+

    symbols   400 integers 0..15: the 16 x 5 x 5 bottleneck in channel, row, column order
    seal      the CRC-32 (zlib, ISO-HDLC) of the 200 bytes equals the id of the codec that wrote them
    id        the first four bytes, big-endian, of the SHA-256 of the codec's decompressor file

A record needs no header. An encoder may move a symbol one step where that costs little, and CRC-32 is affine over
GF(2), so a few moves give any CRC: a form of syndrome coding (wet paper codes; Fridrich et al. 2005). `docs/format.md`
describes the same for readers in other languages, and `docs/reference.py` is the same in readable form, one record at a
time: the tests compare this file with it."""

from __future__ import annotations

import functools
import os
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec.errors import NotARecord

RECORD_BYTES = 200  # bytes
SYMBOLS = 400
LEVELS = 16
BOTTLENECK = (16, 5, 5)
RESERVED = range(0x41544C00, 0x41544D00)  # "ATL" + one byte: ids of records of other kinds, which no codec may have

Records = NDArray[np.uint8]
Symbols = NDArray[np.uint8]

_CANDIDATES = 48  # 32 of the 48 cheapest moves are independent but for one record in 65,000; that one gets all 400
_CHUNK = 512  # records sealed at a time: their candidates stay in the processor's cache


def as_records(records: ArrayLike | bytes | bytearray | memoryview) -> Records:
    """Whole records as bytes, or as uint8 (N, 200) or (200,) -> uint8 (N, 200), without a copy where possible.

    Raises `NotARecord` for another length, shape or type."""
    if isinstance(records, str | os.PathLike):
        raise NotARecord(
            f"records are bytes, {RECORD_BYTES} for each, or uint8 (N, {RECORD_BYTES}), not the path of a file; open "
            "it with atlcodec.open"
        )
    if isinstance(records, bytes | bytearray | memoryview):
        array = np.frombuffer(records, np.uint8)
        if array.size % RECORD_BYTES:
            raise NotARecord(
                f"{array.size} bytes are not a whole number of records of {RECORD_BYTES} bytes: cut off, or not an "
                ".atlc file"
            )
        return array.reshape(-1, RECORD_BYTES)
    array = np.asarray(records)
    if array.dtype == object and hasattr(records, "read"):
        raise NotARecord("records are bytes or uint8, not an open file; give its content: file.read()")
    if array.dtype != np.uint8 or array.ndim not in (1, 2) or array.shape[-1] != RECORD_BYTES:
        raise NotARecord(f"records are uint8 (N, {RECORD_BYTES}), not {array.dtype} {array.shape}")
    return np.ascontiguousarray(array).reshape(-1, RECORD_BYTES)


def pack(symbols: ArrayLike) -> Records:
    """Symbols, integers 0..15 of shape (N, 16, 5, 5) or (N, 400), to records uint8 (N, 200). Does not seal them; the
    inverse of `unpack`.

    Raises `ValueError` for another shape, or a symbol out of range."""
    array = np.asarray(symbols)
    if array.shape[1:] not in ((SYMBOLS,), BOTTLENECK) or array.dtype.kind not in "ui":
        raise ValueError(f"symbols are integers (N, 16, 5, 5) or (N, 400), not {array.dtype} {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= LEVELS):
        raise ValueError(f"symbols are 0..15, not {array.min()}..{array.max()}")
    return _pack(array.astype(np.uint8, copy=False).reshape(-1, SYMBOLS))


def _pack(flat: Symbols) -> Records:
    return np.asarray(flat[:, 0::2] << 4 | flat[:, 1::2], np.uint8)


def unpack(records: ArrayLike | bytes) -> Symbols:
    """Records, uint8 (N, 200), to symbols uint8 (N, 16, 5, 5) in 0..15. Does not check seals; the inverse of `pack`."""
    packed = as_records(records)
    flat = np.empty((len(packed), SYMBOLS), np.uint8)
    flat[:, 0::2] = packed >> 4
    flat[:, 1::2] = packed & 15
    return flat.reshape(-1, *BOTTLENECK)


def ids(records: ArrayLike | bytes) -> NDArray[np.uint32]:
    """The CRC-32 of each record, uint8 (N, 200) -> uint32 (N,). For a sealed record it is the id of its codec."""
    packed = as_records(records)
    # One bytes object a row, all made at once: slicing in a loop would take longer than the sums.
    rows = packed.view(f"V{RECORD_BYTES}").ravel().tolist()
    return np.fromiter(map(zlib.crc32, rows), np.uint32, len(packed))


def quantise(latents: NDArray[np.float32]) -> tuple[Symbols, Symbols, NDArray[np.float32]]:
    """Latents float32 (N, 16, 5, 5), in 0..15, to the arguments of `seal`, each of shape (N, 400).

    Returns the symbols (nearest level, uint8), the alternatives (second nearest level, one step up or down, uint8), and
    the cost of each alternative (how much it raises the squared distance to the latent, float32)."""
    flat = np.clip(latents.reshape(-1, SYMBOLS), 0, LEVELS - 1)
    nearest = np.rint(flat)
    flat -= nearest  # how far the latent lies above its symbol
    symbols = nearest.astype(np.uint8)
    alternatives = symbols + 1 - 2 * (flat < 0).view(np.uint8)
    alternatives -= (alternatives >> 4) << 1  # above 15 there is nothing: a latent of 15 has 14 for its second
    np.abs(flat, out=flat)
    flat *= -2
    flat += 1  # (1 - |above|)^2 - |above|^2
    return symbols, alternatives, flat


@functools.cache
def syndromes() -> NDArray[np.uint32]:
    """How a changed symbol changes a record's CRC-32: uint32 (400, 16), by symbol number and by the XOR of its old and
    new value."""
    zero = zlib.crc32(bytes(RECORD_BYTES))
    table = np.zeros((SYMBOLS, LEVELS), np.uint32)
    for symbol in range(SYMBOLS):
        for change in range(1, LEVELS):
            record = bytearray(RECORD_BYTES)
            record[symbol // 2] = change << 4 if symbol % 2 == 0 else change
            table[symbol, change] = zlib.crc32(record) ^ zero
    table.flags.writeable = False
    return table


def seal(symbols: Symbols, alternatives: Symbols, costs: NDArray[np.float32], id: int) -> Symbols:
    """Move some symbols to their alternatives, so that the packed record's CRC-32 is `id`.

    All arrays have the shape (N, 400). `symbols` and `alternatives` are uint8 in 0..15 and differ by one step, as
    `quantise` returns them. The moves are taken in order of cost (ties: lower position first) until 32 are independent
    over GF(2). One combination of these 32 gives the CRC; it moves about 16 of 400 symbols. This always succeeds,
    because the 400 moves of a record have rank 32 in any combination of directions.
    Returns new symbols, uint8 (N, 400).

    Raises `ValueError` if alternatives equal their symbols."""
    sealed = np.array(symbols, np.uint8).reshape(-1, SYMBOLS)
    alternatives = alternatives.reshape(-1, SYMBOLS)
    costs = costs.reshape(-1, SYMBOLS)
    for start in range(0, len(sealed), _CHUNK):
        rows = slice(start, start + _CHUNK)
        order = _sortable(costs[rows])
        open_ = _seal(sealed[rows], alternatives[rows], order, id, _CANDIDATES)
        if len(open_):
            again = sealed[rows][open_]
            left = _seal(again, alternatives[rows][open_], order[open_], id, SYMBOLS)
            if len(left):
                raise ValueError("alternatives must differ from their symbols")
            sealed[rows][open_] = again
    return sealed


def _sortable(costs: NDArray[np.float32]) -> NDArray[np.int64]:
    """Cost and position of each move in one integer, which sorts by cost and then by position."""
    bits = np.ascontiguousarray(costs, np.float32).view(np.int32)
    keys = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)  # in the order of the floats
    keys <<= 9
    keys |= np.arange(SYMBOLS)
    return keys


def _seal(
    symbols: Symbols, alternatives: Symbols, order: NDArray[np.int64], id: int, candidates: int
) -> NDArray[np.intp]:
    """Seal rows in place with their cheapest candidates; returns the rows that need more candidates.

    `seal` and `reduce` in docs/reference.py are the readable twin, and the oracle of the tests. This is the same
    Gaussian elimination over GF(2) for all rows at once. A vector has 64 bits: the upper half is a syndrome, the lower
    half says which of the chosen vectors add up to it. If p is the highest bit of v, min(x, x ^ v) reduces x by v:
    x ^ v is smaller exactly if x has bit p."""
    n = len(symbols)
    cheapest = order if candidates == SYMBOLS else np.partition(order, candidates - 1, axis=1)[:, :candidates]
    positions = np.sort(cheapest, axis=1) & 511
    rows = np.arange(n)[:, None]
    change = symbols[rows, positions] ^ alternatives[rows, positions]

    # One column per record: the candidates in order of cost, and last the change of CRC that is wanted.
    vectors = np.empty((candidates + 1, n), np.uint64)
    vectors[:-1] = syndromes()[positions, change].T
    vectors[-1] = ids(_pack(symbols)) ^ np.uint32(id)
    vectors <<= np.uint64(32)

    below = np.uint64(0xFFFFFFFF)
    scratch = np.empty((candidates, n), np.uint64)
    rank = np.zeros(n, np.uint64)
    bits = np.zeros(
        (candidates, n), np.uint64
    )  # the bit under which each chosen vector is counted; 0: dependent, not chosen
    for k in range(candidates):
        vector = vectors[k]
        chosen = vector > below
        bits[k] = chosen.astype(np.uint64) << (rank & np.uint64(63))
        rank += chosen
        vector *= chosen
        vector |= bits[k]
        rest = vectors[k + 1 :]
        np.minimum(rest, np.bitwise_xor(rest, vector, out=scratch[k:]), out=rest)
        if k >= 31 and k % 4 == 3 and (rank == 32).all():
            break
    target = vectors[-1]
    solved = target <= below
    moved = ((bits & target) != 0).T & solved[:, None]
    row, column = np.nonzero(moved)
    at = positions[row, column]
    symbols[row, at] = alternatives[row, at]
    return np.nonzero(~solved)[0]
