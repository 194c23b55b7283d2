"""Records -> latents as ONNX nodes: the same as `latents.Packing.unpack`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from atlcodec.latents import Packing
from atlcodec.record import BOTTLENECK, RECORD_BYTES
from atlcodec.training.onnx_builder import GraphBuilder


def latents(g: GraphBuilder, packing: Packing) -> str:
    """The input `records`, uint8 (N, 200) -> latents on their levels, float32 (N, *packing.shape)."""
    if packing.uniform:
        high, low = (g.add("Unsqueeze", half, g.ints(2)) for half in halves(g))
        x = g.add("Reshape", g.add("Concat", high, low, axis=2), g.ints(-1, *BOTTLENECK))
        return g.add("Cast", x, to=TensorProto.FLOAT)
    data, start, groups = g.add("Cast", "records", to=TensorProto.FLOAT), 0, []
    for bits, count in packing.widths:
        size = bits * count // 8
        part = g.add("Slice", data, g.ints(start), g.ints(start + size), g.ints(1))
        groups.append(part if bits == 8 else _cut(g, part, bits, count))
        start += size
    return groups[0] if len(groups) == 1 else g.add("Concat", *groups, axis=1)


def last(g: GraphBuilder, packing: Packing, count: int) -> str:
    """The last `count` latents, float32 (N, count); or all of them, if those are not whole bytes of one width."""
    bits, most = packing.widths[-1]
    size, rest = divmod(bits * count, 8)
    if packing.uniform or rest or count > most or size * 8 % (bits if 8 % bits == 0 else 24):
        return latents(g, packing)
    part = g.add("Slice", "records", g.ints(RECORD_BYTES - size), g.ints(RECORD_BYTES), g.ints(1))
    part = g.add("Cast", part, to=TensorProto.FLOAT)
    return part if bits == 8 else _cut(g, part, bits, count)


def integers(g: GraphBuilder, packing: Packing, most: int = 255, start: int = 0) -> str:
    """The input `records` -> latents cut where bytes end, uint8 (N, P), in the order of `pieces`; no piece exceeds
    `most`, and bytes before `start` are left out."""
    if packing.uniform:
        return g.add("Concat", _high(g), _low(g), axis=1)
    parts = []
    for first, shifts, masks in _cuts(packing, most, start):
        part = "records" if first == 0 else g.add("Slice", "records", g.ints(first), g.ints(RECORD_BYTES), g.ints(1))
        part = g.add("BitShift", part, g.constant(shifts), direction="RIGHT")
        parts.append(g.add("BitwiseAnd", part, g.constant(masks)))
    return parts[0] if len(parts) == 1 else g.add("Concat", *parts, axis=1)


class Pieces(NamedTuple):
    """What `integers` gives. A latent is the sum of its pieces, each times its factor.

    latent    int (P,), the number of the latent
    factor    float32 (P,), a power of two; 0 marks a piece without content
    top       float32 (P,), the highest value
    highest   int (M,), the piece of each latent that has its highest bits"""

    latent: NDArray[np.int64]
    factor: NDArray[np.float32]
    top: NDArray[np.float32]
    highest: NDArray[np.int64]


def pieces(packing: Packing, most: int = 255, start: int = 0) -> Pieces:
    if packing.uniform:
        order = np.array([*range(0, packing.count, 2), *range(1, packing.count, 2)])
        ones = np.ones(packing.count, np.float32)
        return Pieces(order, ones, 15 * ones, np.argsort(order))
    found = []
    for number, (first, _, _) in enumerate(_cuts(packing, most, start)):
        for byte in _bytes(packing, most)[first:]:
            latent, _, mask, factor = byte[number] if number < len(byte) else (0, 0, 0, 0)
            found.append((latent, factor, mask))
    latent, factor, top = np.array(found).T
    highest = [np.where(latent == number, factor, 0).argmax() for number in range(packing.count)]
    return Pieces(latent, factor.astype(np.float32), top.astype(np.float32), np.array(highest))


def _bytes(packing: Packing, most: int) -> list[list[tuple[int, int, int, int]]]:
    """For each byte of a record, from its highest bit on, the latents in it: the number of the latent, the shift and
    the mask that cut its piece out, and the factor of the piece. A latent of 8 bits is one piece, or two if that would
    exceed `most`: its first seven bits and the last one."""
    found: list[list[tuple[int, int, int, int]]] = [[] for _ in range(RECORD_BYTES)]
    end = 0
    for latent, bits in enumerate(packing.bits.tolist()):
        start, end = end, end + bits
        for byte in range(start // 8, (end - 1) // 8 + 1):
            low, high = max(start, 8 * byte), min(end, 8 * byte + 8)
            for first, last in ((low, high),) if (1 << high - low) - 1 <= most else ((low, high - 1), (high - 1, high)):
                found[byte].append((latent, 8 * byte + 8 - last, (1 << last - first) - 1, 1 << end - last))
    return found


def _cuts(packing: Packing, most: int, start: int) -> list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
    """The first piece of all bytes, then the second ones, and so on: the first byte that has one; and of it and of all
    behind it the shifts and the masks, uint8."""
    pieces, cuts = _bytes(packing, most), []
    for number in range(max(map(len, pieces[start:]))):
        first = max(start, next(index for index, byte in enumerate(pieces) if len(byte) > number))
        chosen = [byte[number] if len(byte) > number else (0, 0, 0, 0) for byte in pieces[first:]]
        cuts.append((first, *np.array([[shift, mask] for _, shift, mask, _ in chosen], np.uint8).T))
    return cuts


def _cut(g: GraphBuilder, data: str, bits: int, count: int) -> str:
    """Bytes as floats, (N, bits * count / 8), cut into latents, (N, count). A byte, or three as one number below 2^24,
    hold a whole number of latents; every step is exact in float32."""
    size = 1 if 8 % bits == 0 else 3
    held = 8 * size // bits
    x = g.add("Reshape", data, g.ints(-1, bits * count // 8 // size, size))
    if size > 1:
        x = g.add("MatMul", x, g.constant(np.array([[65536], [256], [1]], np.float32)))
    shifts = 0.5 ** (bits * np.arange(held)[::-1])
    x = g.add("Floor", g.add("Mul", x, g.constant(shifts.astype(np.float32))))
    above = g.add("Floor", g.add("Mul", x, g.constant(np.array(0.5**bits, np.float32))))
    x = g.add("Sub", x, g.add("Mul", above, g.constant(np.array(2**bits, np.float32))))
    return g.add("Reshape", x, g.ints(-1, count))


def halves(g: GraphBuilder) -> tuple[str, str]:
    """The first and the second symbol of each byte, uint8 (N, 200)."""
    return _high(g), _low(g)


def _high(g: GraphBuilder) -> str:
    return g.add("BitShift", "records", g.constant(np.array([4], np.uint8)), direction="RIGHT")


def _low(g: GraphBuilder) -> str:
    return g.add("BitwiseAnd", "records", g.constant(np.array([15], np.uint8)))
