"""Alternating Transfer Learning: Algorithm 1 of the paper, as one loop."""

from __future__ import annotations

from dataclasses import dataclass

from atlcodec.training.loop import Trainer, kind


@dataclass(frozen=True)
class Atl:
    """The parameters of Algorithm 1, in epochs; the paper's own are k = j = 1 and 25 sets, without a warm-up."""

    warmup: int = 0  # epochs of the autoencoder before the first set
    k_ae: int = 1  # compressor + decompressor
    j_class: int = 1  # classifier alone
    k_class: int = 1  # compressor + classifier
    j_ae: int = 1  # decompressor alone
    sets: int = 25  # at most
    patience: int = 5  # stop after so many sets in which neither the classifier nor the autoencoder improved
    class_rate: float = 1.0  # learning rate of the classifier's turns at the compressor, as a part of the autoencoder's
    tune: int = 10  # epochs of fine-tuning for the classifier alone, then for the decompressor alone


def atl(trainer: Trainer, p: Atl) -> None:
    """Train an autoencoder and a classifier that share a compressor, in turns; with several domains (Section 4.4), the
    autoencoder and the classifier of each of them.

    The learning rate warms up with the autoencoder and falls over the sets: the turns pull the compressor to and fro,
    and only a falling rate lets it settle where both tasks are served."""
    domains = range(len(trainer.domains))
    trainer.plan(
        {
            kind("compressor+decompressor", "autoencoder"): len(domains) * (p.warmup + p.sets * p.k_ae),
            kind("classifier", "classifier"): len(domains) * (p.sets * p.j_class + p.tune),
            kind("compressor+classifier", "classifier"): len(domains) * p.sets * p.k_class,
            kind("decompressor", "autoencoder"): len(domains) * (p.sets * p.j_ae + p.tune),
        }
    )
    top = trainer.settings.rate
    for domain in domains:
        trainer.train("compressor+decompressor", "autoencoder", min(1, p.warmup), (top / 10, top), domain=domain)
    for _ in range(p.warmup - 1):
        for domain in domains:
            trainer.train("compressor+decompressor", "autoencoder", 1, (top, top), domain=domain)

    best = [float("-inf")] * 2 * len(domains)
    stale = 0
    for number in range(p.sets):
        rate = (trainer.rate(number / p.sets), trainer.rate((number + 1) / p.sets))
        gentle = (rate[0] * p.class_rate, rate[1] * p.class_rate)

        for domain in domains:
            trainer.train("compressor+decompressor", "autoencoder", p.k_ae, rate, domain=domain)
        for domain in domains:
            trainer.train("classifier", "classifier", p.j_class, rate, domain=domain)
        accuracies = [trainer.measure("classifier", domain=domain) for domain in domains]

        for domain in domains:
            trainer.train("compressor+classifier", "classifier", p.k_class, gentle, domain=domain)
        for domain in domains:
            trainer.train("decompressor", "autoencoder", p.j_ae, rate, domain=domain)
        psnrs = [trainer.measure("autoencoder", domain=domain) for domain in domains]

        now = accuracies + psnrs
        stale = 0 if any(new > old for new, old in zip(now, best, strict=True)) else stale + 1
        best = [max(new, old) for new, old in zip(now, best, strict=True)]
        if stale == p.patience:
            break

    fine_tune(trainer, p.tune)


def fine_tune(trainer: Trainer, epochs: int, classifier: int | None = None) -> None:
    """The end of Algorithm 1: each half alone, the compressor frozen, for so many epochs (the classifier, if it is
    given other epochs, for those); then the figures."""
    rate = (trainer.settings.rate / 5, 0.0)
    for domain in range(len(trainer.domains)):
        trainer.train("classifier", "classifier", epochs if classifier is None else classifier, rate, domain=domain)
        trainer.train("decompressor", "autoencoder", epochs, rate, domain=domain)
    for domain in range(len(trainer.domains)):
        trainer.measure("classifier", domain=domain)
        trainer.measure("autoencoder", domain=domain)
