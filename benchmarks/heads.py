"""What records are good for without being decoded: a new classifier learned from them, and search by likeness.

The training pictures of each data set are encoded once. From these records alone `atlc train --recipe classifier` makes
a new head, whose accuracy on the records of the test pictures stands beside that of the bundled one. Then the records
that are nearest to those of the first test pictures are looked up: precision at 10 is the share of the 10 nearest
training records with the same label."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import report
from numpy.typing import NDArray

import atlcodec
from atlcodec import files, metrics, neighbours, sets, zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.neighbours import Features
from atlcodec.sets.dataset import Dataset

SETS = ("MNIST", "FashionMNIST", "KMNIST-part")
TOP = 10
ATLC = [sys.executable, "-c", "from atlcodec.cli import main; main()"]


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument(
        "--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}"
    )
    parser.add_argument("--queries", type=int, default=1000, help="test pictures to look for the like of")
    parser.add_argument("--epochs", type=int, help="of the training, for a quick look [as many as the recipe takes]")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    found = [name for name in SETS if Path(options.data, name).is_dir()]
    if not found:
        parser.error(f"{options.data}: holds none of {', '.join(SETS)}")

    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    trained: list[list[report.Cell]] = []
    tables = []
    for name in found:
        data = sets.load(Path(options.data, name))
        for codec in codecs_of(name):
            with tempfile.TemporaryDirectory() as folder:
                row, records = train(codec, data, Path(folder), options.epochs)
                trained.append(row)
                tables.append(search(codec, data, records, options.queries))
    notes = [
        "seconds: of the whole command, from its start to the folder of the head; PyTorch takes two of them to start.",
        "Both classifiers are of the same size and read the same sealed records of the official test pictures "
        "(KMNIST-part: of its "
        "1,000). The bundled one was trained with its compressor; the new one has seen nothing but the records.",
        "How many epochs and how high a rate was chosen on validation splits of the training records.",
    ]
    columns = [
        "",
        "records",
        "epochs",
        "seconds an epoch",
        "seconds",
        "accuracy, new head, %",
        "accuracy, bundled head, %",
        "points",
    ]
    table = report.Table("A classifier from records alone", columns, trained, notes)
    facts: dict[str, report.Cell] = {
        "torch": version("torch"),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
    }
    facts["processes that were running already (load average)"] = busy
    report.publish(
        "heads", "Classifiers from records alone, and search by likeness", [table, *tables], options.output, facts
    )


def codecs_of(name: str) -> list[Codec]:
    """The bundled codecs that were trained on a data set."""
    bundled = [model for model in zoo.installed() if isinstance(model, Model) and model.bundled]
    return [Codec(model) for model in bundled if model.card.data[0]["name"] == name]


def train(codec: Codec, data: Dataset, folder: Path, epochs: int | None) -> tuple[list[report.Cell], NDArray[np.uint8]]:
    """A row of the first table, and the records of the training pictures."""
    assert data.train.labels is not None
    records = codec.encode(data.train.images, effort=0)
    atlcodec.write(folder / "set.atlc", records)
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(np.array([0x801, len(records)], ">u4").tobytes() + data.train.labels.astype(np.uint8).tobytes())
    out = folder / "heads" / f"{codec.id:08x}" / "new"  # where it is found without being installed
    command = [
        "train",
        "--recipe",
        "classifier",
        "--records",
        folder / "set.atlc",
        "--labels",
        labels,
        "-m",
        codec.name,
        "-o",
        out,
    ]
    start = time.perf_counter()
    subprocess.run([*ATLC, *map(str, command), *(["--epochs", str(epochs)] if epochs else [])], check=True)
    seconds = time.perf_counter() - start
    steps = [json.loads(line) for line in (out.with_name("new.run") / "metrics.jsonl").read_text().splitlines()]

    os.environ["ATLC_MODELS"] = str(folder)
    test = data.test
    assert test is not None
    assert test.labels is not None
    sealed = codec.encode(test.images, effort=0)
    new, bundled = (
        100 * metrics.accuracy(one.classify(sealed), test.labels) for one in (Codec(codec.model, "new"), codec)
    )
    epoch = float(np.mean([step["seconds"] for step in steps]))
    return [
        f"{data.name}, {codec.name}",
        len(records),
        len(steps),
        epoch,
        round(seconds, 1),
        new,
        bundled,
        new - bundled,
    ], records


def search(codec: Codec, data: Dataset, records: NDArray[np.uint8], count: int) -> report.Table:
    """Precision at 10 by the symbols, by the classifier's scores, and by the pixels themselves."""
    test = data.test
    assert data.train.labels is not None
    assert test is not None
    assert test.labels is not None
    labels, queries = data.train.labels, test[:count]
    assert queries.labels is not None
    sealed = codec.encode(queries.images, effort=0)
    contestants: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8], Callable[[NDArray[np.uint8]], Features]]] = {
        "records, by their symbols": (records, sealed, neighbours.by_name(codec, "symbols")),
        "records, by their classifier's scores": (records, sealed, neighbours.by_name(codec, "scores")),
        "pixels": (
            data.train.images,
            queries.images,
            lambda images: images.reshape(len(images), -1).astype(np.float32),
        ),
    }
    rows: list[list[report.Cell]] = []
    for name, (held, asked, features) in contestants.items():
        start = time.perf_counter()
        nearest = neighbours.Nearest(features(asked), TOP)
        for first in range(0, len(held), files.BATCH):
            batch = held[first : first + files.BATCH]
            nearest.add(first + np.arange(len(batch)), features(batch))
        numbers, _ = nearest.result()
        seconds = time.perf_counter() - start
        precision = 100 * float((labels[numbers] == queries.labels[:, None]).mean())
        rows.append([name, int(held[0].size), precision, seconds])
    notes = [
        f"The first {len(queries):,} test pictures, each against all {len(records):,} training pictures of "
        f"{data.name}.",
        "The compressor was trained with these labels, too, so it knows what to keep apart; pixels know nothing.",
    ]
    columns = ["the nearest among", "bytes a picture", f"precision at {TOP}, %", "seconds for all"]
    return report.Table(f"Search by likeness: {data.name}, {codec.name}", columns, rows, notes)


if __name__ == "__main__":
    main()
