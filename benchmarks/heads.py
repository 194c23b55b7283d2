"""What records are good for without being decoded: training a new classifier, and search by likeness.

    ATLC_DATA=... python benchmarks/heads.py

From the records of the training images alone, `atlc train-head` makes a new head, which stands beside the bundled one.
Then the search finds the training records nearest to those of test images: precision at 10 is the share of the 10
nearest that have the same label."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
import timing
from inputs import Codec, LabelledSet
from numpy.typing import NDArray
from report import Row, Table

import atlcodec
from atlcodec import files, metrics, neighbours
from atlcodec.neighbours import Features

QUERIES = 1000  # test images that the search is asked for
TOP = 10
ATLC = [sys.executable, "-c", "from atlcodec.cli import main; main()"]


def main() -> None:
    options = report.arguments(__doc__, epochs=0)
    trained, searches = list[Row](), list[Row]()
    for data in inputs.labelled_sets(options.data, options.images):
        for codec in inputs.trained_on(data.name):
            records = codec.encode(data.train, effort=0)
            trained.append(train(codec, data, records, options.epochs))
            searches.append(search(codec, data, records))
    tables = [
        Table.of(
            "A classifier from records alone",
            trained,
            "seconds: of the whole command, with the start of PyTorch.",
            """Both classifiers have the same layers and read the same sealed records of the test pictures. The bundled
            one was trained with its compressor; the new one saw only records.""",
        ),
        Table.of(
            f"Search by likeness: precision at {TOP}, %",
            searches,
            f"The first {QUERIES:,} test pictures, each against all training pictures.",
            "The compressor was trained with these labels too, so it knows what to keep apart; pixels know nothing.",
        ),
    ]
    facts = {**report.versions("torch"), "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores")}
    report.publish("heads", "Classifiers from records alone, and search by likeness", tables, options.output, facts)


def train(codec: Codec, data: LabelledSet, records: NDArray[np.uint8], epochs: int) -> Row:
    """Train a head from records with the command line, and compare it with the bundled head."""
    clock, sealed = timing.Stopwatch(), codec.encode(data.test, effort=0)
    with tempfile.TemporaryDirectory() as folder:
        held, labels = Path(folder, "set.atlc"), Path(folder, "train-labels-idx1-ubyte")
        out = Path(folder, "heads", f"{codec.id:08x}", "new")  # found through ATLC_MODELS
        atlcodec.write(held, records)
        labels.write_bytes(np.array([0x801, len(records)], ">u4").tobytes() + data.train_labels.astype("u1").tobytes())
        command = ["train-head", "--records", held, "--labels", labels, "-m", codec.name, "-o", out]
        with clock():
            subprocess.run([*ATLC, *map(str, command), *(["--epochs", str(epochs)] if epochs else [])], check=True)
        steps = [json.loads(line) for line in (out.with_name("new.run") / "metrics.jsonl").read_text().splitlines()]
        os.environ["ATLC_MODELS"] = folder
        new, old = (
            100 * metrics.accuracy(one.classify(sealed), data.test_labels) for one in (Codec(codec.model, "new"), codec)
        )
    done = sum(step["name"] != "accuracy" for step in steps)
    return {
        "": f"{data.name}, {codec.name}",
        "records": len(records),
        "epochs": done,
        "seconds an epoch": sum(step["seconds"] for step in steps) / done,  # with the accuracy after each
        "seconds": round(clock.seconds, 1),
        "accuracy, new head, %": new,
        "accuracy, bundled head, %": old,
        "points": new - old,
    }


def search(codec: Codec, data: LabelledSet, records: NDArray[np.uint8]) -> Row:
    """Precision by the latents, by the classifier's scores, and by the pixels themselves."""
    queries, labels = data.test[:QUERIES], data.test_labels[:QUERIES, None]
    sealed, row = codec.encode(queries, effort=0), Row({"": f"{data.name}, {codec.name}"})
    contestants: dict[str, tuple[Any, Any, Callable[[NDArray[np.uint8]], Features]]] = {
        "latents": (records, sealed, neighbours.by_name(codec, "latents")),
        "classifier's scores": (records, sealed, neighbours.by_name(codec, "scores")),
        "pixels": (data.train, queries, lambda images: images.reshape(len(images), -1).astype(np.float32)),
    }
    for name, (held, asked, features) in contestants.items():
        nearest = neighbours.Nearest(features(asked), TOP)
        for first in range(0, len(held), files.BATCH):
            batch = held[first : first + files.BATCH]
            nearest.add(first + np.arange(len(batch)), features(batch))
        row[name] = 100 * float((data.train_labels[nearest.result()[0]] == labels).mean())
    return row


if __name__ == "__main__":
    main()
