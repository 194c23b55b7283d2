"""The experiments of the paper's Tables 2 to 7, run again, beside the paper's figures.

Each experiment (experiments.py) is a training run of minutes to a quarter of an hour. The program runs those that are
not yet in the results, goes on with one that was stopped, and writes the tables and draws the pictures after each.
`--only` picks some, `--dry-run` lists what is to be done, `--pictures` draws what is known without training anything.
Two processes may run at a time on different experiments: with OMP_NUM_THREADS=1 each they are faster than one on two
threads.

All figures are of the test sets, taken once at the end, from symbols without a seal.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import plots
import report
import training_speed
from experiments import (
    ASKS,
    MILESTONES,
    OPEN,
    PARAMETERS,
    SETS,
    SETS_WITH_PART,
    SETTINGS,
    Experiment,
    dataset,
    domains,
    experiments,
    figures,
    is_current,
    recipe,
    trained,
    trainer,
)

from atlcodec import atomic, zoo
from atlcodec.codec import Codec
from atlcodec.errors import BadData
from atlcodec.sets.dataset import Dataset
from atlcodec.training import measure
from atlcodec.training.trainer import Trainer

# The paper's figures: accuracy in percent, PSNR in dB. It contradicts itself on the baselines: where two stand, the
# second is from its Tables 4 and 5.
PAPER: dict[tuple[str, str], tuple[str, str]] = {
    ("Table 2", "MNIST"): ("98.6", "22.8 / 21.8"),
    ("Table 2", "KMNIST"): ("89.9", "17.0"),
    ("Table 2", "FashionMNIST"): ("85.7 / 85.6", "18.2 / 18.1"),
    ("Table 3", "MNIST"): ("91.7", ""),
    ("Table 3", "KMNIST"): ("70.7", ""),
    ("Table 3", "FashionMNIST"): ("79.8", ""),
    ("Table 4", "MNIST"): ("", "19.9"),
    ("Table 4", "KMNIST"): ("", "15.4"),
    ("Table 4", "FashionMNIST"): ("", "17.8"),
    ("Table 5", "MNIST"): ("97.2", "22.8"),
    ("Table 5", "KMNIST"): ("85.5", "17.6"),
    ("Table 5", "FashionMNIST"): ("85.2", "18.5"),
    ("Table 6, from MNIST", "KMNIST"): ("69.7", "16.8"),
    ("Table 6, from MNIST", "FashionMNIST"): ("78.8", "18.6"),
    ("Table 6, from KMNIST", "MNIST"): ("75.0", "22.9"),
    ("Table 6, from KMNIST", "FashionMNIST"): ("77.7", "19.2"),
    ("Table 6, from FashionMNIST", "MNIST"): ("91.3", "21.3"),
    ("Table 6, from FashionMNIST", "KMNIST"): ("62.3", "16.4"),
}


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument(
        "--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}"
    )
    parser.add_argument("--run", type=Path, default=Path("runs/paper"), help="folder of the checkpoints")
    parser.add_argument(
        "--grids", type=Path, default=Path("benchmarks/grids"), help="folder for images of the data sets"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="experiments whose key holds this, as paper/atl/MNIST")
    parser.add_argument("--minutes", type=float, help="begin no further experiment after so long")
    parser.add_argument("--dry-run", action="store_true", help="list the experiments that are not yet in the results")
    parser.add_argument("--pictures", action="store_true", help="draw what is known, and train nothing")
    options = parser.parse_args()
    store = options.output / "paper_tables.json"
    known = stored(store)
    chosen = [experiment for experiment in experiments(options.seeds) if options.only in experiment.key]

    def is_known(experiment: Experiment) -> bool:
        return experiment.key in known and is_current(known[experiment.key]["recipe"], experiment)

    if options.dry_run:
        for experiment in chosen:
            if not is_known(experiment):
                print(experiment.key)
        return
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    if options.pictures:
        draw(known, filter(is_known, chosen), options)
        return

    if not (options.output / "training_speed.json").is_file():
        measure_speed(options.output, Path(options.data) / "MNIST")
    begun = time.monotonic()
    for experiment in chosen:
        if is_known(experiment):
            continue
        if options.minutes and time.monotonic() - begun > 60 * options.minutes:
            break
        made, data = trained(experiment, options.data, options.run)
        done = {"recipe": recipe(experiment), **figures(experiment, made, data)}
        known = {**stored(store), experiment.key: done}  # another process may have written
        write(known, options.output)
        draw_courses(known, options.output)
        draw_grids(experiment, made, data, options.grids)
    write(stored(store), options.output)
    draw_confusion(options.data, options.output)


def stored(store: Path) -> dict[str, Any]:
    """What each experiment came to that was run so far."""
    return dict(json.loads(store.read_text("utf-8"))["experiments"]) if store.is_file() else {}


def measure_speed(output: Path, data: Path) -> None:
    """Table 7, in a process of its own: it changes the number of threads, on which the last bits of a training
    depend."""
    program = str(Path(__file__).with_name("training_speed.py"))
    subprocess.run([sys.executable, program, "--data", str(data), "--output", str(output)], check=True)


# -- the pictures ------------------------------------------------------------------------------------------------------


def draw(known: dict[str, Any], done: Iterable[Experiment], options: Any) -> None:
    """All pictures of what is known."""
    draw_courses(known, options.output)
    draw_confusion(options.data, options.output)
    for experiment in done:
        try:
            made = trainer(experiment, options.data, options.run)
        except BadData as error:  # a run of an earlier version, whose figures stand
            print(f"{experiment.key}: no grid ({error})")
            continue
        if made.steps:
            draw_grids(experiment, made, domains(experiment, options.data), options.grids)


def draw_courses(known: dict[str, Any], output: Path) -> None:
    """How ATL rose, set by set."""
    courses = []
    for key, done in known.items():
        column, name, data, *_ = key.split("/")
        if name == "atl" and done.get("course"):
            course = {what: [value for step, value in done["course"] if step == what] for what in ("psnr", "accuracy")}
            courses.append(plots.Course(data, column, course["psnr"], [100 * value for value in course["accuracy"]]))
    ends = {data: (float(PAPER["Table 5", data][1]), float(PAPER["Table 5", data][0])) for data in SETS}
    plots.rise(courses, ends, output / "paper_curves.png")


def draw_confusion(folder: str, output: Path) -> None:
    """What the bundled models read off the sealed records of their test sets."""
    matrices = []
    for model in zoo.default():
        codec, data = Codec(model), dataset(folder, model.card.data[0]["name"])
        assert data.test is not None
        assert data.test.labels is not None
        answers = codec.classify(codec.encode(data.test.images, effort=0)).argmax(axis=1)
        right = 100 * float((answers == data.test.labels).mean())
        title = f"{codec.name} on {data.name}: {right:.1f} % of {len(answers):,}"
        matrices.append(plots.Confusion.of(title, codec.labels, data.test.labels, answers))
    plots.confusions(matrices, output / "confusion.png")


def draw_grids(experiment: Experiment, made: Trainer, data: list[Dataset], folder: Path) -> None:
    """Sixteen test images above what the autoencoder makes of them. They are not ours to spread: the folder stays out
    of git."""
    for number, one in enumerate(data):
        assert one.test is not None
        images = one.test.images[:16]
        name = experiment.key.replace("/", "_") + (f"_{one.name}" if len(data) > 1 else "")
        plots.grid(images, measure.decoded(made.nets, images, number), folder / f"{name}.png")


# -- the tables --------------------------------------------------------------------------------------------------------


def write(known: dict[str, Any], output: Path) -> None:
    """The tables of what is known so far."""
    tables = [
        table(
            "Table 2: baselines, end to end and apart", known, "classifier-driven", "ae-driven", more_seeds="baseline"
        ),
        table("Table 3: a classifier on the autoencoder's compressor", known, accuracy_of="ae-driven"),
        table("Table 4: a decompressor on the classifier's compressor", known, psnr_of="classifier-driven"),
        table("Table 5: Alternating Transfer Learning", known, "atl", "atl"),
        *(
            table(
                f"Table 6, from {start}: transfer of the compressor that ATL made there",
                known,
                "transfer",
                "transfer",
                start,
            )
            for start in SETS
        ),
        multi_domain_transfer(known),
        past_50_table(known),
        *table_7(output),
        multi_domain(known),
        open_table(known),
    ]
    # The store holds hours of training: there is always the old one, whole, or the new one.
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        report.publish("paper_tables", "The paper's experiments", tables, made, {"experiments": f"{len(known)} done"})
        content = {**json.loads((made / "paper_tables.json").read_text("utf-8")), "experiments": known}
        text = (made / "paper_tables.md").read_bytes()
    output.mkdir(parents=True, exist_ok=True)
    for name, data in (
        ("paper_tables.json", json.dumps(content, indent=1).encode() + b"\n"),
        ("paper_tables.md", text),
    ):
        with atomic.file(output / name) as file:
            file.write(data)


def table(
    title: str, known: dict[str, Any], accuracy_of: str = "", psnr_of: str = "", start: str = "", more_seeds: str = ""
) -> report.Table:
    """Rows by data set and figure: the paper's, ours in both columns with spread and number of seeds, and the
    difference. The figures are those of two recipes, or of one."""
    rows: list[list[report.Cell]] = []
    for data in SETS:
        if data == start:
            continue
        paper = PAPER[title.split(":")[0], data]
        for figure, label, recipe_name, given in (
            ("accuracy", "accuracy, %", accuracy_of, paper[0]),
            ("psnr", "PSNR, dB", psnr_of, paper[1]),
        ):
            if not recipe_name:
                continue
            row: list[report.Cell] = [f"{data}, {label}", given]
            for column in SETTINGS:
                values = ours(known, figure, column, recipe_name, data, start)
                values += ours(known, figure, column, more_seeds, data) if more_seeds else []
                row += [cell(values), f"{mean(values) - float(given.split()[0]):+.2f}" if values else "-"]
            rows.append(row)
    columns = ["", "paper", "ours, the paper's training", "difference", "ours, better training", "difference"]
    return report.Table(title, columns, rows)


def runs(
    known: dict[str, Any], column: str, recipe_name: str, data: str, start: str = "", change: str = ""
) -> list[dict[str, Any]]:
    """What was found with each of the seeds."""
    keys = [Experiment(column, recipe_name, data, seed, start, change).key for seed in range(1, 100)]
    return [known[key] for key in keys if key in known]


def ours(known: dict[str, Any], figure: str, column: str, recipe_name: str, data: str, start: str = "") -> list[float]:
    return [run[figure] for run in runs(known, column, recipe_name, data, start)]


def multi_domain_transfer(known: dict[str, Any]) -> report.Table:
    """Table 6 again with ATL over the two other data sets together (Section 4.4), beside one of them alone."""
    rows: list[list[report.Cell]] = []
    for data in SETS_WITH_PART:
        others = [other for other in SETS_WITH_PART if other != data]
        sources = [("transfer", start, f"from {start}") for start in others]
        sources += [("transfer", "+".join(others), "from both together"), ("atl", "", "ATL on itself (Table 5)")]
        for name, start, label in sources:
            values = (ours(known, figure, "better", name, data, start) for figure in ("accuracy", "psnr"))
            rows.append([f"{data}, {label}", *map(cell, values)])
    notes = [
        "Better training in all rows. From both: ATL with one compressor, and a decompressor and a classifier for "
        "each data set."
    ]
    return report.Table("Table 6, multi-domain", ["", "accuracy, %", "PSNR, dB"], rows, notes)


def multi_domain(known: dict[str, Any]) -> report.Table:
    """What ATL over two data sets reaches on each of them, beside ATL on it alone."""
    rows: list[list[report.Cell]] = []
    for number, data in enumerate(SETS_WITH_PART):
        for other in SETS_WITH_PART[number + 1 :]:
            both = runs(known, "better", "multi-domain", f"{data}+{other}")
            for one in (data, other):
                row: list[report.Cell] = [f"{one}, in {data} + {other}"]
                for figure in ("accuracy", "psnr"):
                    row += [
                        cell([run["domains"][one][figure] for run in both]),
                        cell(ours(known, figure, "better", "atl", one)),
                    ]
                rows.append(row)
    columns = ["", "accuracy, %", "alone", "PSNR, dB", "alone"]
    return report.Table("Not in the paper: ATL over two data sets at once", columns, rows, ["Better training."])


def open_table(known: dict[str, Any]) -> report.Table:
    """ATL beside its rivals that the paper leaves open."""
    labels = {
        "interleave_steps": "turns of mini-batches: {}",
        "weight": "both losses at once, labels weigh {}",
        "": "ATL, turns of epochs (Table 5)",
    }
    rows: list[list[report.Cell]] = []
    for data in SETS_WITH_PART:
        for change in [*OPEN[data], ""]:
            name, _, value = change.partition("=")
            done = runs(known, "better", ASKS.get(name, "atl"), data, change=change)
            pair = [cell([run[figure] for run in done]) for figure in ("accuracy", "psnr")]
            rows.append([f"{data}, {labels[name].format(value)}", *pair])
    interleave, atl = PARAMETERS["better"]["interleave"], PARAMETERS["better"]["atl"]
    notes = [
        f"Better training. The compressor learns for {interleave.epochs} epochs, in ATL {atl.warmup + atl.sets} of the "
        f"autoencoder and {atl.sets} of the classifier (KMNIST-part: about twice as many); then each half alone for "
        f"{interleave.tune}.",
        "A mini-batch of a turn serves one task, one of both losses both. What each takes, side by side, is in "
        "training_speed.md.",
    ]
    columns = ["", "accuracy, %", "PSNR, dB"]
    return report.Table("Not in the paper: how often to alternate, and both losses at once", columns, rows, notes)


def past_50_table(known: dict[str, Any]) -> report.Table:
    """What a transfer gains by going on after the paper's 50 epochs (Section 3.8)."""
    done = known.get(Experiment("paper", "past-50", "KMNIST-part", 1, "MNIST").key)
    rows: list[list[report.Cell]] = [["the paper, 50", *PAPER["Table 6, from MNIST", "KMNIST"], None, None]]
    for epoch in MILESTONES:
        if done is None:
            rows.append([str(epoch), *["not run yet"] * 2, None, None])
            continue
        test, at = done["test"][str(epoch)], epoch // 10 - 1
        held_out = {
            what: [value for name, value in done["course"] if name == what][at] for what in ("accuracy", "psnr")
        }
        rows.append([str(epoch), test["accuracy"], test["psnr"], 100 * held_out["accuracy"], held_out["psnr"]])
    columns = ["epochs of each half", "accuracy, %", "PSNR, dB", "accuracy, validation", "PSNR, validation"]
    notes = ["The paper's training, one seed. The course over all epochs, every tenth, is in paper_tables.json."]
    return report.Table("Past 50 epochs: transfer from MNIST to KMNIST-part, gone on with", columns, rows, notes)


def table_7(output: Path) -> list[report.Table]:
    """The paper's ratios beside ours, from the results of training_speed.py; none without them."""
    path = output / "training_speed.json"
    if not path.is_file():
        return []
    measured = next(
        one for one in json.loads(path.read_text("utf-8"))["tables"] if one["title"] == training_speed.TABLE_7
    )
    threads = [
        name.removesuffix(", ratio")
        for name in measured["rows"][0]
        if name.endswith(", ratio") and name != "paper, ratio"
    ]
    columns = ["", "paper"]
    for name in threads:
        columns += [f"ours, {name}", "difference"]
    rows: list[list[report.Cell]] = []
    for each in measured["rows"]:
        row: list[report.Cell] = [each[""], each["paper, ratio"]]
        for name in threads:
            row += [each[f"{name}, ratio"], f"{each[f'{name}, ratio'] - each['paper, ratio']:+.2f}"]
        rows.append(row)
    notes = [
        "Time of each part for the same images, as a ratio to the compressor's forward pass; more in training_speed.md."
    ]
    return [report.Table("Table 7: time of the parts, forward and backward", columns, rows, notes)]


def cell(values: list[float]) -> str:
    if not values:
        return "not run yet"
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread} (n={len(values)})"


if __name__ == "__main__":
    main()
