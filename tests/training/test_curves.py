"""The curves of a run: they show what was measured, exist after a run and after Ctrl-C, and never end a training."""

from __future__ import annotations

import builtins
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atlcodec.training.atl import classifier
from atlcodec.training.checkpoint import Step
from atlcodec.training.curves import NAME, Curves, curves, draw
from atlcodec.training.recipes import ae_driven, baseline
from atlcodec.training.settings import Epochs
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, Killed, bars

STEPS = [
    Step("train compressor+decompressor (autoencoder)", 0, 0.05, 1.0),
    Step("psnr", 0, 13.0, 0.1),
    Step("train compressor+decompressor (autoencoder)", 1, 0.04, 1.0),
    Step("accuracy", 0, 0.25, 0.1),
    Step("train compressor+decompressor (autoencoder)", 0, 0.02, 1.0),
    Step("psnr", 0, 17.0, 0.1),
    Step("test psnr", 0, 16.5, 0.1),
]


def test_steps_become_curves() -> None:
    found = {(c.panel, c.name, c.domain): (c.steps, c.values) for c in curves(STEPS)}
    assert found == {
        ("loss", "compressor+decompressor (autoencoder)", 0): ([1, 5], [0.05, 0.02]),
        ("loss", "compressor+decompressor (autoencoder)", 1): ([3], [0.04]),
        ("PSNR, dB", "validation", 0): ([2, 6], [13.0, 17.0]),
        ("PSNR, dB", "test", 0): ([7], [16.5]),
        ("accuracy, %", "validation", 0): ([4], [25.0]),
    }


def test_the_same_steps_give_the_same_bytes() -> None:
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        draw(STEPS, ["here", "there"], file)
    assert files[0].getvalue() == files[1].getvalue()
    assert Image.open(files[0]).info.keys() <= {"dpi"}  # no date, no version


def drawn(folder: Path) -> int:
    """The height of a run's curves, which grows with the panels."""
    with Image.open(folder / NAME) as image:
        image.load()
        assert image.width == 1000
        return image.height


def test_a_run_is_drawn_at_its_end_with_its_sub_runs(tmp_path: Path) -> None:
    watch = Curves(lambda line: pytest.fail(line))
    trainer = Trainer(SETTINGS, bars(60), tmp_path, watch=watch)
    baseline(trainer, Epochs(1))
    assert not (tmp_path / NAME).exists()  # it took less than half a minute
    watch.finish()
    assert drawn(tmp_path) == drawn(tmp_path / "classifier") == 600  # the losses, and what was measured


def test_a_resumed_run_is_drawn_whole(tmp_path: Path) -> None:
    def kill(line: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        ae_driven(Trainer(SETTINGS, bars(60), tmp_path, log=kill), Epochs(1))
    watch = Curves(lambda line: pytest.fail(line))
    trainer = Trainer(SETTINGS, bars(60), tmp_path, watch=watch)
    watch.finish()
    assert drawn(tmp_path) == 350  # the one loss that there was
    ae_driven(trainer, Epochs(1))
    watch.finish()
    assert drawn(tmp_path) == 850
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [step for c in curves(trainer.steps) for step in c.steps] == [1, 2, 3, 4]
    assert [value for c in curves(trainer.steps) for value in c.values][:3] == [line["value"] for line in lines][:3]


def test_it_is_redrawn_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlcodec.training.curves.PAUSE", 0.0)
    trainer = Trainer(SETTINGS, bars(60), tmp_path, watch=Curves(lambda line: pytest.fail(line)))
    trainer.train(classifier(), 1)
    assert drawn(tmp_path) == 350


def test_training_continues_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return once(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    said: list[str] = []
    watch = Curves(said.append)
    trainer = Trainer(SETTINGS, bars(60), tmp_path, watch=watch)
    for _ in range(2):
        trainer.train(classifier(), 1)
        watch.finish()
    assert len(trainer.steps) == 2
    assert said == [f"{tmp_path / NAME}: not drawn (matplotlib is not installed: pip install 'atlcodec[train]')"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
