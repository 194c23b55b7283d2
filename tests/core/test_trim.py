"""Trimming leaves the same outputs, and nothing that only others need."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from atlcodec.card import BUNDLED
from atlcodec.trim import trim

REFINER = (BUNDLED / "kmnist" / "refiner.onnx").read_bytes()
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("outputs", [["step"], ["linear_step"], ["step", "linear_step"]])
def test_the_outputs_that_are_left_do_not_change(outputs: list[str]) -> None:
    feed = {
        "latents": RNG.integers(
            0, 4, (2, onnx.load_from_string(REFINER).graph.input[0].type.tensor_type.shape.dim[1].dim_value)
        ).astype(np.float32),
        "images": RNG.integers(0, 256, (2, 28, 28), np.uint8),
    }
    whole, less = onnxruntime.InferenceSession(REFINER), onnxruntime.InferenceSession(trim(REFINER, outputs))
    assert [port.name for port in less.get_outputs()] == outputs
    for expected, found in zip(whole.run(outputs, feed), less.run(outputs, feed), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_left_that_the_outputs_do_not_need() -> None:
    whole, less = onnx.load_from_string(REFINER), onnx.load_from_string(trim(REFINER, ["linear_step"]))
    onnx.checker.check_model(less)
    computing, all_of_them = ([node for node in each.graph.node if node.op_type != "Cast"] for each in (less, whole))
    assert 0 < len(computing) < len(all_of_them) / 2
    used = {name for node in less.graph.node for name in node.input}
    assert {weight.name for weight in less.graph.initializer} <= used
    assert {node.output[0] for node in less.graph.node} <= used | {"linear_step"}


def test_a_file_with_its_own_outputs_stays_as_it_is() -> None:
    file = (BUNDLED / "kmnist" / "decompressor.onnx").read_bytes()
    assert onnx.load_from_string(trim(file, ["images"])) == onnx.load_from_string(file)


def test_what_is_not_protobuf_is_refused() -> None:
    for file in (b"\x3a\x7f", b"\xff" * 20, REFINER[:-1]):
        with pytest.raises((ValueError, IndexError)):
            trim(file, ["step"])
