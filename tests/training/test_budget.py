"""Minutes of training become epochs once, and the epochs give the same model again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atlcodec.errors import BadData
from atlcodec.training import budget, recipes
from atlcodec.training.budget import Costs
from atlcodec.training.loop import Phase
from atlcodec.training.settings import RECIPES, Atl, Joint, Labels
from atlcodec.training.trainer import Trainer
from training_kit import SETTINGS, bars, same, weights


def costs(phases: object) -> Costs:
    """Ten seconds an epoch, and one for everything else."""
    assert isinstance(phases, list)
    return Costs(dict.fromkeys(phases, 10.0), 1.0, 1.0, 1.0)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "timed", lambda trainer, phases, clock: costs(phases))


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "labels"])
@pytest.mark.parametrize("minutes", [5, 60])
@pytest.mark.usefixtures("slow")
def test_the_epochs_fill_the_minutes(name: str, minutes: float, tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    found = budget.decided(trainer, name, RECIPES[name].parameters(), minutes)
    main = budget.counted(found)
    count = getattr(found, main)
    plan = recipes.plan(name, found)

    def seconds(count: int) -> float:
        return costs(list(plan)).seconds(name, budget.scaled(found, count, ()), 1)

    assert count == 1 or seconds(count) <= 60 * minutes
    assert seconds(count + 1) > 60 * minutes
    assert sum(plan.values()) * 10 <= 60 * minutes or count == 1


@pytest.mark.usefixtures("slow")
def test_what_you_fix_stays(tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, bars(), tmp_path)
    found = budget.decided(trainer, "atl", Atl(tune=3, patience=2), 30, ("tune", "patience"))
    assert (found.tune, found.patience) == (3, 2)
    assert found.sets > 20
    told = json.loads((tmp_path / "minutes.json").read_text())
    assert told["minutes"] == 30
    assert 25 < told["expected"] <= 30
    assert told["parameters"] == {"sets": found.sets}


def test_the_folder_keeps_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Joint(warmup=0)
    trainer = Trainer(SETTINGS, bars(), tmp_path / "a")
    before = weights(trainer)
    found = budget.decided(trainer, "joint", begun, 0.01)
    assert found.epochs >= 1
    assert same(weights(trainer), before)
    assert not trainer.optimizers.known
    assert trainer.domains[0].records is None
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["minutes.json"]
    short = {"run": ["", 0.01], "minutes": 0.01, "expected": 1, "parameters": {"epochs": 2, "tune": 1}}
    (tmp_path / "a/minutes.json").write_text(json.dumps(short))
    monkeypatch.setattr(budget, "timed", None)
    found = budget.decided(trainer, "joint", begun, 0.01)
    assert found == Joint(2, 1, 0)
    recipes.run("joint", trainer, found)
    again = Trainer(SETTINGS, bars(), tmp_path / "b")
    recipes.run("joint", again, Joint(2, 1, 0))
    assert same(weights(again), weights(trainer))
    monkeypatch.setattr(budget, "timed", lambda trainer, phases, clock: costs(phases))
    assert budget.decided(trainer, "joint", begun, 5).epochs > 2  # another time is another run
    (tmp_path / "a/minutes.json").write_text("{")
    with pytest.raises(BadData, match=r"minutes.json: cannot be read; delete .* to start again"):
        budget.decided(trainer, "joint", begun, 0.01)


def test_a_teacher_that_is_not_asked_for_costs_nothing() -> None:
    plan = recipes.plan("labels", Labels(epochs=4, tune=2))
    assert plan[recipes.TEACHER] == 0
    phases: list[Phase] = [phase for phase, count in plan.items() if count]
    assert costs(phases).seconds("labels", Labels(epochs=4, tune=2), 1) > 6 * 10
