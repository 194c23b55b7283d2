"""What a run learns from: the validation images, images without labels, and records on tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import record
from atlcodec.errors import BadData
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training.atl import autoencoder, cnn
from atlcodec.training.data import apart, split_validation
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, bars


def test_validation_is_the_end_of_the_training_images() -> None:
    images = np.arange(100, dtype=np.uint8)[:, None, None] + np.zeros((1, 28, 28), np.uint8)
    labelled, held_out = split_validation(Split(images, np.arange(100)), 5000)
    assert labelled.labels is not None
    assert held_out.labels is not None
    assert labelled.labels.tolist() == list(range(90))
    assert held_out.labels.tolist() == list(range(90, 100))
    assert len(split_validation(Split(images, None), 3)[1]) == 3


def test_a_validation_split_of_its_own_takes_the_place_of_that(tmp_path: Path) -> None:
    data = bars(60)
    own = replace(data, validation=data.train[:7])
    assert len(apart(own, 5000)[0]) == 60
    assert len(apart(own, 5000)[1]) == 7
    trainer = Trainer(Settings(architecture="lenet", batch_size=16), own, tmp_path)
    assert (len(trainer.domains[0].labels), len(trainer.domains[0].held_out)) == (60, 7)
    assert own.describe()["validation"] == 7
    assert "validation" not in data.describe()


def test_records_on_tensors_are_those_of_the_format() -> None:
    nets, symbols = Networks("lenet", [2]), torch.randint(0, 16, (9, 16, 5, 5))
    assert np.array_equal(nets.pack(symbols).numpy(), record.pack(symbols.numpy()))
    assert torch.equal(nets.unpack(nets.pack(symbols)), symbols.float())


def test_unlabelled_images_train_only_the_autoencoder(tmp_path: Path) -> None:
    data = bars(60)
    trainer = Trainer(
        Settings(architecture="lenet", batch_size=16), data, tmp_path, unlabelled=np.full((40, 28, 28), 9, np.uint8)
    )
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
