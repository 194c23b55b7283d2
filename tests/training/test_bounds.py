"""The bounds of exact networks: the worst case is computed from a file, and a file that breaks one is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from unit_graphs import extremes, unit_graph

from atlcodec import bounds, exact, graph
from atlcodec.errors import BadModel
from atlcodec.training import onnx_exact, onnx_packing
from atlcodec.training.exact import Form
from atlcodec.training.quantise import MOST, SUM
from exact_kit import LEVELS, PACKING, UNUSABLE, changed, random_decompressor, run


def test_the_worst_case_is_computed_from_a_file() -> None:
    file = onnx_exact.decompressor(random_decompressor((28, 28), Form()))
    cost = bounds.check(file, "decompressor.onnx")
    linear = 2 * len(onnx_packing.pieces(PACKING, MOST).latent) * 784
    over_tokens, over_channels = 64 * (49 * 98 + 98 * 49), 49 * (128 * 192 + 192 * 64)
    assert cost.multiply_adds == linear + 49 * 32 * 64 + 2 * over_tokens + 2 * over_channels + 49 * 128 * 16
    assert 2**20 < cost.sum < SUM
    assert 127 * 127 < cost.pair <= 2 * 127 * 127
    assert 4 * 49 * 192 < cost.memory < 10 * 4 * 49 * 192


def refusal(file: bytes, row: int = 60) -> str:
    with pytest.raises(BadModel) as caught:
        bounds.check(file, "unit.onnx", (row,))
    return str(caught.value)


def test_int8_weights_and_bytes_of_8_bits_are_refused() -> None:
    weights = np.full((3, 60), 127)
    said = refusal(unit_graph("gemm", weights, 255, unsigned=False, scale=2.0**-9, relu=True))
    assert said.startswith("unit.onnx: Gemm of the layer 'layer': two products")
    assert "64770" in said


def test_a_sum_of_2_to_the_24_is_refused() -> None:
    weights = np.full((3, 60), 127)
    file = unit_graph("gemm", weights, 127, unsigned=False, scale=15 * 2.0**-9, relu=True)
    most = (SUM // 15) - 64 * 127 * 60
    bounds.check(changed(file, "layer.bias", np.array([0, most, 0], np.int32)), "unit.onnx", (60,))
    said = refusal(changed(file, "layer.bias", np.array([0, most + 1, 0], np.int32)))
    assert "Gemm of the layer 'layer': sums up to" in said


@pytest.mark.parametrize("scale", [17 * 2.0**-9, 0.1, -(2.0**-9), 0.0])
def test_a_scale_of_weights_with_other_factors_is_refused(scale: float) -> None:
    weights = np.full((3, 60), 127)
    said = refusal(unit_graph("gemm", weights, 127, unsigned=False, scale=scale, relu=True))
    assert "layer 'layer': a scale that is not m * 2^-k" in said


def test_a_scale_of_an_activation_that_is_not_a_power_of_two_is_refused() -> None:
    file = unit_graph("gemm", np.full((3, 60), 9), 127, unsigned=False, scale=2.0**-9, relu=True)
    model = onnx.load_model_from_string(file)
    (scale,) = [each for each in model.graph.initializer if each.name == model.graph.node[-1].input[1]]
    scale.CopyFrom(onnx.numpy_helper.from_array(np.array(3, np.float32), scale.name))
    assert "is not a power of two" in refusal(model.SerializeToString())


def test_the_scale_of_a_bias_must_be_that_of_its_product() -> None:
    file = unit_graph("gemm", np.full((3, 60), 9), 127, unsigned=False, scale=2.0**-9, relu=True)
    model = onnx.load_model_from_string(file)
    bias = next(node for node in model.graph.node if node.input[0] == "layer.bias")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full(3, 2.0**-8, np.float32), "other"))
    bias.input[1] = "other"
    assert "the scale of the bias" in refusal(model.SerializeToString())


def test_other_operators_and_attributes_are_refused() -> None:
    file = unit_graph("gemm", np.full((3, 60), 9), 127, unsigned=False, scale=2.0**-9, relu=True)
    model = onnx.load_model_from_string(file)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Sigmoid"
    assert "'Sigmoid' is not an operator of exact networks" in refusal(model.SerializeToString())
    relu.op_type = "Relu"
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    gemm.attribute.append(onnx.helper.make_attribute("transA", 1))
    assert "Gemm has an attribute 'transA'" in refusal(model.SerializeToString())


def test_a_changed_file_is_refused_or_gives_the_same_bits() -> None:
    """What a stranger's file may do: bytes changed at random. ONNX Runtime may refuse some more of them."""
    rng, accepted = np.random.default_rng(6), 0
    kinds = (("gemm", 20, 127, False), ("conv", 18, 127, False), ("matmul", 20, 255, True))
    files = [
        unit_graph(kind, rng.integers(-99, 100, (5, width)), most, unsigned=unsigned, scale=13 * 2.0**-12, relu=True)
        for kind, width, most, unsigned in kinds
    ]
    for number in range(450):
        changed_file = bytearray(files[number % 3])
        changed_file[rng.integers(len(changed_file))] = rng.integers(256)
        file, width = bytes(changed_file), 200 if number % 3 == 1 else 20
        rows = extremes(rng, width, np.ones((1, width), int))[:20]
        try:
            graph.check(file, "changed.onnx")
            bounds.check(file, "changed.onnx", (width,))
            found = [run(file, rows, level) for level in (LEVELS[0], LEVELS[-1])]
        except (BadModel, *UNUSABLE):
            continue
        accepted += 1
        for each in found:
            assert np.array_equal(each, exact.Network(file, "changed.onnx")(rows))
    assert accepted > 50
