"""How fast training is, with one thread: the parts of Table 7, an epoch beside a plain PyTorch loop, a classifier from
records, whole recipes.

    ATLC_DATA=... python benchmarks/training_speed.py

Everything takes turns within one run, and the best turn counts. Labels are arbitrary: speed does not depend on what is
learned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
import timing
import torch
from experiments import PARAMETERS, SETTINGS
from inputs import Images
from report import Row, Table
from timing import Calls
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.sets.dataset import Dataset, Split
from atlcodec.sets.official import DIGITS
from atlcodec.training import recipes
from atlcodec.training.atl import autoencoder, classifier, cnn
from atlcodec.training.loop import Phase
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer

BATCH = 512
EPOCH = 60_000  # images, to which the parts are extrapolated, as the paper gives them
PAPER = {  # Table 7: seconds an epoch
    "compress, forward": 10,
    "compress, backward": 16,
    "decompress, forward": 44,
    "decompress, backward": 62,
    "classify, forward": 1,
    "classify, backward": 7,
}
TABLE_7 = "Table 7: the parts of the networks"  # paper_tables.py looks for it
RECIPES = {"ATL": "atl", "ATL in turns of a mini-batch": "interleave", "both losses at once": "joint"}


def main() -> None:
    options = report.arguments(__doc__, images=10_240, rounds=4)
    images = inputs.digits(options.images + 1)  # one of each data set is for validation
    # The autoencoders get half of the images, whole recipes a quarter: in a short turn less disturbs.
    half, quarter = images[: options.images // 2 + 1], images[: options.images // 4 + 1]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    parts = timing.best(passes(images[:BATCH]), 5 * options.rounds, 0.05)
    with tempfile.TemporaryDirectory() as folder:
        taken = timing.best(epochs(images, half, folder), options.rounds, 0.1)
    taken |= timing.best({name: whole(quarter, recipe) for name, recipe in RECIPES.items()}, (options.rounds + 1) // 2)
    references = {"autoencoder, ours": "autoencoder, plain PyTorch", **dict.fromkeys(list(RECIPES)[1:], "ATL")}
    references["classifier alone from records"] = "compressor + classifier from pixels"
    rows: list[Row] = []
    for name, seconds in taken.items():
        other = references.get(name)
        ratio = round(seconds / taken[other], 3) if other else None
        rows.append({"": name, "seconds": round(seconds, 2), "ratio": ratio, "to the time of": other})
    table = Table(
        "Epochs and whole recipes",
        rows,
        f"An autoencoder: {len(half) - 1:,} images, a classifier: {len(images) - 1:,}, a recipe: {len(quarter) - 1:,}.",
        """Ours: an epoch of our trainer, with its checkpoint. Plain: the layers of Table 1 from torch.nn over floats in
        memory, the same batches, Adam and rounding, no checkpoint. Records are made once; that is not in the time.""",
        f"""Recipes as in experiments.py's better training: batches of {SETTINGS["better"].batch_size}, the same number
        of epochs of the compressor in each. Between them, ATL has an epoch of one half alone.""",
    )
    facts = {**report.versions("torch"), "pictures": "test pictures of MNIST", "images in a batch": BATCH}
    report.publish("training_speed", "The speed of training", [table_7(parts), table], options.output, facts)


def passes(images: Images) -> Calls:
    """One batch through each part, forward and backward. Going back is timed alone, again and again over one graph."""
    nets = Networks("lenet", [len(DIGITS)]).train()
    pixels = torch.from_numpy(images).unsqueeze(1)
    symbols = nets.quantise(nets.compressor(pixels.float())).detach().requires_grad_()
    decompressor, classifier = nets.part("decompressor"), nets.part("classifier")
    parts: dict[str, tuple[Callable[[], Tensor], list[Tensor]]] = {  # nothing learns from the gradient of pixels
        "compress": (lambda: nets.quantise(nets.compressor(pixels.float())), [*nets.compressor.parameters()]),
        "decompress": (partial(decompressor, symbols), [symbols, *decompressor.parameters()]),
        "classify": (partial(classifier, symbols), [symbols, *classifier.parameters()]),
    }
    found: Calls = {}
    for part, (forward, learning) in parts.items():
        result = forward()
        back = partial(torch.autograd.grad, result, learning, torch.randn_like(result), retain_graph=True)
        found |= {f"{part}, forward": forward, f"{part}, backward": back}
    return found


def table_7(taken: dict[str, float]) -> Table:
    """Seconds an epoch of each part, and their ratios to the compressor's forward pass."""
    rows: list[Row] = [
        {
            "": name,
            "paper, seconds": seconds,
            "paper, ratio": seconds / PAPER["compress, forward"],
            "1 thread, seconds": round(taken[name] * EPOCH / BATCH, 3),
            "1 thread, ratio": round(taken[name] / taken["compress, forward"], 3),
        }
        for name, seconds in PAPER.items()
    ]
    note = f"Seconds for {EPOCH:,} images, from batches of {BATCH}; ratios to the compressor's forward pass."
    return Table(TABLE_7, rows, note)


def epochs(images: Images, half: Images, folder: str) -> Calls:
    def ours(images: Images, phase: Phase) -> Callable[[], object]:
        settings = replace(SETTINGS["paper"], batch_size=BATCH, validation=1)
        return partial(trainer(settings, images, f"{folder}/{'+'.join(phase.parts)}").train, phase, 1)

    return {
        "autoencoder, plain PyTorch": plain(half[:-1]),
        "autoencoder, ours": ours(half, autoencoder()),
        "compressor + classifier from pixels": ours(images, cnn()),
        "classifier alone from records": ours(images, classifier()),
    }


def trainer(settings: Settings, images: Images, folder: str) -> Trainer:
    """It learns from all images but the last, which it wants for validation."""
    split = Split(images, np.arange(len(images)) % len(DIGITS))
    return Trainer(settings, Dataset("speed", split, None, DIGITS), Path(folder))


def whole(images: Images, recipe: str) -> Callable[[], object]:
    """A recipe from its beginning to its end, as the experiments' better training has it."""
    parameters: Any = PARAMETERS["better"][recipe]
    if recipe == "atl":
        parameters = replace(parameters, patience=parameters.sets)  # there is nothing to learn, and it shall not stop

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            recipes.run(recipe, trainer(replace(SETTINGS["better"], validation=1), images, folder), parameters)

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
    optimizer = torch.optim.Adam([*compressor.parameters(), *decompressor.parameters()], 1e-3)
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
