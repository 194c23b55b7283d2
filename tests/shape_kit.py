"""Codecs of any shape, untrained: they keep 400 values of an image, and repeat them in between."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from onnx import TensorProto

from atlcodec.card_writer import write_model
from atlcodec.shape import Shape
from atlcodec.training.onnx_builder import GraphBuilder, Port

RECORDS: Port = (TensorProto.UINT8, ["N", 200])
LABELS = ("ant", "bee", "cat")


def write_codec(folder: Path, shape: Shape) -> Path:
    """A codec whose symbols are 400 values, spread over an image; its labels are random."""
    rng, size = np.random.default_rng(sum(shape)), math.prod(shape)
    files = {
        "compressor.onnx": _compressor(shape, np.arange(400) * size // 400),
        "decompressor.onnx": _decompressor(shape, np.arange(size) * 400 // size),
        "classifier.onnx": _classifier(rng.normal(size=(400, len(LABELS))).astype(np.float32)),
    }
    card = {"name": folder.name, "shape": list(shape), "licence": "none"}
    write_model(folder, files, card, {"name": "animals", "labels": list(LABELS)})
    return folder


def pictures(shape: Shape, count: int = 24) -> np.ndarray:
    """Coloured clouds, uint8 (count, *shape)."""
    rng = np.random.default_rng(1)
    rows, columns = (np.linspace(0, 3, side) for side in shape[:2])
    waves = rng.uniform(0, 3, (count, 3, *shape[2:]))
    grid = np.sin(
        waves[:, :1, None] * rows[:, None, None] if len(shape) == 3 else waves[:, 0, None, None] * rows[:, None]
    )
    other = np.cos(
        waves[:, 1:2, None] * columns[None, :, None] if len(shape) == 3 else waves[:, 1, None, None] * columns
    )
    return np.broadcast_to(127 + 60 * grid + 60 * other, (count, *shape)).astype(np.uint8)


def _compressor(shape: Shape, kept: np.ndarray) -> bytes:
    g = GraphBuilder()
    values = g.add("Gather", g.add("Flatten", "images", axis=1), g.constant(kept), axis=1)
    values = g.add("Mul", g.add("Cast", values, to=TensorProto.FLOAT), g.constant(np.array(1 / 17, np.float32)))
    symbols = g.add("Clip", values, g.constant(np.array(0, np.float32)), g.constant(np.array(15, np.float32)))
    latents = g.add("Reshape", symbols, g.ints(-1, 16, 5, 5))
    return g.finish({"images": _images(shape)}, {"latents": (latents, (TensorProto.FLOAT, ["N", 16, 5, 5]))})


def _decompressor(shape: Shape, shown: np.ndarray) -> bytes:
    g = GraphBuilder()
    pixels = g.add("Mul", g.add("Gather", _symbols(g), g.constant(shown), axis=1), g.constant(np.array(17, np.float32)))
    images = g.add("Cast", g.add("Reshape", pixels, g.ints(-1, *shape)), to=TensorProto.UINT8)
    return g.finish({"records": RECORDS}, {"images": (images, _images(shape))})


def _classifier(weights: np.ndarray) -> bytes:
    g = GraphBuilder()
    logits = g.add("MatMul", _symbols(g), g.constant(weights))
    return g.finish({"records": RECORDS}, {"logits": (logits, (TensorProto.FLOAT, ["N", len(LABELS)]))})


def _symbols(g: GraphBuilder) -> str:
    """Records -> float (N, 400)."""
    high = g.add("BitShift", "records", g.constant(np.array(4, np.uint8)), direction="RIGHT")
    low = g.add("BitwiseAnd", "records", g.constant(np.array(15, np.uint8)))
    both = [g.add("Unsqueeze", each, g.ints(2)) for each in (high, low)]
    return g.add("Cast", g.add("Flatten", g.add("Concat", *both, axis=2), axis=1), to=TensorProto.FLOAT)


def _images(shape: Shape) -> Port:
    return TensorProto.UINT8, ["N", *shape]
