"""The architecture `pca`: the fit of its linear path, its files, and a codec of it from the training to a record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import atlcodec
from atlcodec import engine, metrics, record, training, zoo
from atlcodec.card import Model, read_model
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData
from atlcodec.latents import UNIFORM
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training import export, publish
from atlcodec.training.atl import autoencoder, cnn
from atlcodec.training.heads import Examples, encode, train
from atlcodec.training.networks import CLASSIFIERS, Networks
from atlcodec.training.settings import HeadSettings, Settings
from atlcodec.training.start import Start, fit
from atlcodec.training.trainer import Trainer
from check_codec import check_codec
from drawings import drawn
from kit import SHAPE
from training_kit import bars

Pixels = NDArray[np.uint8]


def strokes(count: int, seed: int) -> Dataset:
    """Random strokes of two kinds: a line, and a corner."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = np.stack([drawn(*(tuple(point) for point in rng.uniform(5, 23, (2 + label, 2)))) for label in labels])
    return Dataset("strokes", Split(images, labels), None, ("line", "corner"))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return strokes(600, 0)


@pytest.fixture(scope="module")
def start(data: Dataset) -> Start:
    return fit(data.train.images)


@pytest.fixture(scope="module")
def nets(start: Start) -> Networks:
    """Networks whose mixers do not begin as zero, which would hide mistakes."""
    torch.manual_seed(3)
    made = Networks("pca", [2], start=start).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.003)
    return made


def linear(start: Start, images: Pixels) -> NDArray[np.float64]:
    """What the linear path alone makes of images: their quantised principal components, in plain NumPy."""
    coefficients = (images.reshape(len(images), -1) - start.mean) @ start.components
    levels = np.clip(np.rint(coefficients / start.steps + start.middle), 0, start.packing.top) - start.middle
    return np.asarray((levels * start.steps) @ start.components.T + start.mean).reshape(images.shape)


def test_the_first_components_get_the_most_bits(start: Start) -> None:
    assert start.packing != UNIFORM
    assert (np.diff(start.packing.bits) <= 0).all()
    variances = (start.deviations * start.steps)[: start.picture] ** 2
    assert (np.diff(variances) <= 1e-3).all()
    products = (start.components.T @ start.components)[: start.picture, : start.picture]
    assert np.allclose(products, np.eye(len(products)), atol=1e-4)
    assert start.packing.labels == 8
    assert not start.components[:, start.picture :].any()


@torch.no_grad()
def test_training_begins_at_the_quality_of_pca(start: Start) -> None:
    images = strokes(100, 1).train.images
    begun = Networks("pca", [2], start=start).eval()
    latents = begun.quantise(begun.compressor(torch.from_numpy(images).unsqueeze(1).float()))
    decoded = begun.part("decompressor")(latents).squeeze(1).numpy()
    assert np.abs(decoded - linear(start, images)).mean() < 0.05  # a coefficient near the middle may round up or down
    error = ((linear(start, images).clip(0, 255) - images) ** 2).mean()
    assert metrics.psnr(float(error)) > 20


@torch.no_grad()
def test_the_files_compute_what_the_networks_do(nets: Networks, data: Dataset) -> None:
    packing, images = nets.packing, data.train.images[:40]
    files = export.files(nets, [])
    latents = engine.Graph(files["compressor.onnx"], engine.compressor(SHAPE, packing.shape), "c")(images)
    exact = nets.compressor(torch.from_numpy(images).unsqueeze(1).float())
    difference = np.abs(latents - torch.minimum(exact.clamp(min=0), nets.top).numpy())
    assert difference[:, : -packing.labels].max() < 0.05  # some weights have seven bits in the file
    assert difference[:, -packing.labels :].max() < 0.15
    levels = nets.quantise(torch.from_numpy(latents))
    records = record.pack(packing.pack(levels.numpy().astype(np.uint8)))
    assert np.array_equal(nets.pack(levels), records)
    assert torch.equal(nets.unpack(torch.from_numpy(records)), levels)
    decoded = engine.Graph(files["decompressor.onnx"], engine.decompressor(SHAPE), "d")(records)
    assert np.abs(decoded - nets.part("decompressor")(levels).squeeze(1).clamp(0, 255).numpy()).max() <= 0.51
    logits = engine.Graph(files["classifier.onnx"], engine.classifier(2), "k")(records)
    assert np.abs(logits - nets.part("classifier")(levels).numpy()).max() < 0.05
    again = Networks("pca", [2], start=training.start.blank(packing)).eval()
    again.compressor.load_state_dict(export.weights(files["compressor.onnx"], packing))
    again.part("decompressor").load_state_dict(export.weights(files["decompressor.onnx"], packing))
    again.part("classifier").load_state_dict(export.weights(files["classifier.onnx"], packing))
    # In the file, the lower bits of a latent have rounder weights than the higher ones.
    assert np.allclose(again.part("classifier")(levels), logits, atol=1e-2)
    assert export.files(again, []) == files


@torch.no_grad()
def test_the_latents_of_pictures_need_no_path_for_labels(nets: Networks, data: Dataset) -> None:
    images, kept = torch.from_numpy(data.train.images[:6]).unsqueeze(1).float(), nets.packing.labels
    whole, pictures = nets.compressor(images), nets.picture_latents(images)
    assert torch.equal(pictures[:, :-kept], whole[:, :-kept])
    assert not pictures[:, -kept:].any()
    decode = nets.part("decompressor")
    assert torch.equal(decode(nets.quantise(pictures)), decode(nets.quantise(whole)))
    other = Networks("mixer", [2]).eval()
    assert torch.equal(other.picture_latents(images), other.compressor(images))


def test_the_refiner_gives_the_steps_of_the_latents(nets: Networks, data: Dataset, start: Start) -> None:
    images = data.train.images[:6]
    latents = nets.quantise(nets.compressor(torch.from_numpy(images).unsqueeze(1).float())).detach()
    leaf = latents.clone().requires_grad_()
    decoded = nets.part("decompressor")(leaf).squeeze(1)
    difference = decoded.detach().clamp(0, 255) - torch.from_numpy(images)
    decoded.backward(difference)
    assert leaf.grad is not None
    file = export.refiner(nets.part("decompressor"), nets.packing)
    step, linear = (
        engine.Graph(file, engine.refiner(SHAPE, nets.packing.shape, (name,)), "").run(latents.numpy(), images)[0]
        for name in ("step", "linear_step")
    )
    kept = slice(start.picture)
    expected = -leaf.grad.numpy()[:, kept] / start.steps[kept] ** 2  # components are orthonormal
    np.testing.assert_allclose(step[:, kept], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    expected = (-difference.flatten(1).numpy() @ start.components / start.steps)[:, kept]
    np.testing.assert_allclose(linear[:, kept], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert not step[:, start.picture :].any()  # the latents for labels
    assert not linear[:, start.picture :].any()


@pytest.fixture(scope="module")
def model(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A codec after one epoch."""
    folder = tmp_path_factory.mktemp("pca")
    trainer = Trainer(Settings(architecture="pca", batch_size=64, precision="float32"), data, folder / "run")
    trainer.train(autoencoder(), 1)
    recipe = {"recipe": {"architecture": "pca"}}
    publish.codecs(trainer, [data], folder / "strokes", "strokes", recipe, "kind")
    return read_model(folder / "strokes")


def test_a_codec_of_it_is_one_like_all_others(model: Model, data: Dataset) -> None:
    card = json.loads((model.folder / "card.json").read_text())
    assert sum(bits * count for bits, count in card["latents"]) == 1600
    check_codec(Codec(model), data.train.images[-24:])


def test_its_records_are_refined_without_harm_to_the_high_bits(model: Model, data: Dataset) -> None:
    codec, images = Codec(model), data.train.images[-100:]
    psnr = [
        metrics.psnr(metrics.squared_error(images, codec.decode(codec.encode(images, effort))).mean())
        for effort in (0, 3, 7)
    ]
    assert psnr[0] + 0.3 < psnr[1] < psnr[2]
    latents = model.card.packing.nearest(codec.latents(images))[0]
    bare = metrics.squared_error(images, codec.decode(record.pack(latents), verify=False)).mean()
    assert metrics.psnr(bare) - psnr[0] < 0.3  # the cost of the seal


def test_its_networks_are_loaded_as_modules(model: Model, data: Dataset) -> None:
    modules = training.load(model.folder)
    images = torch.from_numpy(data.train.images[:20])
    latents = modules.encode(images)
    assert latents.shape == (20, model.card.packing.count)
    decoded = Codec(model).decode(
        record.pack(model.card.packing.pack(latents.detach().numpy().astype(np.uint8))), verify=False
    )
    difference = np.abs(modules.decode(latents).detach().numpy() - decoded)  # the file is an exact network
    assert difference.mean() < 0.5
    assert difference.max() < 8
    assert modules.classifier is not None
    assert modules.classifier(latents).shape == (20, 2)


def test_a_head_is_trained_on_its_records(model: Model, tmp_path: Path) -> None:
    data = bars(300)
    assert data.train.labels is not None
    records = Codec(model).encode(data.train.images, 0)
    examples = Examples(model, records, data.train.labels, data.classes, {"name": "bars"})
    trainer = train(examples, HeadSettings(epochs=40, batch_size=64), tmp_path / "run")
    accuracy = publish.head(tmp_path / "head", trainer, examples, {"name": "again"})
    assert accuracy > 0.9


def test_a_conv_head_is_trained_on_images_and_their_copies(model: Model, data: Dataset, tmp_path: Path) -> None:
    settings = HeadSettings(architecture="conv", epochs=2, batch_size=64, copies=2, learning_rate=1e-3, floats=True)
    examples = encode(data, model, settings)
    assert data.train.labels is not None
    assert len(examples) == 3 * 540
    assert np.array_equal(examples.labels[540:1080], data.train.labels[:540])
    assert examples.held_out is not None
    assert len(examples.held_out) == 60  # the last images; no copy of them is learned from
    trainer = train(examples, settings, tmp_path / "run")
    publish.head(tmp_path / "head", trainer, examples, {"name": "wide", "recipe": {"architecture": "conv"}})
    network, file = trainer.nets.part("classifier").eval(), (tmp_path / "head" / "classifier.onnx").read_bytes()
    logits = engine.Graph(file, engine.classifier(2), "k")(examples.held_out.images)
    exact = network(trainer.nets.unpack(torch.from_numpy(examples.held_out.images))).detach().numpy()
    np.testing.assert_allclose(logits, exact, atol=1e-3)
    again = CLASSIFIERS["conv"](training.start.blank(model.card.packing), 2)
    again.load_state_dict(export.weights(file, model.card.packing))
    again.eval()
    assert export.classifier(again, 2, model.card.packing) == file


def test_a_conv_head_needs_a_linear_path(data: Dataset, tmp_path: Path) -> None:
    settings = HeadSettings(architecture="conv", epochs=1)
    with pytest.raises(BadData, match="needs a codec of the architecture pca"):
        train(encode(data, zoo.find("mnist-lenet"), settings), settings, tmp_path)


def test_labels_and_pictures_learn_apart(data: Dataset, tmp_path: Path) -> None:
    """The labels move the compressor's path for labels and nothing else of it, the squared error all the rest."""
    trainer = Trainer(Settings(batch_size=64, precision="float32"), data, tmp_path)
    for phase, moved in ((cnn(), {"second"}), (autoencoder(), {"first"})):
        before = {name: value.clone() for name, value in trainer.nets.compressor.named_parameters()}
        trainer.train(phase, 1)
        now = trainer.nets.compressor.named_parameters()
        assert {name.split(".")[1] for name, value in now if not torch.equal(value, before[name])} == moved


def test_a_compressor_of_another_model_is_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(AtlcError, match="cannot start from another model's compressor"):
        Trainer(Settings(architecture="pca"), data, tmp_path, start={})


def test_the_package_exports_what_a_stranger_needs(model: Model, data: Dataset) -> None:
    image = data.train.images[0]
    packed = atlcodec.encode(image, model=model.folder)
    assert len(packed) == 200
    assert atlcodec.decode(packed, model=model.folder).shape == image.shape
