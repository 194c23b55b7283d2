"""ONNX files of one product, for tests and for `exactness.py`, and records that drive its sums to their extremes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from atlcodec.training.onnx_builder import Port
from atlcodec.training.onnx_exact import ExactBuilder

Bytes = NDArray[np.uint8]

ROWS = 256
OUTPUTS = 24
TERMS = {"gemm": 200, "matmul": 200, "left": 50, "conv": 18}  # of each sum; a row of all graphs has 200 bytes
UNIT = 2.0**-12  # of sums
BYTES = 2.0**-17  # so that most of them become bytes below 255 behind a ReLU


def extremes(rng: np.random.Generator, width: int, signs: NDArray[np.integer]) -> Bytes:
    """Rows of bytes, uint8 (256, width): random ones; zeros; the largest; and those that drive single sums to their
    largest and smallest value, by the signs of weights (outputs, width)."""
    rows = rng.integers(0, 256, (ROWS, width)).astype(np.uint8)
    rows[0], rows[1] = 0, 255
    count = min(len(signs), 100)
    rows[2 : 2 + count] = np.where(signs[:count] > 0, 255, 0)
    rows[102 : 102 + count] = np.where(signs[:count] < 0, 255, 0)
    return rows


def all_products() -> Iterator[tuple[str, bytes, Bytes]]:
    """A name, a file and records of each product operator that exact networks have, all of whose weights are 127 or
    -127: int8 with operands of 7 bits, and uint8 with operands of 8 bits. Their sums come close to 2^24."""
    for kind, terms in TERMS.items():
        for unsigned in (True,) if kind == "left" else (False, True):
            for relu in (False, True):
                signs = _signs(terms)
                most = 255 if unsigned and kind != "left" else 127
                scale = (5 if most == 255 else 9) * (BYTES if relu else UNIT)
                file = unit_graph(kind, signs, most, unsigned=unsigned, scale=scale, relu=relu)
                name = f"{kind}, {'uint8' if unsigned else 'int8'} weights, {'bytes' if relu else 'sums'}"
                yield name, file, _records(kind, signs)


def wrong_product() -> tuple[bytes, Bytes]:
    """What `bounds.py` refuses: int8 weights with operands of 8 bits. Processors that add two products in 16 bits give
    wrong sums; a check of exactness that sees no difference there sees nothing."""
    signs = _signs(TERMS["gemm"])
    return unit_graph("gemm", signs, 255, unsigned=False, scale=BYTES, relu=True), _records("gemm", signs)


def _signs(terms: int) -> NDArray[np.integer]:
    signs = np.random.default_rng(terms).choice([-127, 127], (OUTPUTS, terms))
    signs[0], signs[1] = 127, -127
    return signs


def _records(kind: str, signs: NDArray[np.integer]) -> Bytes:
    wide = {"left": lambda: np.repeat(signs, 4, axis=1), "conv": lambda: np.resize(signs, (OUTPUTS, 200))}
    return extremes(np.random.default_rng(0), 200, wide[kind]() if kind in wide else signs)


def unit_graph(
    kind: str, weights: NDArray[np.integer], most: int, *, unsigned: bool, scale: float, relu: bool
) -> bytes:
    """One product of bytes 0..`most`, the zero in their middle, with weights (outputs, width), `unsigned` or int8: a
    Gemm, a MatMul with the weights on the right or on the left, or a Conv of 3 x 3 whose kernels are the weights. Its
    sums come out as they are, or after a ReLU as bytes."""
    g, zero = ExactBuilder(), (most + 1) // 2
    x = g.add("BitwiseAnd", "records", g.constant(np.array([most], np.uint8)))
    one, none = g.constant(np.array(1, np.float32)), g.constant(np.array(0, np.int8))
    if kind == "left":  # bytes on the right are int8, -64..63
        x = g.add("QuantizeLinear", g.floats(x, zero), one, none)
        x = g.add("DequantizeLinear", x, one, none)
        x = g.add("Reshape", x, g.ints(-1, weights.shape[1], 4))
    else:
        x = g.floats(x, zero)
    each: tuple[int, ...] = (
        () if kind == "left" else (len(weights),)
    )  # on the left, ONNX Runtime takes one scale for all
    scales = g.constant(np.full(each, scale, np.float32))
    offset = 128 if unsigned else 0
    stored = (weights + offset).astype(np.uint8 if unsigned else np.int8)
    if kind == "conv":
        stored = stored.reshape(len(weights), -1, 3, 3)
        x = g.add("Reshape", x, g.ints(-1, stored.shape[1], 10, 10))
    axis = 1 if kind == "matmul" else 0
    zeros = g.constant(np.full(each, offset, stored.dtype))
    weight = g.weight("layer.weight", stored.T if kind == "matmul" else stored)
    weight = g.add("DequantizeLinear", weight, scales, zeros, axis=axis)
    if kind in ("matmul", "left"):
        y = g.add("MatMul", x, weight) if kind == "matmul" else g.add("MatMul", weight, x)
        return _finished(g, y, [len(weights)] if kind == "matmul" else [len(weights), 4], relu)
    biases = g.weight("layer.bias", np.arange(len(weights), dtype=np.int32) * 1001 - 5005)
    bias = g.add("DequantizeLinear", biases, scales, axis=0)
    if kind == "conv":
        y = g.add("Conv", x, weight, bias, pads=[1] * 4, kernel_shape=[3, 3])
        return _finished(g, y, [len(weights), 10, 10], relu)
    return _finished(g, g.add("Gemm", x, weight, bias, transB=1), [len(weights)], relu)


def _finished(g: ExactBuilder, y: str, shape: list[int | str], relu: bool) -> bytes:
    port: Port = TensorProto.FLOAT, ["N", *shape]
    if relu:
        y, port = g.bytes(g.add("Relu", y), 0), (TensorProto.UINT8, ["N", *shape])
    return g.finish({"records": (TensorProto.UINT8, ["N", "width"])}, {"images": (y, port)})
