"""Records -> latents as ONNX nodes: the same as `latents.Packing.unpack`."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from atlcodec.latents import Packing
from atlcodec.record import BOTTLENECK
from atlcodec.training.onnx_builder import GraphBuilder


def latents(g: GraphBuilder, packing: Packing) -> str:
    """The input `records`, uint8 (N, 200) -> latents on their levels, float32 (N, *packing.shape)."""
    if packing.uniform:
        high, low = (g.add("Unsqueeze", half, g.ints(2)) for half in (_high(g), _low(g)))
        x = g.add("Reshape", g.add("Concat", high, low, axis=2), g.ints(-1, *BOTTLENECK))
        return g.add("Cast", x, to=TensorProto.FLOAT)
    data, start, groups = g.add("Cast", "records", to=TensorProto.FLOAT), 0, []
    for bits, count in packing.widths:
        size = bits * count // 8
        part = g.add("Slice", data, g.ints(start), g.ints(start + size), g.ints(1))
        groups.append(part if bits == 8 else _cut(g, part, bits, count))
        start += size
    return groups[0] if len(groups) == 1 else g.add("Concat", *groups, axis=1)


def integers(g: GraphBuilder, packing: Packing) -> str:
    """The input `records` -> latents, uint8 (N, M), in the order of `order`: of symbols, all high nibbles first."""
    if packing.uniform:
        return g.add("Concat", _high(g), _low(g), axis=1)
    return g.add("Cast", latents(g, packing), to=TensorProto.UINT8)


def order(packing: Packing) -> list[int]:
    """The numbers of the latents in the order in which `integers` gives them."""
    if packing.uniform:
        return [*range(0, packing.count, 2), *range(1, packing.count, 2)]
    return list(range(packing.count))


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


def _high(g: GraphBuilder) -> str:
    return g.add("BitShift", "records", g.constant(np.array([4], np.uint8)), direction="RIGHT")


def _low(g: GraphBuilder) -> str:
    return g.add("BitwiseAnd", "records", g.constant(np.array([15], np.uint8)))
