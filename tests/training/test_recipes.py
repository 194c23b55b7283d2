"""The recipes: each leaves what it freezes as it is, to the bit, and can be stopped and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlcodec import zoo
from atlcodec.training import recipes
from atlcodec.training.loop import Phase
from atlcodec.training.recipes import EVERYTHING, FUNCTIONS
from atlcodec.training.settings import RECIPES, Atl, Epochs, Interleave, Joint, Labels, Settings
from atlcodec.training.trainer import Trainer
from training_kit import Killed, Weights, bars, changed, same, weights

SETTINGS = Settings(architecture="lenet", batch_size=32, seed=5, learning_rate=1e-3, shift=1)
QUICK = {
    Atl: Atl(sets=1, tune=1, warmup=1),
    Epochs: Epochs(1),
    Joint: Joint(1, 1),
    Interleave: Interleave(1, 1, 2),
    Labels: Labels(1, epochs=1, tune=1),
}

# What each recipe trains, in order; everything else is frozen.
PHASES = {
    "atl": [
        *["compressor+decompressor", "compressor+decompressor"],  # the warm-up, and the first phase
        *["classifier", "compressor+classifier", "decompressor"],
        *["classifier", "decompressor"],  # the fine-tuning
    ],
    "baseline": ["compressor+decompressor", "compressor+classifier"],
    "ae-driven": ["compressor+decompressor", "classifier"],
    "classifier-driven": ["compressor+classifier", "decompressor"],
    "transfer": ["decompressor", "classifier"],
    "joint": ["compressor+decompressor+classifier", "classifier", "decompressor"],
    "interleave": ["compressor+decompressor+classifier", "classifier", "decompressor"],
}


def make(folder: Path, name: str, **options: Any) -> Trainer:
    data = [bars(), replace(bars(120), name="more bars")] if name == "multi-domain" else bars()
    if name == "labels":
        return Trainer(
            replace(SETTINGS, architecture="pca"), data, folder, base=zoo.find("kmnist"), taught_by="small", **options
        )
    return Trainer(SETTINGS, data, folder, **options)


def quick(name: str, trainer: Trainer) -> None:
    recipes.run(name, trainer, QUICK[RECIPES[name].parameters])


class Watch:
    """Collects what changed in each epoch: the step's name and domain, and the weights."""

    def __init__(self) -> None:
        self.epochs: list[tuple[str, int, set[str]]] = []
        self._before: dict[Path, Weights] = {}

    def __call__(self, trainer: Trainer) -> None:
        now, step = weights(trainer), trainer.steps[-1]
        if trainer.folder in self._before:
            moved = changed(self._before[trainer.folder], now)
            if step.name.startswith("train "):
                self.epochs.append((step.name.split()[1], step.domain, moved))
            else:
                assert not moved
        self._before[trainer.folder] = now

    def start(self, trainer: Trainer) -> None:
        self._before[trainer.folder] = weights(trainer)


def watched(folder: Path, name: str) -> Watch:
    """A recipe from beginning to end, watched."""
    watch = Watch()
    trainer = make(folder, name, watch=watch)
    watch.start(trainer)
    if name == "baseline":  # its sub-run begins with the same weights, since it has the same seed
        watch.start(trainer.sub_run("classifier"))
    quick(name, trainer)
    return watch


def test_every_recipe_has_its_parameters_and_its_code() -> None:
    assert sorted(RECIPES) == sorted(FUNCTIONS) == sorted([*PHASES, "multi-domain", "labels"])


@pytest.mark.parametrize("name", PHASES)
def test_frozen_parts_do_not_change_by_a_bit(name: str, tmp_path: Path) -> None:
    """After every epoch of the recipe, only the parts that it names have changed."""
    epochs = watched(tmp_path, name).epochs
    assert [parts for parts, _, _ in epochs] == PHASES[name]
    for parts, _, moved in epochs:
        assert {weight.split(".")[0].rstrip("s") for weight in moved} == set(parts.split("+"))


def test_several_domains_share_only_the_compressor(tmp_path: Path) -> None:
    epochs = watched(tmp_path, "multi-domain").epochs
    assert {domain for _, domain, _ in epochs} == {0, 1}
    for parts, domain, moved in epochs:
        own = tuple("compressor." if part == "compressor" else f"{part}s.{domain}." for part in parts.split("+"))
        assert moved
        assert all(weight.startswith(own) for weight in moved)


def test_transfer_keeps_the_compressor_it_was_given(tmp_path: Path) -> None:
    source = make(tmp_path / "a", "ae-driven")
    quick("ae-driven", source)
    start = source.nets.compressor.state_dict()
    trainer = make(tmp_path / "b", "transfer", start=start)
    quick("transfer", trainer)
    assert same(trainer.nets.compressor.state_dict(), start)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_was_stopped_ends_as_an_unbroken_one(name: str, tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", name)
    quick(name, whole)
    for after in {1, max(1, len(whole.steps) - 1)}:
        lines: list[str] = []

        def kill(line: str, lines: list[str] = lines, after: int = after) -> None:
            lines.append(line)
            if len(lines) == after:
                raise Killed

        folder = tmp_path / f"broken{after}"
        with pytest.raises(Killed):
            quick(name, make(folder, name, log=kill))
        resumed = make(folder, name)
        quick(name, resumed)
        assert same(weights(whole), weights(resumed))


def test_interleaved_mini_batches_alternate(tmp_path: Path) -> None:
    phase = Phase(EVERYTHING, "interleaved", interleave_steps=2)
    assert [phase.task_at(step)[0] for step in range(6)] == ["a", "a", "c", "c", "a", "a"]
    trainer = make(tmp_path, "interleave")
    trainer.train(phase, 1)
    state = {key: optimizer.state_dict()["state"] for key, optimizer in trainer.optimizers.known.items()}
    steps = {key.split("/")[1]: int(one[0]["step"]) for key, one in state.items()}
    assert steps == {"autoencoder": 4, "classifier": 2}
