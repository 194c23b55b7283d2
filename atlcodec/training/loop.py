"""The few primitives that every recipe is made of: train these parts on this task for k epochs, the rest frozen; and
measure.

A recipe is plain code that calls `Trainer.train` and `Trainer.measure` in order. Every epoch is seeded by the run's
seed and its own number, and ends with a checkpoint; a resumed run walks through the recipe again, skips the epochs that
are done and gives back the figures that were measured, and so ends with the same weights as an unbroken one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec import atomic, metrics, record
from atlcodec.errors import AtlcError, BadData
from atlcodec.sets.dataset import Dataset, Images, Split
from atlcodec.training import augment
from atlcodec.training.networks import Networks, quantise

# "joint" takes both losses at once; "turns" takes turns of mini-batches, first the autoencoder's, then the
# classifier's.
Task = Literal["autoencoder", "classifier", "joint", "turns"]
OTHERS = 0.5  # weight of pictures of other kinds in a classifier's loss: the paper's that it is from


@dataclass(frozen=True)
class Settings:
    """What every recipe needs to know; a recipe's own parameters are beside its code."""

    architecture: str = "lenet"
    seed: int = 0
    batch: int = 512
    rate: float = 2e-3  # highest learning rate (Adam)
    rise: int = 0  # mini-batches in which the rate of each optimiser rises to that
    schedule: str = "cosine"  # of the rate over a recipe: "cosine" falls to a fiftieth, "constant" stays
    shift: int = 0  # augmentation while the compressor learns from labels: moved by up to this many pixels
    augment: str = ""  # of half of the pictures, whenever the compressor learns or labels are learnt: see augment.py
    smoothing: float = 0.0  # of the labels
    precision: str = "float32"  # of products and activations: "bfloat16" is faster where the processor knows it
    sealed: bool = (
        False  # a frozen compressor's records are sealed, as a user's will be: the other half learns to bear it
    )
    validation: int = 5000  # the last images of the training set, or a tenth of it where that is fewer
    weight: float = 0.002  # of the cross-entropy in the joint loss, beside the squared error of pixels in 0..1
    device: str = "cpu"


@dataclass(frozen=True)
class Step:
    """One line of the metrics file: an epoch and its mean loss, or a measurement (PSNR in dB, accuracy 0..1)."""

    name: str
    domain: int
    value: float
    seconds: float


class Domain:
    """One data set on the device: its training images (labelled ones first), labels, what is held out for validation,
    and pictures of other kinds."""

    def __init__(
        self, data: Dataset, unlabelled: Images | None, others: Images | None, validation: int, device: torch.device
    ) -> None:
        if data.train.labels is None or len(data.classes) < 2:
            raise BadData(f"{data.name}: no labels to train a classifier on (train-labels-idx1-ubyte is missing)")
        if len(data.train) < 20:
            raise BadData(f"{data.name}: {len(data.train)} training images are too few")
        self.name = data.name
        labelled, self.held_out = split_validation(data.train, validation)
        assert labelled.labels is not None
        images = labelled.images if unlabelled is None else np.concatenate([labelled.images, unlabelled])
        self.images = torch.from_numpy(images.copy()).to(device)
        self.labels = torch.from_numpy(labelled.labels.copy()).to(device)
        self.others = None if others is None else torch.from_numpy(others.copy()).to(device)
        self.forget()

    def forget(self) -> None:
        """The compressor moves: what it made of the pictures is no longer what it makes."""
        self.records: Tensor | None = None
        self.others_records: Tensor | None = None


class Trainer:
    """The networks, one or more data sets, and a folder with a checkpoint.

    `unlabelled` images serve the autoencoder beside those of the first data set. `others` are images of none of the
    classes: while a classifier learns behind a frozen compressor, it learns to be unsure of them. `start` are weights
    that the compressor begins with. `recipe` is whatever else identifies the run: a checkpoint of another recipe is
    refused. `say` gets a line of progress after each epoch. `watch` is called with the trainer after each step, and at
    once if it goes on with an earlier run."""

    def __init__(
        self,
        settings: Settings,
        data: Dataset | Sequence[Dataset],
        folder: Path,
        *,
        unlabelled: Images | None = None,
        others: Images | None = None,
        start: dict[str, Tensor] | None = None,
        recipe: str = "",
        say: Callable[[str], None] = lambda _: None,
        watch: Callable[[Trainer], None] = lambda _: None,
    ) -> None:
        self.settings, self.data, self.folder, self.recipe, self.say, self.watch = (
            settings,
            data,
            folder,
            recipe,
            say,
            watch,
        )
        try:
            self.device = torch.empty(0, device=settings.device).device
        except (RuntimeError, AssertionError) as error:
            raise AtlcError(
                f"device {settings.device!r} is not to be had here ({str(error).splitlines()[0]})"
            ) from error
        sets = [data] if isinstance(data, Dataset) else list(data)
        self.domains = [
            Domain(one, None if number else unlabelled, others, settings.validation, self.device)
            for number, one in enumerate(sets)
        ]
        torch.manual_seed(settings.seed)
        self.nets = Networks(settings.architecture, [len(one.classes) for one in sets]).to(self.device)
        if start is not None:
            self.nets.compressor.load_state_dict(start)
        self.optimizers: dict[str, torch.optim.Adam] = {}
        self.steps: list[Step] = []  # done in this run, in order
        self._position = 0  # in the recipe; behind `steps` while a resumed run catches up
        self._planned: dict[str, int] = {}
        self._resume()

    # -- what recipes call ---------------------------------------------------------------------------------------------

    def rate(self, at: float) -> float:
        """The learning rate when a part `at` (0..1) of the recipe is done."""
        top = self.settings.rate
        return top if self.settings.schedule == "constant" else cosine(top, top / 50, at)

    def plan(self, epochs: dict[str, int]) -> None:
        """How many epochs of each kind (as `kind` names them) are to come at most, for the time left."""
        self._planned = dict(epochs)

    def train(
        self,
        parts: str,
        task: Task,
        epochs: int,
        rate: tuple[float, float] | None = None,
        *,
        domain: int = 0,
        turn: int = 1,
    ) -> None:
        """Train `parts` (names joined by "+") on `task`; what is not named stays frozen.

        The learning rate goes from `rate[0]` to `rate[1]` along a cosine; without one, it is the schedule's, from start
        to end. `turn` is the length of a turn in mini-batches. Optimisers keep their moments from one call to the
        next."""
        first, last = rate or (self.rate(0), self.rate(1))
        for epoch in range(epochs):
            name = kind(parts, task)
            self._planned[name] = self._planned.get(name, 1) - 1
            if self._done() is None:
                started = time.perf_counter()
                rates = cosine(first, last, epoch / epochs), cosine(first, last, (epoch + 1) / epochs)
                loss = self._epoch(parts.split("+"), task, rates, domain, turn)
                if not math.isfinite(loss):
                    raise AtlcError("the training diverged (the loss is no number any more); lower the learning rate")
                self._log(Step(name, domain, loss, time.perf_counter() - started))

    def measure(
        self, task: Literal["autoencoder", "classifier"], *, domain: int = 0, test: Split | None = None
    ) -> float:
        """On the validation split: PSNR in dB of the autoencoder, or accuracy (0..1) of the classifier. Or, for a look
        that decides nothing, on a `test` split; the step is then called a test's."""
        done = self._done()
        if done is not None:
            return done.value
        started = time.perf_counter()
        split = self.domains[domain].held_out if test is None else test
        value = self.psnr(split.images, domain) if task == "autoencoder" else self.accuracy(split, domain)
        name = ("" if test is None else "test ") + ("psnr" if task == "autoencoder" else "accuracy")
        self._log(Step(name, domain, value, time.perf_counter() - started))
        return value

    def beside(self, name: str) -> Trainer:
        """Another run with the same settings and data, and networks of its own, in a folder below this one's."""
        return Trainer(self.settings, self.data, self.folder / name, recipe=self.recipe, say=self.say, watch=self.watch)

    # -- one epoch -----------------------------------------------------------------------------------------------------

    def _epoch(self, parts: list[str], task: Task, rates: tuple[float, float], domain: int, turn: int) -> float:
        """Mean loss over the images."""
        number = len(self.steps)
        torch.manual_seed(self.settings.seed * 1_000_003 + number)  # dropout
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)  # order and augmentation
        self.nets.requires_grad_(False).eval()
        for name in parts:
            self.nets.part(name, domain).requires_grad_(True).train()
        data = self.domains[domain]
        moving = "compressor" in parts
        if moving:
            for each in self.domains:
                each.forget()

        batches = self._batches(data, task, generator)
        total = torch.zeros((), device=self.device)
        for index, rows in enumerate(batches):
            now = task
            if task == "turns":
                now = "classifier" if index // turn % 2 else "autoencoder"
            optimizer = self._optimizer(parts, now, domain)
            for group in optimizer.param_groups:
                group["lr"] = (rates[0] + (rates[1] - rates[0]) * index / len(batches)) * self._risen(optimizer)
            loss = self._loss(data, rows, now, moving, domain, generator)
            self.nets.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / sum(map(len, batches))

    def _batches(self, data: Domain, task: Task, generator: torch.Generator) -> Sequence[Tensor]:
        """Rows of the images, each once, in random order. Where both tasks are learnt at once and some images have no
        label, half of each batch has labels, and these come first; labelled images come again and again then."""
        labelled, everything = len(data.labels), len(data.images)
        batch = self.settings.batch
        if task != "joint" or labelled == everything:
            count = everything if task == "autoencoder" else labelled
            return torch.split(torch.randperm(count, generator=generator).to(self.device), batch)
        others = torch.split(torch.randperm(everything - labelled, generator=generator) + labelled, batch - batch // 2)
        wanted = len(others) * (batch // 2)
        again = torch.cat([torch.randperm(labelled, generator=generator) for _ in range(-(-wanted // labelled))])[
            :wanted
        ]
        return [torch.cat(pair).to(self.device) for pair in zip(torch.split(again, batch // 2), others, strict=True)]

    def _loss(
        self, data: Domain, rows: Tensor, task: Task, moving: bool, domain: int, generator: torch.Generator
    ) -> Tensor:
        """Squared error of pixels in 0..1, cross-entropy, or both weighted."""
        settings = self.settings
        changing = bool(settings.augment) and (moving or task != "autoencoder")
        # Whole rows are copied several times as fast by index_select as by indexing.
        images = data.images.index_select(0, rows) if moving or changing or task == "autoencoder" else None
        if images is not None and changing:
            images = augment.some(images, settings.augment, generator)
        if images is not None and moving and task != "autoencoder" and settings.shift:
            images = augment.shifted(images, settings.shift, generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            if moving or changing:
                assert images is not None
                with torch.set_grad_enabled(moving):
                    latents = self.nets.compressor(images.unsqueeze(1).float())
                symbols = quantise(latents.float())
            else:  # a frozen compressor is a detached bottleneck: its records are all there is to know of the images
                if data.records is None:
                    data.records = torch.cat(list(self._packed(data.images)))
                symbols = unpack(data.records.index_select(0, rows))
            decoded = None if task == "classifier" else self.nets.part("decompressor", domain)(symbols)
            known = int((rows < len(data.labels)).sum()) if task == "joint" else len(rows)  # these come first
            logits = None if task == "autoencoder" else self.nets.part("classifier", domain)(symbols[:known])
        loss = torch.zeros((), device=self.device)
        if decoded is not None:
            assert images is not None
            loss = functional.mse_loss(decoded.float() / 256, images.unsqueeze(1) / 256)
        if logits is not None:
            labels = data.labels[rows[:known]]
            cross = functional.cross_entropy(logits.float(), labels, label_smoothing=settings.smoothing)
            loss = loss + (settings.weight if task == "joint" else 1) * cross
        if task == "classifier" and not moving and data.others is not None:
            if data.others_records is None:
                data.others_records = torch.cat(list(self._packed(data.others)))
            some = torch.randint(len(data.others), (len(rows),), generator=generator).to(self.device)
            logits = self.nets.part("classifier", domain)(unpack(data.others_records.index_select(0, some)))
            # Cross-entropy with no preference for any label: least when unsure (outlier exposure, Hendrycks et al.
            # 2019).
            loss = loss - OTHERS * functional.log_softmax(logits, dim=1).mean()
        return loss

    def _optimizer(self, parts: list[str], task: Task, domain: int) -> torch.optim.Adam:
        key = f"{'+'.join(parts)}/{task}/{domain}"
        if key not in self.optimizers:
            unused = {"autoencoder": "classifier", "classifier": "decompressor"}.get(
                task
            )  # in turns, the other's own part
            modules = [self.nets.part(name, domain) for name in parts if name != unused]
            self.optimizers[key] = torch.optim.Adam(nn.ModuleList(modules).parameters(), self.settings.rate, fused=True)
        return self.optimizers[key]

    def _risen(self, optimizer: torch.optim.Adam) -> float:
        """The part of the learning rate that an optimiser takes, from a hundredth up. Its first steps all point the
        same way: the inputs of a young classifier hardly differ from one another, and at the full rate most of its
        ReLUs go off for good."""
        if not self.settings.rise:
            return 1.0
        taken = next((int(state["step"]) for state in optimizer.state.values()), 0)
        return float(min(1.0, 0.01 ** (1 - taken / self.settings.rise)))

    # -- the networks as they stand ------------------------------------------------------------------------------------

    @torch.no_grad()
    def _symbols(self, images: Tensor) -> Iterator[Tensor]:
        for chunk in torch.split(images, 2048):
            yield quantise(self.nets.compressor(chunk.to(self.device).unsqueeze(1).float()))

    @torch.no_grad()
    def _packed(self, images: Tensor) -> Iterator[Tensor]:
        """Records uint8 (N, 200) of images; sealed, if they are to be, with an id that is as good as any."""
        for chunk in torch.split(images, 2048):
            latents = self.nets.compressor(chunk.unsqueeze(1).float())
            if self.settings.sealed:
                symbols = record.seal(*record.quantise(latents.cpu().numpy()), id=self.settings.seed)
                yield torch.from_numpy(record.pack(symbols)).to(self.device)
            else:
                yield pack(quantise(latents))

    def decoded(self, images: Images, domain: int = 0) -> Images:
        """What comes of images uint8 (N, 28, 28) through compressor and decompressor: the same; unsealed."""
        decompressor = self.nets.part("decompressor", domain).eval()
        with torch.no_grad():
            pixels = [
                decompressor(s).squeeze(1).clamp(0, 255).round() for s in self._symbols(torch.from_numpy(images.copy()))
            ]
        return torch.cat(pixels).to(torch.uint8).cpu().numpy()

    def psnr(self, images: Images, domain: int = 0) -> float:
        """Pooled PSNR of images uint8 (N, 28, 28) through compressor and decompressor; unsealed."""
        return metrics.psnr(float(metrics.squared_error(images, self.decoded(images, domain)).mean()))

    def scores(self, images: Images, domain: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Logits of images uint8 (N, 28, 28) through compressor and classifier, float32 (N, classes); unsealed."""
        classifier = self.nets.part("classifier", domain).eval()
        with torch.no_grad():
            return np.concatenate([classifier(s).cpu().numpy() for s in self._symbols(torch.from_numpy(images.copy()))])

    def accuracy(self, split: Split, domain: int = 0) -> float:
        """Share of a labelled split that the classifier gets right, 0..1; unsealed."""
        assert split.labels is not None
        return metrics.accuracy(self.scores(split.images, domain), split.labels)

    # -- stopping and going on -----------------------------------------------------------------------------------------

    def _done(self) -> Step | None:
        """The step at this position of the recipe, if an earlier run has done it."""
        self._position += 1
        return self.steps[self._position - 1] if self._position <= len(self.steps) else None

    def _log(self, step: Step) -> None:
        self.steps.append(step)
        self._checkpoint()
        self.watch(self)
        left = 0.0
        for name, epochs in self._planned.items():
            known = [s.seconds for s in self.steps if s.name == name]
            left += max(0, epochs) * (sum(known) / len(known) if known else 0.0)
        name = step.name if len(self.domains) == 1 else f"{step.name}, {self.domains[step.domain].name}"
        self.say(
            f"{len(self.steps):5d}  {name:52s} {step.value:10.5f}  {step.seconds:6.1f} s   left: {left / 60:.0f} min"
        )

    def _checkpoint(self) -> None:
        state = {
            "settings": asdict(self.settings),
            "recipe": self.recipe,
            "steps": [asdict(s) for s in self.steps],
            "networks": self.nets.state_dict(),
            "optimizers": {key: optimizer.state_dict() for key, optimizer in self.optimizers.items()},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic.file(self.folder / "checkpoint.pt") as file:
            torch.save(state, file)
        with atomic.file(self.folder / "metrics.jsonl") as file:
            file.writelines(json.dumps(asdict(s)).encode() + b"\n" for s in self.steps)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        settings = {**asdict(Settings()), **state["settings"]}  # one that came after the run was begun had its default
        if (settings, state["recipe"]) != (asdict(self.settings), self.recipe):
            raise BadData(
                f"{self.folder}: holds a run with other settings; take another folder, or delete it to start anew"
            )
        self.nets.load_state_dict(state["networks"])
        self.steps = [Step(**s) for s in state["steps"]]
        for key, saved in state["optimizers"].items():
            parts, task, domain = key.split("/")
            self._optimizer(parts.split("+"), task, int(domain)).load_state_dict(saved)
        self.say(f"going on after {len(self.steps)} steps of {self.folder}")
        self.watch(self)


def kind(parts: str, task: Task) -> str:
    """What an epoch is called."""
    return f"train {parts} ({task})"


def split_validation(train: Split, wanted: int) -> tuple[Split, Split]:
    """The training images but the last, and the last `wanted` (at most a tenth)."""
    kept = max(1, min(wanted, len(train) // 10))
    return train[:-kept], train[-kept:]


def pack(symbols: Tensor) -> Tensor:
    """Symbols (N, 16, 5, 5) to unsealed records uint8 (N, 200)."""
    flat = symbols.flatten(1).to(torch.uint8)
    return flat[:, 0::2] << 4 | flat[:, 1::2]


def unpack(records: Tensor) -> Tensor:
    """Records uint8 (N, 200) to symbols float32 (N, 16, 5, 5)."""
    symbols = torch.empty(*records.shape, 2, device=records.device)
    symbols[..., 0] = records >> 4
    symbols[..., 1] = records & 15
    return symbols.view(-1, *record.BOTTLENECK)


def cosine(start: float, end: float, at: float) -> float:
    """From `start` to `end` along half a cosine, at 0..1."""
    return float(end + (start - end) * (1 + np.cos(np.pi * at)) / 2)
