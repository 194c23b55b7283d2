"""The experiments behind the paper's Tables 2 to 6, and those on what it leaves open: which there are, with what each
is trained, and how one is run.

Two columns: "paper" takes its epochs (50; 25 sets), its batches (512) and a constant learning rate; "better" trains the
same networks for a quarter as many epochs (KMNIST-part, with fewer images, half as many) with smaller batches, a
learning rate that rises from little and then falls, characters moved by a pixel while the compressor learns from
labels, and for ATL a warm-up."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from atlcodec import sets
from atlcodec.sets.dataset import Dataset
from atlcodec.training import measure, recipes
from atlcodec.training.atl import classifier, decompressor
from atlcodec.training.settings import Atl, Epochs, Interleave, Joint, Settings
from atlcodec.training.trainer import Trainer

SETS = ("MNIST", "KMNIST", "FashionMNIST")  # the paper's, whole
# Questions beyond the paper were asked of a part of KMNIST: 7,200 training images, a minute a run.
SETS_WITH_PART = ("MNIST", "KMNIST-part", "FashionMNIST")
# Per column: what all recipes take, and the parameters of each.
SETTINGS = {
    "paper": Settings(batch_size=512, learning_rate=1e-3, schedule="constant"),
    "better": Settings(batch_size=128, learning_rate=4e-3, lr_warmup_steps=400, schedule="cosine", shift=1),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "paper": {"atl": Atl(tune=3), "": Epochs(50)},
    "better": {
        "atl": Atl(warmup=3, sets=8, tune=3),
        "joint": Joint(19, 3),
        "interleave": Interleave(19, 3),
        "": Epochs(12),
    },
    "better, few images": {
        "atl": Atl(warmup=5, sets=15, tune=5),
        "joint": Joint(35, 5),
        "interleave": Interleave(35, 5),
        "": Epochs(25),
    },
}
PARAMETERS["better"]["multi-domain"] = PARAMETERS["better"]["atl"]
PARAMETERS["paper"]["past-50"] = Epochs(400)
# What the paper leaves open, each tried in the better column with as many epochs of the compressor as ATL: how often to
# alternate (ATL itself alternates between epochs), and how much labels weigh when both losses are taken at once.
WEIGHTS = ["weight=0.005", "weight=0.02", "weight=0.1"]
OPEN = {
    "MNIST": ["interleave_steps=1", "interleave_steps=64", *WEIGHTS],
    "KMNIST-part": ["interleave_steps=1", "interleave_steps=8", *WEIGHTS],  # its epoch has 57 mini-batches
    "FashionMNIST": ["interleave_steps=1", "interleave_steps=64", *WEIGHTS],
}
ASKS = {"interleave_steps": "interleave", "weight": "joint"}  # the recipe of each
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
        return "/".join(
            filter(
                None,
                [
                    self.column,
                    self.recipe,
                    self.data,
                    self.start and f"from-{self.start}",
                    self.change,
                    f"seed-{self.seed}",
                ],
            )
        )

    @property
    def source(self) -> Experiment | None:
        """The experiment whose compressor it keeps."""
        return (
            Experiment(self.column, "multi-domain" if "+" in self.start else "atl", self.start, self.seed)
            if self.start
            else None
        )


def experiments(seeds: int) -> list[Experiment]:
    """All of them: the first seed before the others, quick ones first, and those that others need before them."""
    found = whole_kmnist(seeds)
    quick_first = sorted(SETS_WITH_PART, key=lambda name: name != "KMNIST-part")  # an eighth of the images
    for data in quick_first:
        found += [
            Experiment(column, recipe, data, 1)
            for column in SETTINGS
            for recipe in ("atl", "ae-driven", "classifier-driven")
        ]
    for column in SETTINGS:
        pairs = [(data, start) for data in quick_first for start in SETS_WITH_PART if start != data]
        found += [Experiment(column, "transfer", data, 1, start) for data, start in pairs]
    found.append(Experiment("paper", "past-50", "KMNIST-part", 1, "MNIST"))
    for data in SETS_WITH_PART:
        both = "+".join(other for other in SETS_WITH_PART if other != data)
        found += [Experiment("better", "multi-domain", both, 1), Experiment("better", "transfer", data, 1, both)]
    for seed in range(2, seeds + 1):
        for column in SETTINGS:
            for data in ("MNIST", "FashionMNIST"):
                found += [Experiment(column, recipe, data, seed) for recipe in ("atl", "baseline")]
    for data in quick_first:
        found += asked(data, 1)
    # What the open questions compare lies close together. With KMNIST-part as the target a run takes a minute, so more
    # seeds there.
    for seed in range(2, seeds + 1):
        found += [Experiment("better", "atl", "KMNIST-part", seed), *asked("KMNIST-part", seed)]
        both = "MNIST+FashionMNIST"
        found.append(Experiment("better", "multi-domain", both, seed))
        found += [
            Experiment("better", "transfer", "KMNIST-part", seed, start) for start in ("MNIST", "FashionMNIST", both)
        ]
    return found


def whole_kmnist(seeds: int) -> list[Experiment]:
    """KMNIST's rows of Tables 2 to 6, with its official 60,000 images; the better column first, since it is quicker."""
    found: list[Experiment] = []
    others = ("MNIST", "FashionMNIST")
    for column in reversed(SETTINGS):
        found += [Experiment(column, recipe, "KMNIST", 1) for recipe in ("atl", "ae-driven", "classifier-driven")]
        found += [Experiment(column, "transfer", other, 1, "KMNIST") for other in others]
    for column in reversed(SETTINGS):
        found += [Experiment(column, "transfer", "KMNIST", 1, other) for other in others]
    for seed in range(2, seeds + 1):
        found += [
            Experiment(column, recipe, "KMNIST", seed)
            for column in reversed(SETTINGS)
            for recipe in ("atl", "baseline")
        ]
    return found


def asked(data: str, seed: int) -> list[Experiment]:
    """The open questions."""
    return [Experiment("better", ASKS[change.split("=")[0]], data, seed, change=change) for change in OPEN[data]]


def recipe(experiment: Experiment) -> dict[str, Any]:
    """What an experiment is made with: one that was made with something else must run again."""
    return {"recipe": experiment.recipe, **asdict(settings(experiment)), **asdict(parameters(experiment))}


def is_current(stored: dict[str, Any], experiment: Experiment) -> bool:
    """Whether a stored recipe is today's. A parameter that is newer than the stored one had its default."""
    defaults = {**asdict(Settings()), **asdict(type(parameters(experiment))())}
    return {**defaults, **stored} == recipe(experiment)


def settings(experiment: Experiment) -> Settings:
    made = replace(SETTINGS[experiment.column], seed=experiment.seed)
    if "FashionMNIST" in experiment.data:
        made = replace(made, shift=0)  # clothes are cut to their frame
    own: Settings = changed(made, experiment.change)
    return own


def parameters(experiment: Experiment) -> Any:
    few = experiment.column == "better" and experiment.data == "KMNIST-part"
    own = PARAMETERS["better, few images" if few else experiment.column]
    return changed(own.get(experiment.recipe, own[""]), experiment.change)


def changed(one: Any, change: str) -> Any:
    """A dataclass with one field changed, if it has it."""
    name, _, value = change.partition("=")
    return replace(one, **{name: type(getattr(one, name))(value)}) if hasattr(one, name) else one


@functools.cache
def dataset(folder: str, name: str) -> Dataset:
    return sets.load(Path(folder) / name)


def domains(experiment: Experiment, folder: str) -> list[Dataset]:
    return [dataset(folder, name) for name in experiment.data.split("+")]


def trainer(
    experiment: Experiment, folder: str, run_folder: Path, start: dict[str, torch.Tensor] | None = None
) -> Trainer:
    """As it stands: what its checkpoint holds, if there is one."""
    data = domains(experiment, folder)
    made = hashlib.sha256(repr((recipe(experiment), experiment.start)).encode()).hexdigest()
    where = run_folder / experiment.key
    return Trainer(
        settings(experiment),
        data,
        where,
        start=start,
        recipe=made,
        log=lambda line: print(experiment.key, line, flush=True),
    )


def trained(experiment: Experiment, folder: str, run_folder: Path) -> tuple[Trainer, list[Dataset]]:
    """Train, or go on; before that the one whose compressor it keeps, if it is not yet."""
    start = None
    if experiment.source:
        start = trained(experiment.source, folder, run_folder)[0].nets.compressor.state_dict()
    made = trainer(experiment, folder, run_folder, start)
    data = domains(experiment, folder)
    if experiment.recipe == "past-50":
        past_50(made, parameters(experiment), data[0])
    else:
        recipes.run(experiment.recipe, made, parameters(experiment))
    return made, data


def past_50(trainer: Trainer, p: Epochs, data: Dataset) -> None:
    """A transfer gone on with for more epochs than the paper's 50 (Section 3.8): measured every ten epochs on the
    validation split, and at the milestones on the test set."""
    trainer.plan({decompressor(): p.epochs, classifier(): p.epochs})
    for epoch in range(10, p.epochs + 1, 10):
        trainer.train(decompressor(), 10)
        trainer.measure("autoencoder")
        if epoch in MILESTONES:
            trainer.measure("autoencoder", test=data.test)
        trainer.train(classifier(), 10)
        trainer.measure("classifier")
        if epoch in MILESTONES:
            trainer.measure("classifier", test=data.test)


def figures(experiment: Experiment, made: Trainer, data: list[Dataset]) -> dict[str, Any]:
    """Accuracy in percent and PSNR in dB on the test set, or on each of several; and how they came about."""
    end_to_end = made.sub_run("classifier") if experiment.recipe == "baseline" else made
    each = {}
    for number, one in enumerate(data):
        assert one.test is not None
        each[one.name] = {
            "accuracy": 100 * measure.accuracy(end_to_end.nets, one.test, number),
            "psnr": measure.psnr(made.nets, one.test.images, number),
        }

    def name(domain: int) -> str:
        return f", {made.domains[domain].name}" if len(data) > 1 else ""

    steps = made.steps + ([] if end_to_end is made else end_to_end.steps)
    found = {
        **({"domains": each} if len(data) > 1 else next(iter(each.values()))),
        "seconds": sum(step.seconds for step in steps),
        "trained on": sum(len(domain.labels) for domain in made.domains),
        "tested on": sum(len(one.test) for one in data if one.test),
        "course": [
            [step.name + name(step.domain), round(step.value, 4)] for step in steps if step.name in ("accuracy", "psnr")
        ],
    }
    if experiment.recipe == "past-50":
        looks = {
            what: [step.value for step in made.steps if step.name == f"test {what}"] for what in ("accuracy", "psnr")
        }
        found["test"] = {
            str(epoch): {"accuracy": 100 * accuracy, "psnr": psnr}
            for epoch, accuracy, psnr in zip(MILESTONES, looks["accuracy"], looks["psnr"], strict=True)
        }
    return found
