"""What an exact network can do in the worst case, computed from its file before it runs.

Every value gets a range, from its least to its largest number over all records, and a unit that all its numbers are
multiples of. From these follow the bounds under which all machines compute the same:

    sums      |b| + the sum of |w| max|x| is below 2^24 units, so that float32 and int32 hold every part of it
    pairs     |x0 w0| + |x1 w1| is at most 32,767 where bytes meet int8: some processors add two such products in 16
              bits. Any two terms of a sum may be neighbours
    numbers   every other number is below 2^24 units, too
    scales    those of weights are m * 2^-k, m <= 15, those of activations powers of two; a bias has their product
    cost      multiply-adds and memory of an image

A file that breaks one of them is refused, and the message names the layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import exact, nodes
from atlcodec.errors import BadModel
from atlcodec.ranges import Range, moved, plain, product, total

SUM = 1 << 24
PAIR = 32_767
DIGITS = 15  # the largest m of a scale m * 2^-k
SMALLEST, LARGEST = 2.0**-30, 2.0**8  # scales: int64 holds sums of rows whose scales differ by so much
WEIGHT = 127
LONGEST = 1 << 15  # terms of a sum: int32 holds so many products of bytes
MULTIPLY_ADDS = 10**9  # of an image
MEMORY = 8 << 20  # bytes that an image takes at a time; 256 of them are computed together

ALL_COMPUTED = ("Add", "Concat", "Conv", "Gemm", "MatMul", "Sub")  # operators whose inputs are values, not weights
BYTES = np.dtype(np.uint8)
BYTES_OR_NUMBERS = {  # what an operator takes, if not both
    **dict.fromkeys(("BitShift", "BitwiseAnd", "Concat"), BYTES),
    **dict.fromkeys(("Add", "Conv", "Gemm", "MatMul", "QuantizeLinear", "Relu", "Round", "Sub"), None),
}


@dataclass(frozen=True)
class Cost:
    """The largest sum, in units, and the largest pair in an exact network; its multiply-adds and the memory that it
    takes, per image."""

    sum: int = 0
    pair: int = 0
    multiply_adds: int = 0
    memory: int = 0


def check(file: bytes, name: str, row: tuple[int, ...] = (200,)) -> Cost:
    """Raise `BadModel` if a file is not an exact network within its bounds. `row` is the shape of its input, uint8."""
    graph = nodes.read(file, name)
    exact.check_operators(graph, name)
    try:
        with np.errstate(all="ignore"):  # infinite numbers and NaN are refused
            return _Walk(graph, name).run(row)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"{name}: not an exact network ({' '.join(str(error).split())[:200]})") from error


class _Walk:
    """One walk through the nodes, in their order."""

    def __init__(self, graph: nodes.Nodes, name: str) -> None:
        self._graph, self._name, self._cost = graph, name, Cost()
        self._values: dict[str, Any] = dict(graph.weights)
        self._node = graph.nodes[0]

    def run(self, row: tuple[int, ...]) -> Cost:
        ones = np.ones((1, *row))
        self._values[self._graph.source] = Range(0 * ones, 255 * ones, ones, BYTES)
        operators: dict[str, Callable[..., Range]] = {
            "DequantizeLinear": self._dequantise,
            "QuantizeLinear": self._quantise,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Conv": self._conv,
            "Sub": self._sub,
        }
        for node in self._graph.nodes:
            self._node = node
            inputs = [self._values[name] for name in node.inputs if name]
            self._check_kinds(inputs)
            result = operators[node.operator](*inputs) if node.operator in operators else plain(node, *inputs)
            if result.kind is None and not result.constant and not (result.largest < SUM * result.unit).all():
                raise self._refused(f"numbers up to {(result.largest / result.unit).max():.3g} units, 2^24 or more")
            self._values[node.output] = result
        if len(self._graph.targets) != 1 or self._graph.targets[0] not in self._values:
            raise BadModel(f"{self._name}: must compute one output")
        return replace(self._cost, memory=self._memory())

    def _check_kinds(self, inputs: list[Any]) -> None:
        """The first input, or all of some operators, must be computed; the others must be weights."""
        operator = self._node.operator
        for at, value in enumerate(inputs):
            computed = isinstance(value, Range)
            if operator != "DequantizeLinear" or at:
                if computed != (at == 0 or operator in ALL_COMPUTED):
                    raise self._refused("weights where it needs a value, or a value where it needs weights")
                if computed and (value.kind != BYTES_OR_NUMBERS.get(operator, value.kind)):
                    raise self._refused("bytes where it needs numbers, or numbers where it needs bytes")
        if operator == "Concat":
            self._fits(sum(part.low.size for part in inputs))

    def _refused(self, what: str) -> BadModel:
        return BadModel(f"{self._name}: {self._node.operator} of the layer {self._layer()[:80]!a}: {what}")

    def _fits(self, size: int) -> None:
        """Before a value of so many elements is computed here."""
        if size > MEMORY:
            raise self._refused(f"a value of {size} elements for an image; {MEMORY} are the limit")

    def _layer(self) -> str:
        """Named after its weights, or else after its output."""
        makers = {node.output: node for node in self._graph.nodes}
        for name in self._node.inputs + makers.get(self._node.inputs[-1], self._node).inputs:
            origin = makers[name].inputs[0] if name in makers and makers[name].inputs else name
            if "." in origin and origin in self._graph.weights:
                return origin.rpartition(".")[0]
        return self._node.output

    def _memory(self) -> int:
        """The most bytes that are in use at a time, per image."""
        last = {name: at for at, node in enumerate(self._graph.nodes) for name in node.inputs}
        using, most = 0, 0
        for at, node in enumerate(self._graph.nodes):
            using += _bytes(self._values[node.output])
            most = max(most, using)
            using -= sum(_bytes(self._values[name]) for name in set(node.inputs) if last[name] == at)
        if most > MEMORY:
            raise BadModel(f"{self._name}: takes {most} bytes of memory for an image; {MEMORY} are the limit")
        return most

    # -- bytes to numbers, and back ------------------------------------------------------------------------------------

    def _dequantise(self, x: Range | NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None = None) -> Range:
        if isinstance(x, Range):
            if scale.size != 1 or x.kind is None:
                raise self._refused("an activation must be bytes, with one scale")
            self._power(scale)
            offset, factor = (0 if zero is None else int(zero)), np.full(x.low.shape, float(scale))
            raw = np.maximum(x.largest, abs(offset)), x.kind  # beyond the edge of an image, a byte is the zero
            low, high = (x.low - offset) * factor, (x.high - offset) * factor
            same = x.rounded and x.rounded[1:] == (float(scale), offset)
            return Range(low, high, factor, raw=raw, scale=factor, rounded=x.rounded if same else None)
        shape = [1] * x.ndim
        if scale.ndim:
            shape[self._node.integer("axis", 1)] = -1
        factor = scale.astype(np.float64).reshape(shape)
        whole = x.astype(np.float64) - (0 if zero is None else zero.astype(np.float64).reshape(shape))
        if x.dtype.itemsize == 1 and np.abs(whole).max(initial=0) > WEIGHT:
            raise self._refused(f"a weight larger than {WEIGHT}")
        fraction, exponent = np.frexp(factor)
        ones = np.ldexp(fraction, 4)  # m is this times a power of two
        if not ((factor >= SMALLEST) & (factor <= LARGEST)).all() or (ones != np.rint(ones)).any():
            raise self._refused(f"a scale that is not m * 2^-k with a whole m of at most {DIGITS}, or out of range")
        unit = np.ldexp(1.0, exponent - 4)
        for _ in range(4):  # the largest power of two that divides the scale
            unit = np.where(np.remainder(factor, 2 * unit) == 0, 2 * unit, unit)
        factor, unit = np.broadcast_to(factor, x.shape), np.broadcast_to(unit, x.shape)
        raw = np.abs(x.astype(np.float64)), x.dtype
        return Range(whole * factor, whole * factor, unit, raw=raw, scale=factor, constant=True, rows=scale.ndim > 0)

    def _power(self, scale: NDArray[Any]) -> None:
        if not SMALLEST <= float(scale) <= LARGEST or np.frexp(float(scale))[0] != 0.5:
            raise self._refused(f"the scale {float(scale)} of an activation is not a power of two, or out of range")

    def _quantise(self, x: Range, scale: NDArray[Any], zero: NDArray[Any]) -> Range:
        self._power(scale)
        factor, limits = float(scale), np.iinfo(zero.dtype)
        low, high = (np.rint(each / factor) + int(zero) for each in (x.low, x.high))
        inside = low.min() >= limits.min and high.max() <= limits.max
        rounded = (self._node.inputs[0], factor, int(zero)) if inside else None
        low, high = (np.clip(each, limits.min, limits.max) for each in (low, high))
        return Range(low, high, np.ones(low.shape), zero.dtype, rounded=rounded)

    def _sub(self, a: Range, b: Range) -> Range:
        """What a rounding has left is at most half of its scale."""
        result = total(a, Range(-b.high, -b.low, b.unit))
        if b.rounded is None or b.rounded[0] != self._node.inputs[0]:
            return result
        half = b.rounded[1] / 2
        return Range(np.maximum(result.low, -half), np.minimum(result.high, half), result.unit)

    # -- products ------------------------------------------------------------------------------------------------------

    def _gemm(self, a: Range, b: Range, c: Range | None = None) -> Range:
        return self._product(a, moved(b, np.transpose) if self._node.integer("transB", 0) else b, c)

    def _matmul(self, a: Range, b: Range) -> Range:
        return self._product(a, b, None)

    def _conv(self, x: Range, weight: Range, bias: Range | None = None) -> Range:
        kernel = weight.low.shape[2:]
        pads = self._node.integers.get("pads", (0,))
        if not weight.constant or x.low.ndim != 4 or min(pads) < 0 or max(pads) >= max(kernel):
            raise self._refused("a convolution must be one of images with weights, and less padded than its kernel")
        self._fits(math.prod(side + 2 * max(pads) for side in x.low.shape[1:]) * math.prod(kernel))
        columns = moved(x, lambda each: exact.columns(each, kernel, self._node))
        # Beyond the edge, the unit and the scale are those inside.
        unit = np.full(columns.unit.shape, x.unit.min())
        columns = replace(columns, unit=unit, scale=unit)
        flat = moved(weight, lambda each: each.reshape(len(each), -1).T)
        return moved(self._product(columns, flat, bias), lambda each: each.transpose(0, 3, 1, 2))

    def _product(self, a: Range, b: Range, c: Range | None) -> Range:
        """a (..., K) times b (K, outputs), plus c (outputs,)."""
        if a.raw is None or b.raw is None or a.constant == b.constant or a.scale is None or b.scale is None:
            raise self._refused("a product must be one of bytes and weights")
        terms = a.low.shape[-1]
        if a.constant and a.rows:  # ONNX Runtime fails to run it
            raise self._refused("weights on the left must have one scale for all")
        if (a if a.constant else b).low.ndim != 2 or b.low.shape[-2] != terms:
            raise self._refused(f"shapes {a.low.shape} and {b.low.shape} do not fit")
        if terms > LONGEST or np.ptp(a.unit, axis=-1).any() or np.ptp(b.unit, axis=-2).any():
            raise self._refused(f"sums of more than {LONGEST} terms, or of terms in several units")
        size = a.low.size // terms * (b.low.size // terms)
        self._fits(size)
        adds = self._cost.multiply_adds + size * terms
        if adds > MULTIPLY_ADDS:
            raise self._refused(f"more than {MULTIPLY_ADDS} multiply-adds for an image")
        low, high = product(a, b)
        sums, unit = a.largest @ b.largest, a.unit[..., :1] * b.unit[..., :1, :]
        if c is not None:
            wanted = a.scale.flat[0] * b.scale[0]
            if c.scale is None or not c.constant or c.low.ndim != 1 or not np.array_equal(c.scale, wanted):
                raise self._refused("the scale of the bias is not that of activations times that of weights")
            low, high, sums = low + c.low, high + c.high, sums + c.largest
        most = float((sums / unit).max())
        if not most < SUM:  # it may be NaN
            raise self._refused(f"sums up to {most:.3g} units, 2^24 or more")
        self._cost = Cost(max(self._cost.sum, int(most)), max(self._cost.pair, self._pair(a, b)), adds)
        return Range(low, high, np.broadcast_to(unit, low.shape))

    def _pair(self, a: Range, b: Range) -> int:
        """The largest sum of two terms of bytes on the left and int8 on the right."""
        assert a.raw is not None
        assert b.raw is not None
        (left, left_kind), (right, right_kind) = a.raw, b.raw
        if left_kind != np.uint8 or right_kind not in (np.uint8, np.int8):
            raise self._refused(f"a product of {left_kind} and {right_kind}: uint8 must come first")
        if right_kind == np.uint8:
            return 0
        terms = left.reshape(-1, left.shape[-1]).max(axis=0)[:, None] * right.reshape(*right.shape[-2:])
        pair = int(np.partition(terms, max(len(terms) - 2, 0), axis=0)[-2:].sum(axis=0).max())
        if pair > PAIR:
            raise self._refused(f"two products of bytes and int8 weights may add up to {pair}, more than {PAIR}")
        return pair


def _bytes(value: Any) -> int:
    """That a value takes, per image; weights are counted by the file."""
    if not isinstance(value, Range) or value.constant:
        return 0
    return value.low.size * (4 if value.kind is None else 1)
