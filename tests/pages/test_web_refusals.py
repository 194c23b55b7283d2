"""The decoder in plain JavaScript refuses what is not an exact network, in a line and soon."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from unit_graphs import unit_graph

from atlcodec import bounds, exact, graph
from atlcodec.errors import BadModel
from atlcodec.training.onnx_exact import ExactBuilder
from exact_kit import changed as with_weights
from web_kit import NODE, RECORDS, exact_file, run_all

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")

SMALL = ("mnist-lenet", "mnist/digits")  # whose files are soon read
FUZZED = 150  # changed copies of each
ERROR = re.compile(r"[^\n]{1,300}")


def test_changed_files_are_refused_or_computed_alike(tmp_path: Path) -> None:
    """Bytes changed, cut out and copied anywhere: never another error, nor a hang; and what is still exact gives the
    bits of `exact.py`."""
    rng, files = np.random.default_rng(6), dict[str, bytes]()
    for name in SMALL:
        file = exact_file(name)
        for number in range(FUZZED):
            files[f"{name.replace('/', '-')}-{number}"] = changed(rng, file)
    found = run_all(tmp_path, files, RECORDS[:12], 5)
    same = 0
    for name, file in files.items():
        said = found[name]
        if "refused" in said:
            assert ERROR.fullmatch(said["refused"]), said
            assert said["refused"].startswith(f"{name}.onnx: ")
        else:
            assert is_exact(file), name
            assert said["out"] == [exact.Network(file, name)(RECORDS[:12]).tobytes()], name
            same += 1
    assert same > FUZZED / 4
    assert len({said["refused"].split(": ", 1)[1] for said in found.values() if "refused" in said}) > FUZZED / 10


def changed(rng: np.random.Generator, file: bytes) -> bytes:
    """A copy with bytes changed, cut out or put in; or with a node, a size or a weight changed."""
    copy = bytearray(file)
    match rng.integers(0, 8):
        case 0:
            at = int(rng.integers(0, len(file)))
            del copy[at : at + int(rng.integers(1, 9))]
        case 1:
            at = int(rng.integers(0, len(file)))
            copy[at:at] = copy[at : at + int(rng.integers(1, 9))]
        case 2 | 3 | 4:
            copy[int(rng.integers(0, len(file)))] = int(rng.integers(0, 256))
        case _:
            return restructured(rng, onnx.load_model_from_string(file))
    return bytes(copy)


def restructured(rng: np.random.Generator, model: onnx.ModelProto) -> bytes:
    nodes, weights = model.graph.node, model.graph.initializer
    node, other = (nodes[int(rng.integers(0, len(nodes)))] for _ in range(2))
    match rng.integers(0, 5):
        case 0:
            node.input[int(rng.integers(0, len(node.input)))] = other.input[0]
        case 1:
            node.op_type = other.op_type
        case 2:
            for attribute in node.attribute:
                attribute.ints[:] = [each + int(rng.integers(-1, 2)) for each in attribute.ints]
                attribute.i += int(rng.integers(-2, 3))
        case _:
            found = weights[int(rng.integers(0, len(weights)))]
            values = np.array(numpy_helper.to_array(found))
            place = int(rng.integers(0, values.size))
            values.flat[place] = (values.flat[place] + rng.choice([-1, 1, 2])).astype(values.dtype)  # or around
            found.CopyFrom(numpy_helper.from_array(values, found.name))
    return bytes(model.SerializeToString())


def is_exact(file: bytes) -> bool:
    try:
        graph.check(file, "x")
        bounds.check(file, "x")
    except BadModel:
        return False
    return True


# -- what it refuses ---------------------------------------------------------------------------------------------------


def small(*nodes: onnx.NodeProto, **weights: NDArray[Any]) -> bytes:
    """A decompressor of few nodes; the last one computes `images`."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", *sizes])
        for name, sizes in (("records", (200,)), ("images", (20, 10)))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    return bytes(helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)).SerializeToString())


def reshape(*shape: int, source: str = "records") -> bytes:
    return small(helper.make_node("Reshape", [source, "shape"], ["images"]), shape=np.array(shape))


ONES = np.ones(1, np.uint8)
REFUSED = {
    "an operator": (
        small(helper.make_node("Loop", ["records"], ["images"])),
        '"Loop" is not an operator of exact networks',
    ),
    "a domain": (small(helper.make_node("Relu", ["records"], ["images"], domain="x")), '"x.Relu" is not an operator'),
    "an attribute": (
        small(helper.make_node("Gemm", ["records", "w"], ["images"], alpha=2), w=ONES),
        'an attribute "alpha"',
    ),
    "a float": (
        small(helper.make_node("Gemm", ["records", "w"], ["images"], alpha=2.0), w=ONES),
        "not a whole number or text",
    ),
    "to the left": (
        small(helper.make_node("BitShift", ["records", "w"], ["images"], direction="LEFT"), w=ONES),
        "to the right",
    ),
    "too many sizes": (reshape(-1, *[1] * 20), "takes short lists"),
    "a large shape": (reshape(-1, 1 << 30, 1 << 30), "a shape that does not fit"),
    "no batch": (reshape(20, 10), "a shape that does not fit"),
    "one image of all": (reshape(1, -1, 10), "must give one output for each record"),
    "a value of the future": (reshape(-1, 20, 10, source="later"), "does not exist"),
    "itself": (reshape(-1, 20, 10, source="images"), "does not exist"),
    "nothing left": (
        small(helper.make_node("Slice", ["records", "one", "one", "one"], ["images"]), one=np.array([1])),
        "nothing would be left",
    ),
}


def concatenated(times: int) -> bytes:
    """Twice as much, again and again."""
    names = ["records", *(f"x{number}" for number in range(times)), "images"]
    return small(*(helper.make_node("Concat", [one] * 2, [two], axis=1) for one, two in itertools.pairwise(names)))


def multiplied(times: int) -> bytes:
    """A convolution of 200 bytes with a small kernel and many outputs, many times."""
    weights, parts = np.ones((100_000, 1, 1, 1), np.int8), []
    for number in range(times):
        parts += [
            helper.make_node("DequantizeLinear", ["w", "scale", "zero"], [f"w{number}"]),
            helper.make_node("Conv", ["numbers", f"w{number}"], [f"y{number}"]),
        ]
    first = helper.make_node("DequantizeLinear", ["images_", "scale"], ["numbers"])
    picture = helper.make_node("Reshape", ["records", "shape_"], ["images_"])
    last = helper.make_node("Reshape", ["records", "shape_"], ["images"])
    scale, zero, shape = np.array(1, np.float32), np.array(0, np.int8), np.array([-1, 1, 20, 10])
    return small(picture, first, *parts, last, w=weights, scale=scale, zero=zero, shape_=shape)


REFUSED |= {
    "a bomb": (concatenated(30), "more than 268435456 numbers"),
    "memory": (concatenated(18), "more than 8388608 bytes of memory"),
    "work": (multiplied(60), "more than"),
    "nothing": (b"", "not an ONNX file"),
    "text": (b"<html>not found</html>", "not an ONNX file"),
    "many fields": (b"\x08\x01" * 100_001, "not an ONNX file"),
    "a huge size": (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "not an ONNX file"),
}


def test_hostile_files_are_refused_in_a_line(tmp_path: Path) -> None:
    names = {f"x{number}": name for number, name in enumerate(REFUSED)}
    found = run_all(tmp_path, {key: REFUSED[name][0] for key, name in names.items()}, RECORDS[:3], 3)
    for key, name in names.items():
        said, line = found[key].get("refused", "it is taken"), REFUSED[name][1]
        assert ERROR.fullmatch(said), (name, said)
        assert said.startswith(f"{key}.onnx: "), (name, said)
        assert line in said, (name, said)


# -- the bounds of `bounds.py` -----------------------------------------------------------------------------------------


def biased(limit: int) -> bytes:
    """A Gemm whose largest sum is so many units: one output reads bytes, the other has a bias."""
    weights = np.zeros((2, 200), np.int64)
    weights[0, 0] = 127
    file = unit_graph("gemm", weights, 127, unsigned=False, scale=15 * 2.0**-9, relu=True)
    return with_weights(file, "layer.bias", np.array([0, limit], np.int32))


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
            low, high = (middle, high) if is_exact(with_weights(file, bias.name, grown)) else (low, middle)
        for kind, much in (("kept", low), ("refused", high)):
            grown[place] = values[place] + sign * much
            files[f"{kind}-{bias.name}"] = with_weights(file, bias.name, grown)
    found = run_all(tmp_path, files, RECORDS[:3], 3)
    for key in files:
        assert ("2^24 or more" in found[key].get("refused", "")) == key.startswith("refused"), found[key]
