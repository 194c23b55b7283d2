"""How fast training is: the parts of Table 7, an epoch beside a plain PyTorch loop, a classifier from records, whole
recipes.

Everything takes turns within one run, and the best turn counts; once with one thread, once with as many as PyTorch
takes by itself. More than one thread is for an idle computer: a thread that waits for a busy core makes all others
wait. The images are test images with arbitrary labels: speed does not depend on what is learned."""

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
from inputs import DIGITS, Dataset, Images, Split
from report import Row, Table
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.training import recipes
from atlcodec.training.atl import autoencoder, classifier, cnn
from atlcodec.training.loop import Phase
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer

BATCH = 512
EPOCH = 60_000  # images, to which the parts are extrapolated, as the paper gives them
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
SHARING = {"atl": "ATL", "interleave": "ATL in turns of a mini-batch", "joint": "both losses at once"}  # recipes
Times = dict[int, dict[tuple[str, str], float]]  # by number of threads


def main() -> None:
    parser = report.parser(__doc__)
    inputs.add_set(parser)
    parser.add_argument("--rounds", type=int, default=4, help="turns of each contestant")
    default = sorted({1, torch.get_num_threads()})
    parser.add_argument("--threads", type=int, nargs="+", default=default, help="of PyTorch")
    options = report.arguments(parser, 10_240)
    images, what = inputs.some_images(options.data, options.images + 1)
    # The autoencoders get half of the images, whole recipes a quarter: in a short turn less disturbs.
    half, quarter = images[: options.images // 2 + 1], images[: options.images // 4 + 1]
    times: Times = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        times[threads] = timing.best(passes(images[:BATCH]), 5 * options.rounds, 0.05)
        with tempfile.TemporaryDirectory() as folder:
            times[threads] |= timing.best(epochs(images, half, Path(folder)), options.rounds, 0.1)
        runs = {("recipe", name): whole(quarter, name) for name in SHARING}
        times[threads] |= timing.best(runs, (options.rounds + 1) // 2)
    tables = [table_7(times), compared(times, len(half) - 1, len(images) - 1), shared(times, len(quarter) - 1)]
    facts: dict[str, report.Cell] = {"torch": torch.__version__, "pictures": what, "images in a batch": BATCH}
    report.publish("training_speed", "The speed of training", tables, options.output, facts)


def passes(images: Images) -> dict[tuple[str, str], Callable[[], object]]:
    """One batch through each part, forward and backward. Going back is timed alone, again and again over one graph."""
    nets = Networks("lenet", [len(DIGITS)]).train()
    pixels = torch.from_numpy(images)
    symbols = nets.quantise(nets.compressor(pixels.unsqueeze(1).float())).detach().requires_grad_()
    forward: dict[str, Callable[[], Tensor]] = {
        "compress": lambda: nets.quantise(nets.compressor(pixels.unsqueeze(1).float())),
        "decompress": lambda: nets.part("decompressor")(symbols),
        "classify": lambda: nets.part("classifier")(symbols),
    }
    learning: dict[str, list[Tensor]] = {
        "compress": [*nets.compressor.parameters()],  # the first layers: nothing learns from the gradient of pixels
        "decompress": [symbols, *nets.part("decompressor").parameters()],
        "classify": [symbols, *nets.part("classifier").parameters()],
    }
    found: dict[tuple[str, str], Callable[[], object]] = {}
    for part, call in forward.items():
        found[part, "forward"] = call
        found[part, "backward"] = going_back(call(), learning[part])
    return found


def going_back(result: Tensor, learning: list[Tensor]) -> Callable[[], object]:
    gradient = torch.randn_like(result)
    return lambda: torch.autograd.grad(result, learning, gradient, retain_graph=True)


def epochs(images: Images, half: Images, folder: Path) -> dict[tuple[str, str], Callable[[], object]]:
    return {
        ("autoencoder", "ours"): ours(half, folder, autoencoder()),
        ("autoencoder", "plain"): plain(half[:-1]),
        ("classifier", "pixels"): ours(images, folder, cnn()),
        ("classifier", "records"): ours(images, folder, classifier()),
    }


def ours(images: Images, folder: Path, phase: Phase) -> Callable[[], object]:
    """An epoch of our trainer, over all images but the last, which it wants for validation."""
    settings = Settings(batch_size=BATCH, validation=1, learning_rate=1e-3, schedule="constant")
    trainer = Trainer(settings, dataset(images), folder / "+".join(phase.parts))
    return lambda: trainer.train(phase, 1)


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


def table_7(times: Times) -> Table:
    """Seconds an epoch of each part, and their ratios to the compressor's forward pass."""
    rows: list[Row] = []
    first = "compress", "forward"
    for (part, direction), given in PAPER.items():
        row: Row = {"": f"{part}, {direction}", "paper, seconds": given, "paper, ratio": given / PAPER[first]}
        for threads, measured in times.items():
            taken = measured[part, direction]
            row[f"{named(threads)}, seconds"] = round(taken * EPOCH / BATCH, 3)
            row[f"{named(threads)}, ratio"] = round(taken / measured[first], 3)
        rows.append(row)
    note = f"Seconds for {EPOCH:,} images, from batches of {BATCH}; ratios to the compressor's forward pass."
    return Table.of(TABLE_7, rows, note)


def compared(times: Times, half: int, images: int) -> Table:
    rows: list[Row] = []

    def row(label: str, value: Callable[[dict[tuple[str, str], float]], float]) -> None:
        values = {named(threads): round(value(measured), 3) for threads, measured in times.items()}
        rows.append({"": label, **values})

    row(f"autoencoder, {half:,} images, ours, seconds", lambda t: t["autoencoder", "ours"])
    row(f"autoencoder, {half:,} images, plain PyTorch, seconds", lambda t: t["autoencoder", "plain"])
    row("ours, of the time of plain PyTorch", lambda t: t["autoencoder", "ours"] / t["autoencoder", "plain"])
    row(f"compressor + classifier from pixels, {images:,} images, seconds", lambda t: t["classifier", "pixels"])
    row(f"classifier alone from records, {images:,} images, seconds", lambda t: t["classifier", "records"])
    row("from records, times as fast as from pixels", lambda t: t["classifier", "pixels"] / t["classifier", "records"])
    return Table.of(
        "Epochs",
        rows,
        """Ours: a whole epoch of our trainer, with its checkpoint. Plain: the layers of Table 1 from torch.nn over
        floats in memory, the same batches, Adam and rounding, no checkpoint.""",
        "Records are made once, before the first epoch from them; that is not in the time.",
    )


def shared(times: Times, images: int) -> Table:
    """The time to train one compressor for both tasks, by recipe."""
    rows: list[Row] = []
    for recipe, label in SHARING.items():
        row: Row = {"": f"{label}, of ATL's time" if rows else f"{label}, {images:,} images, seconds"}
        for threads, measured in times.items():
            atl = measured["recipe", "atl"]
            row[named(threads)] = round(measured["recipe", recipe] / atl if rows else atl, 3)
        rows.append(row)
    note = f"""From first to last, as in experiments.py's better training: batches of {SETTINGS["better"].batch_size},
        the same number of epochs of the compressor in each. Between them, ATL has an epoch of one half alone, from
        records or with the compressor frozen."""
    return Table.of("Whole recipes", rows, note)


def named(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


if __name__ == "__main__":
    main()
