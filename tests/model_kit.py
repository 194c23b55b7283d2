"""Model folders and ONNX files for the tests: valid ones, and ways to change them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from atlcodec import zoo
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from kit import Cli

BLANK = np.zeros((3, 28, 28), np.uint8)
FILES = ("compressor.onnx", "decompressor.onnx", "heads/letters/classifier.onnx")


def use(folder: Path) -> None:
    """Load a model, and use each of its networks."""
    codec = Codec.load(folder)
    assert codec.labels
    records = codec.encode(BLANK)
    codec.decode(records)
    codec.classify(records)


def refusal(folder: Path, cli: Cli) -> str:
    """The message with which the library and the command refuse a folder."""
    with pytest.raises(BadModel) as caught:
        use(folder)
    assert "\n" not in str(caught.value)
    complaint = cli("models", "add", folder).complaint
    assert folder.name in complaint
    assert len(complaint) < 1000
    assert not zoo.user_folder().exists() or not os.listdir(zoo.user_folder())
    return str(caught.value)


def change(folder: Path, **entries: object) -> None:
    """Change entries of a card; `...` takes one out."""
    card = json.loads((folder / "card.json").read_text()) | entries
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not ...}))


def put_file(folder: Path, name: str, file: bytes) -> None:
    """Replace a file of a model, and correct what the cards say of it: its SHA-256 and the id."""
    (folder / name).write_bytes(file)
    card = json.loads((folder / "card.json").read_text())
    sha256 = hashlib.sha256(file).hexdigest()
    if name.startswith("heads"):
        change((folder / name).parent, sha256=sha256)
        return
    change(folder, sha256={**card["sha256"], name: sha256})
    if name == "decompressor.onnx":
        change(folder, id=sha256[:8])
        change(folder / "heads/letters", codec=sha256)


Weights = dict[str, NDArray[Any]]

# A decompressor whose image is 196 bytes of the record, four times. Nodes between START and END make "extra".
START = [
    helper.make_node("Slice", ["records", "zero", "side", "one"], ["some"]),
    helper.make_node("Concat", ["some"] * 4, ["most"], axis=1),
    helper.make_node("Reshape", ["most", "square"], ["plain"]),
]
END = [
    helper.make_node("ReduceMean", ["extra"], ["mean"], keepdims=0),
    helper.make_node("Cast", ["mean"], ["shade"], to=TensorProto.UINT8),
    helper.make_node("Add", ["plain", "shade"], ["images"]),
]
SHAPES: Weights = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "side": np.array([196]),
    "square": np.array([-1, 28, 28]),
}
IN = helper.make_tensor_value_info("records", TensorProto.UINT8, ["N", 200])
OUT = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 28, 28])


def model(
    nodes: list[Any], weights: Weights, inputs: list[Any] | None = None, outputs: list[Any] | None = None
) -> onnx.ModelProto:
    """An ONNX file; unless told, with the input and the output of a decompressor."""
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes, "g", [IN] if inputs is None else inputs, [OUT] if outputs is None else outputs, initializers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def with_extra(*nodes: Any, **weights: NDArray[Any]) -> onnx.ModelProto:
    """A decompressor that adds the mean of "extra", a float tensor that the nodes make, to its images."""
    return model([*START, *nodes, *END], {**SHAPES, **weights})


def plain(last: str = "images") -> list[Any]:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in START]
    nodes[-1].output[0] = last
    return nodes


def fine() -> onnx.ModelProto:
    return with_extra(helper.make_node("Relu", ["w"], ["extra"]), w=np.ones(3, np.float32))


def external() -> onnx.ModelProto:
    file = fine()
    tensor = file.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return file


def info(name: str, type: int, shape: list[Any] | None) -> Any:
    return helper.make_tensor_value_info(name, type, shape)


U8, F32 = TensorProto.UINT8, TensorProto.FLOAT
