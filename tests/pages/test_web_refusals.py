"""The decoder in plain JavaScript refuses what is not an exact network, in a line and soon."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from atlcodec import exact
from web_kit import NODE, RECORDS, exact_file, is_exact, run_all, small

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


# -- what it refuses ---------------------------------------------------------------------------------------------------


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
