"""The few primitives that every recipe is made of: train these parts on this task for k epochs, the rest frozen; and measure.

A recipe is plain code that calls `Trainer.train` and `Trainer.measure` in order. Every epoch is seeded by the run's seed and its
own number, and ends with a checkpoint; a resumed run walks through the recipe again, skips the epochs that are done and gives back
the figures that were measured, and so ends with the same weights as an unbroken one.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from atlcodec import metrics, record
from atlcodec.datasets import Dataset, Images, Split
from atlcodec.errors import AtlcError, BadData
from atlcodec.training.networks import Networks, quantise

Task = Literal["autoencoder", "classifier"]


@dataclass(frozen=True)
class Settings:
    """What every recipe needs to know; a recipe's own parameters are beside its code."""

    architecture: str = "lenet"
    seed: int = 0
    batch: int = 512
    rate: float = 2e-3  # highest learning rate (Adam)
    shift: int = 0  # augmentation while the compressor learns from labels: moved by up to this many pixels
    validation: int = 5000  # the last images of the training set, or a tenth of it where that is fewer
    device: str = "cpu"


@dataclass(frozen=True)
class Step:
    """One line of the metrics file: an epoch, or a measurement."""

    name: str
    value: float
    seconds: float


def split_validation(train: Split, wanted: int) -> tuple[Split, Split]:
    """The training images but the last, and the last `wanted` (at most a tenth)."""
    kept = max(1, min(wanted, len(train) // 10))
    return train[:-kept], train[-kept:]


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to `most` pixels in each direction, black moving in: uint8 (N, 28, 28) -> the same."""
    n, height, width = images.shape
    padded = functional.pad(images, (most, most, most, most))
    dy, dx = torch.randint(0, 2 * most + 1, (2, n, 1, 1), generator=generator).to(images.device)
    y = torch.arange(height, device=images.device).view(1, -1, 1) + dy
    x = torch.arange(width, device=images.device).view(1, 1, -1) + dx
    return padded[torch.arange(n, device=images.device).view(-1, 1, 1), y, x]


def pack(symbols: Tensor) -> Tensor:
    """Symbols (N, 16, 5, 5) to unsealed records uint8 (N, 200)."""
    flat = symbols.flatten(1).to(torch.uint8)
    return flat[:, 0::2] << 4 | flat[:, 1::2]


def unpack(records: Tensor) -> Tensor:
    """Records uint8 (N, 200) to symbols float32 (N, 16, 5, 5)."""
    return torch.stack((records >> 4, records & 15), dim=2).view(-1, *record.BOTTLENECK).float()


class Trainer:
    """Three networks, a data set, and a folder with a checkpoint.

    `unlabelled` images serve the autoencoder beside those of the data set. `recipe` is whatever else identifies the run: a
    checkpoint of another recipe is refused. `say` gets a line of progress after each epoch."""

    def __init__(
        self,
        settings: Settings,
        data: Dataset,
        folder: Path,
        *,
        unlabelled: Images | None = None,
        recipe: str = "",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if data.train.labels is None or len(data.classes) < 2:
            raise BadData(f"{data.name}: no labels to train a classifier on (train-labels-idx1-ubyte is missing)")
        if len(data.train) < 20:
            raise BadData(f"{data.name}: {len(data.train)} training images are too few")
        self.settings, self.folder, self.recipe, self.say = settings, folder, recipe, say
        try:
            self.device = torch.empty(0, device=settings.device).device
        except (RuntimeError, AssertionError) as error:
            raise AtlcError(f"device {settings.device!r} is not to be had here ({str(error).splitlines()[0]})") from error
        self.labelled, self.held_out = split_validation(data.train, settings.validation)
        pictures = self.labelled.images if unlabelled is None else np.concatenate([self.labelled.images, unlabelled])
        self.images = torch.from_numpy(pictures.copy()).to(self.device)  # the labelled ones come first
        assert self.labelled.labels is not None
        self.labels = torch.from_numpy(self.labelled.labels.copy()).to(self.device)

        torch.manual_seed(settings.seed)
        self.nets = Networks(settings.architecture, len(data.classes)).to(self.device)
        self.optimizers: dict[str, torch.optim.Adam] = {}
        self.steps: list[Step] = []  # done in this run, in order
        self._position = 0  # in the recipe; behind `steps` while a resumed run catches up
        self._records: Tensor | None = None  # what the compressor, as it stands, makes of the images
        self._planned: dict[str, int] = {}
        self._resume()

    # -- what recipes call -------------------------------------------------------------------------------------------------

    def plan(self, epochs: dict[str, int]) -> None:
        """How many epochs of each kind are to come at most, for the time left."""
        self._planned = dict(epochs)

    def train(self, parts: str, task: Task, epochs: int, rate: tuple[float, float]) -> None:
        """Train `parts` (names joined by "+") on `task`; what is not named stays frozen. The learning rate goes from `rate[0]`
        to `rate[1]` along a cosine. Optimisers keep their moments from one call to the next."""
        for epoch in range(epochs):
            name = f"train {parts} ({task})"
            self._planned[name] = self._planned.get(name, 1) - 1
            if self._done() is None:
                started = time.perf_counter()
                first, last = cosine(*rate, epoch / epochs), cosine(*rate, (epoch + 1) / epochs)
                loss = self._epoch(parts.split("+"), task, first, last)
                if not math.isfinite(loss):
                    raise AtlcError("the training diverged (the loss is no number any more); lower the learning rate")
                self._log(Step(name, loss, time.perf_counter() - started))

    def measure(self, task: Task) -> float:
        """On the validation split: PSNR in dB of the autoencoder, or accuracy (0..1) of the classifier."""
        done = self._done()
        if done is not None:
            return done.value
        started = time.perf_counter()
        value = self.psnr(self.held_out.images) if task == "autoencoder" else self.accuracy(self.held_out)
        self._log(Step("psnr" if task == "autoencoder" else "accuracy", value, time.perf_counter() - started))
        return value

    # -- one epoch ---------------------------------------------------------------------------------------------------------

    def _epoch(self, parts: list[str], task: Task, first: float, last: float) -> float:
        """Mean loss over the images."""
        number = len(self.steps)
        torch.manual_seed(self.settings.seed * 1_000_003 + number)  # dropout
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)  # order and augmentation
        for name, part in self.nets.named_children():
            part.requires_grad_(name in parts)
            part.train(name in parts)
        optimizer = self._optimizer(parts, task)
        moving = "compressor" in parts
        if moving:
            self._records = None
        elif self._records is None:
            self._records = self._compress_all()

        count = len(self.images) if task == "autoencoder" else len(self.labels)
        order = torch.randperm(count, generator=generator).to(self.device)
        batches = torch.split(order, self.settings.batch)
        total = torch.zeros((), device=self.device)
        for index, rows in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = first + (last - first) * index / len(batches)
            images = self.images[rows] if moving or task == "autoencoder" else None
            if moving:
                assert images is not None
                if task == "classifier" and self.settings.shift:
                    images = shifted(images, self.settings.shift, generator)
                symbols = quantise(self.nets.compressor(images.unsqueeze(1).float()))
            else:  # a frozen compressor is a detached bottleneck: its records are all there is to know of the images
                assert self._records is not None
                symbols = unpack(self._records[rows])
            if task == "autoencoder":
                assert images is not None
                decoded = self.nets.decompressor(symbols)
                loss = functional.mse_loss(decoded / 256, images.unsqueeze(1) / 256)
            else:
                loss = functional.cross_entropy(self.nets.classifier(symbols), self.labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / count

    def _optimizer(self, parts: list[str], task: Task) -> torch.optim.Adam:
        key = "+".join([*parts, task])
        if key not in self.optimizers:
            parameters = [p for name in parts for p in self.nets.get_submodule(name).parameters()]
            self.optimizers[key] = torch.optim.Adam(parameters, self.settings.rate)
        return self.optimizers[key]

    # -- the networks as they stand ----------------------------------------------------------------------------------------

    def _compress_all(self) -> Tensor:
        return torch.cat([pack(symbols) for symbols in self._symbols(self.images)])

    @torch.no_grad()
    def _symbols(self, images: Tensor) -> Iterator[Tensor]:
        self.nets.eval()
        for chunk in torch.split(images, 2048):
            yield quantise(self.nets.compressor(chunk.to(self.device).unsqueeze(1).float()))
        self.nets.train()

    def psnr(self, images: Images) -> float:
        """Pooled PSNR of images uint8 (N, 28, 28) through compressor and decompressor; unsealed."""
        errors = []
        tensor = torch.from_numpy(images.copy())
        for chunk, symbols in zip(torch.split(tensor, 2048), self._symbols(tensor), strict=True):
            with torch.no_grad():
                decoded = self.nets.decompressor(symbols).squeeze(1).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
            errors.append(metrics.squared_error(chunk.numpy(), decoded))
        return metrics.psnr(float(np.concatenate(errors).mean()))

    def accuracy(self, split: Split) -> float:
        """Share of a labelled split that the classifier gets right, 0..1; unsealed."""
        assert split.labels is not None
        with torch.no_grad():
            scores = [self.nets.classifier(s).cpu().numpy() for s in self._symbols(torch.from_numpy(split.images.copy()))]
        return metrics.accuracy(np.concatenate(scores), split.labels)

    # -- stopping and going on ---------------------------------------------------------------------------------------------

    def _done(self) -> Step | None:
        """The step at this position of the recipe, if an earlier run has done it."""
        self._position += 1
        return self.steps[self._position - 1] if self._position <= len(self.steps) else None

    def _log(self, step: Step) -> None:
        self.steps.append(step)
        self._checkpoint()
        left = 0.0
        for name, epochs in self._planned.items():
            known = [s.seconds for s in self.steps if s.name == name]
            left += max(0, epochs) * (sum(known) / len(known) if known else 0.0)
        self.say(f"{len(self.steps):5d}  {step.name:44s} {step.value:10.5f}  {step.seconds:6.1f} s   left: {left / 60:.0f} min")

    def _checkpoint(self) -> None:
        state = {
            "settings": asdict(self.settings),
            "recipe": self.recipe,
            "steps": [asdict(s) for s in self.steps],
            "networks": self.nets.state_dict(),
            "optimizers": {key: optimizer.state_dict() for key, optimizer in self.optimizers.items()},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(self.folder / "checkpoint.pt", lambda path: torch.save(state, path))
        lines = "".join(json.dumps(asdict(s)) + "\n" for s in self.steps)
        replace(self.folder / "metrics.jsonl", lambda path: path.write_text(lines))

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if (state["settings"], state["recipe"]) != (asdict(self.settings), self.recipe):
            raise BadData(f"{self.folder}: holds a run with other settings; take another folder, or delete it to start anew")
        self.nets.load_state_dict(state["networks"])
        self.steps = [Step(**s) for s in state["steps"]]
        for key, saved in state["optimizers"].items():
            *parts, task = key.split("+")
            self._optimizer(parts, task).load_state_dict(saved)
        self.say(f"going on after {len(self.steps)} steps of {self.folder}")


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, then rename: there is always a whole one."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def cosine(start: float, end: float, at: float) -> float:
    return float(end + (start - end) * (1 + np.cos(np.pi * at)) / 2)
