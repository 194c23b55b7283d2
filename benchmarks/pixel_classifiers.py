"""Classifiers of pixels in ONNX Runtime, which classifiers of records are compared with."""

from __future__ import annotations

import io
import math
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs import Images, Labels
from torch import Tensor, nn

from atlcodec.sets.dataset import Dataset
from atlcodec.shape import Shape
from atlcodec.training import measure
from atlcodec.training.layers import Scale
from atlcodec.training.layout import sizes
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer

GREY: Shape = (28, 28)


# What all of them are trained with.
SETTINGS = Settings(
    architecture="lenet", label_smoothing=0.1, lr_warmup_steps=400, weight_decay=0.01, precision="bfloat16"
)


class Pixels(nn.Module):
    """Images uint8 (N, rows, columns) -> float (N, 1, rows, columns), or (N, rows, columns, 3) -> (N, 3, ...)."""

    def forward(self, images: Tensor) -> Tensor:
        return (images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)).float()


def cnn(budget: int, classes: int, shape: Shape = GREY) -> nn.Sequential:
    """Images float (N, C, H, W) -> logits (N, classes), with about `budget` multiplications, 6,000 at least for 28 x 28
    grey pixels: strides instead of pooling, so that most of them go into what is kept. The weights are random, the same
    in every run."""
    torch.manual_seed(1)
    channels, height, width = sizes(shape)
    first, second = (-(-height // by) * -(-width // by) for by in (2, 4))
    costs = {c: first * 25 * channels * c + second * 9 * c * 2 * c for c in range(1, 100)}
    c = max((c for c, cost in costs.items() if cost < 0.6 * budget), default=1)
    hidden = max(1, round((budget - costs[c]) / (2 * second * c + classes)))
    layers = [nn.Conv2d(channels, c, 5, 2, 2), nn.ReLU(), nn.Conv2d(c, 2 * c, 3, 2, 1), nn.ReLU(), nn.Flatten()]
    dense = [nn.Linear(2 * second * c, hidden), nn.ReLU(), nn.Linear(hidden, classes)]
    return nn.Sequential(Scale(1 / 128), *layers, *dense)


def train(net: nn.Sequential | None, data: Dataset, settings: Settings, epochs: int) -> tuple[float, float]:
    """Train a network on the pixels of a set as teachers are trained; without one, a teacher. Returns its accuracy in
    percent on the images held out and on the test images."""
    assert data.test is not None
    learned = Dataset(data.name, data.train, None, data.classes)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings, learned, Path(folder), taught_by="small")
        trainer.nets.teacher = net or trainer.nets.teacher
        trainer.train(Phase(("teacher",), "teacher"), epochs)
        test = measure.teacher_accuracy(trainer.nets, data.test)
        return 100 * trainer.measure("teacher"), 100 * test


def onnx_file(net: nn.Module, shape: Shape = GREY) -> bytes:
    """Images uint8 (N, *shape) -> logits float32 (N, classes)."""
    buffer: Any = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["images"], "dynamic_axes": {"images": {0: "N"}}}
    given = (torch.zeros(2, *shape, dtype=torch.uint8),)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the new exporter needs onnxscript
        torch.onnx.export(nn.Sequential(Pixels(), net).eval(), given, buffer, dynamo=False, **names)
    return bytes(buffer.getvalue())


def runner(file: bytes, threads: int) -> Callable[[Images], Labels]:
    """An ONNX file as a function: images uint8 (N, 28, 28) -> labels (N,)."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(None, {"images": images})[0].argmax(axis=1))


def multiplications(file: bytes) -> int:
    """In the dense layers and convolutions of an ONNX file, for one image: a weight of a kernel counts once for each
    position."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(file)).graph
    weights = {weight.name: math.prod(weight.dims) for weight in graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "MatMulInteger")]
    return sum(
        weights.get(name, 0) * math.prod(shapes[node.output[0]][2:]) for node in layers for name in node.input[:2]
    )
