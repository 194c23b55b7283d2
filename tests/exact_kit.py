"""Exact networks for tests: ONNX Runtime in all its ways beside NumPy, and graphs of one product."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as states

from atlcodec.latents import Packing
from atlcodec.shape import Shape
from atlcodec.training import calibrate, pca
from atlcodec.training.exact import ExactDecompressor, Form
from atlcodec.training.onnx_builder import Port
from atlcodec.training.onnx_exact import ExactBuilder
from atlcodec.training.quantise import Operand
from atlcodec.training.start import Start, blank

Bytes = NDArray[np.uint8]

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
BATCHES = (1, 2, 255, 256)
ROWS = 256
UNUSABLE = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.NotImplemented, states.InvalidProtobuf)


def run(file: bytes, rows: Bytes, level: str, threads: int = 1) -> NDArray[Any]:
    """All rows at once."""
    return _session(file, level, threads)(rows)


def _session(file: bytes, level: str, threads: int, packed: bool = True) -> Callable[[Bytes], NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_prepacking", "0" if packed else "1")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda rows: np.asarray(session.run(None, {name: rows})[0])


def every_way(file: bytes, rows: Bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    """What ONNX Runtime makes of rows, uint8 (256, ...): with each level of optimisation, one and two threads, weights
    packed before or not, and each size of batches."""
    ways = [(*each, True) for each in itertools.product(LEVELS, (1, 2))] + [
        (LEVELS[0], 1, False),
        (LEVELS[-1], 1, False),
    ]
    for level, threads, packed in ways:
        session = _session(file, level, threads, packed)
        for size in BATCHES:
            parts = [session(rows[at : at + size]) for at in range(0, _some(size), size)]
            yield f"{level}, {threads} threads, packed: {packed}, batches of {size}", np.concatenate(parts)


def _some(size: int) -> int:
    """Rows that are enough to see a batch of each size and the rest behind it."""
    return 8 if size < 8 else ROWS


def extremes(rng: np.random.Generator, width: int, signs: NDArray[np.integer]) -> Bytes:
    """Rows of bytes, uint8 (256, width): random ones; zeros; the largest; and those that drive single sums to their
    largest and smallest value, by the signs of weights (outputs, width)."""
    rows = rng.integers(0, 256, (ROWS, width)).astype(np.uint8)
    rows[0], rows[1] = 0, 255
    count = min(len(signs), 100)
    rows[2 : 2 + count] = np.where(signs[:count] > 0, 255, 0)
    rows[102 : 102 + count] = np.where(signs[:count] < 0, 255, 0)
    return rows


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


def changed(file: bytes, name: str, value: NDArray[Any]) -> bytes:
    """A file with other weights."""
    model = onnx.load_model_from_string(file)
    (found,) = [each for each in model.graph.initializer if each.name == name]
    found.CopyFrom(onnx.numpy_helper.from_array(value, name))
    return bytes(model.SerializeToString())


# -- random networks ---------------------------------------------------------------------------------------------------

PACKING = Packing(((8, 12), (6, 64), (4, 104), (3, 144), (2, 136)), 8)
HIGH = Form(picture=Operand(5, 40), stream=Operand(4, 64))


def random_start(shape: Shape) -> Start:
    rng = np.random.default_rng(2)
    start = blank(PACKING, shape)
    components = rng.normal(0, 1, start.components.shape) / (1 + 4 * np.sqrt(start.packing.bits))
    components[:, -PACKING.labels :] = 0
    pixels = len(start.mean)
    return Start(PACKING, np.full(pixels, 99.5, np.float32), components.astype(np.float32), *start_steps(), shape)


def start_steps() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    ones = np.ones(PACKING.count, np.float32)
    return 3 * ones, 2 * ones


def random_network(build: object, start: Start) -> torch.nn.Sequential:
    """With weights in all layers: the mixers of a new network are zero."""
    torch.manual_seed(5)
    network = build(start)  # type: ignore[operator]
    assert isinstance(network, torch.nn.Sequential)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def random_records(count: int = 256) -> NDArray[np.uint8]:
    records = np.random.default_rng(1).integers(0, 256, (count, 200)).astype(np.uint8)
    records[0], records[1] = 0, 255
    return records


def latents(records: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(PACKING.read(records).reshape(len(records), -1).astype(np.float32))


def random_decompressor(shape: Shape, form: Form) -> ExactDecompressor:
    network = ExactDecompressor(random_network(pca.decompressor, random_start(shape)), PACKING, form)
    calibrate.decompressor(network, latents(random_records()))
    return network
