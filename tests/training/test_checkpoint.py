"""Checkpoints: a run resumes only with the settings and the recipe that it began with."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlcodec.errors import BadData
from atlcodec.training.atl import classifier
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, bars


def test_a_run_of_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    Trainer(SETTINGS, bars(), tmp_path, fingerprint="a").train(classifier(), 1, (1e-3, 1e-3))
    for settings, fingerprint in ((SETTINGS, "b"), (Settings(architecture="lenet", batch_size=16), "a")):
        with pytest.raises(BadData, match="other settings or data"):
            Trainer(settings, bars(), tmp_path, fingerprint=fingerprint)
