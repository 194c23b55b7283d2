"""Training: frozen parts stay as they are, a killed run ends as an unbroken one, and it stops by itself. On drawn
pictures, for seconds: nothing here is trained for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import record
from atlcodec.errors import BadData
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training.atl import Atl, atl
from atlcodec.training.augment import shifted
from atlcodec.training.loop import Settings, Trainer, pack, split_validation, unpack

QUICK = Atl(warmup=2, sets=2, tune=1)
SETTINGS = Settings(batch=32, seed=5, shift=1, rise=9)  # an epoch has six mini-batches


def bars(n: int = 200) -> Dataset:
    """Upright and lying bars, bright on black."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, 28, 28), np.uint8)
    labels = rng.integers(0, 2, n)
    for image, label, at in zip(images, labels, rng.integers(4, 20, n), strict=True):
        (image if label else image.T)[at : at + 4, 4:24] = 220
    return Dataset("bars", Split(images, labels), None, ("upright", "lying"))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.nets.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("parts", "task"),
    [
        ("compressor+decompressor", "autoencoder"),
        ("compressor+classifier", "classifier"),
        ("classifier", "classifier"),
        ("decompressor", "autoencoder"),
    ],
)
def test_parts_that_are_not_named_do_not_change_by_a_bit(parts: str, task: str, tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    before = weights(trainer)
    trainer.train(parts, task, 1, (1e-2, 1e-3))  # type: ignore[arg-type]
    for name, value in weights(trainer).items():
        moved = name.split(".")[0].rstrip("s") in parts.split("+")
        assert torch.equal(value, before[name]) != moved, name


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_a_run_that_was_stopped_ends_as_an_unbroken_one(after: int, tmp_path: Path) -> None:
    whole = Trainer(SETTINGS, bars(), tmp_path / "whole")
    atl(whole, QUICK)

    lines = []

    def kill(line: str) -> None:
        lines.append(line)
        if len(lines) == after:
            raise Killed

    broken = Trainer(SETTINGS, bars(), tmp_path / "broken", say=kill)
    with pytest.raises(Killed):
        atl(broken, QUICK)
    resumed = Trainer(SETTINGS, bars(), tmp_path / "broken")
    atl(resumed, QUICK)
    assert same(weights(whole), weights(resumed))
    assert [(s.name, s.value) for s in whole.steps] == [(s.name, s.value) for s in resumed.steps]


def test_the_rate_of_each_optimiser_rises_from_a_hundredth(tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)

    def last_rate(parts: str, task: str) -> float:
        trainer.train(parts, task, 1, (1e-3, 1e-3))  # type: ignore[arg-type]
        return float(trainer.optimizers[f"{parts}/{task}/0"].param_groups[0]["lr"])

    assert last_rate("compressor+classifier", "classifier") == pytest.approx(1e-5 * 100 ** (5 / 9))
    assert last_rate("classifier", "classifier") == pytest.approx(
        1e-5 * 100 ** (5 / 9)
    )  # another optimiser, from the beginning
    assert last_rate("compressor+classifier", "classifier") == pytest.approx(1e-3)


def test_the_seed_decides(tmp_path: Path) -> None:
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        trainer = Trainer(Settings(batch=32, seed=seed), bars(), tmp_path / str(number))
        trainer.train("compressor+decompressor", "autoencoder", 1, (1e-3, 1e-3))
        trainer.train("compressor+classifier", "classifier", 1, (1e-3, 1e-3))
        runs.append(weights(trainer))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_a_run_of_another_recipe_is_not_gone_on_with(tmp_path: Path) -> None:
    Trainer(SETTINGS, bars(), tmp_path, recipe="a").train("classifier", "classifier", 1, (1e-3, 1e-3))
    for settings, recipe in ((SETTINGS, "b"), (Settings(batch=16), "a")):
        with pytest.raises(BadData, match="other settings"):
            Trainer(settings, bars(), tmp_path, recipe=recipe)


def test_it_stops_when_neither_task_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    figures = iter([(0.5, 20.0), (0.6, 20.0), (0.6, 21.0), (0.6, 21.0), (0.5, 20.0), (0.7, 30.0), (0.7, 30.0)])
    now = [(0.0, 0.0)]

    def accuracy(*_: object) -> float:
        now[0] = next(figures)
        return now[0][0]

    monkeypatch.setattr(trainer, "accuracy", accuracy)
    monkeypatch.setattr(trainer, "psnr", lambda *_: now[0][1])
    monkeypatch.setattr(trainer, "_epoch", lambda *_: 0.0)
    atl(trainer, Atl(warmup=0, sets=25, patience=2, tune=0))
    # Sets 1 to 3 improve, 4 and 5 do not; then the last measurement of all.
    assert [s.name for s in trainer.steps].count("accuracy") == 5 + 1


def test_validation_is_the_end_of_the_training_images() -> None:
    images = np.arange(100, dtype=np.uint8)[:, None, None] + np.zeros((1, 28, 28), np.uint8)
    labelled, held_out = split_validation(Split(images, np.arange(100)), 5000)
    assert labelled.labels is not None
    assert held_out.labels is not None
    assert labelled.labels.tolist() == list(range(90))
    assert held_out.labels.tolist() == list(range(90, 100))
    assert len(split_validation(Split(images, None), 3)[1]) == 3


def test_shifting_moves_pictures_and_loses_nothing_inside() -> None:
    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    images[:, 10:18, 10:18] = torch.randint(1, 255, (50, 8, 8), dtype=torch.uint8)
    moved = shifted(images, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum(dim=(1, 2)), images.sum(dim=(1, 2)))
    assert not torch.equal(moved, images)
    assert moved[:, :8].sum() == 0


def test_records_on_tensors_are_the_formats() -> None:
    symbols = torch.randint(0, 16, (9, 16, 5, 5))
    assert np.array_equal(pack(symbols).numpy(), record.pack(symbols.numpy()))
    assert torch.equal(unpack(pack(symbols)), symbols.float())


def test_unlabelled_pictures_serve_the_autoencoder_alone(tmp_path: Path) -> None:
    data = bars(60)
    trainer = Trainer(Settings(batch=16), data, tmp_path, unlabelled=np.full((40, 28, 28), 9, np.uint8))
    assert len(trainer.domains[0].images) == 54 + 40
    assert len(trainer.domains[0].labels) == 54
    trainer.train("compressor+decompressor", "autoencoder", 1, (1e-3, 1e-3))
    trainer.train("compressor+classifier", "classifier", 1, (1e-3, 1e-3))
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
        trainer = Trainer(Settings(batch=32, seed=5, sealed=sealed), bars(), tmp_path / str(sealed))
        trainer.train("classifier", "classifier", 1, (1e-3, 1e-3))
        assert trainer.domains[0].records is not None
        kept[sealed] = trainer.domains[0].records.numpy()
    assert (record.ids(kept[True]) == 5).all()
    assert np.abs(record.unpack(kept[True]).astype(int) - record.unpack(kept[False])).max() == 1


def test_a_classifier_alone_learns_to_be_unsure_of_other_pictures(tmp_path: Path) -> None:
    others = np.random.default_rng(1).integers(0, 256, (200, 28, 28), np.uint8)
    data = bars()
    certain = {}
    for given in (None, others):
        trainer = Trainer(Settings(batch=16), data, tmp_path / str(given is None), others=given)
        trainer.train("compressor+classifier", "classifier", 4, (2e-3, 2e-3))
        frozen = trainer.nets.compressor.state_dict()
        before = {name: weights.clone() for name, weights in frozen.items()}
        trainer.train("classifier", "classifier", 8, (2e-3, 2e-3))
        assert all(torch.equal(before[name], weights) for name, weights in frozen.items())
        scores = trainer.scores(others)
        certain[given is not None] = float(torch.from_numpy(scores).softmax(1).amax(1).mean())
        assert trainer.accuracy(data.train) > 0.9
    assert certain[True] < certain[False] - 0.1
