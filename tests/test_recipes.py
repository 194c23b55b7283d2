"""The recipes: each leaves what it freezes as it is, to the bit, and can be stopped and gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_loop import Killed, bars, same, weights

from atlcodec.cli.train import RECIPES as NAMES
from atlcodec.training.atl import Atl
from atlcodec.training.loop import Settings, Task, Trainer
from atlcodec.training.recipes import RECIPES, Both, Epochs, Turns

SETTINGS = Settings(batch=32, seed=5, rate=1e-3, shift=1)
QUICK = {Atl: Atl(sets=1, tune=1, warmup=1), Epochs: Epochs(1), Both: Both(1, 1), Turns: Turns(1, 1, 2)}

# What each recipe trains, in order; everything else is frozen.
PHASES = {
    "atl": [
        *["compressor+decompressor", "compressor+decompressor"],  # the warm-up, and the first turn
        *["classifier", "compressor+classifier", "decompressor"],
        *["classifier", "decompressor"],  # the fine-tuning
    ],
    "baseline": ["compressor+decompressor", "compressor+classifier"],
    "ae-driven": ["compressor+decompressor", "classifier"],
    "classifier-driven": ["compressor+classifier", "decompressor"],
    "transfer": ["decompressor", "classifier"],
    "joint": ["compressor+decompressor+classifier", "classifier", "decompressor"],
    "turns": ["compressor+decompressor+classifier", "classifier", "decompressor"],
}


def make(folder: Path, name: str, **options: object) -> Trainer:
    data = [bars(), replace(bars(120), name="more bars")] if name == "multi-domain" else bars()
    return Trainer(SETTINGS, data, folder, **options)  # type: ignore[arg-type]


def test_the_command_knows_every_recipe() -> None:
    # "classifier" trains from records, without a `Trainer`
    assert sorted([*RECIPES, "classifier"]) == sorted(NAMES) == sorted([*PHASES, "multi-domain", "classifier"])


@pytest.mark.parametrize("name", PHASES)
def test_what_is_frozen_does_not_change_by_a_bit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every epoch of the recipe, just the parts that it names have changed."""
    seen: list[str] = []
    once = Trainer._epoch

    def watched(self: Trainer, parts: list[str], task: Task, *rest: object) -> float:
        before = weights(self)
        loss = once(self, parts, task, *rest)  # type: ignore[arg-type]
        changed = {
            key.split(".")[0].rstrip("s") for key, value in weights(self).items() if not torch.equal(value, before[key])
        }
        assert changed == set(parts)
        seen.append("+".join(parts))
        return loss

    monkeypatch.setattr(Trainer, "_epoch", watched)
    recipe = RECIPES[name]
    recipe.run(make(tmp_path, name), QUICK[recipe.parameters])
    assert seen == PHASES[name]


def test_several_domains_share_the_compressor_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = Trainer._epoch

    def watched(
        self: Trainer, parts: list[str], task: Task, rates: tuple[float, float], domain: int, turn: int
    ) -> float:
        before = weights(self)
        loss = once(self, parts, task, rates, domain, turn)
        changed = {key for key, value in weights(self).items() if not torch.equal(value, before[key])}
        own = tuple("compressor." if part == "compressor" else f"{part}s.{domain}." for part in parts)
        assert changed
        assert all(key.startswith(own) for key in changed)
        return loss

    monkeypatch.setattr(Trainer, "_epoch", watched)
    trainer = make(tmp_path, "multi-domain")
    RECIPES["multi-domain"].run(trainer, QUICK[Atl])
    assert {step.domain for step in trainer.steps} == {0, 1}


def test_transfer_keeps_the_compressor_it_was_given(tmp_path: Path) -> None:
    given = make(tmp_path / "a", "ae-driven")
    RECIPES["ae-driven"].run(given, Epochs(1))
    start = given.nets.compressor.state_dict()
    trainer = make(tmp_path / "b", "transfer", start=start)
    RECIPES["transfer"].run(trainer, Epochs(1))
    assert same({k: v.clone() for k, v in trainer.nets.compressor.state_dict().items()}, dict(start))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_was_stopped_ends_as_an_unbroken_one(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    whole = make(tmp_path / "whole", name)
    recipe.run(whole, QUICK[recipe.parameters])
    steps = len(whole.steps)
    for after in {1, max(1, steps - 1)}:
        lines: list[str] = []

        def kill(line: str, lines: list[str] = lines, after: int = after) -> None:
            lines.append(line)
            if len(lines) == after:
                raise Killed

        folder = tmp_path / f"broken{after}"
        with pytest.raises(Killed):
            recipe.run(make(folder, name, say=kill), QUICK[recipe.parameters])
        resumed = make(folder, name)
        recipe.run(resumed, QUICK[recipe.parameters])
        assert same(weights(whole), weights(resumed))


def test_turns_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[str] = []
    once = Trainer._loss

    def watched(self: Trainer, data: object, rows: object, task: Task, *rest: object) -> torch.Tensor:
        tasks.append(task)
        return once(self, data, rows, task, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_loss", watched)
    trainer = make(tmp_path, "turns")
    trainer.train("compressor+decompressor+classifier", "turns", 1, turn=2)
    assert tasks == ["autoencoder", "autoencoder", "classifier", "classifier", "autoencoder", "autoencoder"]
