"""From minutes to epochs: a few mini-batches of each phase are timed at the beginning of a run, once.

The epochs stand in the folder of the run and in the card. A resumed run takes them from there, and a run that is given
the same ones with the same seed gives the same model on any machine, as far as its arithmetic is the same."""

from __future__ import annotations

import copy
import json
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from atlcodec import atomic
from atlcodec.errors import BadData
from atlcodec.training import checkpoint, finish, measure, recipes
from atlcodec.training.loop import FEWEST, Optimizers, Phase, train_epoch
from atlcodec.training.settings import Atl
from atlcodec.training.trainer import Trainer

NAME = "minutes.json"  # in the folder of a run
BATCHES = 4  # mini-batches that are timed of each phase, after one that is not
MOST = 100_000  # epochs
EXACT = 0.2  # of the time, at most, for the last phase


@dataclass(frozen=True)
class Costs:
    """Seconds of an epoch of each phase; what each epoch takes beside the training; what a measurement takes; what the
    frozen compressor takes for all images, which it does anew after each change; and what an epoch of the last phase
    takes, in which exact networks are tuned."""

    epochs: dict[Phase, float]
    saving: float
    measuring: float
    compressing: float
    exact: float = 0.0

    def seconds(self, name: str, parameters: Any, domains: int) -> float:
        """What a whole recipe takes."""
        plan = recipes.plan(name, parameters, domains)
        turns = parameters.sets if isinstance(parameters, Atl) else 1
        total = turns * 2 * domains * self.measuring
        total += domains * getattr(parameters, "exact_epochs", 0) * (self.exact + self.saving)
        for phase, count in plan.items():
            if not count:
                continue
            total += count * (self.epochs[phase] + self.saving)
            if not phase.compresses:
                total += min(count, 1 + turns) * self.compressing
        return total


def counted(parameters: Any) -> str:
    """The parameter of a recipe that minutes decide."""
    return "sets" if isinstance(parameters, Atl) else "epochs"


def scaled(parameters: Any, count: int, fixed: Collection[str]) -> Any:
    """A recipe with so many sets or epochs. What you fix stays; the epochs at the end keep their share of the default,
    and the recipe goes on to its end."""
    main, default = counted(parameters), type(parameters)()
    changes: dict[str, int] = {main: count}
    if hasattr(parameters, "tune") and "tune" not in fixed:
        changes["tune"] = max(1, round(count * default.tune / getattr(default, main)))
    if hasattr(parameters, "patience") and "patience" not in fixed:
        changes["patience"] = count
    return replace(parameters, **changes)


def timed(trainer: Trainer, phases: Collection[Phase], clock: Callable[[], float] = time.perf_counter) -> Costs:
    """What the phases take, on copies of the networks."""
    nets = copy.deepcopy(trainer.nets)
    optimizers = Optimizers(nets, trainer.settings)
    epochs, compressing = {}, 0.0
    for phase in phases:
        data, taken = trainer.domains[phase.domain], []
        for most in (1, 1 + BATCHES):
            started = clock()
            train_epoch(nets, data, phase, (0.0, 0.0), trainer.settings, optimizers, 0, most)
            taken.append(clock() - started)
        rows = len(data) if phase.task in ("autoencoder", "interleaved", "joint") else len(data.labels)
        batches = -(-rows // trainer.settings.batch_size)
        if trainer.settings.architecture == "pca":
            batches = -(-FEWEST // batches) * batches if batches < FEWEST else batches
        again, first = taken[1], taken[0]
        epochs[phase] = batches * again / (1 + BATCHES)
        if not phase.compresses:
            compressing = max(compressing, first - again / (1 + BATCHES))
    for data in trainer.domains:
        data.drop_records()
    started = clock()
    with tempfile.TemporaryDirectory(dir=_made(trainer.folder)) as folder:
        checkpoint.save(Path(folder), trainer.settings, "", nets, optimizers, [])
    saving, started = clock() - started, clock()
    measure.psnr(nets, trainer.domains[0].held_out.images)
    measuring = clock() - started
    exact = 0.0 if trainer.settings.floats else finish.seconds(trainer, nets)
    return Costs(epochs, saving, measuring, compressing, exact)


def decided(
    trainer: Trainer,
    name: str,
    parameters: Any,
    minutes: float,
    fixed: Collection[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> Any:
    """The parameters of a recipe that take so many minutes: those of the run's folder, if it has any. `fixed` are the
    names of those that stay as they are. Raises `BadData`."""
    path, run = trainer.folder / NAME, [trainer.fingerprint, minutes]
    if path.is_file():
        try:
            told = json.loads(path.read_text("utf-8"))
            if told["run"] == run:  # else the file is of another run, which did not get to its first step
                return replace(parameters, **told["parameters"])
        except (ValueError, TypeError, KeyError) as error:
            raise BadData(f"{path}: cannot be read; delete {trainer.folder} to start again") from error
    domains = len(trainer.domains)
    least = scaled(parameters, 1, fixed)
    phases = [phase for phase, count in recipes.plan(name, least, domains).items() if count]
    costs = timed(trainer, phases, clock)
    begun = parameters
    if "exact_epochs" not in fixed and hasattr(parameters, "exact_epochs") and costs.exact:
        most = int(EXACT * 60 * minutes / (domains * costs.exact))
        parameters = replace(parameters, exact_epochs=min(parameters.exact_epochs, most))

    def fits(count: int) -> bool:
        return costs.seconds(name, scaled(parameters, count, fixed), domains) <= 60 * minutes

    low, high = 1, 2
    while high < MOST and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    found = scaled(parameters, low, fixed)
    told = {key: value for key, value in asdict(found).items() if value != getattr(begun, key)}
    told[counted(found)] = low
    expected = costs.seconds(name, found, domains) / 60
    with atomic.file(path) as file:
        text = {"run": run, "minutes": minutes, "expected": round(expected, 2), "parameters": told}
        file.write(json.dumps(text, indent=1).encode() + b"\n")
    return found


def expected(trainer: Trainer) -> float:
    """The minutes that the parameters `decided` for a run should take: more than were asked for if these are too few
    for the smallest run."""
    return float(json.loads((trainer.folder / NAME).read_text("utf-8"))["expected"])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
