"""The ways to make one compressor serve two tasks: those that the paper compares with Algorithm 1, and the rivals that
it leaves open. Each is a few calls of the same primitives; a part that is not named in a call is frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from atlcodec.training.atl import Atl, atl, fine_tune
from atlcodec.training.loop import Trainer, kind


@dataclass(frozen=True)
class Epochs:
    """Epochs of each phase; the paper takes 50."""

    epochs: int = 50


@dataclass(frozen=True)
class Both:
    """Both tasks in one phase, then each half alone."""

    epochs: int = 50
    tune: int = 10
    warmup: int = 0  # epochs of these in which the learning rate rises
    tune_class: int = 0  # more of these epochs for the classifier


@dataclass(frozen=True)
class Turns:
    """As `Both`, in turns of mini-batches."""

    epochs: int = 50
    tune: int = 10
    turn: int = 1  # mini-batches in a turn


Phase = tuple[str, Literal["autoencoder", "classifier"]]  # parts, task
AUTOENCODER: Phase = ("compressor+decompressor", "autoencoder")
CNN: Phase = ("compressor+classifier", "classifier")
DECOMPRESSOR: Phase = ("decompressor", "autoencoder")
CLASSIFIER: Phase = ("classifier", "classifier")


def in_order(trainer: Trainer, epochs: int, *phases: Phase) -> None:
    """Train these parts on their tasks, one phase after another, and measure what each has reached."""
    trainer.plan({kind(parts, task): epochs for parts, task in phases})
    for parts, task in phases:
        trainer.train(parts, task, epochs)
        trainer.measure(task)


def baseline(trainer: Trainer, p: Epochs) -> None:
    """End to end, apart (Table 2): an autoencoder; and in a run of its own, with a compressor of its own, a classifier.

    The two compressors differ, so the classifier cannot read the autoencoder's records: it is no part of the codec."""
    in_order(trainer, p.epochs, AUTOENCODER)
    in_order(trainer.beside("classifier"), p.epochs, CNN)


def ae_driven(trainer: Trainer, p: Epochs) -> None:
    """The autoencoder end to end, then a classifier on its frozen compressor (Table 3)."""
    in_order(trainer, p.epochs, AUTOENCODER, CLASSIFIER)


def classifier_driven(trainer: Trainer, p: Epochs) -> None:
    """The classifier end to end, then a decompressor on its frozen compressor (Table 4)."""
    in_order(trainer, p.epochs, CNN, DECOMPRESSOR)


def transfer(trainer: Trainer, p: Epochs) -> None:
    """A compressor from another domain, frozen; a new decompressor and classifier on it (Table 6)."""
    in_order(trainer, p.epochs, DECOMPRESSOR, CLASSIFIER)


def joint(trainer: Trainer, p: Both) -> None:
    """Both losses at once, weighted: the obvious rival of turns."""
    everything = "compressor+decompressor+classifier"
    trainer.plan({kind(everything, "joint"): p.epochs})
    top = trainer.settings.rate
    trainer.train(everything, "joint", p.warmup, (top / 20, top))
    trainer.train(everything, "joint", p.epochs - p.warmup)
    fine_tune(trainer, p.tune, p.tune + p.tune_class)


def turns(trainer: Trainer, p: Turns) -> None:
    """ATL in turns of mini-batches instead of epochs."""
    trainer.plan({kind("compressor+decompressor+classifier", "turns"): p.epochs})
    trainer.train("compressor+decompressor+classifier", "turns", p.epochs, turn=p.turn)
    fine_tune(trainer, p.tune)


@dataclass(frozen=True)
class Recipe:
    """A recipe, the dataclass of its parameters, how many epochs (or turns) of the classifier alone they ask for, and
    whether this classifier reads the records of the recipe's own compressor."""

    run: Callable[[Trainer, Any], None]
    parameters: type[Any]
    alone: Callable[[Any], int]
    head: bool = True


RECIPES = {
    "atl": Recipe(atl, Atl, lambda p: p.j_class + p.tune),
    "baseline": Recipe(baseline, Epochs, lambda p: 0, head=False),
    "ae-driven": Recipe(ae_driven, Epochs, lambda p: p.epochs),
    "classifier-driven": Recipe(classifier_driven, Epochs, lambda p: 0),
    "transfer": Recipe(transfer, Epochs, lambda p: p.epochs),
    "joint": Recipe(joint, Both, lambda p: p.tune + p.tune_class),
    "turns": Recipe(turns, Turns, lambda p: p.tune),
    "multi-domain": Recipe(atl, Atl, lambda p: p.j_class + p.tune),  # the same loop, over several data sets
}
