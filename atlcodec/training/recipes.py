"""The ways to make one compressor serve two tasks: those that the paper compares with Algorithm 1, and
alternatives not in the paper. Each is a few calls of the same two methods; parts that a phase does not name are
frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from atlcodec.training import atl as algorithm
from atlcodec.training.atl import atl, autoencoder, classifier, cnn, decompressor, fine_tune
from atlcodec.training.loop import Phase
from atlcodec.training.settings import Epochs, Interleave, Joint, Labels
from atlcodec.training.trainer import Trainer

EVERYTHING = ("compressor", "decompressor", "classifier")
BOTH = Phase(EVERYTHING, "joint")
TEACHER, LABELS = Phase(("teacher",), "teacher"), Phase(("labels", "classifier"), "classifier")


def one_by_one(trainer: Trainer, epochs: int, *phases: Phase) -> None:
    """Train one phase after another, and measure what each has reached."""
    trainer.plan(dict.fromkeys(phases, epochs))
    for phase in phases:
        task: Literal["autoencoder", "classifier"] = "autoencoder" if phase.task == "autoencoder" else "classifier"
        trainer.train(phase, epochs)
        trainer.measure(task)


def baseline(trainer: Trainer, p: Epochs) -> None:
    """An autoencoder end to end; and, in a sub-run with a compressor of its own, a classifier end to end (Table 2).

    The two compressors differ, so the classifier cannot read the autoencoder's records and is not part of the codec."""
    one_by_one(trainer, p.epochs, autoencoder())
    one_by_one(trainer.sub_run("classifier"), p.epochs, cnn())


def ae_driven(trainer: Trainer, p: Epochs) -> None:
    """The autoencoder end to end, then a classifier on its frozen compressor (Table 3)."""
    one_by_one(trainer, p.epochs, autoencoder(), classifier())


def classifier_driven(trainer: Trainer, p: Epochs) -> None:
    """The classifier end to end, then a decompressor on its frozen compressor (Table 4)."""
    one_by_one(trainer, p.epochs, cnn(), decompressor())


def transfer(trainer: Trainer, p: Epochs) -> None:
    """A compressor from another domain, frozen; a new decompressor and classifier on it (Table 6)."""
    one_by_one(trainer, p.epochs, decompressor(), classifier())


def joint(trainer: Trainer, p: Joint) -> None:
    """Both losses at once, weighted: the obvious rival of alternation."""
    trainer.plan(plan("joint", p))
    top = trainer.settings.learning_rate
    trainer.train(BOTH, p.warmup, (top / 20, top))
    trainer.train(BOTH, p.epochs - p.warmup)
    fine_tune(trainer, p.tune, p.tune + p.tune_class)


def alternating(p: Interleave) -> Phase:
    """Mini-batches of both tasks by turns."""
    return Phase(EVERYTHING, "interleaved", interleave_steps=p.interleave_steps)


def interleave(trainer: Trainer, p: Interleave) -> None:
    """ATL that alternates between mini-batches instead of epochs."""
    trainer.plan(plan("interleave", p))
    trainer.train(alternating(p), p.epochs)
    fine_tune(trainer, p.tune)


def labels(trainer: Trainer, p: Labels) -> None:
    """Labels anew for a codec of the architecture pca: a teacher, the latents for labels, and the classifier."""
    trainer.plan(plan("labels", p))
    trainer.train_measured(TEACHER, p.teacher, "teacher")
    trainer.train_measured(LABELS, p.epochs, "classifier")
    fine_tune(trainer, 0, p.tune)


# The epochs of each phase, at most. The learning rate of `joint` rises in the first of its epochs.
PLANS: dict[str, Callable[[Any], dict[Phase, int]]] = {
    "baseline": lambda p: dict.fromkeys((autoencoder(), cnn()), p.epochs),
    "ae-driven": lambda p: dict.fromkeys((autoencoder(), classifier()), p.epochs),
    "classifier-driven": lambda p: dict.fromkeys((cnn(), decompressor()), p.epochs),
    "transfer": lambda p: dict.fromkeys((decompressor(), classifier()), p.epochs),
    "joint": lambda p: {BOTH: p.epochs, classifier(): p.tune + p.tune_class, decompressor(): p.tune},
    "interleave": lambda p: {alternating(p): p.epochs, classifier(): p.tune, decompressor(): p.tune},
    "labels": lambda p: {TEACHER: p.teacher, LABELS: p.epochs, classifier(): p.tune},
}


def plan(name: str, parameters: Any, domains: int = 1) -> dict[Phase, int]:
    """How many epochs of each phase a recipe takes at most."""
    return PLANS[name](parameters) if name in PLANS else algorithm.plan(parameters, domains)


FUNCTIONS: dict[str, Callable[[Trainer, Any], None]] = {
    "atl": atl,
    "baseline": baseline,
    "ae-driven": ae_driven,
    "classifier-driven": classifier_driven,
    "transfer": transfer,
    "joint": joint,
    "interleave": interleave,
    "labels": labels,
    "multi-domain": atl,
}


def run(name: str, trainer: Trainer, parameters: Any) -> None:
    """Run the recipe of this name; `parameters` are of the class that `settings.RECIPES` gives for it."""
    FUNCTIONS[name](trainer, parameters)
