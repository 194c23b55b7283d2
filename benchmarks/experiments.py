"""The experiments behind the paper's Tables 2 to 6, and those on what it leaves open: which there are, with what each
is trained, and how one is run.

Two columns: "paper" takes its epochs (50; 25 sets), its batches (512) and a constant learning rate; "better" trains the
same networks for a quarter as many epochs (KMNIST-part, with fewer images, half as many) with smaller batches, a
learning rate that rises from little and then falls, characters moved by a pixel while the compressor learns from
labels, and for ATL a warm-up."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any, Literal

from atlcodec import sets
from atlcodec.sets.dataset import Dataset
from atlcodec.training import measure, recipes
from atlcodec.training.atl import classifier, decompressor
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Atl, Epochs, Interleave, Joint, Settings
from atlcodec.training.trainer import Trainer

SETS = ("MNIST", "KMNIST", "FashionMNIST")  # the paper's, whole
# Questions beyond the paper were asked of a part of KMNIST: 7,200 training images, a minute a run.
PART = "KMNIST-part"
SETS_WITH_PART = ("MNIST", PART, "FashionMNIST")
# Per column: what all recipes take, and the parameters of each.
SETTINGS = {
    "paper": Settings(architecture="lenet", batch_size=512, learning_rate=1e-3, schedule="constant"),
    "better": Settings(
        architecture="lenet", batch_size=128, learning_rate=4e-3, lr_warmup_steps=400, schedule="cosine", shift=1
    ),
}


def better(atl: Atl, epochs: int) -> dict[str, Any]:
    rivals = atl.warmup + 2 * atl.sets, atl.tune  # as many epochs of the compressor as in ATL
    joint, interleave = Joint(*rivals), Interleave(*rivals)
    return {"atl": atl, "multi-domain": atl, "joint": joint, "interleave": interleave, "": Epochs(epochs)}


PARAMETERS: dict[str, dict[str, Any]] = {
    "paper": {"atl": Atl(warmup=0, tune=3), "past-50": Epochs(400), "": Epochs(50)},
    "better": better(Atl(warmup=3, sets=8, tune=3), 12),
    "better, few images": better(Atl(warmup=5, sets=15, tune=5), 25),
}
# What the paper leaves open, each tried in the better column with as many epochs of the compressor as ATL: how often to
# alternate (ATL itself alternates between epochs), and how much labels weigh when both losses are taken at once.
ASKS = {"interleave_steps": "interleave", "weight": "joint"}  # the recipe of each
OPEN = {  # an epoch of KMNIST-part has 57 mini-batches
    data: ["interleave_steps=1", f"interleave_steps={steps}", "weight=0.005", "weight=0.02", "weight=0.1"]
    for data, steps in (("MNIST", 64), ("KMNIST-part", 8), ("FashionMNIST", 64))
}
MILESTONES = (50, 100, 200, 400)  # epochs at which `past_50` looks at the test set


@dataclass(frozen=True)
class Experiment:
    """One training run. Its end gives two figures, of which a table may show one: an AE-driven run ends with the
    autoencoder of Table 2 and the classifier of Table 3, a classifier-driven one with the CNN of Table 2 and the
    decompressor of Table 4. Further seeds of Table 2 alone come from baseline runs."""

    column: str
    recipe: str
    data: str  # joined by "+" for multi-domain
    seed: int
    start: str = ""  # transfer: the data set whose ATL compressor it keeps, or several
    change: str = ""  # of one of the column's settings or the recipe's parameters, as "interleave_steps=8"

    @property
    def key(self) -> str:
        start = self.start and f"from-{self.start}"
        return "/".join(filter(None, [self.column, self.recipe, self.data, start, self.change, f"seed-{self.seed}"]))

    @property
    def source(self) -> Experiment | None:
        """The experiment whose compressor it keeps."""
        recipe = "multi-domain" if "+" in self.start else "atl"
        return Experiment(self.column, recipe, self.start, self.seed) if self.start else None


def experiments(seeds: int) -> list[Experiment]:
    """All of them: the first seed before the others. Further seeds are for what takes little time (KMNIST-part) and for
    what several tables show."""
    found = [Experiment("paper", "past-50", PART, 1, "MNIST")]
    for seed in range(1, seeds + 1):
        for data, column in product((PART, *SETS), SETTINGS):
            recipes: tuple[str, ...] = ("atl", "ae-driven", "classifier-driven")
            if seed > 1:
                recipes = ("atl", "baseline") if data != PART else ("atl",) if column == "better" else ()
            found += [Experiment(column, recipe, data, seed) for recipe in recipes]
        for data, start in permutations((PART, *SETS), 2):
            columns = [column for column in SETTINGS if seed == 1 or (data, column) == (PART, "better")]
            if {data, start} != {PART, "KMNIST"}:
                found += [Experiment(column, "transfer", data, seed, start) for column in columns]
        for data in SETS_WITH_PART if seed == 1 else (PART,):
            both = "+".join(other for other in SETS_WITH_PART if other != data)
            found += [Experiment("better", "multi-domain", both, seed)]
            found += [Experiment("better", "transfer", data, seed, both)]
            for change in OPEN[data]:
                found.append(Experiment("better", ASKS[change.split("=")[0]], data, seed, change=change))
    return found


def recipe(experiment: Experiment) -> dict[str, Any]:
    """What an experiment is made with: one that was made with something else must run again."""
    return {"recipe": experiment.recipe, **asdict(settings(experiment)), **asdict(parameters(experiment))}


def is_current(stored: dict[str, Any] | None, experiment: Experiment) -> bool:
    """Whether a stored result has today's recipe. A parameter that is newer than it had its default."""
    defaults = {**asdict(Settings()), **asdict(type(parameters(experiment))())}
    return stored is not None and {**defaults, **stored["recipe"]} == recipe(experiment)


def settings(experiment: Experiment) -> Settings:
    made = replace(SETTINGS[experiment.column], seed=experiment.seed)
    if "FashionMNIST" in experiment.data:
        made = replace(made, shift=0)  # clothes are cut to their frame
    own: Settings = changed(made, experiment.change)
    return own


def parameters(experiment: Experiment) -> Any:
    few = experiment.column == "better" and experiment.data == PART
    own = PARAMETERS["better, few images" if few else experiment.column]
    return changed(own.get(experiment.recipe, own[""]), experiment.change)


def changed(one: Any, change: str) -> Any:
    """A dataclass with one field changed, if it has it."""
    name, _, value = change.partition("=")
    return replace(one, **{name: type(getattr(one, name))(value)}) if hasattr(one, name) else one


def trained(experiment: Experiment, runs: Path, images: int) -> Trainer:
    """Train, or go on, with the first training images; before that the one whose compressor it keeps, if it is not
    yet."""
    start = trained(experiment.source, runs, images).nets.compressor.state_dict() if experiment.source else None
    trainer = Trainer(
        settings(experiment),
        [sets.load(name).limited(images) for name in experiment.data.split("+")],
        runs / experiment.key,
        start=start,
        fingerprint=hashlib.sha256(repr((recipe(experiment), experiment.start)).encode()).hexdigest(),
        log=lambda line: print(experiment.key, line, flush=True),
    )
    run = past_50 if experiment.recipe == "past-50" else partial(recipes.run, experiment.recipe)
    run(trainer, parameters(experiment))
    return trainer


def past_50(trainer: Trainer, p: Epochs) -> None:
    """A transfer gone on with for more epochs than the paper's 50 (Section 3.8): measured every ten epochs on the
    validation split, and at the milestones on the test set."""
    test = tested(trainer)[0].test
    trainer.plan({decompressor(): p.epochs, classifier(): p.epochs})
    tasks: list[tuple[Phase, Literal["autoencoder", "classifier"]]]
    tasks = [(decompressor(), "autoencoder"), (classifier(), "classifier")]
    for epoch, (phase, task) in product(range(10, p.epochs + 1, 10), tasks):
        trainer.train(phase, 10)
        trainer.measure(task)
        if epoch in MILESTONES:
            trainer.measure(task, test=test)


def figures(experiment: Experiment, made: Trainer) -> dict[str, Any]:
    """Accuracy in percent and PSNR in dB on the test set, or on each of several; and how they came about."""
    labels = made.sub_run("classifier") if experiment.recipe == "baseline" else made
    steps = made.steps + (labels.steps if labels is not made else [])
    data, each, course = tested(made), {}, list[Any]()
    for number, one in enumerate(data):
        assert one.test is not None
        accuracy, psnr = (
            measure.accuracy(labels.nets, one.test, number),
            measure.psnr(made.nets, one.test.images, number),
        )
        each[one.name] = {"accuracy": 100 * accuracy, "psnr": psnr}
    for step in steps:
        if step.name in ("accuracy", "psnr"):
            of = f", {data[step.domain].name}" if len(data) > 1 else ""
            course.append([step.name + of, round(step.value, 4)])
    found: dict[str, Any] = {"domains": each} if len(data) > 1 else {**each[data[0].name]}
    found["seconds"] = sum(step.seconds for step in steps)
    found["trained on"] = sum(len(domain.labels) for domain in made.domains)
    found["tested on"] = sum(len(one.test) for one in data if one.test)
    found["course"] = course
    if experiment.recipe == "past-50":
        values = ([step.value for step in steps if step.name == f"test {what}"] for what in ("accuracy", "psnr"))
        looks = zip(MILESTONES, *values, strict=True)
        found["test"] = {str(epoch): {"accuracy": 100 * accuracy, "psnr": psnr} for epoch, accuracy, psnr in looks}
    return found


def tested(trainer: Trainer) -> list[Dataset]:
    assert isinstance(trainer.data, list)
    return trainer.data
