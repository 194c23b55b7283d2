"""Weights in 16 bits: files of half the size that compute almost the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from atlcodec import engine
from atlcodec.training import export
from atlcodec.training.halves import LARGEST, LEAST, halved
from atlcodec.training.networks import Networks


def test_a_compressor_of_half_the_size_gives_almost_the_same_latents() -> None:
    torch.manual_seed(0)
    nets = Networks("mixer", [3])
    file = export.compressor(nets.eval().compressor)
    half = halved(file)
    assert len(half) < 0.6 * len(file)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    signature = engine.compressor((28, 28), (16, 5, 5))
    (wanted,), (found,) = (engine.Graph(each, signature, "c").run(images) for each in (file, half))
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_weights_of_such_a_file_are_read_back_as_floats() -> None:
    nets = Networks("mixer", [3])
    half = halved(export.compressor(nets.eval().compressor))
    found = export.weights(half)
    assert {value.dtype for value in found.values()} == {torch.float32}
    nets.compressor.load_state_dict(found)
    assert halved(export.compressor(nets.compressor)) == half


def test_what_is_small_too_large_or_not_a_float_stays_as_it_is() -> None:
    model = onnx.load_model_from_string(export.compressor(Networks("mixer", [3]).eval().compressor))
    large = np.full(LEAST, 2 * LARGEST, np.float32)
    others: dict[str, NDArray[Any]] = {
        "large": large,
        "whole": np.ones(LEAST, np.int64),
        "small": np.ones(LEAST - 1, np.float32),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in others.items())
    kept = {
        each.name: each for each in onnx.load_model_from_string(halved(model.SerializeToString())).graph.initializer
    }
    assert {name: kept[name].data_type for name in others} == {
        "large": TensorProto.FLOAT,
        "whole": TensorProto.INT64,
        "small": TensorProto.FLOAT,
    }


def test_a_second_time_changes_nothing() -> None:
    half = halved(export.compressor(Networks("mixer", [3]).eval().compressor))
    assert halved(half) == half
