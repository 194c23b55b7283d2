"""Alternating Transfer Learning: Algorithm 1 of the paper, as one loop."""

from __future__ import annotations

from dataclasses import dataclass

from atlcodec.training.loop import Trainer


@dataclass(frozen=True)
class Atl:
    """The parameters of Algorithm 1, in epochs; the paper's own are 1, 1, 1, 1 and 25 sets."""

    warmup: int = 10  # epochs of the autoencoder before the first set; the paper has none
    k_ae: int = 1
    j_class: int = 1
    k_class: int = 1
    j_ae: int = 1
    sets: int = 25  # at most
    patience: int = 5  # stop after so many sets in which neither the classifier nor the autoencoder improved
    turn: float = 1.0  # learning rate of the classifier's turns at the compressor, as a part of the autoencoder's
    tune: int = 10  # epochs of fine-tuning for the classifier alone, then for the decompressor alone


def atl(trainer: Trainer, p: Atl) -> None:
    """Train an autoencoder and a classifier that share a compressor, in turns.

    The learning rate warms up with the autoencoder and falls along a cosine over the sets: the turns pull the compressor to and
    fro, and only a falling rate lets it settle where both tasks are served."""
    trainer.plan(
        {
            "train compressor+decompressor (autoencoder)": p.warmup + p.sets * p.k_ae,
            "train classifier (classifier)": p.sets * p.j_class + p.tune,
            "train compressor+classifier (classifier)": p.sets * p.k_class,
            "train decompressor (autoencoder)": p.sets * p.j_ae + p.tune,
        }
    )
    top = trainer.settings.rate
    trainer.train("compressor+decompressor", "autoencoder", min(1, p.warmup), (top / 10, top))
    trainer.train("compressor+decompressor", "autoencoder", p.warmup - 1, (top, top))

    best_accuracy = best_psnr = float("-inf")
    stale = 0
    for number in range(p.sets):
        rate = (trainer.rate(number / p.sets), trainer.rate((number + 1) / p.sets))

        trainer.train("compressor+decompressor", "autoencoder", p.k_ae, rate)
        trainer.train("classifier", "classifier", p.j_class, rate)
        accuracy = trainer.measure("classifier")

        trainer.train("compressor+classifier", "classifier", p.k_class, (rate[0] * p.turn, rate[1] * p.turn))
        trainer.train("decompressor", "autoencoder", p.j_ae, rate)
        psnr = trainer.measure("autoencoder")

        stale = 0 if accuracy > best_accuracy or psnr > best_psnr else stale + 1
        best_accuracy, best_psnr = max(accuracy, best_accuracy), max(psnr, best_psnr)
        if stale == p.patience:
            break

    trainer.train("classifier", "classifier", p.tune, (top / 5, 0))
    trainer.train("decompressor", "autoencoder", p.tune, (top / 5, 0))
    trainer.measure("classifier")
    trainer.measure("autoencoder")
