"""Alternating Transfer Learning: Algorithm 1 of the paper, as one loop."""

from __future__ import annotations

from atlcodec.training.loop import Phase
from atlcodec.training.settings import Atl
from atlcodec.training.trainer import Trainer


def autoencoder(domain: int = 0) -> Phase:
    """Compressor and decompressor, end to end."""
    return Phase(("compressor", "decompressor"), "autoencoder", domain)


def cnn(domain: int = 0) -> Phase:
    """Compressor and classifier, end to end."""
    return Phase(("compressor", "classifier"), "classifier", domain)


def decompressor(domain: int = 0) -> Phase:
    """The decompressor alone, behind the frozen compressor."""
    return Phase(("decompressor",), "autoencoder", domain)


def classifier(domain: int = 0) -> Phase:
    """The classifier alone, behind the frozen compressor."""
    return Phase(("classifier",), "classifier", domain)


def plan(p: Atl, domains: int) -> dict[Phase, int]:
    """How many epochs of each phase Algorithm 1 takes at most."""
    found: dict[Phase, int] = {}
    for domain in range(domains):
        found |= {autoencoder(domain): p.warmup + p.sets * p.k_ae, cnn(domain): p.sets * p.k_class}
        found |= {classifier(domain): p.sets * p.j_class + p.tune, decompressor(domain): p.sets * p.j_ae + p.tune}
    return found


def atl(trainer: Trainer, p: Atl) -> None:
    """Train an autoencoder and a classifier that share a compressor, in alternation; with several domains (Section
    4.4), the autoencoder and the classifier of each of them.

    The learning rate warms up with the autoencoder and falls over the sets: the tasks pull the compressor in
    turns; a falling rate lets it settle."""
    domains = range(len(trainer.domains))
    trainer.plan(plan(p, len(domains)))

    top = trainer.settings.learning_rate
    for domain in domains:
        trainer.train(autoencoder(domain), min(1, p.warmup), (top / 10, top))
    for _ in range(p.warmup - 1):
        for domain in domains:
            trainer.train(autoencoder(domain), 1, (top, top))

    best = [float("-inf")] * 2 * len(domains)
    stale = 0
    for number in range(p.sets):
        rates = (trainer.learning_rate(number / p.sets), trainer.learning_rate((number + 1) / p.sets))
        scaled = (rates[0] * p.class_lr_scale, rates[1] * p.class_lr_scale)

        for domain in domains:
            trainer.train(autoencoder(domain), p.k_ae, rates)
        for domain in domains:
            trainer.train(classifier(domain), p.j_class, rates)
        accuracies = [trainer.measure("classifier", domain=domain) for domain in domains]

        for domain in domains:
            trainer.train(cnn(domain), p.k_class, scaled)
        for domain in domains:
            trainer.train(decompressor(domain), p.j_ae, rates)
        psnrs = [trainer.measure("autoencoder", domain=domain) for domain in domains]

        now = accuracies + psnrs
        stale = 0 if any(new > old for new, old in zip(now, best, strict=True)) else stale + 1
        best = [max(new, old) for new, old in zip(now, best, strict=True)]
        if stale == p.patience:
            break

    fine_tune(trainer, p.tune)


def fine_tune(trainer: Trainer, epochs: int, classifier_epochs: int | None = None) -> None:
    """The end of Algorithm 1: each half alone behind the frozen compressor, then the figures. `classifier_epochs` are
    the classifier's, if it takes others than the decompressor."""
    rates = (trainer.settings.learning_rate / 5, 0.0)
    for domain in range(len(trainer.domains)):
        trainer.train(classifier(domain), epochs if classifier_epochs is None else classifier_epochs, rates)
        trainer.train(decompressor(domain), epochs, rates)
    for domain in range(len(trainer.domains)):
        trainer.measure("classifier", domain=domain)
        trainer.measure("autoencoder", domain=domain)
