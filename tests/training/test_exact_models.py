"""Model folders with exact files: what cards claim is checked, and exact files from strangers run optimised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from atlcodec import accepted, bounds, engine, exact, metrics
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from atlcodec.latents import UNIFORM
from atlcodec.training import calibrate, lenet, onnx_exact
from atlcodec.training.exact import ExactHead, Form
from exact_kit import changed, random_decompressor, random_records
from kit import Cli
from model_kit import change, put_file, refusal, use


@pytest.fixture(scope="module")
def decompressor() -> bytes:
    return onnx_exact.decompressor(random_decompressor((28, 28), Form()))


@pytest.fixture(scope="module")
def classifier() -> bytes:
    torch.manual_seed(1)
    made = ExactHead(lenet.classifier(3), UNIFORM)
    calibrate.head(made, torch.randint(0, 16, (64, 400)).float())
    return onnx_exact.classifier(made)


def level(graph: engine.Graph) -> str:
    return str(graph._session.get_session_options().graph_optimization_level).rpartition(".")[2]


def test_an_exact_file_from_anyone_runs_optimised(mine: Path, decompressor: bytes, classifier: bytes) -> None:
    before = Codec.load(mine)
    assert {level(before._decompressor), level(before._classifier)} == {"ORT_DISABLE_ALL"}
    put_file(mine, "decompressor.onnx", decompressor)
    put_file(mine, "heads/letters/classifier.onnx", classifier)
    codec = Codec.load(mine)
    assert {level(codec._decompressor), level(codec._classifier)} == {"ORT_ENABLE_ALL"}
    assert level(codec._compressor) == "ORT_DISABLE_ALL"
    records = random_records(20)
    wanted = exact.Network(decompressor, "decompressor.onnx")(records)
    assert np.array_equal(codec.decode(records, verify=False), wanted)


def test_a_file_is_checked_once(mine: Path, decompressor: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = (mine / "decompressor.onnx").read_bytes()
    assert accepted.is_exact(decompressor, "d")
    assert not accepted.is_exact(plain, "p")
    monkeypatch.setattr(bounds, "check", None)
    assert accepted.is_exact(decompressor, "d")
    assert accepted.is_exact(decompressor, "d", claimed=True)
    assert not accepted.is_exact(plain, "p")
    monkeypatch.setattr(accepted, "RULES", accepted.RULES + 1)
    with pytest.raises(TypeError):
        accepted.is_exact(decompressor, "d")


def test_without_a_cache_it_works_too(decompressor: bytes, user_folder: Path) -> None:
    (user_folder.parents[1]).mkdir(exist_ok=True)
    user_folder.parent.write_text("a file where the folder would be")
    assert accepted.is_exact(decompressor, "d")


def test_a_claim_that_is_not_true_is_refused(mine: Path, cli: Cli, decompressor: bytes, classifier: bytes) -> None:
    use(mine)  # not exact, and it does not claim it
    change(mine, exact=True)
    assert "decompressor.onnx: " in (said := refusal(mine, cli))
    assert "is not an operator of exact networks" in said
    model = onnx.load_model_from_string(decompressor)
    (scale,) = [each for each in model.graph.initializer if each.name == "out.scale"]
    broken = changed(decompressor, "out.scale", np.float32(0.1) + 0 * onnx.numpy_helper.to_array(scale))
    put_file(mine, "decompressor.onnx", broken)
    assert "of the layer 'out': a scale that is not m * 2^-k" in refusal(mine, cli)
    put_file(mine, "decompressor.onnx", decompressor)
    use(mine)
    change(mine / "heads/letters", exact=True)
    assert "classifier.onnx: " in refusal(mine, cli)
    put_file(mine, "heads/letters/classifier.onnx", classifier)
    use(mine)


def test_probabilities_come_from_scaled_logits(mine: Path, classifier: bytes) -> None:
    put_file(mine, "heads/letters/classifier.onnx", classifier)
    change(mine / "heads/letters", exact=True, scale=calibrate.LOGIT)
    codec, records = Codec.load(mine), random_records(9)
    logits = exact.Network(classifier, "classifier.onnx")(records)
    assert np.array_equal(logits, np.rint(logits))
    assert np.abs(logits).max() > 8
    wanted = metrics.probabilities(logits * np.float32(calibrate.LOGIT))
    assert np.array_equal(codec.classify(records, verify=False), wanted)


@pytest.mark.parametrize("entry", [{"scale": 0.3}, {"scale": 0}, {"scale": -1}, {"scale": "1"}, {"exact": 1}])
def test_cards_are_checked(entry: dict[str, object], mine: Path, cli: Cli) -> None:
    change(mine / "heads/letters", **entry)
    assert f"{next(iter(entry))} in card.json must be" in refusal(mine, cli)


def test_the_exactness_of_a_codec_is_true_or_false(mine: Path) -> None:
    change(mine, exact="yes")
    with pytest.raises(BadModel, match=r"exact in card\.json must be true or false, not yes"):
        Codec.load(mine)


def test_a_changed_file_is_refused_or_exact(classifier: bytes) -> None:
    """Any bytes may come from a stranger, and what is accepted gives the same bits in NumPy."""
    rng, refused, records = np.random.default_rng(3), 0, random_records(9)
    for _ in range(300):
        file = bytearray(classifier)
        for _ in range(rng.integers(1, 4)):
            file[rng.integers(len(file))] = rng.integers(256)
        try:
            graph = engine.Graph(bytes(file), engine.classifier(3), "x", claims=True)
        except BadModel:
            refused += 1
            continue
        assert np.array_equal(graph(records), exact.Network(bytes(file), "x")(records))
    assert 0 < refused < 300
