"""The last step of training: exact files, figures of these, and a start for further training."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import bounds, engine, exact, metrics
from atlcodec.card import Model, read_model
from atlcodec.card_writer import update_card
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from atlcodec.sets.dataset import Split
from atlcodec.training import budget, finish, heads, pretrained, publish, recipes, tuning
from atlcodec.training.pretrained import Modules
from atlcodec.training.settings import HeadSettings, Joint, Settings
from atlcodec.training.trainer import Trainer
from atlcodec.training.tuning import Tuning
from training_kit import Killed, bars, same, weights

DATA = bars(400)
CARD = {"recipe": {"architecture": "pca"}}


def trained(folder: Path, architecture: str = "pca", *, floats: bool = False) -> Trainer:
    settings = Settings(architecture=architecture, batch_size=32, learning_rate=4e-3, floats=floats)
    trainer = Trainer(settings, DATA, folder)
    recipes.run("joint", trainer, Joint(epochs=4, tune=1))
    return trainer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("exact")
    publish.codecs(trained(folder / "run"), [DATA], folder / "mine", "mine", CARD, "bars", exact_epochs=2)
    return read_model(folder / "mine")


def test_a_trained_codec_is_exact(model: Model) -> None:
    codec = Codec(model)
    assert codec.model.card.exact
    assert codec.head.card.exact
    assert codec.head.card.scale == 2.0**-8
    bounds.check(model.file("decompressor"), "decompressor.onnx")
    bounds.check(codec.head.file(), "classifier.onnx")
    modules = Modules.load(model.folder)
    images = DATA.train.images[:100]
    records = codec.encode(images, effort=0)
    with torch.no_grad():
        latents = torch.from_numpy(model.card.packing.read(records).reshape(100, -1).astype(np.float32))
        pixels = modules.decode(latents).numpy()
        assert modules.classifier is not None
        odds = modules.classifier(latents).softmax(1).numpy()
    assert np.abs(codec.decode(records) - pixels).mean() < 2  # the refiner has the same weights in floats
    assert np.abs(codec.classify(records) - odds).max() < 0.05
    assert model.card.searched["psnr"] > model.card.figures["psnr"]


def test_a_trained_codec_is_a_start(model: Model, tmp_path: Path) -> None:
    said: list[str] = []
    trainer = Trainer(Settings(batch_size=32), DATA, tmp_path, parent=model, log=said.append)
    assert said == ["begins with mine: its compressor, decompressor and classifier"]
    psnr, accuracy = trainer.measure("autoencoder"), trainer.measure("classifier")
    assert psnr == pytest.approx(model.card.figures["psnr_unsealed"], abs=0.3)
    assert 100 * accuracy == pytest.approx(model.card.figures["accuracy_unsealed"], abs=5)


def test_an_exact_codec_without_a_refiner_cannot_be_a_start(model: Model, tmp_path: Path) -> None:
    digests = {name: digest for name, digest in model.card.digests.items() if name != "refiner.onnx"}
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in digests:
        (folder / name).write_bytes((model.folder / name).read_bytes())
    (folder / "card.json").write_text((model.folder / "card.json").read_text())
    update_card(folder, {"sha256": digests, "default_head": None})
    with pytest.raises(BadModel, match=r"mine: has no refiner.onnx, which holds the weights"):
        pretrained.decompressor_weights(read_model(folder))


@pytest.mark.parametrize("stop", [1, 3], ids=["decompressor", "classifier"])
def test_a_stopped_run_resumes(stop: int, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, saved = trained(tmp_path / "run"), list[Path]()
    save = tuning._save

    def killed(folder: Path, *arguments: object) -> None:
        save(folder, *arguments)  # type: ignore[arg-type]
        saved.append(folder)
        if len(saved) == stop:
            raise Killed

    monkeypatch.setattr(tuning, "_save", killed)
    with pytest.raises(Killed):
        finish.codec(trainer, 2, [])
    again = trained(tmp_path / "run")
    made = finish.codec(again, 2, [])
    assert made.files["decompressor.onnx"] == model.file("decompressor")
    assert made.files["classifier.onnx"] == Codec(model).head.file()
    names = ["exact-0-2", "exact-0-2", "exact-classifier-0-2", "exact-classifier-0-2"]  # each epoch once
    assert [folder.name for folder in saved] == names


def test_a_classifier_is_tuned_by_training_and_kept_by_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, said = trained(tmp_path / "run"), list[str]()
    latents = finish._latents(trainer.nets, trainer.domains[0], trainer.settings)

    def made(epochs: int, rate: float) -> bytes:
        monkeypatch.setattr(finish, "Tuning", partial(Tuning, learning_rate=rate))
        found = finish._classifier(trainer, 0, epochs, latents)
        assert found is not None
        return found[0]

    before, tuned = made(0, 5e-4), made(1, 5e-4)
    assert tuned != before
    records = trainer.domains[0].records
    assert records is not None
    labels = trainer.domains[0].labels.numpy()
    was, now = (metrics.accuracy(exact.Network(file, "c")(records.numpy()), labels) for file in (before, tuned))
    assert now >= was - 0.01
    trainer.log = said.append
    loss = tuning.head_loss
    monkeypatch.setattr(tuning, "head_loss", lambda *given: lambda rows: -loss(*given)(rows))
    assert made(2, 0.1) == before  # what it learned was wrong
    accuracies = [float(line.rsplit(" ", 1)[1]) for line in said if line.startswith("exact classifier, accuracy")]
    assert len(accuracies) == 3
    assert accuracies[-1] < accuracies[0] - 0.2


@pytest.mark.parametrize(("architecture", "whole"), [("lenet", True), ("mixer", False)])
def test_other_architectures(architecture: str, whole: bool, tmp_path: Path) -> None:
    said: list[str] = []
    trainer = trained(tmp_path / "run", architecture)
    trainer.log = said.append
    made = finish.codec(trainer, 1, [])
    assert made.about == ({"exact": True} if whole else {})
    reasons = [line for line in said if "stays in floats" in line]
    assert ("decompressor stays in floats: mixer cannot be made exact" in " ".join(reasons)) != whole
    signature = engine.decompressor((28, 28))
    engine.Graph(made.files["decompressor.onnx"], signature, "d", claims=whole)


def test_all_stays_in_floats_if_you_ask(tmp_path: Path) -> None:
    made = finish.codec(trained(tmp_path, "lenet", floats=True), 2, [])
    assert len(trained(tmp_path, "lenet").steps) == len(trained(tmp_path, "lenet", floats=True).steps)  # one run
    assert (made.about, made.about_head) == ({}, {})
    assert not list(tmp_path.glob("exact-*"))
    with pytest.raises(BadModel):
        bounds.check(made.files["decompressor.onnx"], "d")


def test_a_head_is_exact(model: Model, tmp_path: Path) -> None:
    codec = Codec(model)
    assert DATA.train.labels is not None
    records = codec.encode(DATA.train.images, effort=0)
    held_out = Split(records[:50], DATA.train.labels[:50])
    examples = heads.Examples(
        model, records[50:], DATA.train.labels[50:].astype(np.int64), DATA.classes, {"name": "bars"}, held_out
    )
    for architecture in ("dense", "conv"):
        settings = HeadSettings(architecture=architecture, epochs=8, batch_size=32)
        trainer = heads.train(examples, settings, tmp_path / f"run-{architecture}")
        folder = model.folder / "heads" / architecture
        card = {"name": architecture, "recipe": {"architecture": architecture, "exact_epochs": 2}}
        assert publish.head(folder, trainer, examples, card) > 0.8
        written = json.loads((folder / "card.json").read_text())
        assert (written["exact"], written["scale"]) == (True, 2.0**-8)
        assert (tmp_path / f"run-{architecture}/exact-classifier-0-2/checkpoint.pt").is_file()
        mine = Codec(model, architecture)
        network = Modules.load(model.folder, architecture).classifier
        assert network is not None
        latents = torch.from_numpy(model.card.packing.read(records).reshape(len(records), -1).astype(np.float32))
        with torch.no_grad():
            odds = network(latents).softmax(1).numpy()
        assert np.abs(mine.classify(records) - odds).mean() < 0.05


def test_minutes_leave_time_for_it(tmp_path: Path) -> None:
    trainer = Trainer(Settings(batch_size=32), DATA, tmp_path)
    before = weights(trainer)
    assert budget.decided(trainer, "joint", Joint(), 0.001).exact_epochs == 0
    assert budget.decided(trainer, "joint", Joint(), 30).exact_epochs == 2
    assert budget.decided(trainer, "joint", Joint(exact_epochs=7), 0.002, ("exact_epochs",)).exact_epochs == 7
    assert same(weights(trainer), before)
