"""Training that begins with a whole codec of the architecture pca."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import choice, zoo
from atlcodec.card import Model, read_model
from atlcodec.choice import Suited
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData
from atlcodec.training import measure, pretrained, publish, recipes
from atlcodec.training.atl import cnn
from atlcodec.training.layers import FixedLinear
from atlcodec.training.layout import planes
from atlcodec.training.settings import Joint, Settings
from atlcodec.training.trainer import Trainer
from kit import Cli, put
from training_kit import bars, same, weights

DATA = bars(400)
SCORES = np.zeros((1, 1))
SETTINGS = Settings(batch_size=32, learning_rate=4e-3)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A codec of bars that knows its labels."""
    folder = tmp_path_factory.mktemp("parent")
    trainer = Trainer(SETTINGS, DATA, folder / "run")
    recipes.run("joint", trainer, Joint(epochs=6, tune=2))
    card = {"recipe": {"architecture": "pca"}, "licence": "CC BY 4.0"}
    publish.codecs(trainer, [DATA], folder / "old", "old", card, "bars")
    return read_model(folder / "old")


def test_it_begins_with_all_that_the_codec_knows(parent: Model, tmp_path: Path) -> None:
    said: list[str] = []
    trainer = Trainer(SETTINGS, DATA, tmp_path, parent=parent, log=said.append)
    assert said == ["begins with old: its compressor, decompressor and classifier"]
    assert trainer.nets.packing == parent.card.packing
    codec, images = Codec(parent), DATA.train.images[:100]
    with torch.no_grad():
        mine = trainer.nets.eval().compressor(planes(torch.from_numpy(images))).numpy()
    assert np.abs(np.clip(mine, 0, trainer.nets.top.numpy()) - codec.latents(images)).max() < 0.05
    accuracy = trainer.measure("classifier")
    assert accuracy > 0.9
    # The batch normalisations do not undo the labels as soon as they learn.
    trainer.train(cnn(), 1, (1e-9, 1e-9))
    assert trainer.measure("classifier") >= accuracy - 0.03
    with torch.no_grad():
        after = trainer.nets.eval().compressor(planes(torch.from_numpy(images))).numpy()
    assert np.abs(after - mine).mean() < 0.05


def test_the_linear_path_stays_and_the_rest_learns(parent: Model, tmp_path: Path) -> None:
    trainer = Trainer(replace(SETTINGS, learning_rate=5e-4), DATA, tmp_path, parent=parent)
    before = weights(trainer)
    recipes.run("joint", trainer, Joint(epochs=2, tune=1))
    after = weights(trainer)
    fixed = [name for name, part in trainer.nets.named_modules() if isinstance(part, FixedLinear)]
    assert len(fixed) == 2
    for name in before:
        if any(name.startswith(f"{one}.") for one in fixed):
            assert torch.equal(before[name], after[name])
    assert not same(before, after)
    resumed = Trainer(replace(SETTINGS, learning_rate=5e-4), DATA, tmp_path, parent=parent)
    assert same(weights(resumed), after)


def test_other_labels_get_a_new_classifier(parent: Model, tmp_path: Path) -> None:
    said: list[str] = []
    data = replace(DATA, classes=("up", "down"))
    trainer = Trainer(SETTINGS, data, tmp_path, parent=parent, log=said.append)
    assert said == ["begins with old: its compressor and decompressor; 2 labels are new"]
    kept = pretrained.decompressor_weights(parent)
    now = trainer.nets.part("decompressor").state_dict()
    assert all(torch.equal(kept[name], now[name]) for name in kept)


@pytest.mark.parametrize("name", ["mnist", "fashion", "kmnist"])
def test_a_bundled_codec_is_a_start(name: str, tmp_path: Path) -> None:
    model = zoo.find(name)
    trainer = Trainer(SETTINGS, bars(40), tmp_path, parent=model)
    latents = trainer.nets.compressor(planes(torch.from_numpy(bars(8).train.images)))
    records = trainer.nets.pack(trainer.nets.quantise(latents))
    assert records.shape == (8, 200)


def test_what_cannot_be_a_start_is_refused(parent: Model, tmp_path: Path) -> None:
    wide = replace(DATA, train=replace(DATA.train, images=np.zeros((400, 28, 30), np.uint8)))
    with pytest.raises(BadData, match=r"images of the shape \(28, 30\), not \(28, 28\)"):
        Trainer(SETTINGS, wide, tmp_path, parent=parent)
    with pytest.raises(AtlcError, match="do not fit the architecture pca"):
        Trainer(SETTINGS, DATA, tmp_path, parent=zoo.find("mnist-lenet"))
    assert pretrained.architecture(parent.card.recipe) == "pca"


def test_the_command_names_the_licence_and_proposes_a_start(
    parent: Model, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DATA.train.labels is not None
    for number in range(60):
        label = DATA.classes[DATA.train.labels[number]]
        put(tmp_path / "set" / label / f"{number}.png", DATA.train.images[number])
    begin = ["train", "--data", str(tmp_path / "set"), "--recipe", "joint", "--epochs", "1", "--tune", "0"]
    codec = Codec(parent)
    monkeypatch.setattr(choice, "suited", lambda images: Suited([codec], [codec.encode(images, 0)], SCORES))
    monkeypatch.setattr(measure, "psnr", lambda *arguments: 20.0)
    alone = cli(*begin, "-o", str(tmp_path / "alone"))
    assert re.search(r"54 images are few: old has \S+ dB on them already, .* 20.0 dB; --start old", alone.err)
    done = cli(*begin, "-o", str(tmp_path / "mine"), "--start", str(parent.folder))
    assert done.code == 0, done.err
    assert "are few" not in done.err
    assert "begins with old, whose licence holds for what you make of it, too: CC BY 4.0" in done.err
    card = read_model(tmp_path / "mine").card
    assert card.licence == "CC BY 4.0"
    assert card.recipe["start"] == f"old {parent.sha256}"
    assert card.recipe["learning_rate"] == 1e-3
    own = cli(*begin, "-o", str(tmp_path / "own"), "--start", str(parent.folder), "--licence", "MIT")
    assert own.code == 0, own.err
    assert read_model(tmp_path / "own").card.licence == "MIT; begins with old: CC BY 4.0"
