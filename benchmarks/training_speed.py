"""How fast training is: the parts of Table 7, an epoch beside a plain PyTorch loop, a classifier from records, whole
recipes.

Contestants take turns within one run, and the best turn counts; once with one thread, once with as many as PyTorch
takes by itself. More than one thread is for a computer that does nothing else: threads that wait for a busy core make
all others wait. The pictures are test pictures, their labels numbers in a row: speed does not depend on what there is
to learn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
import torch
from experiments import PARAMETERS, SETTINGS
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.sets import Dataset, Split
from atlcodec.sets.official import DIGITS
from atlcodec.training.loop import Settings, Task, Trainer
from atlcodec.training.networks import Networks, quantise
from atlcodec.training.recipes import RECIPES

BATCH = 512
EPOCH = 60_000  # images, to which the parts are extrapolated, as the paper gives them
PARTS = ("compress", "decompress", "classify")
PASSES = ("forward", "backward")
# Table 7, seconds an epoch.
PAPER = {
    ("compress", "forward"): 10,
    ("compress", "backward"): 16,
    ("decompress", "forward"): 44,
    ("decompress", "backward"): 62,
    ("classify", "forward"): 1,
    ("classify", "backward"): 7,
}
TABLE_7 = "Table 7: the parts of the networks"  # paper_tables.py looks for it
SHARING = {"atl": "ATL", "turns": "ATL in turns of a mini-batch", "joint": "both losses at once"}  # recipes
Times = dict[int, dict[tuple[str, str], float]]  # by number of threads


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--data", metavar="DIR|NAME", help="data set [$ATLC_DATA/MNIST if there, else drawn digits]")
    parser.add_argument(
        "--images",
        type=int,
        default=10_240,
        help="pictures in an epoch; the autoencoders get half of them, whole recipes a quarter",
    )
    parser.add_argument("--rounds", type=int, default=4, help="turns of each contestant")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}), help="of PyTorch"
    )
    options = parser.parse_args()
    images, what = inputs.pictures(options.data, options.images + 1)
    half = images[
        : options.images // 2 + 1
    ]  # enough for what takes seconds; the turns are short then, and one may be undisturbed
    quarter = images[: options.images // 4 + 1]
    parts, epochs, runs = Times(), Times(), Times()
    for threads in options.threads:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        parts[threads] = report.race(passes(images[:BATCH]), 5 * options.rounds, 0.05)
        with tempfile.TemporaryDirectory() as folder:
            epochs[threads] = report.race(autoencoders(half, Path(folder)), options.rounds, 0.1)
            epochs[threads] |= report.race(classifiers(images, Path(folder)), options.rounds, 0.1)
        runs[threads] = report.race(
            {("recipe", name): whole(quarter, name) for name in SHARING}, (options.rounds + 1) // 2, 0
        )
    tables = [table_7(parts), compared(epochs, len(half) - 1, len(images) - 1), shared(runs, len(quarter) - 1)]
    facts: dict[str, report.Cell] = {"torch": torch.__version__, "pictures": what, "images in a batch": BATCH}
    report.publish("training_speed", "The speed of training", tables, options.output, facts)


def passes(images: NDArray[np.uint8]) -> dict[tuple[str, str], Callable[[], object]]:
    """One batch through each part, forward and backward. Going back is timed alone, again and again over one graph."""
    nets = Networks("lenet", [len(DIGITS)]).train()
    pixels = torch.from_numpy(images)
    symbols = quantise(nets.compressor(pixels.unsqueeze(1).float())).detach().requires_grad_()
    forward: dict[str, Callable[[], Tensor]] = {
        "compress": lambda: quantise(nets.compressor(pixels.unsqueeze(1).float())),
        "decompress": lambda: nets.part("decompressor")(symbols),
        "classify": lambda: nets.part("classifier")(symbols),
    }
    learning: dict[str, list[Tensor]] = {
        "compress": [*nets.compressor.parameters()],  # the first layers: nothing learns from the gradient of pixels
        "decompress": [symbols, *nets.part("decompressor").parameters()],
        "classify": [symbols, *nets.part("classifier").parameters()],
    }
    found: dict[tuple[str, str], Callable[[], object]] = {}
    for part in PARTS:
        result = forward[part]()
        found[part, "forward"] = forward[part]
        found[part, "backward"] = going_back(result, learning[part])
    return found


def going_back(result: Tensor, learning: list[Tensor]) -> Callable[[], object]:
    gradient = torch.randn_like(result)
    return lambda: torch.autograd.grad(result, learning, gradient, retain_graph=True)


def autoencoders(images: NDArray[np.uint8], folder: Path) -> dict[tuple[str, str], Callable[[], object]]:
    return {
        ("autoencoder", "ours"): ours(images, folder, "compressor+decompressor", "autoencoder"),
        ("autoencoder", "plain"): plain(images[:-1]),
    }


def classifiers(images: NDArray[np.uint8], folder: Path) -> dict[tuple[str, str], Callable[[], object]]:
    return {
        ("classifier", "pixels"): ours(images, folder, "compressor+classifier", "classifier"),
        ("classifier", "records"): ours(images, folder, "classifier", "classifier"),
    }


def ours(images: NDArray[np.uint8], folder: Path, parts: str, task: Task) -> Callable[[], object]:
    """An epoch of our trainer, over all images but the last, which it wants for validation."""
    trainer = Trainer(
        Settings(batch=BATCH, validation=1, rate=1e-3, schedule="constant"), dataset(images), folder / parts
    )
    return lambda: trainer.train(parts, task, 1)


def dataset(images: NDArray[np.uint8]) -> Dataset:
    return Dataset("speed", Split(images, np.arange(len(images)) % len(DIGITS)), None, DIGITS)


def whole(images: NDArray[np.uint8], recipe: str) -> Callable[[], object]:
    """A recipe from its beginning to its end, as the experiments' better training has it."""
    parameters: Any = PARAMETERS["better"][recipe]
    if recipe == "atl":
        parameters = replace(parameters, patience=parameters.sets)  # all of them, though there is nothing to learn

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(replace(SETTINGS["better"], validation=1), dataset(images), Path(folder))
            RECIPES[recipe].run(trainer, parameters)

    return run


def plain(images: NDArray[np.uint8]) -> Callable[[], object]:
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
    nets = Networks("lenet", [len(DIGITS)])
    if shapes(parameters) != shapes([*nets.compressor.parameters(), *nets.part("decompressor").parameters()]):
        raise SystemExit("the plain layers are not those of our networks: this program is out of date")
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


def shapes(parameters: list[nn.Parameter]) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in parameters]


def table_7(times: Times) -> report.Table:
    """Seconds an epoch of each part, and their ratios to the compressor's forward pass."""
    columns = ["", "paper, seconds", "paper, ratio"]
    for threads in times:
        columns += [f"{named(threads)}, seconds", f"{named(threads)}, ratio"]
    rows: list[list[report.Cell]] = []
    for part in PARTS:
        for direction in PASSES:
            given = PAPER[part, direction]
            row: list[report.Cell] = [f"{part}, {direction}", given, given / PAPER["compress", "forward"]]
            for measured in times.values():
                taken = measured[part, direction]
                row += [round(taken * EPOCH / BATCH, 3), round(taken / measured["compress", "forward"], 3)]
            rows.append(row)
    notes = [f"Seconds for {EPOCH:,} images, from batches of {BATCH}; ratios to the compressor's forward pass."]
    return report.Table(TABLE_7, columns, rows, notes)


def compared(times: Times, half: int, images: int) -> report.Table:
    rows: list[list[report.Cell]] = []

    def row(label: str, value: Callable[[dict[tuple[str, str], float]], float]) -> None:
        rows.append([label, *(round(value(measured), 3) for measured in times.values())])

    row(f"autoencoder, {half:,} images, ours, seconds", lambda t: t["autoencoder", "ours"])
    row(f"autoencoder, {half:,} images, plain PyTorch, seconds", lambda t: t["autoencoder", "plain"])
    row("ours, of the time of plain PyTorch", lambda t: t["autoencoder", "ours"] / t["autoencoder", "plain"])
    row(f"compressor + classifier from pixels, {images:,} images, seconds", lambda t: t["classifier", "pixels"])
    row(f"classifier alone from records, {images:,} images, seconds", lambda t: t["classifier", "records"])
    row("from records, times as fast as from pixels", lambda t: t["classifier", "pixels"] / t["classifier", "records"])
    notes = [
        "Ours: our trainer's epoch whole, with its checkpoint. Plain: the layers of Table 1 from torch.nn over "
        "floats in memory, "
        "the same batches, Adam and rounding, no checkpoint.",
        "Records are made once, before the first epoch from them; that is not in the time.",
    ]
    return report.Table("Epochs", ["", *map(named, times)], rows, notes)


def shared(times: Times, images: int) -> report.Table:
    """What it takes to train one compressor for both tasks, one way or another."""
    rows: list[list[report.Cell]] = [
        [f"ATL, {images:,} images, seconds", *(round(measured["recipe", "atl"], 3) for measured in times.values())]
    ]
    for recipe, label in SHARING.items():
        if recipe != "atl":
            ratios = (measured["recipe", recipe] / measured["recipe", "atl"] for measured in times.values())
            rows.append([f"{label}, of ATL's time", *(round(ratio, 3) for ratio in ratios)])
    notes = [
        f"From first to last, as in experiments.py's better training: batches of {SETTINGS['better'].batch}, and as "
        "many epochs of "
        "the compressor in each. ATL has an epoch of one half alone between them, from records or with the "
        "compressor frozen."
    ]
    return report.Table("Whole recipes", ["", *map(named, times)], rows, notes)


def named(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


if __name__ == "__main__":
    main()
