"""What a stranger's graph costs is known before it runs: sizes that follow from a record, and too many multiply-adds,
are refused at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from atlcodec import card, engine, graph
from atlcodec.cost_rules import run
from atlcodec.cost_values import Call, Value
from atlcodec.costs import Costs
from atlcodec.errors import BadModel
from hostile import decompressor
from kit import SHAPE

node = helper.make_node
RECORD = {"records": (200,)}


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def from_the_record() -> list[Any]:
    """A whole number, "size": 0 for records that begin with less than 255, else 1."""
    return [
        node("Slice", ["records", "zero", "one", "one"], ["byte"]),
        node("Cast", ["byte"], ["number"], to=TensorProto.FLOAT),
        node("Sub", ["number", "limit"], ["less"]),
        node("Relu", ["less"], ["flag"]),
        node("ReduceSum", ["flag", "zero"], ["sum"], keepdims=0),
        node("Cast", ["sum"], ["size"], to=TensorProto.INT64),
    ]


RECORD_WEIGHTS = {"zero": whole(0), "one": whole(1), "limit": np.array(254, np.float32)}


def chain(start: str, times: int) -> list[Any]:
    names = [start, *(f"m{n}" for n in range(times))]
    products = [node("MatMul", [names[n], start], [names[n + 1]]) for n in range(times)]
    return [*products, node("ReduceMean", [names[-1]], ["extra"], keepdims=0)]


def padded() -> bytes:
    """A record that begins with 255 makes 2,000 products of 8,001 x 8,001; all others make products of 1 x 1."""
    nodes = [*from_the_record(), node("Mul", ["size", "sides"], ["pads"]), node("Pad", ["w1", "pads"], ["m"])]
    weights = {**RECORD_WEIGHTS, "sides": whole(0, 0, 8000, 8000), "w1": np.ones((1, 1), np.float32)}
    return decompressor(*nodes, *chain("m", 2000), **weights)


def resized() -> bytes:
    nodes = [
        *from_the_record(),
        node("Mul", ["size", "sides"], ["more"]),
        node("Add", ["more", "ones"], ["sizes"]),
        node("Resize", ["w1", "", "", "sizes"], ["m"], mode="nearest"),
    ]
    weights = {**RECORD_WEIGHTS, "sides": whole(8000, 8000), "ones": whole(1, 1), "w1": np.ones((1, 1), np.float32)}
    return decompressor(*nodes, *chain("m", 100), **weights)


def reshaped() -> bytes:
    """From a row to a column, so that the product of both is large or one number."""
    nodes = [
        *from_the_record(),
        node("Mul", ["size", "sides"], ["more"]),
        node("Add", ["more", "ones"], ["sizes"]),
        node("Reshape", ["row", "sizes"], ["a"]),
        node("Transpose", ["a"], ["b"]),
        node("MatMul", ["a", "b"], ["m"]),
    ]
    weights = {
        **RECORD_WEIGHTS,
        "sides": whole(9999, -9999),
        "ones": whole(1, 10_000),
        "row": np.ones((1, 10_000), np.float32),
    }
    return decompressor(*nodes, *chain("m", 100), **weights)


def sliced() -> bytes:
    weights = {**RECORD_WEIGHTS, "last": whole(3000), "w1": np.ones((3000, 3000), np.float32)}
    nodes = [
        *from_the_record(),
        node("Mul", ["size", "last"], ["end"]),
        node("Slice", ["w1", "zero", "end", "zero"], ["part"]),
        node("Transpose", ["part"], ["other"]),
        node("MatMul", ["other", "part"], ["m"]),
    ]
    return decompressor(*nodes, *chain("m", 100), **weights)


def constant() -> bytes:
    """No size depends on a record; there is only too much to do."""
    return decompressor(*chain("m", 400), m=np.ones((256, 256), np.float32))


def between_images() -> bytes:
    """Little for one image, and too much for many: products of every element with every other one."""
    nodes = [
        node("Cast", ["records"], ["f0"], to=TensorProto.FLOAT),
        node("Reshape", ["f0", "column"], ["a"]),
        node("Transpose", ["a"], ["b"]),
        node("MatMul", ["a", "b"], ["m"]),
        *chain("m", 3),
    ]
    return decompressor(*nodes, column=whole(-1, 1))


def at_seven() -> bytes:
    """Sizes that are made from the number of images: small for the numbers that a check may try, large for seven."""
    nodes = [
        node("Shape", ["records"], ["full"]),
        node("Gather", ["full", "zero"], ["n"]),
        node("Sub", ["n", "one"], ["n1"]),
        node("Sub", ["n", "two"], ["n2"]),
        node("Mul", ["n1", "n2"], ["both"]),
        node("Mul", ["both", "sides"], ["pads"]),
        node("Pad", ["w1", "pads"], ["m"]),
    ]
    weights = {
        **{"zero": whole(0), "one": whole(1), "two": whole(2)},
        "sides": whole(0, 0, 100, 100),
        "w1": np.ones((1, 1), np.float32),
    }
    return decompressor(*nodes, *chain("m", 100), **weights)


def deconvolved() -> bytes:
    nodes = [
        node("ConvTranspose", ["x", "k"], ["y"], strides=[60_000, 60_000]),
        node("ReduceMean", ["y"], ["extra"], keepdims=0),
    ]
    return decompressor(*nodes, x=np.ones((1, 1, 4, 4), np.float32), k=np.ones((1, 1, 2, 2), np.float32))


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a pad from the record": (padded, "must stand in the file"),
    "a resize from the record": (resized, "must stand in the file"),
    "a reshape from the record": (reshaped, "must stand in the file"),
    "a slice from the record": (sliced, "must stand in the file"),
    "products without end": (constant, "too many"),
    "a stride that grows": (deconvolved, "elements"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_is_refused_at_once(what: str) -> None:
    make, why = BOMBS[what]
    file = make()
    begun = time.process_time()
    with pytest.raises(BadModel, match=why) as caught:
        engine.Graph(file, engine.decompressor(SHAPE), "x")
    assert time.process_time() - begun < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("make", "fine", "many"), [(between_images, 2, 256), (at_seven, 2, 7)])
def test_what_grows_with_the_number_of_images_is_refused_before_it_runs(
    make: Callable[[], bytes], fine: int, many: int
) -> None:
    loaded = engine.Graph(make(), engine.decompressor(SHAPE), "x")
    assert loaded(np.zeros((fine, 200), np.uint8)).shape == (fine, *SHAPE)
    begun = time.process_time()
    with pytest.raises(BadModel, match=r"too many|elements"):
        loaded(np.zeros((many, 200), np.uint8))
    assert time.process_time() - begun < 1


# -- the shapes are those of ONNX --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted(card.BUNDLED.rglob("*.onnx")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_bundled_models_cost_far_less_than_the_limit(path: Any) -> None:
    file = path.read_bytes()
    ports = onnx.load_from_string(file).graph
    weights = {each.name for each in ports.initializer}
    shapes = {
        port.name: tuple(side.dim_value for side in port.type.tensor_type.shape.dim)[1:]
        for port in ports.input
        if port.name not in weights
    }
    found = Costs(file, path.name).check(64, shapes)
    assert 64_000 < found < 64 * 1e8 + 1e7


F = np.float32
CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Conv", [(2, 4, 9, 7), (6, 2, 3, 2)], {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
    ("ConvTranspose", [(2, 4, 5, 6), (4, 3, 3, 2)], {"group": 2, "strides": [2, 3], "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", [(1, 2, 5, 6), (2, 3, 3, 2)], {"strides": [2, 3], "output_padding": [1, 2]}),
    ("MaxPool", [(1, 2, 9, 8)], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    ("AveragePool", [(1, 2, 9, 8)], {"kernel_shape": [2, 2], "auto_pad": "VALID"}),
    ("GlobalAveragePool", [(1, 2, 9, 8)], {}),
    ("MatMul", [(3, 1, 2, 5), (4, 5, 6)], {}),
    ("MatMul", [(5,), (3, 5, 6)], {}),
    ("MatMul", [(3, 2, 5), (5,)], {}),
    ("Gemm", [(5, 2), (7, 5)], {"transA": 1, "transB": 1}),
    ("ReduceMean", [(2, 3, 4), whole(-1, 0)], {"keepdims": 0}),
    ("ReduceSum", [(2, 3, 4), whole(1)], {}),
    ("ReduceSum", [(2, 3, 4)], {"keepdims": 0}),
    ("Reshape", [(2, 3, 4), whole(0, -1)], {}),
    ("Reshape", [(0, 3), whole(3, 0)], {"allowzero": 1}),
    ("Transpose", [(2, 3, 4)], {"perm": [2, 0, 1]}),
    ("Transpose", [(2, 3, 4)], {}),
    ("Squeeze", [(1, 3, 1), whole(-1)], {}),
    ("Squeeze", [(1, 3, 1)], {}),
    ("Unsqueeze", [(3, 4), whole(0, -1)], {}),
    ("Flatten", [(2, 3, 4)], {"axis": -1}),
    ("Flatten", [(2, 3, 4)], {"axis": 3}),
    ("Concat", [(2, 3), (2, 4)], {"axis": -1}),
    ("Slice", [(9, 8), whole(-1, 1), whole(-100, 7), whole(0, 1), whole(-2, 3)], {}),
    ("Slice", [(9, 8), whole(2), whole(1 << 40)], {}),
    ("Gather", [(5, 3, 2), whole(0, 2, -1)], {"axis": 1}),
    ("Pad", [(2, 3), whole(1, 0, 2, -1)], {}),
    ("Pad", [(2, 3, 4), whole(1, 2), np.array(0, F), whole(-1)], {}),
    ("Resize", [(1, 1, 3, 4), None, np.array([1, 1, 2.5, 0.6], F)], {"mode": "linear"}),
    ("Resize", [(1, 1, 3, 4), None, None, whole(1, 1, 7, 9)], {"mode": "nearest"}),
    ("DepthToSpace", [(1, 8, 2, 3)], {"blocksize": 2}),
    ("SpaceToDepth", [(1, 2, 4, 6)], {"blocksize": 2}),
    ("Shape", [(4, 5, 6)], {"start": 1, "end": -1}),
    ("Add", [(3, 1, 2), (4, 1)], {}),
    ("Softmax", [(3, 2)], {}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_shapes_are_those_that_the_engine_gives(case: tuple[str, list[Any], dict[str, Any]]) -> None:
    operator, given, attributes = case
    arrays = [np.ones(each, F) if isinstance(each, tuple) else each for each in given]
    names = [f"x{at}" if each is not None else "" for at, each in enumerate(arrays)]
    made = helper.make_graph(
        [node(operator, names, ["y"], **attributes)],
        "g",
        [],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(each, name) for each, name in zip(arrays, names, strict=True) if each is not None],
    )
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    graph.check(file, "x")
    (wanted,) = engine._runtime().InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {})
    inputs = [
        None if each is None else Value(each.shape, None if isinstance(raw, tuple) else each)
        for each, raw in zip(arrays, given, strict=True)
    ]
    integers = {
        name: [value] if isinstance(value, int) else value
        for name, value in attributes.items()
        if not isinstance(value, str)
    }
    texts = {name: value for name, value in attributes.items() if isinstance(value, str)}
    (found,), cost = run(Call(operator, inputs, integers, texts, 1, None))
    assert found.shape == wanted.shape
    assert cost >= wanted.size
    if operator == "Shape":
        assert found.known is not None
        assert found.known.tolist() == wanted.tolist()
