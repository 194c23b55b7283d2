"""Exact networks for tests: ONNX Runtime in all its ways beside NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states
from unit_graphs import ROWS

from atlcodec.latents import Packing
from atlcodec.shape import Shape
from atlcodec.training import calibrate, pca
from atlcodec.training.exact import ExactDecompressor, Form
from atlcodec.training.quantise import Operand
from atlcodec.training.start import Start, blank

Bytes = NDArray[np.uint8]

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
BATCHES = (1, 2, 255, 256)
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
