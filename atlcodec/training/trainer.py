"""A run of a recipe: networks, data, and a folder with a checkpoint.

A recipe is plain code that calls `Trainer.train` and `Trainer.measure` in order. Every epoch is seeded by the run's
seed and its own number, and ends with a checkpoint. A resumed run walks through the recipe again, skips the steps that
are done and returns their values, and so ends with the same weights as an unbroken run."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.sets.dataset import Dataset, Images, Split
from atlcodec.training import checkpoint, measure, pretrained
from atlcodec.training.checkpoint import Step
from atlcodec.training.data import Domain, domain, torch_device
from atlcodec.training.layout import check_shape, same_shape
from atlcodec.training.loop import Optimizers, Phase, cosine, train_epoch
from atlcodec.training.networks import NO_START, PARTS, Networks
from atlcodec.training.settings import Settings
from atlcodec.training.start import IMAGES, Start, fit, fit_records

SOME = 2048  # images whose statistics a loaded path for labels takes over


class Trainer:
    """`data` is a data set, several of them, or a domain of records, whose classifier alone is trained.

    `unlabelled` images serve the autoencoder beside those of the first data set. `outliers` are images of other kinds:
    behind a frozen compressor, the classifier learns to be unsure of them. `start` are weights that the compressor
    begins with. `base` is a codec of the architecture pca whose pictures stay as they are: its labels are trained.
    `parent` is one that all networks begin with; its packing and its linear path stay. `taught_by` is the size of a
    teacher of them. `fingerprint`, a hash of the recipe and the data, identifies the run together with the settings: a
    checkpoint of another run is refused. `log` gets a line of progress after each step. `watch` is called with the
    trainer after each step, and once at the start of a resumed run.

    Raises `AtlcError` (device), `BadData`."""

    def __init__(
        self,
        settings: Settings,
        data: Dataset | Sequence[Dataset] | Domain,
        folder: Path,
        *,
        unlabelled: Images | None = None,
        outliers: Images | None = None,
        start: dict[str, Tensor] | None = None,
        base: Model | None = None,
        parent: Model | None = None,
        taught_by: str | None = None,
        fingerprint: str = "",
        log: Callable[[str], None] = lambda _: None,
        watch: Callable[[Trainer], None] = lambda _: None,
    ) -> None:
        self.settings, self.data, self.folder, self.fingerprint = settings, data, folder, fingerprint
        self.log, self.watch = log, watch
        device = torch_device(settings.device)
        sets: Sequence[Dataset] = ()
        if isinstance(data, Domain):
            self.domains = [data]
        else:
            sets = [data] if isinstance(data, Dataset) else data
            check_shape(settings.architecture, sets[0].shape)
            for one in sets:
                known = base or parent
                same_shape(one.name, one.shape, known.card.shape if known else sets[0].shape)
            self.domains = [
                domain(one, None if number else unlabelled, outliers, settings.validation, device)
                for number, one in enumerate(sets)
            ]
        torch.manual_seed(settings.seed)
        parts = ("classifier",) if isinstance(data, Domain) else PARTS
        if start is not None and settings.architecture == "pca":
            raise AtlcError(
                "a pca codec cannot start from another model's compressor alone; start from a lenet or mixer model"
            )
        if parent is not None and not parent.card.packing.labels:
            raise AtlcError(f"{parent.name}: its weights do not fit the architecture pca")
        classes = [one.classes for one in self.domains]
        self.origin = self._origin(base or parent)
        self.nets = Networks(settings.architecture, classes, parts, self.origin, taught_by).to(device)
        if start is not None:
            self.nets.compressor.load_state_dict(start)
        if parent is not None:
            self._begin(parent, [one.classes for one in sets])
        if base is not None:
            pretrained.load_pictures(self.nets, base)
        self.optimizers = Optimizers(self.nets, settings)
        self._position = 0  # in the recipe; behind `steps` while a resumed run catches up
        self._planned: Counter[str] = Counter()
        self._logged = False  # whether the names of the columns were
        self.steps = checkpoint.resume(folder, settings, fingerprint, self.nets, self.optimizers)
        if self.steps:
            log(f"resuming after {len(self.steps)} steps of {folder}")
            watch(self)

    def _begin(self, parent: Model, classes: list[tuple[str, ...]]) -> None:
        some = self.domains[0].images
        assert some is not None
        for kept, name in zip(pretrained.load_whole(self.nets, parent, classes, some[:SOME]), classes, strict=True):
            what = "its compressor, decompressor and classifier" if kept else "its compressor and decompressor"
            self.log(f"begins with {parent.name}: {what}" + ("" if kept else f"; {len(name)} labels are new"))

    def _origin(self, base: Model | None) -> Start:
        """Where a network of the architecture `pca` begins: fitted to the training images, or to records."""
        if base is not None:
            some = self.domains[0].images
            assert some is not None
            records = Codec(base).encode(some[:IMAGES].cpu().numpy(), effort=0)
            return fit_records(
                records, base.card.packing, shape=base.card.shape, size=pretrained.size(base.card.recipe)
            )
        if self.settings.architecture not in ("pca", "dense", "conv"):
            return NO_START
        images = [one.images for one in self.domains if one.images is not None]
        if images:
            return fit((images[0] if len(images) == 1 else torch.cat(images)).cpu().numpy(), self.settings.size)
        (only,) = self.domains
        assert only.records is not None
        return fit_records(only.records.cpu().numpy(), only.packing, only.linear)

    def learning_rate(self, at: float) -> float:
        """The learning rate of the schedule when a part `at` (0..1) of the recipe is done."""
        top = self.settings.learning_rate
        return top if self.settings.schedule == "constant" else cosine(top, top / 50, at)

    def plan(self, epochs: Mapping[Phase, int]) -> None:
        """How many epochs of each phase will come at most, for the estimate of the time left."""
        self._planned = Counter()
        for phase, count in epochs.items():
            self._planned[str(phase)] += count

    def train(self, phase: Phase, epochs: int, rates: tuple[float, float] | None = None) -> None:
        """Train a phase for some epochs. The learning rate goes from `rates[0]` to `rates[1]` along a cosine; without
        them, it follows the schedule from its start to its end."""
        first, last = rates or (self.learning_rate(0), self.learning_rate(1))
        for epoch in range(epochs):
            self._planned[str(phase)] -= 1
            if self._next_done() is not None:
                continue
            if phase.compresses:
                for one in self.domains:
                    one.drop_records()
            started, seed = time.perf_counter(), self.settings.seed * 1_000_003 + len(self.steps)
            loss = train_epoch(
                self.nets,
                self.domains[phase.domain],
                phase,
                (cosine(first, last, epoch / epochs), cosine(first, last, (epoch + 1) / epochs)),
                self.settings,
                self.optimizers,
                seed,
            )
            if not math.isfinite(loss):
                raise AtlcError("the training diverged (its loss is not finite); lower the learning rate")
            self._record(Step(str(phase), phase.domain, loss, time.perf_counter() - started))

    def train_measured(self, phase: Phase, epochs: int, task: Literal["classifier", "teacher"]) -> None:
        """Train a phase for some epochs along the schedule, and measure after each."""
        for epoch in range(epochs):
            self.train(phase, 1, (self.learning_rate(epoch / epochs), self.learning_rate((epoch + 1) / epochs)))
            self.measure(task)

    def measure(
        self, task: Literal["autoencoder", "classifier", "teacher"], *, domain: int = 0, test: Split | None = None
    ) -> float:
        """PSNR in dB of the autoencoder, or accuracy (0..1) of the classifier or the teacher, on the validation split;
        or on a `test` split, which the step's name then says. Decide nothing by a test split."""
        done = self._next_done()
        if done is not None:
            return done.value
        started, split = time.perf_counter(), self.domains[domain].held_out if test is None else test
        if task == "autoencoder":
            name, value = "psnr", measure.psnr(self.nets, split.images, domain)
        elif task == "teacher":
            name, value = "teacher accuracy", measure.teacher_accuracy(self.nets, split)
        else:
            name, value = "accuracy", measure.accuracy(self.nets, split, domain)
        self._record(Step(name if test is None else f"test {name}", domain, value, time.perf_counter() - started))
        return value

    def sub_run(self, name: str) -> Trainer:
        """Another run with the same settings and data and with networks of its own, in a folder below this one's."""
        return Trainer(
            self.settings, self.data, self.folder / name, fingerprint=self.fingerprint, log=self.log, watch=self.watch
        )

    def _next_done(self) -> Step | None:
        """Go to the next step of the recipe. Returns it if an earlier run has done it."""
        self._position += 1
        return self.steps[self._position - 1] if self._position <= len(self.steps) else None

    def _record(self, step: Step) -> None:
        self.steps.append(step)
        checkpoint.save(self.folder, self.settings, self.fingerprint, self.nets, self.optimizers, self.steps)
        self.watch(self)
        left = 0.0
        for name, epochs in self._planned.items():
            seconds = [step.seconds for step in self.steps if step.name == name]
            left += max(0, epochs) * (sum(seconds) / len(seconds) if seconds else 0.0)
        name = step.name if len(self.domains) == 1 else f"{step.name}, {self.domains[step.domain].name}"
        if not self._logged:
            self.log(f"{'step':>5}  {'phase':48} {'loss or figure':>14}  {'time':>8}")
            self._logged = True
        minutes = "<1" if left < 60 else f"{left / 60:.0f}"
        self.log(f"{len(self.steps):5d}  {name:48} {step.value:14.5f}  {step.seconds:6.1f} s   left: {minutes} min")
