"""Exact networks in NumPy: the decoder that others are compared with, bit for bit.

    bytes      uint8: records, operands of products, pixels
    numbers    whole numbers times a power of two: all else

Each operator is that of ONNX, on whole numbers: nothing is ever rounded but where an operator says so, half to even.
ONNX Runtime computes the same with integers or with float32, since no number has more than 24 bits; `bounds.py` shows
it of a file before it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import nodes
from atlcodec.errors import BadModel
from atlcodec.nodes import Node, Nodes

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """`whole` * 2^-`places`."""

    whole: Whole
    places: int

    def at(self, places: int) -> Whole:
        """The same numbers, times 2^places; there must be at least so many places."""
        return self.whole << (places - self.places)

    def rounded(self, places: int) -> Whole:
        """Rounded to multiples of 2^-places, half to even, times 2^places."""
        dropped = self.places - places
        if dropped <= 0:
            return self.at(places)
        half = (1 << dropped - 1) - 1
        return (self.whole + half + (self.whole >> dropped & 1)) >> dropped


Value = Any  # Bytes, Numbers, or the weights of a file


class Network:
    """An exact ONNX file. Raises `BadModel` if it has other operators."""

    def __init__(self, file: bytes, name: str) -> None:
        self._graph = nodes.read(file, name)
        check_operators(self._graph, name)

    def __call__(self, rows: Bytes) -> NDArray[Any]:
        """Records uint8 (N, 200) -> images uint8 (N, *shape), or logits float32 (N, classes)."""
        values: dict[str, Value] = {**self._graph.weights, self._graph.source: rows}
        for node in self._graph.nodes:
            values[node.output] = OPERATORS[node.operator](node, *(values[name] for name in node.inputs if name))
        (target,) = self._graph.targets
        result = values[target]
        if isinstance(result, Numbers):
            return np.ldexp(result.whole.astype(np.float64), -result.places).astype(np.float32)
        return np.asarray(result)


def check_operators(graph: Nodes, name: str) -> None:
    """Raise `BadModel` if a file has operators, or attributes of them, that exact networks do not have."""
    for node in graph.nodes:
        if node.operator not in OPERATORS:
            raise BadModel(f"{name}: {node.operator[:80]!a} is not an operator of exact networks")
        for attribute in node.integers.keys() | node.texts.keys():
            if attribute not in ATTRIBUTES.get(node.operator, ()):
                raise BadModel(
                    f"{name}: {node.operator} has an attribute {attribute[:80]!a} that exact networks do not have"
                )
        if node.operator == "BitShift" and node.texts.get("direction") != "RIGHT":
            raise BadModel(f"{name}: BitShift must go to the right")


def power(scale: NDArray[Any]) -> int:
    """k of a scale 2^-k."""
    fraction, exponent = math.frexp(float(scale))
    if fraction != 0.5:
        raise BadModel(f"the scale {float(scale)} of an activation is not a power of two")
    return 1 - exponent


def factors(scales: NDArray[Any]) -> Numbers:
    """Scales m * 2^-k as m, larger where a row has a smaller k than another."""
    _, exponents = np.frexp(scales.astype(np.float64))
    places = int(24 - exponents.min())
    whole = np.ldexp(scales.astype(np.float64), places).astype(np.int64)
    shift = int(np.bitwise_or.reduce(whole, axis=None) & -np.bitwise_or.reduce(whole, axis=None)).bit_length() - 1
    return Numbers(whole >> shift, places - shift)


# -- bytes to numbers, and back ----------------------------------------------------------------------------------------


def _dequantise(node: Node, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None = None) -> Numbers:
    """(x - zero) * scale; scales and zeros are one for all, or one for each index along the axis."""
    found = factors(scale)
    shape = [1] * x.ndim
    if scale.ndim:
        shape[node.integer("axis", 1)] = -1
    whole = x.astype(np.int64) - (0 if zero is None else zero.reshape(shape).astype(np.int64))
    return Numbers(whole * found.whole.reshape(shape), found.places)


def _quantise(node: Node, x: Numbers, scale: NDArray[Any], zero: NDArray[Any]) -> NDArray[Any]:
    """round(x / scale) + zero, clipped to what a byte holds."""
    limits = np.iinfo(zero.dtype)
    return np.clip(x.rounded(power(scale)) + int(zero), limits.min, limits.max).astype(zero.dtype)


# -- products ----------------------------------------------------------------------------------------------------------


def product(a: Whole, b: Whole) -> Whole:
    """A matrix product. float64 holds its sums, and every part of them, without rounding, and is faster than int64."""
    return np.asarray(np.rint(a.astype(np.float64) @ b.astype(np.float64)), np.int64)


def _gemm(node: Node, a: Numbers, b: Numbers, c: Numbers | None = None) -> Numbers:
    weight = b.whole.T if node.integer("transB", 0) else b.whole
    return _plus(Numbers(product(a.whole, weight), a.places + b.places), c)


def _matmul(node: Node, a: Numbers, b: Numbers) -> Numbers:
    return Numbers(product(a.whole, b.whole), a.places + b.places)


def _conv(node: Node, x: Numbers, weight: Numbers, bias: Numbers | None = None) -> Numbers:
    """A convolution of images (N, C, H, W)."""
    outputs, _, *kernel = weight.whole.shape
    windows = columns(x.whole, tuple(kernel), node)
    sums = product(windows, weight.whole.reshape(outputs, -1).T).transpose(0, 3, 1, 2)
    if bias is not None:
        bias = Numbers(bias.whole.reshape(-1, 1, 1), bias.places)
    return _plus(Numbers(sums, x.places + weight.places), bias)


def columns(x: NDArray[Any], kernel: tuple[int, ...], node: Node) -> NDArray[Any]:
    """What each place of a convolution sees: (N, C, H, W) -> (N, H', W', C * kernel)."""
    top, left, bottom, right = node.integers.get("pads", (0, 0, 0, 0))
    rows, steps = node.integers.get("strides", (1, 1))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::rows, ::steps]
    windows = windows.transpose(0, 2, 3, 1, 4, 5)
    return windows.reshape(*windows.shape[:3], -1)


# -- numbers -----------------------------------------------------------------------------------------------------------


def _plus(a: Numbers, b: Numbers | None, sign: int = 1) -> Numbers:
    if b is None:
        return a
    places = max(a.places, b.places)
    return Numbers(a.at(places) + sign * b.at(places), places)


def _clip(node: Node, x: Value, low: NDArray[Any], high: NDArray[Any]) -> Value:
    if not isinstance(x, Numbers):
        return np.clip(x, low, high)
    places = max(x.places, 0)  # the limits are whole
    return Numbers(np.clip(x.at(places), int(low) << places, int(high) << places), places)


# -- the order of values -----------------------------------------------------------------------------------------------


def _each(function: Callable[..., NDArray[Any]]) -> Callable[..., Value]:
    """An operator that only moves values, of bytes or of numbers."""

    def moved(node: Node, x: Value, *more: NDArray[Any]) -> Value:
        if isinstance(x, Numbers):
            return Numbers(function(node, x.whole, *more), x.places)
        return function(node, x, *more)

    return moved


def _reshape(node: Node, x: NDArray[Any], shape: NDArray[np.int64]) -> NDArray[Any]:
    return x.reshape([x.shape[axis] if size == 0 else int(size) for axis, size in enumerate(shape)])


def _slice(node: Node, x: NDArray[Any], starts: Whole, ends: Whole, axes: Whole) -> NDArray[Any]:
    cut = [slice(None)] * x.ndim
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist(), strict=True):
        cut[axis] = slice(start, end)
    return x[tuple(cut)]


MOVES: dict[str, Callable[..., NDArray[Any]]] = {
    "Concat": lambda node, *parts: np.concatenate(parts, axis=node.integer("axis", 0)),
    "Reshape": _reshape,
    "Slice": _slice,
    "Transpose": lambda node, x: x.transpose(node.integers["perm"]),
}
OPERATORS: dict[str, Callable[..., Value]] = {
    **{name: _each(move) for name, move in MOVES.items()},
    "BitShift": lambda node, x, shift: x >> shift,
    "BitwiseAnd": lambda node, x, mask: x & mask,
    "DequantizeLinear": _dequantise,
    "QuantizeLinear": _quantise,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "Relu": lambda node, x: Numbers(np.maximum(x.whole, 0), x.places),
    "Round": lambda node, x: Numbers(x.rounded(0), 0),
    "Add": lambda node, a, b: _plus(a, b),
    "Sub": lambda node, a, b: _plus(a, b, -1),
    "Clip": _clip,
}
ATTRIBUTES = {  # that they may have; all others are refused
    "BitShift": ("direction",),
    "Concat": ("axis",),
    "Conv": ("kernel_shape", "pads", "strides"),
    "DequantizeLinear": ("axis",),
    "Gemm": ("transB",),
    "Transpose": ("perm",),
}
