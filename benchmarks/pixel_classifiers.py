"""Classifiers of pixels, which classifiers of records are compared with: a CNN of the same cost, and a small ResNet."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from inputs import Images, Labels, Split
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.training import augment
from atlcodec.training.layers import Scale
from atlcodec.training.teacher import teacher

BATCH, SMOOTHING = 128, 0.1
CHANGES = {"MNIST": ("elastic", 1.0), "FashionMNIST": ("affine+mirror", 0.4), "KMNIST": ("elastic", 1.0)}  # strength
EPOCHS = 12
RATES = {"CNN": (3e-3, 6e-3), "ResNet": (4e-3,)}


class Pixels(nn.Module):
    """Images uint8 (N, 28, 28) -> float (N, 1, 28, 28)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.unsqueeze(1).float()


def resnet(classes: int) -> nn.Sequential:
    """Images uint8 (N, 28, 28) -> logits (N, classes): the network of the teachers. The weights are random, the same in
    every run."""
    torch.manual_seed(1)
    return nn.Sequential(Pixels(), teacher(classes))


def cnn(budget: int, classes: int) -> nn.Sequential:
    """The same with about `budget` multiplications: strides instead of pooling, so that most of them go into what is
    kept."""
    torch.manual_seed(1)
    costs = {c: 14 * 14 * 25 * c + 7 * 7 * 9 * c * 2 * c for c in range(1, 100)}
    c = max(c for c, cost in costs.items() if cost < 0.6 * budget)
    width = max(1, round((budget - costs[c]) / (98 * c + classes)))
    layers = [nn.Conv2d(1, c, 5, 2, 2), nn.ReLU(), nn.Conv2d(c, 2 * c, 3, 2, 1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(
        Pixels(), Scale(1 / 128), *layers, nn.Linear(98 * c, width), nn.ReLU(), nn.Linear(width, classes)
    )


def train(net: nn.Module, split: Split, rate: float, changes: str, strength: float, share: float) -> None:
    """AdamW with one cycle of the rate (Smith and Topin 2017), in bfloat16. A share of the images is changed."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.from_numpy(split.images.copy()), torch.from_numpy(split.labels)
    optimizer = torch.optim.AdamW(net.parameters(), rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, EPOCHS * (len(images) // BATCH))
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        for rows in torch.split(order[: len(images) // BATCH * BATCH], BATCH):
            batch = augment.augment(images[rows], changes, generator, share, strength)
            with torch.autocast("cpu", torch.bfloat16):
                loss = functional.cross_entropy(net(batch), labels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(net: nn.Module, split: Split) -> float:
    """In percent."""
    each = [net.eval()(part).argmax(1) for part in torch.split(torch.from_numpy(split.images.copy()), 1000)]
    return 100 * float((torch.cat(each).numpy() == split.labels).mean())


# -- in ONNX Runtime ---------------------------------------------------------------------------------------------------


def onnx_file(net: nn.Module) -> bytes:
    """Images uint8 (N, 28, 28) -> logits float32 (N, classes)."""
    buffer: Any = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["images"], "dynamic_axes": {"images": {0: "N"}}}
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the new exporter needs onnxscript
        torch.onnx.export(net.eval(), (torch.zeros(2, 28, 28, dtype=torch.uint8),), buffer, dynamo=False, **names)
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
    """In the dense layers and convolutions of an ONNX file, for one image."""
    import onnx

    model = onnx.load_model_from_string(file)
    for source in model.graph.input:  # for one image
        source.type.tensor_type.shape.dim[0].dim_value = 1
    for target in (*model.graph.value_info, *model.graph.output):
        target.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {weight.name: list(weight.dims) for weight in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        shapes.setdefault(value.name, [dim.dim_value for dim in value.type.tensor_type.shape.dim])
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMulInteger"):
            inner = shapes[node.input[1]][1:]  # a kernel without its outputs
            if node.op_type != "Conv":  # a product of two matrices, one of them perhaps transposed
                turned = any(each.name == "transA" and each.i for each in node.attribute)
                inner = shapes[node.input[0]][:1] if turned else shapes[node.input[0]][1:]
            product = int(np.prod(shapes[node.output[0]])) * int(np.prod(inner))
            if not product:
                raise SystemExit(f"the product {node.output[0]} has no fixed shape")
            total += product
    return total
