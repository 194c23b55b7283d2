"""The experiments of the paper's Tables 2 to 6, run again, beside the paper's figures; its Table 7 is that of
training_speed.py.

    ATLC_DATA=... OMP_NUM_THREADS=1 python benchmarks/paper_tables.py

Each experiment (experiments.py) is a training run of minutes to a quarter of an hour. The program runs those that are
not yet in the results, with as many --seeds, goes on with one that was stopped, and writes the tables and pictures
after each. With --only it runs those whose key holds a text, as paper/atl/MNIST: two processes with one thread each are
faster than one on two threads. Checkpoints are kept in the folder --run.

All figures are of the test sets, taken once at the end, from symbols without a seal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import experiments
import inputs
import plots
import report
import training_speed
from experiments import MILESTONES, SETS, SETS_WITH_PART, SETTINGS, Experiment
from report import Row, Table

from atlcodec import zoo
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
COLUMNS = {"paper": "ours, the paper's training", "better": "ours, better training"}
LABELS = {"accuracy": "accuracy, %", "psnr": "PSNR, dB"}
WHOLE = 60_000  # training images of a data set
Runs = dict[str, Any]  # what each experiment came to, by its key


def main() -> None:
    options = report.arguments(__doc__, {"only": "", "run": "runs/paper", "seeds": 3}, images=WHOLE)
    runs = Path(options.run) if options.images == WHOLE else options.output / "runs"  # a quick look has its own
    for one in experiments.experiments(options.seeds):
        if options.only in one.key and not experiments.is_current(stored(options.output).get(one.key), one):
            made = experiments.trained(one, runs, options.images)
            done = {"recipe": experiments.recipe(one), **experiments.figures(one, made)}
            write({**stored(options.output), one.key: done}, options.output)  # another process may have written
    write(stored(options.output), options.output)
    draw_confusion(options.output)


def stored(output: Path) -> Runs:
    store = output / "paper_tables.json"
    return dict(json.loads(store.read_text("utf-8"))["experiments"]) if store.is_file() else {}


def write(known: Runs, output: Path) -> None:
    """The tables of what is known so far, and how ATL rose, set by set."""
    tables = [*(table(known, name) for name in PAPER), multi_domain_transfer(known), past_50(known)]
    tables += [*table_7(output), multi_domain(known), open_questions(known)]
    facts, raw = {"experiments": f"{len(known)} done"}, {"experiments": known}
    report.publish("paper_tables", "The paper's experiments", tables, output, facts, raw)
    courses = []
    for key, done in known.items():
        column, name, data, *_ = key.split("/")
        if name == "atl":
            course = {what: [value for step, value in done["course"] if step == what] for what in LABELS}
            courses.append((data, column, {**course, "accuracy": [100 * value for value in course["accuracy"]]}))
    ends = {data: (float(psnr), float(accuracy)) for data, (accuracy, psnr) in zip(SETS, PAPER["Table 5"], strict=True)}
    plots.courses(courses, ends, output / "paper_curves.png")


def draw_confusion(output: Path) -> None:
    """What the bundled models read off the sealed records of their test sets."""
    matrices = []
    for codec in map(Codec, zoo.default()):
        data = inputs.labelled_set(codec.model.card.data[0]["name"])
        answers = codec.classify(codec.encode(data.test, effort=0)).argmax(axis=1)
        right = 100 * float((answers == data.test_labels).mean())
        title = f"{codec.name} on {data.name}: {right:.1f} % of {len(answers):,}"
        matrices.append((title, codec.labels, data.test_labels, answers))
    plots.confusions(matrices, output / "confusion.png")


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
    rows: list[Row] = []
    for data, paper in zip(SETS, PAPER[name], strict=True):
        for figure, recipe, given in zip(LABELS, recipes, paper, strict=True):
            row: Row = {"": f"{data}, {LABELS[figure]}", "paper": given}
            for column in SETTINGS:
                values = ours(known, figure, column, recipe, data, start)
                values += ours(known, figure, column, "baseline", data) if name == "Table 2" else []
                row[COLUMNS[column]] = cell(values)
                difference = f"{mean(values) - float(given.split()[0]):+.2f}" if values and given else "-"
                row[f"difference, {COLUMNS[column].removeprefix('ours, ')}"] = difference
            rows += [row] if given else []
    return Table(f"{name}: {title}", rows)


def pairs(known: Runs, title: str, rows: Mapping[str, tuple[str, ...]], *notes: str) -> Table:
    """Accuracy and PSNR in the better column, by label: of a recipe, a data set, and perhaps its start and change."""
    found: list[Row] = [
        {"": label, **{LABELS[figure]: cell(ours(known, figure, "better", *which)) for figure in LABELS}}
        for label, which in rows.items()
    ]
    return Table(title, found, *notes)


def multi_domain_transfer(known: Runs) -> Table:
    """Table 6 again with ATL over the two other data sets together (Section 4.4), beside one of them alone."""
    rows: dict[str, tuple[str, ...]] = {}
    for data in SETS_WITH_PART:
        others = [other for other in SETS_WITH_PART if other != data]
        rows |= {f"{data}, from {start}": ("transfer", data, start) for start in others}
        rows[f"{data}, from both together"] = "transfer", data, "+".join(others)
        rows[f"{data}, ATL on itself (Table 5)"] = "atl", data
    note = "Better training. From both: ATL with one compressor, and a decompressor and a classifier for each data set."
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
    rows: list[Row] = []
    for both in combinations(SETS_WITH_PART, 2):
        runs: list[Any] = ours(known, "domains", "better", "multi-domain", "+".join(both))
        for one in both:
            row: Row = {"": f"{one}, in {' + '.join(both)}"}
            for figure, label in LABELS.items():
                row[label] = cell([run[one][figure] for run in runs])
                row[f"{label}, alone"] = cell(ours(known, figure, "better", "atl", one))
            rows.append(row)
    return Table("Not in the paper: ATL over two data sets at once", rows, "Better training.")


def past_50(known: Runs) -> Table:
    """What a transfer gains by going on after the paper's 50 epochs (Section 3.8)."""
    columns = ("accuracy, %", "PSNR, dB", "accuracy, validation", "PSNR, validation")
    done = known.get(Experiment("paper", "past-50", "KMNIST-part", 1, "MNIST").key)
    found: dict[str, tuple[Any, ...]] = {"the paper, 50": PAPER["Table 6, from MNIST"][1]}
    for epoch in MILESTONES:
        found[str(epoch)] = "not run yet", "not run yet"
        if done:
            test = done["test"][str(epoch)]
            accuracy, psnr = ([value for name, value in done["course"] if name == what] for what in LABELS)
            at = epoch // 10 - 1
            found[str(epoch)] = test["accuracy"], test["psnr"], 100 * accuracy[at], psnr[at]
    rows = [{"epochs of each half": name, **dict(zip(columns, row, strict=False))} for name, row in found.items()]
    note = "The paper's training, one seed. The course over all epochs, every tenth, is in paper_tables.json."
    return Table("Past 50 epochs: transfer from MNIST to KMNIST-part, gone on with", rows, note)


def table_7(output: Path) -> list[Table]:
    """The paper's ratios beside ours, from the results of training_speed.py; empty without them."""
    path = output / "training_speed.json"
    if not path.is_file():
        return []
    tables = {one["title"]: one["rows"] for one in json.loads(path.read_text("utf-8"))["tables"]}
    rows: list[Row] = []
    for each in tables[training_speed.TABLE_7]:
        paper, ratio = each["paper, ratio"], each["1 thread, ratio"]
        rows.append({"": each[""], "paper": paper, "ours, 1 thread": ratio, "difference": f"{ratio - paper:+.2f}"})
    note = (
        "Time of each part for the same images, as a ratio to the compressor's forward pass; more in training_speed.md."
    )
    return [Table("Table 7: time of the parts, forward and backward", rows, note)]


if __name__ == "__main__":
    main()
