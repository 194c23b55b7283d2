"""Labels anew for a codec that exists: its id and its pictures stay, and the path for labels computes with integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from atlcodec import engine, record, zoo
from atlcodec.card import Model, read_model
from atlcodec.codec import Codec
from atlcodec.errors import BadData, BadModel
from atlcodec.training import export, heads, pretrained, publish, recipes, teacher
from atlcodec.training.layers import ConvNorm, Levels
from atlcodec.training.networks import Networks
from atlcodec.training.settings import HeadSettings, Labels, Settings
from atlcodec.training.start import blank
from atlcodec.training.trainer import Trainer
from kit import SHAPE, Cli
from training_kit import bars

BASE = zoo.find("kmnist")
DATA = bars(300)
SETTINGS = Settings(batch_size=32, learning_rate=4e-3, augment="affine", augment_strength=0.3, mixup=0.2)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = Trainer(SETTINGS, DATA, tmp_path_factory.mktemp("labels"), base=BASE, taught_by="small")
    recipes.run("labels", made, Labels(teacher=3, epochs=4, tune=1))
    return made


@pytest.fixture(scope="module")
def model(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("codec") / "bars"
    publish.codecs(trainer, [DATA], folder, "bars", {"recipe": {"architecture": "pca"}}, "bars", BASE)
    return read_model(folder)


def test_the_labels_are_learned(trainer: Trainer) -> None:
    figures = {step.name: step.value for step in trainer.steps}
    assert figures["teacher accuracy"] > 0.9
    assert figures["accuracy"] > 0.9


def test_the_id_and_the_pictures_stay(model: Model) -> None:
    assert model.sha256 == BASE.sha256
    before, after = Codec(BASE), Codec(model)
    images = DATA.train.images[:50]
    labels = BASE.card.packing.labels
    difference = np.abs(after.latents(images) - before.latents(images))
    assert difference[:, :-labels].mean() < 0.1  # weights may be rounded
    assert difference[:, -labels:].mean() > 0.5
    assert (record.ids(after.encode(images)) == BASE.id).all()
    assert DATA.train.labels is not None
    assert (after.classify(after.encode(images)).argmax(1) == DATA.train.labels[:50]).mean() > 0.9


def test_a_stopped_run_resumes(trainer: Trainer) -> None:
    again = Trainer(SETTINGS, DATA, trainer.folder, base=BASE, taught_by="small")
    assert [step.name for step in again.steps] == [step.name for step in trainer.steps]
    for name, value in trainer.nets.state_dict().items():
        assert torch.equal(again.nets.state_dict()[name], value), name


def test_the_path_for_labels_is_computed_with_integers(trainer: Trainer) -> None:
    """The file gives what the networks do, but for the rounding of the weights; and the same again from its weights."""
    nets, images = trainer.nets.eval(), DATA.train.images[:40]
    file = export.compressor(nets.compressor, nets.packing)
    kernels = [
        weight for weight in onnx.load_from_string(file).graph.initializer if weight.name.endswith("weight.whole")
    ]
    assert len(kernels) == 7  # and the last layer of the mixers
    assert all(np.abs(onnx.numpy_helper.to_array(kernel)).max() == 63 for kernel in kernels)
    found = engine.Graph(file, engine.compressor(SHAPE, nets.packing.shape), "c")(images)
    with torch.no_grad():
        exact = nets.compressor(torch.from_numpy(images).unsqueeze(1).float())
    np.testing.assert_allclose(found, torch.minimum(exact.clamp(min=0), nets.top), atol=0.15)
    again = Networks("pca", [2], start=blank(nets.packing)).eval()
    again.compressor.load_state_dict(export.weights(file, nets.packing))
    assert export.compressor(again.compressor, nets.packing) == file


def test_levels_are_a_relu_of_eight_bits() -> None:
    x = torch.tensor([-1.0, 0.01, 0.26, 1.0, 9.0], requires_grad=True)
    y = Levels(1 / 4)(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0.25, 1, 9]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1]
    assert Levels(1 / 64, signed=True)(torch.tensor([-3.0, -0.5, 3.0])).tolist() == [-2, -0.5, 127 / 64]


def test_a_convolution_takes_its_normalisation_in() -> None:
    torch.manual_seed(1)
    layer = ConvNorm(3, 5, stride=2)
    for _ in range(3):
        layer(torch.randn(4, 3, 8, 8) * 3 + 1)
    layer.eval()
    x = torch.randn(2, 3, 8, 8)
    weight, bias = map(torch.from_numpy, layer.folded())
    expected = torch.nn.functional.conv2d(x, weight, bias, stride=2, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    again = ConvNorm(3, 5, stride=2).eval()
    again.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(again(x), expected, rtol=1e-4, atol=1e-5)


def test_the_teacher_helps_another_head(trainer: Trainer, model: Model, tmp_path: Path) -> None:
    settings = HeadSettings(architecture="pca", epochs=3, batch_size=64, copies=1, augment_strength=0.3)
    examples = heads.encode(DATA, model, settings, taught_by=trainer.folder)
    assert examples.said is not None
    assert examples.said.shape == (len(examples), 2)
    assert (examples.said.argmax(1) == examples.labels).mean() > 0.9
    head = heads.train(examples, settings, tmp_path / "head")
    assert head.steps[-1].value > 0.9
    with pytest.raises(BadData, match="other settings"):
        heads.train(heads.encode(DATA, model, settings), settings, tmp_path / "head")


def test_the_classifier_reads_the_latents_for_labels_alone(model: Model) -> None:
    codec = Codec(model)
    records = codec.encode(DATA.train.images[:40], effort=0)
    graph = engine.Graph(codec.head.file(), engine.classifier(len(codec.labels)), "classifier.onnx")
    others = records.copy()
    others[:, :-2] = np.random.default_rng(0).integers(0, 256, (40, 198))  # 16 bits of labels come last
    assert np.array_equal(graph(others), graph(records))
    others[:, -2:] ^= 0b10101010
    assert not np.array_equal(graph(others), graph(records))


def test_a_run_goes_on_on_another_device(trainer: Trainer, tmp_path: Path) -> None:
    state = torch.load(trainer.folder / "checkpoint.pt", weights_only=True)
    state["settings"]["device"] = "cuda"
    torch.save(state, tmp_path / "checkpoint.pt")
    again = Trainer(SETTINGS, DATA, tmp_path, base=BASE, taught_by="small")
    assert again.steps == trainer.steps


def test_a_large_teacher_is_told_by_its_weights(tmp_path: Path) -> None:
    large = teacher.teacher(2, size="large").eval()
    torch.save(
        {"networks": {f"teacher.{name}": value for name, value in large.state_dict().items()}},
        tmp_path / "checkpoint.pt",
    )
    images = torch.rand(2, 1, *SHAPE) * 255
    assert torch.equal(teacher.load(tmp_path, 2)(images), large(images))


@pytest.mark.parametrize(("classes", "why"), [(3, "has no teacher of 3 labels"), (0, "no checkpoint.pt")])
def test_a_folder_without_a_teacher(trainer: Trainer, tmp_path: Path, classes: int, why: str) -> None:
    with pytest.raises(BadData, match=why):
        teacher.load(trainer.folder if classes else tmp_path, classes)


def test_a_codec_of_another_form_is_refused(trainer: Trainer) -> None:
    with pytest.raises(BadModel, match="do not fit the architecture pca"):
        pretrained.load_pictures(trainer.nets, zoo.find("mnist"))


def test_the_command_refuses_a_codec_without_latents_for_labels(cli: Cli, workplace: Path) -> None:
    result = cli("train", "--data", "MNIST", "--recipe", "labels", "--start", "mnist-lenet", "-o", "mine")
    assert "mnist-lenet: not of the architecture pca" in result.complaint
