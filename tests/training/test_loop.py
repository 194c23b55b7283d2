"""Training: frozen parts stay as they are, a killed run ends as an unbroken one, and it stops by itself. On drawn
images, for seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import record
from atlcodec.errors import BadData
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training import measure
from atlcodec.training.atl import atl, autoencoder, classifier, cnn, decompressor
from atlcodec.training.augment import random_shift
from atlcodec.training.data import pack, split_validation, unpack
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Atl, Settings
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, Killed, bars, changed, same, weights

QUICK = Atl(warmup=2, sets=2, tune=1)


@pytest.mark.parametrize("phase", [autoencoder(), cnn(), classifier(), decompressor()], ids=str)
def test_frozen_parts_do_not_change_by_a_bit(phase: Phase, tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    before = weights(trainer)
    trainer.train(phase, 1, (1e-2, 1e-3))
    moved = changed(before, weights(trainer))
    assert moved == {name for name in before if name.split(".")[0].rstrip("s") in phase.parts}


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_a_run_that_was_stopped_ends_as_an_unbroken_one(after: int, tmp_path: Path) -> None:
    whole = Trainer(SETTINGS, bars(), tmp_path / "whole")
    atl(whole, QUICK)

    lines = []

    def kill(line: str) -> None:
        lines.append(line)
        if len(lines) == after:
            raise Killed

    broken = Trainer(SETTINGS, bars(), tmp_path / "broken", log=kill)
    with pytest.raises(Killed):
        atl(broken, QUICK)
    resumed = Trainer(SETTINGS, bars(), tmp_path / "broken")
    atl(resumed, QUICK)
    assert same(weights(whole), weights(resumed))
    assert [(s.name, s.value) for s in whole.steps] == [(s.name, s.value) for s in resumed.steps]


def test_the_learning_rate_of_each_optimiser_warms_up_from_a_hundredth(tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)

    def last_rate(phase: Phase) -> float:
        trainer.train(phase, 1, (1e-3, 1e-3))
        return float(trainer.optimizers.of(phase.parts, phase.task, 0).param_groups[0]["lr"])

    assert last_rate(cnn()) == pytest.approx(1e-5 * 100 ** (5 / 9))
    assert last_rate(classifier()) == pytest.approx(1e-5 * 100 ** (5 / 9))  # another optimiser, from the beginning
    assert last_rate(cnn()) == pytest.approx(1e-3)


def test_the_seed_decides(tmp_path: Path) -> None:
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        trainer = Trainer(Settings(batch_size=32, seed=seed), bars(), tmp_path / str(number))
        trainer.train(autoencoder(), 1, (1e-3, 1e-3))
        trainer.train(cnn(), 1, (1e-3, 1e-3))
        runs.append(weights(trainer))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_a_run_of_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    Trainer(SETTINGS, bars(), tmp_path, recipe="a").train(classifier(), 1, (1e-3, 1e-3))
    for settings, recipe in ((SETTINGS, "b"), (Settings(batch_size=16), "a")):
        with pytest.raises(BadData, match="other settings or data"):
            Trainer(settings, bars(), tmp_path, recipe=recipe)


class Scripted(Trainer):
    """Measures what it is told, and does not train."""

    figures: list[tuple[float, float]]

    def train(self, phase: Phase, epochs: int, rates: tuple[float, float] | None = None) -> None:
        pass

    def measure(self, task: str, *, domain: int = 0, test: Split | None = None) -> float:
        return self.figures[0][0] if task == "classifier" else self.figures.pop(0)[1]


def test_it_stops_when_neither_task_improves(tmp_path: Path) -> None:
    trainer = Scripted(SETTINGS, bars(), tmp_path)
    trainer.figures = [(0.5, 20.0), (0.6, 20.0), (0.6, 21.0), (0.6, 21.0), (0.5, 20.0), (0.7, 30.0), (0.7, 30.0)]
    atl(trainer, Atl(warmup=0, sets=25, patience=2, tune=0))
    # Sets 1 to 3 improve, 4 and 5 do not; then the last measurement of all.
    assert len(trainer.figures) == 7 - (5 + 1)


def test_validation_is_the_end_of_the_training_images() -> None:
    images = np.arange(100, dtype=np.uint8)[:, None, None] + np.zeros((1, 28, 28), np.uint8)
    labelled, held_out = split_validation(Split(images, np.arange(100)), 5000)
    assert labelled.labels is not None
    assert held_out.labels is not None
    assert labelled.labels.tolist() == list(range(90))
    assert held_out.labels.tolist() == list(range(90, 100))
    assert len(split_validation(Split(images, None), 3)[1]) == 3


def test_a_random_shift_moves_images_and_loses_nothing_inside() -> None:
    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 10:18] = torch.randint(1, 255, (50, 8, 8), dtype=torch.uint8)
    moved = random_shift(images, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum(dim=(1, 2)), images.sum(dim=(1, 2)))
    assert not torch.equal(moved, images)
    assert moved[:, :8].sum() == 0


def test_records_on_tensors_are_those_of_the_format() -> None:
    symbols = torch.randint(0, 16, (9, 16, 5, 5))
    assert np.array_equal(pack(symbols).numpy(), record.pack(symbols.numpy()))
    assert torch.equal(unpack(pack(symbols)), symbols.float())


def test_unlabelled_images_serve_the_autoencoder_alone(tmp_path: Path) -> None:
    data = bars(60)
    trainer = Trainer(Settings(batch_size=16), data, tmp_path, unlabelled=np.full((40, 28, 28), 9, np.uint8))
    assert len(trainer.domains[0]) == 54 + 40
    assert len(trainer.domains[0].labels) == 54
    trainer.train(autoencoder(), 1, (1e-3, 1e-3))
    trainer.train(cnn(), 1, (1e-3, 1e-3))
    assert [s.name for s in trainer.steps] == [
        "train compressor+decompressor (autoencoder)",
        "train compressor+classifier (classifier)",
    ]


def test_data_without_labels_cannot_train_a_classifier(tmp_path: Path) -> None:
    data = Dataset("plain", Split(np.zeros((50, 28, 28), np.uint8), None), None, ())
    with pytest.raises(BadData, match="labels"):
        Trainer(SETTINGS, data, tmp_path)


def test_each_half_alone_may_learn_from_sealed_records(tmp_path: Path) -> None:
    kept = {}
    for sealed in (False, True):
        trainer = Trainer(Settings(batch_size=32, seed=5, sealed=sealed), bars(), tmp_path / str(sealed))
        trainer.train(classifier(), 1, (1e-3, 1e-3))
        assert trainer.domains[0].records is not None
        kept[sealed] = trainer.domains[0].records.numpy()
    assert (record.ids(kept[True]) == 5).all()
    assert np.abs(record.unpack(kept[True]).astype(int) - record.unpack(kept[False])).max() == 1


def test_a_classifier_alone_learns_to_be_unsure_of_outliers(tmp_path: Path) -> None:
    outliers = np.random.default_rng(1).integers(0, 256, (200, 28, 28), np.uint8)
    data = bars()
    confidence = {}
    for given in (None, outliers):
        trainer = Trainer(Settings(batch_size=16), data, tmp_path / str(given is None), outliers=given)
        trainer.train(cnn(), 4, (2e-3, 2e-3))
        before = weights(trainer)
        trainer.train(classifier(), 8, (2e-3, 2e-3))
        assert all(name.startswith("classifiers.") for name in changed(before, weights(trainer)))
        scores = measure.scores(trainer.nets, outliers)
        confidence[given is not None] = float(torch.from_numpy(scores).softmax(1).amax(1).mean())
        assert measure.accuracy(trainer.nets, data.train) > 0.9
    assert confidence[True] < confidence[False] - 0.1
