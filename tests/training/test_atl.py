"""ATL, the paper's recipe: it can be stopped and resumed, and stops when neither task improves."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlcodec.sets.dataset import Split
from atlcodec.training.atl import atl
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Atl
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, Killed, bars, same, weights

QUICK = Atl(warmup=2, sets=2, tune=1)


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
