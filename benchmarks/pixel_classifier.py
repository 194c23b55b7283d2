"""The usual way to a label, to race against: decode a PNG with Pillow, and run a small CNN on its pixels in ONNX
Runtime."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import rivals
from numpy.typing import NDArray
from PIL import Image

CHUNK = 1024  # pictures at a time for the network


def onnx_file(net: Any) -> bytes:
    """A `torch.nn.Sequential` of convolutions, ReLU and dense layers on pixels: uint8 (N, 28, 28) -> logits (N,
    classes)."""
    from onnx import TensorProto, helper, numpy_helper
    from torch import nn

    nodes = [
        helper.make_node("Unsqueeze", ["images", "one"], ["x"]),
        helper.make_node("Cast", ["x"], ["v"], to=TensorProto.FLOAT),
    ]
    weights = [numpy_helper.from_array(np.array([1], np.int64), "one")]
    x = "v"
    for number, layer in enumerate(net):
        inputs, y = [x], f"v{number}"
        attributes: dict[str, Any] = {}
        if isinstance(layer, nn.Conv2d | nn.Linear):
            for name, parameter in layer.named_parameters():
                weights.append(numpy_helper.from_array(parameter.detach().numpy(), f"{number}.{name}"))
                inputs.append(f"{number}.{name}")
        if isinstance(layer, nn.Conv2d):
            assert isinstance(layer.padding, tuple)
            operator, attributes = "Conv", {"strides": list(layer.stride), "pads": [*layer.padding] * 2}
        elif isinstance(layer, nn.Linear):
            operator, attributes = "Gemm", {"transB": 1}
        else:
            operator = {nn.ReLU: "Relu", nn.Flatten: "Flatten"}[type(layer)]
        nodes.append(helper.make_node(operator, inputs, [y], **attributes))
        x = y
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "cnn",
        [port("images", TensorProto.UINT8, ["N", 28, 28])],
        [port(x, TensorProto.FLOAT, ["N", net[-1].out_features])],
        weights,
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )


def contestants(
    images: NDArray[np.uint8], budget: int, classes: int, threads: int
) -> tuple[dict[str, Callable[[], object]], int]:
    """Labels of the pictures from their PNG files, by a CNN of about `budget` multiplications with chance weights; and
    how many it has. Pillow decodes in one thread, or chunks go through both steps in as many as there are."""
    import onnxruntime
    import torch

    torch.manual_seed(0)
    net = rivals.network("CNN", budget, classes)
    file = onnx_file(net)
    sessions = []
    for count in (threads, 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count
        sessions.append(onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]))
    buffers = [io.BytesIO() for _ in images]
    for image, buffer in zip(images, buffers, strict=True):
        Image.fromarray(image).save(buffer, "PNG")
    files = [buffer.getvalue() for buffer in buffers]
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]

    def labels(chunk: list[bytes], session: Any) -> NDArray[np.int64]:
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(file), formats=["PNG"])) for file in chunk])
        return np.asarray(session.run(None, {"images": pixels})[0].argmax(axis=1))

    with torch.no_grad():  # the file computes what the network does
        expected = net(torch.from_numpy(images[:9]).unsqueeze(1).float()).numpy()
    np.testing.assert_allclose(sessions[0].run(None, {"images": images[:9]})[0], expected, rtol=1e-3, atol=1e-2)

    def one_after_another() -> None:
        for chunk in chunks:
            labels(chunk, sessions[0])

    def side_by_side() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda chunk: labels(chunk, sessions[1]), chunks))

    calls: dict[str, Callable[[], object]] = {
        "PNG + CNN": one_after_another,
        "PNG + CNN, chunks side by side": side_by_side,
    }
    return calls, rivals.multiplications(net)
