"""Classifiers of pixels, which classifiers of records are compared with: MLP, CNN and LeNet-5."""

from __future__ import annotations

import copy
import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import baselines
import gemm
import numpy as np
import torch
from inputs import Images, Labels, Split
from PIL import Image
from timing import Calls
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.training import augment
from atlcodec.training.data import split_validation
from atlcodec.training.loop import cosine

RATE, BATCH, SMOOTHING, VALIDATION = 2e-3, 128, 0.1, 5000
SECOND = 64  # width of the MLP's second layer, as in the classifiers of records
CHUNK = 1024  # images at a time in ONNX Runtime


def train(net: nn.Module, splits: list[Split], change: str, epochs: int) -> dict[str, Any]:
    """Train on the first split in one thread, keep the epoch that is best in validation, and test on the second split:
    accuracies in percent."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    learnt, held_out = split_validation(splits[0], VALIDATION)
    images, labels = torch.from_numpy(learnt.images.copy()), torch.from_numpy(learnt.labels)
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    best, chosen, weights = -1.0, 0, copy.deepcopy(net.state_dict())
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = cosine(RATE, RATE / 50, epoch / epochs)
        order = torch.randperm(len(images), generator=generator)
        for rows in torch.split(order[: len(images) // BATCH * BATCH], BATCH):
            batch = augment.augment(images[rows], change, generator) if change else images[rows]
            loss = functional.cross_entropy(net(batch), labels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        reached = accuracy(net, held_out)
        if reached > best:
            best, chosen, weights = reached, epoch + 1, copy.deepcopy(net.state_dict())
    net.load_state_dict(weights)
    return {"accuracy": accuracy(net, splits[1]), "validation": best, "epoch": chosen, "augmented": bool(change)}


class Pixels(nn.Module):
    """Images uint8 (N, 28, 28) -> float (N, 1, 28, 28)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.unsqueeze(1).float() / 128


@torch.no_grad()
def accuracy(net: nn.Module, split: Split) -> float:
    each = [net(part).argmax(1) for part in torch.split(torch.from_numpy(split.images.copy()), 1000)]
    return 100 * float((torch.cat(each).numpy() == split.labels).mean())


def network(name: str, budget: int, classes: int) -> nn.Sequential:
    """Images uint8 (N, 28, 28) -> logits (N, classes), with about `budget` multiplications; LeNet-5 has its own size.
    The weights are random, the same in every run."""
    torch.manual_seed(1)
    relu, flatten = nn.ReLU(), nn.Flatten()
    if name == "MLP":
        width = round((budget - SECOND * classes) / (784 + SECOND))
        layers = [flatten, nn.Linear(784, width), relu, nn.Linear(width, SECOND), relu, nn.Linear(SECOND, classes)]
    elif name == "CNN":  # strides instead of pooling, so that most of the budget goes into what is kept
        costs = {c: 14 * 14 * 25 * c + 7 * 7 * 9 * c * 2 * c for c in range(1, 100)}
        c = max(c for c, cost in costs.items() if cost < 0.6 * budget)
        width = max(1, round((budget - costs[c]) / (98 * c + classes)))
        layers = [nn.Conv2d(1, c, 5, 2, 2), relu, nn.Conv2d(c, 2 * c, 3, 2, 1), relu, flatten]
        layers += [nn.Linear(98 * c, width), relu, nn.Linear(width, classes)]
    else:
        pool = nn.MaxPool2d(2)
        layers = [nn.Conv2d(1, 6, 5, padding=2), relu, pool, nn.Conv2d(6, 16, 5), relu, pool, flatten]
        layers += [nn.Linear(400, 120), relu, nn.Linear(120, 84), relu, nn.Linear(84, classes)]
    return nn.Sequential(Pixels(), *layers)


def onnx_file(net: nn.Module) -> bytes:
    """Images uint8 (N, 28, 28) -> logits float32 (N, classes)."""
    buffer: Any = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["images"], "dynamic_axes": {"images": {0: "N"}}}
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the new exporter needs onnxscript
        torch.onnx.export(net, (torch.zeros(2, 28, 28, dtype=torch.uint8),), buffer, dynamo=False, **names)
    return bytes(buffer.getvalue())


def from_png(images: Images, budget: int, classes: int, threads: int) -> tuple[Calls, int]:
    """Calls that label PNG files of the images, with Pillow and the CNN in ONNX Runtime, and the number of its
    multiplications. Either Pillow decodes in one thread, or each thread does both steps for a chunk."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    file = onnx_file(network("CNN", budget, classes))
    sessions = []
    for count in (threads, 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count
        sessions.append(onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]))
    files = [baselines.save(image, "PNG", {}) for image in images]
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]

    def labels(chunk: list[bytes], session: Any = sessions[0]) -> Labels:
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(file), formats=["PNG"])) for file in chunk])
        return np.asarray(session.run(None, {"images": pixels})[0].argmax(axis=1))

    def side_by_side() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(labels, chunks, [sessions[1]] * len(chunks)))

    calls: Calls = {"PNG + CNN": lambda: list(map(labels, chunks)), "PNG + CNN, chunks side by side": side_by_side}
    return calls, gemm.multiplications(file)
