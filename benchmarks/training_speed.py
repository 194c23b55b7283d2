"""How fast training is, with one thread: the parts of Table 7, an epoch beside a plain PyTorch loop, a classifier from
records, whole recipes.

    ATLC_DATA=... python benchmarks/training_speed.py

Everything takes turns within one run, and the best turn counts. Labels are arbitrary: speed does not depend on what is
learned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
import timing
import torch
from experiments import PARAMETERS, SETTINGS
from inputs import Images, Split
from report import Row, Table
from timing import Calls
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.sets.dataset import Dataset
from atlcodec.sets.official import DIGITS
from atlcodec.training import recipes
from atlcodec.training.atl import autoencoder, classifier, cnn
from atlcodec.training.loop import Phase
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer

BATCH = 512
EPOCH = 60_000  # images, to which the parts are extrapolated, as the paper gives them
# Table 7: seconds an epoch, forward and backward.
PAPER = {"compress": (10, 16), "decompress": (44, 62), "classify": (1, 7)}
TABLE_7 = "Table 7: the parts of the networks"  # paper_tables.py looks for it
RECIPES = {"ATL": "atl", "ATL in turns of a mini-batch": "interleave", "both losses at once": "joint"}
REFERENCES = {  # what a time is divided by
    "autoencoder, ours": "autoencoder, plain PyTorch",
    "classifier alone from records": "compressor + classifier from pixels",
    **dict.fromkeys(list(RECIPES)[1:], "ATL"),
}


def main() -> None:
    options = report.arguments(__doc__, 10_240, rounds=4)
    images, what = inputs.some_images(options.data, options.images + 1)
    # The autoencoders get half of the images, whole recipes a quarter: in a short turn less disturbs.
    half, quarter = images[: options.images // 2 + 1], images[: options.images // 4 + 1]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    parts = timing.best(passes(images[:BATCH]), 5 * options.rounds, 0.05)
    with tempfile.TemporaryDirectory() as folder:
        taken = timing.best(epochs(images, half, Path(folder)), options.rounds, 0.1)
    taken |= timing.best({name: whole(quarter, recipe) for name, recipe in RECIPES.items()}, (options.rounds + 1) // 2)
    rows: list[Row] = []
    for name, seconds in taken.items():
        other = REFERENCES.get(name)
        ratio = round(seconds / taken[other], 3) if other else None
        rows.append({"": name, "seconds": round(seconds, 2), "ratio": ratio, "to the time of": other})
    table = Table.of(
        "Epochs and whole recipes",
        rows,
        f"An autoencoder: {len(half) - 1:,} images, a classifier: {len(images) - 1:,}, a recipe: {len(quarter) - 1:,}.",
        """Ours: an epoch of our trainer, with its checkpoint. Plain: the layers of Table 1 from torch.nn over floats in
        memory, the same batches, Adam and rounding, no checkpoint. Records are made once; that is not in the time.""",
        f"""Recipes as in experiments.py's better training: batches of {SETTINGS["better"].batch_size}, the same number
        of epochs of the compressor in each. Between them, ATL has an epoch of one half alone.""",
    )
    facts = {**report.versions("torch"), "pictures": what, "images in a batch": BATCH}
    report.publish("training_speed", "The speed of training", [table_7(parts), table], options.output, facts)


def passes(images: Images) -> Calls:
    """One batch through each part, forward and backward. Going back is timed alone, again and again over one graph."""
    nets = Networks("lenet", [len(DIGITS)]).train()
    pixels = torch.from_numpy(images).unsqueeze(1)
    symbols = nets.quantise(nets.compressor(pixels.float())).detach().requires_grad_()
    decompressor, classifier = nets.part("decompressor"), nets.part("classifier")
    found: Calls = {}

    def add(part: str, forward: Callable[[], Tensor], learning: list[Tensor]) -> None:
        result = forward()
        gradient = torch.randn_like(result)
        found[f"{part}, forward"] = forward
        found[f"{part}, backward"] = lambda: torch.autograd.grad(result, learning, gradient, retain_graph=True)

    # Nothing learns from the gradient of pixels.
    add("compress", lambda: nets.quantise(nets.compressor(pixels.float())), [*nets.compressor.parameters()])
    add("decompress", lambda: decompressor(symbols), [symbols, *decompressor.parameters()])
    add("classify", lambda: classifier(symbols), [symbols, *classifier.parameters()])
    return found


def table_7(taken: dict[str, float]) -> Table:
    """Seconds an epoch of each part, and their ratios to the compressor's forward pass."""
    rows: list[Row] = []
    for part, given in PAPER.items():
        for name, seconds in zip((f"{part}, forward", f"{part}, backward"), given, strict=True):
            row: Row = {"": name, "paper, seconds": seconds, "paper, ratio": seconds / PAPER["compress"][0]}
            row["1 thread, seconds"] = round(taken[name] * EPOCH / BATCH, 3)
            rows.append({**row, "1 thread, ratio": round(taken[name] / taken["compress, forward"], 3)})
    note = f"Seconds for {EPOCH:,} images, from batches of {BATCH}; ratios to the compressor's forward pass."
    return Table.of(TABLE_7, rows, note)


def epochs(images: Images, half: Images, folder: Path) -> Calls:
    def ours(images: Images, phase: Phase) -> Callable[[], object]:
        """An epoch of our trainer, over all images but the last, which it wants for validation."""
        settings = Settings(batch_size=BATCH, validation=1, learning_rate=1e-3, schedule="constant")
        trainer = Trainer(settings, dataset(images), folder / "+".join(phase.parts))
        return lambda: trainer.train(phase, 1)

    found = {"autoencoder, plain PyTorch": plain(half[:-1]), "autoencoder, ours": ours(half, autoencoder())}
    found["compressor + classifier from pixels"] = ours(images, cnn())
    return {**found, "classifier alone from records": ours(images, classifier())}


def dataset(images: Images) -> Dataset:
    return Dataset("speed", Split(images, np.arange(len(images)) % len(DIGITS)), None, DIGITS)


def whole(images: Images, recipe: str) -> Callable[[], object]:
    """A recipe from its beginning to its end, as the experiments' better training has it."""
    parameters: Any = PARAMETERS["better"][recipe]
    if recipe == "atl":
        parameters = replace(parameters, patience=parameters.sets)  # all of them, though there is nothing to learn

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(replace(SETTINGS["better"], validation=1), dataset(images), Path(folder))
            recipes.run(recipe, trainer, parameters)

    return run


def plain(images: Images) -> Callable[[], object]:
    """The peer: Table 1's autoencoder as anyone would write it in PyTorch, over pixels that lie ready as floats."""
    compressor = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.ZeroPad2d(2), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2)
    )
    decompressor = nn.Sequential(
        *(nn.Upsample(scale_factor=2), nn.ZeroPad2d(2), nn.Conv2d(16, 16, 3), nn.ReLU()),
        *(nn.Upsample(scale_factor=2), nn.ZeroPad2d(2), nn.Conv2d(16, 6, 3), nn.ReLU()),
        *(nn.ZeroPad2d(2), nn.Conv2d(6, 1, 3)),
    )
    parameters = [*compressor.parameters(), *decompressor.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)
    pixels = torch.from_numpy(images).unsqueeze(1) / 256

    def epoch() -> None:
        for rows in torch.split(torch.randperm(len(pixels)), BATCH):
            batch = pixels[rows]
            latents = compressor(batch)
            symbols = latents + (latents.round().clamp(0, 15) - latents).detach()
            loss = functional.mse_loss(decompressor(symbols), batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


if __name__ == "__main__":
    main()
