"""Trials of the form of the `pca` networks: what each choice gives on a validation split of KMNIST's training images.

    ATLC_DATA=... python benchmarks/trials.py

Pictures alone, except for the last rows: AdamW, one cycle, batches of 128, bfloat16, one thread. PSNR is of unsealed
latents, without a search. Rows are kept in runs/trials.json, so that a stopped run goes on. Needs the extra `train`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import inputs
import report
import torch
from report import Row, Table
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from atlcodec.latents import Packing
from atlcodec.sets.dataset import Split
from atlcodec.training import measure, pca, start
from atlcodec.training.augment import augment
from atlcodec.training.data import split_validation
from atlcodec.training.layers import FixedLinear
from atlcodec.training.networks import Networks

best_allotment = start.allot
BATCH, VALIDATION = 128, 5000


@dataclass(frozen=True)
class Trial:
    """What differs from the form that was chosen."""

    name: str
    allotment: tuple[int, ...] = start.BITS
    sizes: tuple[tuple[str, int], ...] = ()  # what differs from the size small
    rate: float = 4e-3
    free: float = 0.0  # learning rate of the linear paths
    last: bool = False  # a convolution behind the decompressor
    average: float = 0.0  # of weights, exponential
    noise: bool = False  # instead of rounding, while training
    labels: float | None = None  # weight of the cross-entropy
    everywhere: bool = False  # all latents learn from the labels, too


TRIALS = (
    Trial("as chosen"),
    Trial("latents of 8, 4 and 2 bits", allotment=(8, 4, 2)),
    Trial("one mixer of each kind", sizes=(("depth", 1),)),
    Trial("three mixers of each kind", sizes=(("depth", 3),)),
    Trial("half the width", sizes=(("width", 24), ("hidden", 64), ("width_back", 32), ("hidden_back", 96))),
    Trial("twice the width", sizes=(("width", 96), ("hidden", 256), ("width_back", 128), ("hidden_back", 384))),
    Trial("a rate of 0.002", rate=2e-3),
    Trial("a rate of 0.008", rate=8e-3),
    Trial("linear paths set free, at a rate of 0.0001", free=1e-4),
    Trial("linear paths set free, at a rate of 0.001", free=1e-3),
    Trial("a last convolution, 16 channels", last=True),
    Trial("averaged weights, 0.99", average=0.99),
    Trial("noise in place of rounding", noise=True),
    Trial("labels too, in latents of their own (as chosen)", labels=1.0),
    Trial("labels too, in all latents, weight 0.001", labels=0.001, everywhere=True),
    Trial("labels too, in all latents, weight 0.01", labels=0.01, everywhere=True),
)


class Last(nn.Module):
    """An image, and what two convolutions add to it."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Conv2d(16, 1, 3, padding=1)
        self.layers = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), last)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.layers(x / 128)
        return x + 128 * added


def begun(trial: Trial, images: Tensor) -> Networks:
    """The networks before the first step."""

    def allot(errors: dict[int, start.Floats], variances: start.Floats) -> Packing:
        return best_allotment(
            {bits: each if bits in trial.allotment else 1e9 + each for bits, each in errors.items()}, variances
        )

    with mock.patch.object(start, "allot", allot):
        fitted = start.fit(images.numpy())
    with mock.patch.dict(pca.SIZES, small=replace(pca.SIZES["small"], **dict(trial.sizes))):
        nets = Networks("pca", [10], start=fitted)
    if trial.last:
        nets.part("decompressor").append(Last())  # type: ignore[operator]
    if trial.everywhere:
        nets.classifiers[0] = pca.dense_classifier(fitted, 10)  # reads them all
    return nets


def optimiser(trial: Trial, nets: Networks, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    groups: list[dict[str, Any]] = [{"params": list(nets.parameters())}]
    if trial.free:
        linear = [module for module in nets.modules() if isinstance(module, FixedLinear)]
        free = [each.requires_grad_() for module in linear for each in (module.weight, module.bias)]
        groups.append({"params": free, "weight_decay": 0.0})
    rates = [trial.rate, trial.free][: len(groups)]
    made = torch.optim.AdamW(groups, trial.rate, betas=(0.9, 0.98), weight_decay=0.01)
    return made, torch.optim.lr_scheduler.OneCycleLR(made, rates, total_steps=steps, pct_start=0.15)


def loss_of(trial: Trial, nets: Networks, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    def symbols(pictures: Tensor) -> Tensor:
        latents = nets.compressor(pictures.unsqueeze(1).float())
        if trial.noise:
            return torch.minimum((latents + torch.rand_like(latents) - 0.5).clamp(min=0), nets.top)
        return nets.quantise(latents)

    with torch.autocast("cpu", torch.bfloat16):
        decoded = nets.part("decompressor")(symbols(images))
        loss = functional.mse_loss(decoded.float() / 256, images.unsqueeze(1) / 256)
        if trial.labels is not None:
            logits = nets.part("classifier")(symbols(augment(images, "elastic", generator, share=1)))
            loss = loss + trial.labels * functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
    return loss


def run(trial: Trial, train: Split, steps: int) -> Row:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    learnt, held_out = split_validation(train, VALIDATION)
    assert learnt.labels is not None
    images, labels = torch.from_numpy(learnt.images.copy()), torch.from_numpy(learnt.labels)
    nets, generator = begun(trial, images), torch.Generator().manual_seed(1)
    row: Row = {"PSNR at the start, dB": measure.psnr(nets.eval(), held_out.images)}
    made, schedule = optimiser(trial, nets, steps)
    average = AveragedModel(nets, multi_avg_fn=get_ema_multi_avg_fn(trial.average))  # type: ignore[no-untyped-call]
    for _ in range(steps):
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        loss = loss_of(trial, nets.train(), images[rows], labels[rows], generator)
        made.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        made.step()
        schedule.step()
        average.update_parameters(nets)
    if trial.average:
        nets.load_state_dict(average.module.state_dict())
    row["PSNR, dB"] = measure.psnr(nets.eval(), held_out.images)
    if trial.labels is not None:
        row["accuracy, %"] = 100 * measure.accuracy(nets, held_out)
    return row


def main() -> None:
    options = report.arguments(__doc__, images=10_000, steps=250)
    data, known, rows = inputs.labelled_set("KMNIST", options.images), report.Known("trials"), list[Row]()
    train = Split(data.train, data.train_labels)
    for trial in TRIALS:
        key = f"{trial}, {options.steps} steps: {len(train)} of {data.name}"
        rows.append({"": trial.name, **known.find(key, partial(run, trial, train, options.steps))})
    note = f"{options.steps} steps; the last {VALIDATION:,} training images. Labels learn from elastic changes."
    report.publish("trials", "Trials of the form of the networks", [Table(data.name, rows, note)], options.output)


if __name__ == "__main__":
    main()
