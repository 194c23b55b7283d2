"""The experiments of the paper's Tables 2 to 6, run again, beside the paper's figures.

Each experiment is a training run of minutes to a quarter of an hour: the program runs those that are not yet in the results, goes
on with one that was stopped, and writes the tables after each. `--only` picks some, `--dry-run` lists what is to be done.

Two columns: "paper" takes its epochs (50; 25 sets), its batches (512), a constant learning rate and no fine-tuning; "better" trains
the same networks for half as many epochs with smaller batches, a falling rate, digits moved by a pixel while learning from labels,
and for ATL a warm-up and fine-tuning. All figures are of the test sets, taken once at the end, from symbols without a seal.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import report
import torch

from atlcodec import datasets, files
from atlcodec.datasets import Dataset
from atlcodec.training.atl import Atl
from atlcodec.training.loop import Settings, Trainer
from atlcodec.training.recipes import RECIPES, Both, Epochs, Turns

SETS = ("MNIST", "KMNIST-part", "FashionMNIST")
# Per column: what all recipes take, and the parameters of each.
SETTINGS = {
    "paper": Settings(batch=512, rate=1e-3, schedule="constant"),
    "better": Settings(batch=128, rate=4e-3, schedule="cosine", shift=1),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "paper": {"atl": Atl(tune=3), "joint": Both(50, 3), "turns": Turns(50, 3), "": Epochs(50)},
    "better": {"atl": Atl(warmup=5, sets=15, tune=5), "joint": Both(25, 5), "turns": Turns(25, 5), "": Epochs(25)},
}
# The paper's figures: accuracy in percent, PSNR in dB. It contradicts itself on the baselines: where two stand, the second is from
# its Tables 4 and 5.
PAPER: dict[tuple[str, str], tuple[str, str]] = {
    ("Table 2", "MNIST"): ("98.6", "22.8 / 21.8"),
    ("Table 2", "KMNIST-part"): ("89.9", "17.0"),
    ("Table 2", "FashionMNIST"): ("85.7 / 85.6", "18.2 / 18.1"),
    ("Table 3", "MNIST"): ("91.7", ""),
    ("Table 3", "KMNIST-part"): ("70.7", ""),
    ("Table 3", "FashionMNIST"): ("79.8", ""),
    ("Table 4", "MNIST"): ("", "19.9"),
    ("Table 4", "KMNIST-part"): ("", "15.4"),
    ("Table 4", "FashionMNIST"): ("", "17.8"),
    ("Table 5", "MNIST"): ("97.2", "22.8"),
    ("Table 5", "KMNIST-part"): ("85.5", "17.6"),
    ("Table 5", "FashionMNIST"): ("85.2", "18.5"),
    ("Table 6, from MNIST", "KMNIST-part"): ("69.7", "16.8"),
    ("Table 6, from MNIST", "FashionMNIST"): ("78.8", "18.6"),
    ("Table 6, from KMNIST-part", "MNIST"): ("75.0", "22.9"),
    ("Table 6, from KMNIST-part", "FashionMNIST"): ("77.7", "19.2"),
    ("Table 6, from FashionMNIST", "MNIST"): ("91.3", "21.3"),
    ("Table 6, from FashionMNIST", "KMNIST-part"): ("62.3", "16.4"),
}


@dataclass(frozen=True)
class Experiment:
    """One training run. Its end gives two figures, of which a table may show one: an AE-driven run ends with the autoencoder of
    Table 2 and the classifier of Table 3, a classifier-driven one with the CNN of Table 2 and the decompressor of Table 4."""

    column: str
    recipe: str
    data: str
    seed: int
    start: str = ""  # transfer: the data set whose ATL compressor it keeps

    @property
    def key(self) -> str:
        return "/".join(
            filter(None, [self.column, self.recipe, self.data, self.start and f"from-{self.start}", f"seed-{self.seed}"])
        )


def experiments(seeds: int) -> list[Experiment]:
    """All of them: the first seed before the others, quick ones first, and those that others need before them."""
    found: list[Experiment] = []
    quick_first = sorted(SETS, key=lambda name: name != "KMNIST-part")  # an eighth of the images
    for data in quick_first:
        found += [
            Experiment(column, recipe, data, 1) for column in SETTINGS for recipe in ("atl", "ae-driven", "classifier-driven")
        ]
    for column in SETTINGS:
        found += [Experiment(column, "transfer", data, 1, start) for data in quick_first for start in SETS if start != data]
    for seed in range(2, seeds + 1):
        for column in SETTINGS:
            for data in ("MNIST", "FashionMNIST"):
                found += [Experiment(column, recipe, data, seed) for recipe in ("atl", "ae-driven", "classifier-driven")]
    for data in quick_first:
        found += [Experiment(column, recipe, data, 1) for column in SETTINGS for recipe in ("joint", "turns")]
    return found


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}")
    parser.add_argument("--run", type=Path, default=Path("runs/paper"), help="folder of the checkpoints")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="experiments whose key holds this, as paper/atl/MNIST")
    parser.add_argument("--minutes", type=float, help="begin no further experiment after so long")
    parser.add_argument("--dry-run", action="store_true", help="list the experiments that are not yet in the results")
    options = parser.parse_args()
    store = options.output / "paper_tables.json"
    known: dict[str, Any] = json.loads(store.read_text())["experiments"] if store.is_file() else {}
    begun = time.monotonic()
    for experiment in experiments(options.seeds):
        if options.only not in experiment.key or known.get(experiment.key, {}).get("recipe") == recipe(experiment):
            continue
        if options.dry_run:
            print(experiment.key)
            continue
        if options.data is None:
            parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
        if options.minutes and time.monotonic() - begun > 60 * options.minutes:
            break
        done = {"recipe": recipe(experiment), **run(experiment, options.data, options.run)}
        known = {**(json.loads(store.read_text())["experiments"] if store.is_file() else {}), experiment.key: done}
        write(known, options.output)
    if not options.dry_run:
        write(known, options.output)


def recipe(experiment: Experiment) -> dict[str, Any]:
    parameters = PARAMETERS[experiment.column]
    own = parameters.get(experiment.recipe, parameters[""])
    return {"recipe": experiment.recipe, **asdict(settings(experiment)), **asdict(own)}


def settings(experiment: Experiment) -> Settings:
    return Settings(**{**asdict(SETTINGS[experiment.column]), "seed": experiment.seed})


def trainer(
    experiment: Experiment, folder: str, run_folder: Path, start: dict[str, torch.Tensor] | None
) -> tuple[Trainer, Dataset]:
    data = datasets.load(Path(folder) / experiment.data)
    made = hashlib.sha256(repr((recipe(experiment), experiment.start)).encode()).hexdigest()
    where = run_folder / experiment.key
    return Trainer(
        settings(experiment), data, where, start=start, recipe=made, say=lambda line: print(experiment.key, line, flush=True)
    ), data


def run(experiment: Experiment, folder: str, run_folder: Path) -> dict[str, Any]:
    """Train, or go on; accuracy in percent and PSNR in dB on the test set."""
    start = None
    if experiment.start:
        giver, _ = trained(Experiment(experiment.column, "atl", experiment.start, experiment.seed), folder, run_folder, None)
        start = giver.nets.compressor.state_dict()
    done, data = trained(experiment, folder, run_folder, start)
    assert data.test is not None
    return {
        "accuracy": 100 * done.accuracy(data.test),
        "psnr": done.psnr(data.test.images),
        "seconds": sum(step.seconds for step in done.steps),
        "trained on": len(done.domains[0].labels),
        "tested on": len(data.test),
        "course": [[step.name, round(step.value, 4)] for step in done.steps if step.name in ("accuracy", "psnr")],
    }


def trained(
    experiment: Experiment, folder: str, run_folder: Path, start: dict[str, torch.Tensor] | None
) -> tuple[Trainer, Dataset]:
    made, data = trainer(experiment, folder, run_folder, start)
    parameters = PARAMETERS[experiment.column]
    RECIPES[experiment.recipe].run(made, parameters.get(experiment.recipe, parameters[""]))
    return made, data


def write(known: dict[str, Any], output: Path) -> None:
    """The tables of what is known so far."""
    tables = [
        table(
            "Table 2: baselines, end to end and apart", "Table 2", known, lambda data: ("classifier-driven", "ae-driven", data, "")
        ),
        table("Table 3: a classifier on the autoencoder's compressor", "Table 3", known, lambda data: ("ae-driven", "", data, "")),
        table(
            "Table 4: a decompressor on the classifier's compressor",
            "Table 4",
            known,
            lambda data: ("", "classifier-driven", data, ""),
        ),
        table("Table 5: Alternating Transfer Learning", "Table 5", known, lambda data: ("atl", "atl", data, "")),
        *(
            table(
                f"Table 6: transfer of ATL's compressor from {start}",
                f"Table 6, from {start}",
                known,
                transferred(start),
                without=start,
            )
            for start in SETS
        ),
        table("Not in the paper: both losses at once", "joint", known, lambda data: ("joint", "joint", data, "")),
        table("Not in the paper: ATL in turns of mini-batches", "turns", known, lambda data: ("turns", "turns", data, "")),
    ]
    report.publish("paper_tables", "The paper's experiments", tables, output, {"experiments": f"{len(known)} done"})
    path = output / "paper_tables.json"
    content = {**json.loads(path.read_text()), "experiments": known}
    with files.replacing(path) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")


def transferred(start: str) -> Callable[[str], tuple[str, str, str, str]]:
    return lambda data: ("transfer", "transfer", data, start)


def table(
    title: str, name: str, known: dict[str, Any], source: Callable[[str], tuple[str, str, str, str]], without: str = ""
) -> report.Table:
    """Rows by data set and figure: the paper's, ours in both columns with spread and number of seeds, and the difference."""
    rows: list[list[report.Cell]] = []
    for data in SETS:
        if data == without:
            continue
        by_accuracy, by_psnr, _, start = source(data)
        paper = PAPER.get((name, data), ("", ""))
        for figure, recipe_name, given in (("accuracy", by_accuracy, paper[0]), ("psnr", by_psnr, paper[1])):
            if not recipe_name:
                continue
            row: list[report.Cell] = [f"{data}, {'accuracy, %' if figure == 'accuracy' else 'PSNR, dB'}", given or "-"]
            for column in SETTINGS:
                keys = [Experiment(column, recipe_name, data, seed, start).key for seed in range(1, 100)]
                values = [known[key][figure] for key in keys if key in known]
                row += [cell(values), f"{mean(values) - float(given.split()[0]):+.2f}" if values and given else "-"]
            rows.append(row)
    notes = ["KMNIST-part: trained on 7,200 images and tested on 1,000; the paper had 60,000 and 10,000."]
    columns = ["", "paper", "ours, the paper's training", "difference", "ours, better training", "difference"]
    return report.Table(title, columns, rows, notes)


def cell(values: list[float]) -> str:
    if not values:
        return "not run yet"
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread} (n={len(values)})"


if __name__ == "__main__":
    main()
