"""Weights to ONNX and back: the same networks, the same bytes, and ids that no record can take for another's."""

from __future__ import annotations

import copy
import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from atlcodec import engine, graph, record
from atlcodec.errors import BadModel
from atlcodec.training import export
from atlcodec.training.layers import Scale
from atlcodec.training.networks import Networks
from kit import SHAPE

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (40, 28, 28), np.uint8)
RECORDS = RNG.integers(0, 256, (40, 200), np.uint8)


@pytest.fixture(scope="module", params=["lenet", "mixer"])
def nets(request: pytest.FixtureRequest) -> Networks:
    torch.manual_seed(3)
    made = Networks(request.param, [7]).eval()
    for parameter in made.parameters():  # some start as zeros, which would hide mistakes
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 / 2)
    return made


def symbols() -> torch.Tensor:
    return torch.from_numpy(record.unpack(RECORDS)).float()


@torch.no_grad()
def test_the_files_compute_what_the_networks_do(nets: Networks) -> None:
    files = export.files(nets, [])
    latents = engine.Graph(files["compressor.onnx"], engine.compressor(SHAPE, record.BOTTLENECK), "c")(IMAGES)
    expected = nets.compressor(torch.from_numpy(IMAGES).unsqueeze(1).float()).clamp(0, 15).numpy()
    np.testing.assert_allclose(latents, expected, atol=1e-4)
    images = engine.Graph(files["decompressor.onnx"], engine.decompressor(SHAPE), "d")(RECORDS)
    exact = nets.part("decompressor")(symbols()).squeeze(1).clamp(0, 255).numpy()
    assert np.abs(images - exact).max() <= 0.5 + 1e-3
    logits = engine.Graph(files["classifier.onnx"], engine.classifier(7), "k")(RECORDS)
    exact = nets.part("classifier")(symbols()).numpy()
    assert np.abs(logits - exact).max() < 0.01 * np.abs(exact).max()  # its first weights are rounded to eight bits
    rounded = copy.deepcopy(nets.part("classifier"))
    rounded.load_state_dict(export.weights(files["classifier.onnx"]))
    np.testing.assert_allclose(logits, rounded(symbols()).numpy(), atol=1e-4)


def test_a_classifier_that_does_not_start_dense_is_exported_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        Scale(1 / 8), nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(200, 4)
    ).eval()
    logits = engine.Graph(export.classifier(network, 4), engine.classifier(4), "k")(RECORDS)
    np.testing.assert_allclose(logits, network(symbols()).detach().numpy(), atol=1e-4)


def test_the_error_names_layers_that_cannot_be_exported() -> None:
    with pytest.raises(BadModel, match="GELU cannot be exported"):
        export.decompressor(nn.Sequential(nn.Conv2d(16, 1, 1), nn.GELU()))
    with pytest.raises(BadModel, match="Scale"):
        export.decompressor(nn.Sequential(Scale(2.0), nn.ReLU()))


def test_the_initialisers_are_the_weights_bit_for_bit(nets: Networks) -> None:
    rounded = export.weights(export.classifier(nets.part("classifier"), 7))
    for name, weight in nets.part("classifier").state_dict().items():
        if name == "2.weight":  # the first dense layer
            assert not torch.equal(rounded[name], weight)
            assert (rounded[name] - weight).abs().max() <= weight.abs().max() / 127 / 2 * 1.01
        else:
            assert torch.equal(rounded[name], weight)
    nets = copy.deepcopy(nets)
    nets.part("classifier").load_state_dict(rounded)
    files = export.files(nets, [])
    again = Networks(nets.architecture, [7]).eval()
    again.compressor.load_state_dict(export.weights(files["compressor.onnx"]))
    again.part("decompressor").load_state_dict(export.weights(files["decompressor.onnx"]))
    again.part("classifier").load_state_dict(export.weights(files["classifier.onnx"]))
    for before, after in zip(nets.parameters(), again.parameters(), strict=True):
        assert torch.equal(before, after)
    assert export.files(again, []) == files


def test_the_same_weights_give_the_same_bytes_in_any_folder_and_process(nets: Networks, tmp_path: Path) -> None:
    torch.manual_seed(3)
    fresh = Networks(nets.architecture, [7]).eval()
    here = {name: hashlib.sha256(file).hexdigest() for name, file in export.files(fresh, []).items()}
    program = (
        "import hashlib, torch; from atlcodec.training import export; from atlcodec.training.networks import Networks;"
        f"torch.manual_seed(3); n = Networks({nets.architecture!r}, [7]).eval();"
        "print({k: hashlib.sha256(v).hexdigest() for k, v in export.files(n, []).items()})"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parents[2])}
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == str(here)


def test_the_files_hold_no_more_than_they_must(nets: Networks) -> None:
    for name, file in export.files(nets, []).items():
        graph.check(file, name)
        model = onnx.load_model_from_string(file)
        assert not model.metadata_props
        assert not model.doc_string
        assert not model.graph.doc_string
        assert not any(node.doc_string for node in model.graph.node)
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert str(Path.cwd()).encode() not in file


def test_an_id_is_changed_by_a_nonce_until_it_is_acceptable(nets: Networks) -> None:
    first = export.files(nets, [])["decompressor.onnx"]
    taken = int.from_bytes(hashlib.sha256(first).digest()[:4], "big")
    second = export.files(nets, [taken])["decompressor.onnx"]
    assert second != first
    assert [p.key for p in onnx.load_model_from_string(second).metadata_props] == ["nonce"]
    near = taken ^ int(record.syndromes()[123, 4])
    assert export.files(nets, [near])["decompressor.onnx"] == second
    run = [engine.Graph(file, engine.decompressor(SHAPE), "d")(RECORDS) for file in (first, second)]
    assert np.array_equal(run[0], run[1])


def test_ids_that_no_codec_may_have() -> None:
    assert export.acceptable(0x12345678, [])
    assert not export.acceptable(0x12345678, [0x12345678])
    assert not export.acceptable(0x41544C00, [])
    assert not export.acceptable(0x41544CFF, [])
    assert export.acceptable(0x41544D00, [])
    for value in (0x00, 0xFF, 0x20):
        assert not export.acceptable(zlib.crc32(bytes([value]) * 200), [])
