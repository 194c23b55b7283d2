"""The decoder in plain JavaScript refuses what breaks the bounds of exact networks, as `bounds.py` does."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from unit_graphs import unit_graph

from atlcodec import bounds, exact
from atlcodec.errors import BadModel
from atlcodec.training.onnx_exact import ExactBuilder
from exact_kit import changed
from web_kit import NODE, RECORDS, exact_file, is_exact, run_all, small

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")


def biased(limit: int) -> bytes:
    """A Gemm whose largest sum is so many units: one output reads bytes, the other has a bias."""
    weights = np.zeros((2, 200), np.int64)
    weights[0, 0] = 127
    file = unit_graph("gemm", weights, 127, unsigned=False, scale=15 * 2.0**-9, relu=True)
    return changed(file, "layer.bias", np.array([0, limit], np.int32))


def left_over(zero: int) -> bytes:
    """A sum of what a rounding leaves, added to itself: too large, unless that is known to be half a step at most. It
    is so if the rounded byte is read with the zero that it was written with, 0."""
    g = ExactBuilder()
    one, large = g.constant(np.array(1, np.float32)), g.constant(np.array(64, np.float32))
    x = g.floats(g.add("BitwiseAnd", "records", g.constant(np.array([127], np.uint8))), 0)
    rounded = g.add("QuantizeLinear", x, large, g.constant(np.array(0, np.uint8)))
    rest = g.add("Sub", x, g.add("DequantizeLinear", rounded, large, g.constant(np.array(zero, np.uint8))))
    rest = g.add("QuantizeLinear", rest, one, g.constant(np.array(64, np.int8)))  # -32..32 are not clipped
    rest = g.add("DequantizeLinear", rest, one, g.constant(np.array(64, np.int8)))
    weight = g.weight("layer.weight", np.full((200, 1), 127, np.uint8))
    scale = g.constant(np.array(1.0, np.float32))
    weight = g.add("DequantizeLinear", weight, scale, g.constant(np.array(0, np.uint8)))
    y = g.add("MatMul", g.floats(g.bytes(g.add("Relu", rest), 0), 0), weight)
    for _ in range(4):
        y = g.add("Add", y, y)
    return g.finish({"records": (TensorProto.UINT8, ["N", 200])}, {"images": (y, (TensorProto.FLOAT, ["N", 1]))})


def edged(zero: int) -> bytes:
    """A convolution of bytes 0 and 1, beyond whose edge they are the zero."""
    g = ExactBuilder()
    x = g.floats(g.add("BitwiseAnd", "records", g.constant(np.array([1], np.uint8))), zero)
    x = g.add("Reshape", x, g.ints(-1, 2, 10, 10))
    weight = g.weight("layer.weight", np.full((1, 2, 3, 3), 127, np.int8))
    scale, none = g.constant(np.array(2.0**-9, np.float32)), g.constant(np.array(0, np.int8))
    weight = g.add("DequantizeLinear", weight, scale, none)
    y = g.add("Conv", x, weight, pads=[1] * 4, kernel_shape=[3, 3])
    return g.finish(
        {"records": (TensorProto.UINT8, ["N", 200])}, {"images": (y, (TensorProto.FLOAT, ["N", 1, 10, 10]))}
    )


def shifted(bits: int) -> bytes:
    node = helper.make_node("BitShift", ["records", "by"], ["shifted"], direction="RIGHT")
    last = helper.make_node("Reshape", ["shifted", "shape"], ["images"])
    return small(node, last, by=np.full(200, bits, np.uint8), shape=np.array([-1, 20, 10]))


SUMS = (1 << 24) // 15
BOUNDS = {
    "a sum below 2^24": (biased(SUMS), None),
    "a sum of 2^24": (biased(SUMS + 2), "sums up to"),
    "pairs": (unit_graph("gemm", np.full((3, 200), 127), 255, unsigned=False, scale=2.0**-9, relu=True), "64770"),
    "pairs in a convolution": (
        unit_graph("conv", np.full((3, 18), 127), 255, unsigned=False, scale=2.0**-9, relu=True),
        "two products of bytes and int8 weights may add up to 64770",
    ),
    "int8 first": (
        unit_graph("left", np.full((3, 50), 127), 127, unsigned=False, scale=2.0**-9, relu=True),
        "uint8",
    ),
    "pairs on the left": (unit_graph("left", np.full((3, 50), 127), 255, unsigned=True, scale=1, relu=True), "add up"),
    "an edge": (edged(100), None),
    "an edge of large bytes": (edged(200), "may add up to 50800"),
    "a shift": (shifted(7), None),
    "a long shift": (shifted(8), "a shift by more than 7 bits"),
    "what is left of a rounding": (left_over(0), None),
    "what is left of no rounding": (left_over(9), "numbers up to"),
}


def test_the_bounds_are_those_of_python(tmp_path: Path) -> None:
    names = {f"x{number}": name for number, name in enumerate(BOUNDS)}
    found = run_all(tmp_path, {key: BOUNDS[name][0] for key, name in names.items()}, RECORDS[:3], 3)
    for key, name in names.items():
        file, line = BOUNDS[name]
        if line is None:
            bounds.check(file, name)
            assert found[key]["out"] == [exact.Network(file, name)(RECORDS[:3]).tobytes()], name
            continue
        with pytest.raises(BadModel, match=line):
            bounds.check(file, name)
        assert line in found[key]["refused"], (name, found[key])


@pytest.mark.parametrize("name", ["mnist-lenet", "mnist/digits", "20x31x3"])
def test_weights_that_are_too_large_are_refused_alike(name: str, tmp_path: Path) -> None:
    """Biases grow until Python refuses the file: JavaScript refuses it from the same one on."""
    file = exact_file(name)
    model = onnx.load_model_from_string(file)
    biases = [each for each in model.graph.initializer if each.name.endswith(".bias")]
    files = dict[str, bytes]()
    for bias in (biases[0], biases[-1]):
        values = numpy_helper.to_array(bias)
        low, high = 0, 1 << 25  # added to the largest bias
        grown = np.array(values)
        place = int(np.abs(values).argmax())
        sign = -1 if values[place] < 0 else 1
        while high - low > 1:
            middle = (low + high) // 2
            grown[place] = values[place] + sign * middle
            low, high = (middle, high) if is_exact(changed(file, bias.name, grown)) else (low, middle)
        for kind, much in (("kept", low), ("refused", high)):
            grown[place] = values[place] + sign * much
            files[f"{kind}-{bias.name}"] = changed(file, bias.name, grown)
    found = run_all(tmp_path, files, RECORDS[:3], 3)
    for key in files:
        assert ("2^24 or more" in found[key].get("refused", "")) == key.startswith("refused"), found[key]
