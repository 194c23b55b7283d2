"""The experiments of the paper's Tables 2 to 7, run again, beside the paper's figures.

Each experiment (experiments.py) is a training run of minutes to a quarter of an hour. The program runs those that are
not yet in the results, goes on with one that was stopped, and writes the tables and pictures after each. Two processes
may run different experiments at a time: with OMP_NUM_THREADS=1 each they are faster than one on two threads.

All figures are of the test sets, taken once at the end, from symbols without a seal."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import experiments
import plots
import report
import training_speed
from experiments import MILESTONES, SETS, SETS_WITH_PART, SETTINGS, Experiment
from report import Cell, Table

from atlcodec import atomic, sets, zoo
from atlcodec.codec import Codec

# The paper's figures: accuracy in percent and PSNR in dB of each of SETS. It contradicts itself on the baselines: where
# two stand, the second is from its Tables 4 and 5.
PAPER = {
    "Table 2": (("98.6", "22.8 / 21.8"), ("89.9", "17.0"), ("85.7 / 85.6", "18.2 / 18.1")),
    "Table 3": (("91.7", ""), ("70.7", ""), ("79.8", "")),
    "Table 4": (("", "19.9"), ("", "15.4"), ("", "17.8")),
    "Table 5": (("97.2", "22.8"), ("85.5", "17.6"), ("85.2", "18.5")),
    "Table 6, from MNIST": (("", ""), ("69.7", "16.8"), ("78.8", "18.6")),
    "Table 6, from KMNIST": (("75.0", "22.9"), ("", ""), ("77.7", "19.2")),
    "Table 6, from FashionMNIST": (("91.3", "21.3"), ("62.3", "16.4"), ("", "")),
}
# By table: what it shows, and the recipes that give accuracy and PSNR.
TABLES = {
    "Table 2": ("baselines, end to end and apart", "classifier-driven", "ae-driven"),
    "Table 3": ("a classifier on the autoencoder's compressor", "ae-driven", ""),
    "Table 4": ("a decompressor on the classifier's compressor", "", "classifier-driven"),
    "Table 5": ("Alternating Transfer Learning", "atl", "atl"),
    "Table 6": ("transfer of the compressor that ATL made there", "transfer", "transfer"),
}
LABELS = {"accuracy": "accuracy, %", "psnr": "PSNR, dB"}
Runs = dict[str, Any]  # what each experiment came to, by its key


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument(
        "--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}"
    )
    parser.add_argument("--run", type=Path, default=Path("runs/paper"), help="folder of the checkpoints")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="experiments whose key holds this, as paper/atl/MNIST")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further experiment after so long")
    parser.add_argument("--dry-run", action="store_true", help="list the experiments that are not yet in the results")
    parser.add_argument("--pictures", action="store_true", help="draw what is known, and train nothing")
    options = parser.parse_args()
    known = stored(options.output)
    chosen = [one for one in experiments.experiments(options.seeds) if options.only in one.key]
    missing = [
        one for one in chosen if one.key not in known or not experiments.is_current(known[one.key]["recipe"], one)
    ]
    if options.dry_run:
        print("".join(f"{one.key}\n" for one in missing), end="")
        return
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    if not options.pictures:
        run(missing, options)
    draw_courses(stored(options.output), options.output)
    draw_confusion(options.data, options.output)


def run(missing: list[Experiment], options: argparse.Namespace) -> None:
    """Run the experiments, and write the tables after each."""
    if not (options.output / "training_speed.json").is_file():
        # In a process of its own: it changes the number of threads, on which the last bits of a training depend.
        program = [sys.executable, str(Path(__file__).with_name("training_speed.py")), "--output", str(options.output)]
        subprocess.run([*program, "--data", str(Path(options.data, "MNIST"))], check=True)
    begun = time.monotonic()
    for experiment in missing:
        if time.monotonic() - begun > 60 * options.minutes:
            break
        made = experiments.trained(experiment, options.data, options.run)
        done = {"recipe": experiments.recipe(experiment), **experiments.figures(experiment, made)}
        write({**stored(options.output), experiment.key: done}, options.output)  # another process may have written
        draw_courses(stored(options.output), options.output)
    write(stored(options.output), options.output)


def stored(output: Path) -> Runs:
    store = output / "paper_tables.json"
    return dict(json.loads(store.read_text("utf-8"))["experiments"]) if store.is_file() else {}


def draw_courses(known: Runs, output: Path) -> None:
    """How ATL rose, set by set."""
    courses = []
    for key, done in known.items():
        column, name, data, *_ = key.split("/")
        if name == "atl" and done.get("course"):
            course = {what: [value for step, value in done["course"] if step == what] for what in LABELS}
            courses.append((data, column, {**course, "accuracy": [100 * value for value in course["accuracy"]]}))
    ends = {data: (float(psnr), float(accuracy)) for data, (accuracy, psnr) in zip(SETS, PAPER["Table 5"], strict=True)}
    plots.courses(courses, ends, output / "paper_curves.png")


def draw_confusion(folder: str, output: Path) -> None:
    """What the bundled models read off the sealed records of their test sets."""
    matrices = []
    for model in zoo.default():
        codec, data = Codec(model), sets.load(Path(folder, model.card.data[0]["name"]))
        assert data.test is not None
        assert data.test.labels is not None
        answers = codec.classify(codec.encode(data.test.images, effort=0)).argmax(axis=1)
        right = 100 * float((answers == data.test.labels).mean())
        title = f"{codec.name} on {data.name}: {right:.1f} % of {len(answers):,}"
        matrices.append((title, codec.labels, data.test.labels, answers))
    plots.confusions(matrices, output / "confusion.png")


def write(known: Runs, output: Path) -> None:
    """The tables of what is known so far."""
    tables = [*(table(known, name) for name in PAPER), multi_domain_transfer(known), past_50(known)]
    tables += [*table_7(output), multi_domain(known), open_questions(known)]
    # The store holds hours of training: there is always the old one, whole, or the new one.
    with tempfile.TemporaryDirectory() as folder:
        report.publish(
            "paper_tables", "The paper's experiments", tables, Path(folder), {"experiments": f"{len(known)} done"}
        )
        made = {path.name: path.read_text("utf-8") for path in Path(folder).iterdir()}
    content = {**json.loads(made["paper_tables.json"]), "experiments": known}
    made["paper_tables.json"] = json.dumps(content, indent=1) + "\n"
    output.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        with atomic.file(output / name) as file:
            file.write(text.encode())


def ours(
    known: Runs, figure: str, column: str, recipe: str, data: str, start: str = "", change: str = ""
) -> list[float]:
    """A figure of an experiment, found with each of the seeds."""
    runs = (known.get(Experiment(column, recipe, data, seed, start, change).key) for seed in range(1, 100))
    return [run[figure] for run in runs if run]


def cell(values: list[float]) -> str:
    if not values:
        return "not run yet"
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread} (n={len(values)})"


def table(known: Runs, name: str) -> Table:
    """Rows by data set and figure: the paper's, ours in both columns with spread and number of seeds, and the
    difference."""
    number, _, start = name.partition(", from ")
    title, *recipes = TABLES[number]
    rows: list[list[Cell]] = []
    for data, paper in zip(SETS, PAPER[name], strict=True):
        for figure, recipe, given in zip(LABELS, recipes, paper, strict=True):
            if not given:
                continue
            row: list[Cell] = [f"{data}, {LABELS[figure]}", given]
            for column in SETTINGS:
                values = ours(known, figure, column, recipe, data, start)
                values += ours(known, figure, column, "baseline", data) if name == "Table 2" else []
                row += [cell(values), f"{mean(values) - float(given.split()[0]):+.2f}" if values else "-"]
            rows.append(row)
    columns = ["", "paper", "ours, the paper's training", "difference", "ours, better training", "difference"]
    return Table(f"{name}: {title}", columns, rows)


def pairs(known: Runs, title: str, rows: Mapping[str, tuple[str, ...]], *notes: str) -> Table:
    """Accuracy and PSNR in the better column, by label: of a recipe, a data set, and perhaps its start and change."""
    cells: list[list[Cell]] = [
        [label, *(cell(ours(known, figure, "better", *which)) for figure in LABELS)] for label, which in rows.items()
    ]
    return Table(title, ["", *LABELS.values()], cells, [" ".join(note.split()) for note in notes])


def multi_domain_transfer(known: Runs) -> Table:
    """Table 6 again with ATL over the two other data sets together (Section 4.4), beside one of them alone."""
    rows: dict[str, tuple[str, ...]] = {}
    for data in SETS_WITH_PART:
        others = [other for other in SETS_WITH_PART if other != data]
        rows |= {f"{data}, from {start}": ("transfer", data, start) for start in others}
        rows[f"{data}, from both together"] = "transfer", data, "+".join(others)
        rows[f"{data}, ATL on itself (Table 5)"] = "atl", data
    note = """Better training in all rows. From both: ATL with one compressor, and a decompressor and a classifier for
        each data set."""
    return pairs(known, "Table 6, multi-domain", rows, note)


def open_questions(known: Runs) -> Table:
    """ATL beside its rivals that the paper leaves open."""
    labels = {"interleave_steps": "turns of mini-batches: {}", "weight": "both losses at once, labels weigh {}"}
    rows: dict[str, tuple[str, ...]] = {}
    for data in SETS_WITH_PART:
        for change in experiments.OPEN[data]:
            name, _, value = change.partition("=")
            rows[f"{data}, {labels[name].format(value)}"] = experiments.ASKS[name], data, "", change
        rows[f"{data}, ATL, turns of epochs (Table 5)"] = "atl", data
    interleave, atl = (experiments.PARAMETERS["better"][name] for name in ("interleave", "atl"))
    notes = (
        f"""Better training. The compressor learns for {interleave.epochs} epochs, in ATL {atl.warmup + atl.sets} of the
        autoencoder and {atl.sets} of the classifier (KMNIST-part: about twice as many); then each half alone for
        {interleave.tune}.""",
        """A mini-batch of a turn serves one task, one of both losses both. What each takes, side by side, is in
        training_speed.md.""",
    )
    return pairs(known, "Not in the paper: how often to alternate, and both losses at once", rows, *notes)


def multi_domain(known: Runs) -> Table:
    """What ATL over two data sets reaches on each of them, beside ATL on it alone."""
    rows: list[list[Cell]] = []
    for both in combinations(SETS_WITH_PART, 2):
        runs: list[Any] = ours(known, "domains", "better", "multi-domain", "+".join(both))
        for one in both:
            row: list[Cell] = [f"{one}, in {' + '.join(both)}"]
            for figure in LABELS:
                row += [cell([run[one][figure] for run in runs]), cell(ours(known, figure, "better", "atl", one))]
            rows.append(row)
    columns = ["", "accuracy, %", "alone", "PSNR, dB", "alone"]
    return Table("Not in the paper: ATL over two data sets at once", columns, rows, ["Better training."])


def past_50(known: Runs) -> Table:
    """What a transfer gains by going on after the paper's 50 epochs (Section 3.8)."""
    done = known.get(Experiment("paper", "past-50", "KMNIST-part", 1, "MNIST").key)
    rows: list[list[Cell]] = [["the paper, 50", *PAPER["Table 6, from MNIST"][1], None, None]]
    for epoch in MILESTONES:
        row: list[Cell] = [str(epoch), "not run yet", "not run yet", None, None]
        if done:
            test, course = done["test"][str(epoch)], done["course"]
            accuracy, psnr = ([value for name, value in course if name == what][epoch // 10 - 1] for what in LABELS)
            row[1:] = [test["accuracy"], test["psnr"], 100 * accuracy, psnr]
        rows.append(row)
    columns = ["epochs of each half", "accuracy, %", "PSNR, dB", "accuracy, validation", "PSNR, validation"]
    note = "The paper's training, one seed. The course over all epochs, every tenth, is in paper_tables.json."
    return Table("Past 50 epochs: transfer from MNIST to KMNIST-part, gone on with", columns, rows, [note])


def table_7(output: Path) -> list[Table]:
    """The paper's ratios beside ours, from the results of training_speed.py; empty without them."""
    path = output / "training_speed.json"
    if not path.is_file():
        return []
    tables = {one["title"]: one["rows"] for one in json.loads(path.read_text("utf-8"))["tables"]}
    measured = tables[training_speed.TABLE_7]
    ratios = [name for name in measured[0] if name.endswith(" ratio") and name != "paper, ratio"]
    columns, rows = ["", "paper"], [[each[""], each["paper, ratio"]] for each in measured]
    for name in ratios:
        columns += [f"ours, {name.removesuffix(', ratio')}", "difference"]
        for row, each in zip(rows, measured, strict=True):
            row += [each[name], f"{each[name] - each['paper, ratio']:+.2f}"]
    note = (
        "Time of each part for the same images, as a ratio to the compressor's forward pass; more in training_speed.md."
    )
    return [Table("Table 7: time of the parts, forward and backward", columns, rows, [note])]


if __name__ == "__main__":
    main()
