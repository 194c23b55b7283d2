"""The loop: frozen parts stay as they are, the learning rate warms up, and the seed decides. On drawn images, for
seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import record
from atlcodec.training import measure
from atlcodec.training.atl import autoencoder, classifier, cnn, decompressor
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, bars, changed, same, weights


@pytest.mark.parametrize("phase", [autoencoder(), cnn(), classifier(), decompressor()], ids=str)
def test_frozen_parts_do_not_change_by_a_bit(phase: Phase, tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    before = weights(trainer)
    trainer.train(phase, 1, (1e-2, 1e-3))
    moved = changed(before, weights(trainer))
    assert moved == {name for name in before if name.split(".")[0].rstrip("s") in phase.parts}


def test_the_learning_rate_of_each_optimiser_warms_up_from_a_hundredth(tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)

    def last_rate(phase: Phase) -> float:
        trainer.train(phase, 1, (1e-3, 1e-3))
        return float(trainer.optimizers.of(phase.parts, phase.task, 0).param_groups[0]["lr"])

    assert last_rate(cnn()) == pytest.approx(1e-5 * 100 ** (5 / 9))
    assert last_rate(classifier()) == pytest.approx(1e-5 * 100 ** (5 / 9))  # another optimiser, from the beginning
    assert last_rate(cnn()) == pytest.approx(1e-3)


def test_the_log_names_its_columns_once(tmp_path: Path) -> None:
    lines: list[str] = []
    trainer = Trainer(SETTINGS, bars(), tmp_path, log=lines.append)
    trainer.train(autoencoder(), 1)
    trainer.measure("autoencoder")
    head, first, second = lines
    assert head.split() == ["step", "phase", "loss", "or", "figure", "time"]
    assert first.split()[:2] == ["1", "train"]
    assert second.split()[:2] == ["2", "psnr"]
    for line in (first, second):
        assert line.endswith("left: <1 min")
        assert line.index(" s ") == len(head) - 2  # the seconds end where their heading does


def test_the_seed_decides(tmp_path: Path) -> None:
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        trainer = Trainer(Settings(architecture="lenet", batch_size=32, seed=seed), bars(), tmp_path / str(number))
        trainer.train(autoencoder(), 1, (1e-3, 1e-3))
        trainer.train(cnn(), 1, (1e-3, 1e-3))
        runs.append(weights(trainer))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_each_half_can_learn_from_sealed_records(tmp_path: Path) -> None:
    kept = {}
    for sealed in (False, True):
        trainer = Trainer(
            Settings(architecture="lenet", batch_size=32, seed=5, sealed=sealed), bars(), tmp_path / str(sealed)
        )
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
        trainer = Trainer(
            Settings(architecture="lenet", batch_size=16), data, tmp_path / str(given is None), outliers=given
        )
        trainer.train(cnn(), 4, (2e-3, 2e-3))
        before = weights(trainer)
        trainer.train(classifier(), 8, (2e-3, 2e-3))
        assert all(name.startswith("classifiers.") for name in changed(before, weights(trainer)))
        logits = measure.logits(trainer.nets, outliers)
        confidence[given is not None] = float(torch.from_numpy(logits).softmax(1).amax(1).mean())
        assert measure.accuracy(trainer.nets, data.train) > 0.9
    assert confidence[True] < confidence[False] - 0.1
