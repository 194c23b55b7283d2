"""Records that drive the sums of an exact network to their extremes, layer by layer.

A sum of the first layers is linear in the bits of a record, so the signs of the weights give its largest and smallest
value. Behind them a greedy search follows the signs that a gradient carries back through the layers, straight through
rounding and clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from atlcodec import nodes
from atlcodec.nodes import Node

Records = NDArray[np.uint8]
Bits = list[Tensor]  # of bytes: eight tensors of the shape of the bytes, each 0 or 1
Value = Any  # Tensor, Bits, or a weight of the file

PRODUCTS = ("Conv", "Gemm", "MatMul")
SUMS = 4  # of each layer: the one that is largest for some random records, and random ones
TRIED = 64  # random records, for that
STEPS = 20  # of the search
LEAK = 0.1  # of a gradient, through what is clipped


def records(file: bytes, name: str, length: int = 200) -> Records:
    """For each product of a file, records uint8 (2 * SUMS, length) that make one sum large, or small."""
    graph = nodes.read(file, name)
    found = [sums(graph, node.output, length) for node in graph.nodes if node.operator in PRODUCTS]
    return np.concatenate(found) if found else np.zeros((0, length), np.uint8)


def sums(graph: nodes.Nodes, target: str, length: int) -> Records:
    """The records of one product."""
    rng = np.random.default_rng(0)
    some = rng.integers(0, 256, (TRIED, length)).astype(np.uint8)
    with torch.no_grad():
        values = _run(graph, _bits(some), target).reshape(TRIED, -1)
    places = torch.from_numpy(rng.integers(0, values.shape[1], SUMS))
    places[0] = values.abs().amax(0).argmax()
    places, signs = places.repeat_interleave(2), torch.tensor([1.0, -1.0] * SUMS)
    start = some[(values[:, places] * signs).argmax(0).numpy()]
    return search(graph, target, places, signs, start)


def search(graph: nodes.Nodes, target: str, places: Tensor, signs: Tensor, start: Records) -> Records:
    """Records whose values at `places` of the target, times `signs`, are as large as a greedy search gets them. It
    flips all bits that seem to help, and fewer of them where that was too much."""
    rng = torch.Generator().manual_seed(0)
    best, share = _bits(start), torch.ones(len(start))
    reached, wish = _slope(graph, target, best, places, signs)
    for _ in range(STEPS):
        mask = [torch.rand(each.shape, generator=rng) < share[:, None] for each in best]
        tried = [
            torch.where(chosen & (slope != 0), (slope > 0).float(), bit)
            for bit, slope, chosen in zip(best, wish, mask, strict=True)
        ]
        value, slopes = _slope(graph, target, tried, places, signs)
        better = value > reached
        best, wish = (
            [torch.where(better[:, None], new, old) for new, old in zip(*pair, strict=True)]
            for pair in ((tried, best), (slopes, wish))
        )
        reached, share = torch.where(better, value, reached), torch.where(better, 1.0, share / 2)
    return _bytes(best)


def _slope(graph: nodes.Nodes, target: str, bits: Bits, places: Tensor, signs: Tensor) -> tuple[Tensor, Bits]:
    """The value of each record, and what each of its bits adds to it."""
    leaves = [each.clone().requires_grad_() for each in bits]
    found = _run(graph, leaves, target).reshape(len(places), -1)
    values = found.gather(1, places[:, None])[:, 0] * signs
    slopes = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
    return values.detach(), [
        torch.zeros_like(bit) if slope is None else slope for bit, slope in zip(bits, slopes, strict=True)
    ]


def _bits(bytes_: Records) -> Bits:
    return [torch.from_numpy((bytes_ >> place & 1).astype(np.float32)) for place in range(8)]


def _bytes(bits: Bits) -> Records:
    whole = sum(bit * (1 << place) for place, bit in enumerate(bits))
    assert isinstance(whole, Tensor)
    return whole.numpy().astype(np.uint8)


# -- the operators of `exact.py`, with gradients -----------------------------------------------------------------------


def _run(graph: nodes.Nodes, bits: Bits, target: str) -> Tensor:
    """The value of the name `target`."""
    values: dict[str, Value] = {**graph.weights, graph.source: bits}
    for node in graph.nodes:
        inputs = [values[name] for name in node.inputs if name]
        values[node.output] = _computed(node, *inputs)
        if node.output == target:
            break
    found = values[target]
    assert isinstance(found, Tensor)
    return found


def _computed(node: Node, x: Value, *more: Value) -> Value:
    if node.operator in MOVES:
        if isinstance(x, Tensor):
            return MOVES[node.operator](node, x, *more)
        return [MOVES[node.operator](node, *each, *_weights(more)) for each in zip(x, *_values(more), strict=True)]
    return OPERATORS[node.operator](node, x, *more)


def _values(inputs: tuple[Value, ...]) -> list[Bits]:
    return [each for each in inputs if isinstance(each, list)]


def _weights(inputs: tuple[Value, ...]) -> list[NDArray[Any]]:
    return [each for each in inputs if isinstance(each, np.ndarray)]


def _shift(node: Node, x: Bits, by: NDArray[np.uint8]) -> Bits:
    shifts, zero = torch.from_numpy(by.astype(np.int64)), torch.zeros_like(x[0])
    return [
        sum((torch.where(shifts == shift, x[place + shift], zero) for shift in range(8 - place)), zero)
        for place in range(8)
    ]


def _mask(node: Node, x: Bits, mask: NDArray[np.uint8]) -> Bits:
    return [bit * torch.from_numpy((mask >> place & 1).astype(np.float32)) for place, bit in enumerate(x)]


def _dequantise(node: Node, x: Value, scale: NDArray[Any], zero: NDArray[Any] | None = None) -> Tensor:
    if isinstance(x, list):
        x = sum(bit * (1 << place) for place, bit in enumerate(x))
    if isinstance(x, Tensor):
        return (x - (0 if zero is None else int(zero))) * float(scale)
    shape = [1] * x.ndim
    if scale.ndim:
        shape[node.integer("axis", 1)] = -1
    whole = x.astype(np.float64) - (0 if zero is None else zero.reshape(shape).astype(np.float64))
    return torch.from_numpy((whole * scale.reshape(shape)).astype(np.float32))


def _through(x: Tensor, value: Tensor, low: float, high: float) -> Tensor:
    """`value`, with the gradient of x; of it, little where x is outside of low..high."""
    soft = x.clamp(low, high)
    soft = soft + LEAK * (x - soft)
    return soft + (value - soft).detach()


def _quantise(node: Node, x: Tensor, scale: NDArray[Any], zero: NDArray[Any]) -> Tensor:
    limits, steps = np.iinfo(zero.dtype), x / float(scale) + int(zero)
    return _through(steps, (x / float(scale)).round().add(int(zero)).clamp(limits.min, limits.max), *_ends(limits))


def _ends(limits: Any) -> tuple[float, float]:
    return float(limits.min), float(limits.max)


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    found = a @ (b.t() if node.integer("transB", 0) else b)
    return found if c is None else found + c


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = node.integers.get("pads", (0, 0, 0, 0))
    strides = node.integers.get("strides", (1, 1))
    return functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, bias, stride=strides)


def _clip(node: Node, x: Tensor, low: NDArray[Any], high: NDArray[Any]) -> Tensor:
    return _through(x, x.clamp(float(low), float(high)), float(low), float(high))


def _slice(node: Node, x: Tensor, starts: NDArray[Any], ends: NDArray[Any], axes: NDArray[Any]) -> Tensor:
    cut = [slice(None)] * x.ndim
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist(), strict=True):
        cut[axis] = slice(start, end)
    return x[tuple(cut)]


def _reshape(node: Node, x: Tensor, shape: NDArray[Any]) -> Tensor:
    return x.reshape([x.shape[axis] if size == 0 else int(size) for axis, size in enumerate(shape)])


MOVES: dict[str, Callable[..., Tensor]] = {
    "Concat": lambda node, *parts: torch.cat(parts, dim=node.integer("axis", 0)),
    "Reshape": _reshape,
    "Slice": _slice,
    "Transpose": lambda node, x: x.permute(node.integers["perm"]),
}
OPERATORS: dict[str, Callable[..., Value]] = {
    "BitShift": _shift,
    "BitwiseAnd": _mask,
    "DequantizeLinear": _dequantise,
    "QuantizeLinear": _quantise,
    "Gemm": _gemm,
    "MatMul": lambda node, a, b: a @ b,
    "Conv": _conv,
    "Relu": lambda node, x: _through(x, x.clamp(min=0), 0, float("inf")),
    "Round": lambda node, x: x + (x.round() - x).detach(),
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Clip": _clip,
}
