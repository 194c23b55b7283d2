"""The training loop: one epoch of some parts of the networks on one task, and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.training.augment import augment, random_shift
from atlcodec.training.data import Domain, Task, batches, compress
from atlcodec.training.layout import planes
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.start import FEW
from atlcodec.training.teacher import probabilities

FEWEST = 20  # mini-batches in an epoch of a pca codec: few images are repeated
SHIFT = 2  # pixels by which few images are moved at random
TRUST = 0.7  # weight of what a teacher says of an image, beside its label
OUTLIER_WEIGHT = 0.5  # of the outlier-exposure loss, as in Hendrycks et al. (2019)


@dataclass(frozen=True)
class Phase:
    """What an epoch trains: these parts on this task. All other parts are frozen."""

    parts: tuple[str, ...]
    task: Task
    domain: int = 0
    interleave_steps: int = 1  # of the interleaved task: mini-batches of one task before the other takes over

    @property
    def compresses(self) -> bool:
        """Whether it trains the compressor, or a part of it. A frozen one gives the same records in every epoch."""
        return not {"compressor", "labels"}.isdisjoint(self.parts)

    def __str__(self) -> str:
        return f"train {'+'.join(self.parts)} ({self.task})"

    def task_at(self, step: int) -> Task:
        """The task of a mini-batch."""
        if self.task != "interleaved":
            return self.task
        return "classifier" if step // self.interleave_steps % 2 else "autoencoder"


def train_epoch(
    nets: Networks,
    data: Domain,
    phase: Phase,
    rates: tuple[float, float],
    settings: Settings,
    optimizers: Optimizers,
    seed: int,
    most: int | None = None,
) -> float:
    """Train for one epoch, with a learning rate that goes from `rates[0]` to `rates[1]`; or for `most` mini-batches of
    it. Returns the mean loss."""
    torch.manual_seed(seed)  # dropout
    generator = torch.Generator().manual_seed(seed)  # order of the images, augmentation
    nets.requires_grad_(False).eval()
    for part in phase.parts:
        nets.part(part, phase.domain).requires_grad_(True).train()

    total, count = torch.zeros((), device=data.labels.device), 0
    epoch = Epoch(nets, data, phase, settings, generator)
    split = list(batches(data, phase.task, settings.batch_size, generator))
    while settings.architecture == "pca" and len(split) < FEWEST:
        split += batches(data, phase.task, settings.batch_size, generator)
    for step, rows in enumerate(split[:most]):
        task = phase.task_at(step)
        optimizer = optimizers.of(phase.parts, task, phase.domain)
        rate = rates[0] + (rates[1] - rates[0]) * step / len(split)
        for group in optimizer.param_groups:
            group["lr"] = rate * lr_warmup(optimizer, settings.lr_warmup_steps)
        loss = epoch.loss(rows, task)
        nets.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.detach() * len(rows)
        count += len(rows)
    return float(total) / count


@dataclass(frozen=True)
class Epoch:
    """What the mini-batches of an epoch share."""

    nets: Networks
    data: Domain
    phase: Phase
    settings: Settings
    generator: torch.Generator

    def loss(self, rows: Tensor, task: Task) -> Tensor:
        """Squared error of pixels in 0..1 (autoencoder), cross-entropy (classifier), or their weighted sum (joint).

        The decompressor sees images as they are; the classifier sees changed ones, if the settings ask for them."""
        if task == "teacher":
            return self.teacher_loss(rows)
        domain, settings = self.phase.domain, self.settings
        taught = task == "classifier" and self.nets.teacher is not None
        changed = (settings.augment != "none" or settings.mixup > 0 or taught) and task != "autoencoder"
        learnt = rows
        if task == "joint" and len(self.data.labels) < len(self.data):  # see `batches`
            learnt = rows[: settings.batch_size // 2]
        unchanged = task != "classifier" or not changed  # whether this task sees images as they are, too
        images = self.images(rows, task) if unchanged else None
        decoded = logits = None
        targets = self.targets(learnt) if task != "autoencoder" else None
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            symbols = self.symbols(rows, images, task) if unchanged else None
            if task != "classifier":
                decoded = self.nets.part("decompressor", domain)(symbols)
            if task != "autoencoder":
                if changed:
                    different, targets = self.changed(learnt)
                    symbols = self.compressed(different)
                    if taught:
                        said = probabilities(self.nets.part("teacher"), planes(different))
                        targets = taught_targets(said, targets)
                assert symbols is not None
                logits = self.nets.part("classifier", domain)(symbols[: len(learnt)])

        loss = torch.zeros((), device=rows.device)
        if decoded is not None and images is not None:
            loss = functional.mse_loss(decoded.float() / 256, planes(images) / 256)
        if logits is not None:
            assert targets is not None
            smoothing = 0.0 if taught else settings.label_smoothing  # what a teacher says is smooth already
            cross_entropy = functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
            loss = loss + (settings.weight if task == "joint" else 1) * cross_entropy
        if task == "classifier" and not self.phase.compresses and self.data.outliers is not None:
            loss = loss + OUTLIER_WEIGHT * self.outlier_loss(len(rows))
        return loss

    def images(self, rows: Tensor, task: Task) -> Tensor | None:
        """The images of a mini-batch, uint8 (N, *shape), shifted if labels are learned from them; None where only
        records are needed."""
        if not self.phase.compresses and task != "autoencoder":
            return None
        assert self.data.images is not None
        images = self.data.images.index_select(0, rows)  # several times as fast as indexing
        shift = self.settings.shift if task != "autoencoder" else 0
        few = self.settings.architecture == "pca" and len(self.data) < FEW
        if self.phase.compresses and (shift or few):
            images = random_shift(images, shift or SHIFT, self.generator, edge=not shift)
        return images

    def targets(self, rows: Tensor) -> Tensor:
        """What the classifier learns from: labels, int64 (N,), or their probabilities, float32 (N, classes)."""
        labels = self.data.labels[rows]
        if self.data.said is None:
            return labels
        return taught_targets(self.data.said[rows], functional.one_hot(labels, self.data.classes).float())

    def changed(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Images of a mini-batch, (N, *shape), with the random changes that `augment` names, each mixed with another
        one as `mixup` says (Zhang et al. 2018); and the probabilities of their labels, float32 (N, classes)."""
        assert self.data.images is not None
        images, settings = self.data.images.index_select(0, rows), self.settings
        targets = functional.one_hot(self.data.labels[rows], self.data.classes).float()
        if settings.augment != "none":
            images = augment(
                images, settings.augment, self.generator, settings.augment_share, settings.augment_strength
            )
        if settings.mixup:
            share = float(torch.distributions.Beta(settings.mixup, settings.mixup).sample())
            others = torch.randperm(len(rows), generator=self.generator).to(rows.device)
            images = share * images.float() + (1 - share) * images[others].float()
            targets = share * targets + (1 - share) * targets[others]
        return images, targets

    def teacher_loss(self, rows: Tensor) -> Tensor:
        images, targets = self.changed(rows)
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.nets.part("teacher")(planes(images))
        return functional.cross_entropy(logits.float(), targets, label_smoothing=self.settings.label_smoothing)

    def symbols(self, rows: Tensor, images: Tensor | None, task: Task) -> Tensor:
        """Symbols from the compressor, or from the records that a frozen compressor made."""
        if self.phase.compresses and images is not None:
            if task == "autoencoder":
                return self.nets.quantise(self.nets.picture_latents(planes(images)))
            return self.compressed(images)
        if self.data.records is None:
            assert self.data.images is not None
            self.data.records = compress(self.nets, self.data.images, self.settings)
        return self.nets.unpack(self.data.records.index_select(0, rows))

    def compressed(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.phase.compresses):
            latents = self.nets.compressor(planes(images))
        return self.nets.quantise(latents)

    def outlier_loss(self, count: int) -> Tensor:
        """Outlier exposure (Hendrycks et al. 2019): the cross-entropy of `count` outliers with equal odds for all
        labels, which is least where the classifier is unsure."""
        data, nets = self.data, self.nets
        assert data.outliers is not None
        if data.outlier_records is None:
            data.outlier_records = compress(nets, data.outliers, self.settings)
        chosen = torch.randint(len(data.outliers), (count,), generator=self.generator).to(data.outliers.device)
        logits = nets.part("classifier", self.phase.domain)(nets.unpack(data.outlier_records.index_select(0, chosen)))
        return -functional.log_softmax(logits, dim=1).mean()


def taught_targets(said: Tensor, labels: Tensor) -> Tensor:
    """Probabilities of labels, from what a teacher says and from the labels themselves: float32 (N, classes)."""
    return TRUST * said + (1 - TRUST) * labels


class Optimizers:
    """An AdamW for each combination of parts, task and domain. Each keeps its moments from epoch to epoch."""

    def __init__(self, nets: Networks, settings: Settings) -> None:
        self.nets, self.settings = nets, settings
        self.known: dict[str, torch.optim.AdamW] = {}

    def of(self, parts: tuple[str, ...], task: Task, domain: int) -> torch.optim.AdamW:
        key = f"{'+'.join(parts)}/{task}/{domain}"
        if key not in self.known:
            # A mini-batch of one task does not use the other task's own part.
            unused = {"autoencoder": "classifier", "classifier": "decompressor"}.get(task)
            modules = nn.ModuleList(self.nets.part(part, domain) for part in parts if part != unused)
            decay = self.settings.weight_decay
            decaying = [each for each in modules.parameters() if decay and each.dim() > 1]
            others = [each for each in modules.parameters() if not decay or each.dim() <= 1]
            groups = [{"params": some, "weight_decay": by} for some, by in ((decaying, decay), (others, 0.0)) if some]
            self.known[key] = torch.optim.AdamW(groups, self.settings.learning_rate, fused=True)
        return self.known[key]

    def state_dict(self) -> dict[str, object]:
        return {key: optimizer.state_dict() for key, optimizer in self.known.items()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        for key, saved in state.items():
            parts, task, domain = key.split("/")
            self.of(tuple(parts.split("+")), task, int(domain)).load_state_dict(saved)  # type: ignore[arg-type]


def lr_warmup(optimizer: torch.optim.AdamW, steps: int) -> float:
    """The factor of the learning rate during the first `steps` of an optimiser, from a hundredth up to 1.

    The first steps all point the same way, since the inputs of an untrained classifier hardly differ: at the full rate
    most ReLUs die."""
    if not steps:
        return 1.0
    first = optimizer.param_groups[0]
    taken = first["taken"] = first.get("taken", -1) + 1  # the optimiser's own count may lie on a GPU
    return float(min(1.0, 0.01 ** (1 - taken / steps)))


def cosine(start: float, end: float, at: float) -> float:
    """From `start` to `end` along half a cosine; `at` is 0..1."""
    return float(end + (start - end) * (1 + np.cos(np.pi * at)) / 2)
