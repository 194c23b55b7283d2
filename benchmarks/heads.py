"""What records are good for without being decoded: training a new classifier, and search by likeness.

    ATLC_DATA=... python benchmarks/heads.py

From the records of the training images alone, `atlc train-head` makes a new head, which stands beside the bundled one.
Then the search finds the training records nearest to those of test images: precision at 10 is the share of the 10
nearest that have the same label."""

from __future__ import annotations

import os

import inputs
import new_heads
import numpy as np
import report
from inputs import LabelledSet
from report import Row, Table

from atlcodec import metrics, neighbours
from atlcodec.codec import Codec
from atlcodec.record import Records

QUERIES = 1000  # test images that the search is asked for
TOP = 10


def main() -> None:
    options = report.arguments(__doc__, images=10_000)
    trained, searches = list[Row](), list[Row]()
    for data in inputs.labelled_sets(options.images):
        for codec in inputs.trained_on(data.name):
            records, sealed = (codec.encode(images, effort=0) for images in (data.train, data.test))
            trained.append({"": f"{data.name}, {codec.name}", **train(codec, data, records, sealed)})
            searches.append({"": f"{data.name}, {codec.name}", **search(codec, data, records, sealed[:QUERIES])})
    tables = [
        Table(
            "A classifier from records alone",
            trained,
            "seconds: of the whole command, with the start of PyTorch.",
            """Both classifiers have the same layers and read the same sealed records of the test pictures. The bundled
            one was trained with its compressor; the new one saw only records.""",
        ),
        Table(
            f"Search by likeness: precision at {TOP}, %",
            searches,
            f"The first {QUERIES:,} test pictures, each against all training pictures.",
            "The compressor was trained with these labels too, so it knows what to keep apart; pixels know nothing.",
        ),
    ]
    facts = {**report.versions("torch"), "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores")}
    report.publish("heads", "Classifiers from records alone, and search by likeness", tables, options.output, facts)


def train(codec: Codec, data: LabelledSet, records: Records, sealed: Records) -> Row:
    """Train a head from records with the command line, and compare it with the bundled head."""
    with new_heads.trained(codec, records, data.train_labels) as found:
        heads = found.codec, codec
        new, old = (100 * metrics.accuracy(each.classify(sealed), data.test_labels) for each in heads)
    steps, seconds = found.steps, found.seconds
    epochs = sum(step["name"] != "accuracy" for step in steps)
    return {
        "records": len(records),
        "epochs": epochs,
        "seconds an epoch": sum(step["seconds"] for step in steps) / epochs,  # with the accuracy after each
        "seconds": round(seconds, 1),
        "accuracy, new head, %": new,
        "accuracy, bundled head, %": old,
        "points": new - old,
    }


def search(codec: Codec, data: LabelledSet, records: Records, asked: Records) -> Row:
    """Precision by the latents, by the classifier's scores, and by the pixels themselves."""
    seen, wanted = (images.reshape(len(images), -1).astype(np.float32) for images in (data.train, data.test[:QUERIES]))
    pixels = neighbours.Nearest(wanted, TOP)
    pixels.add(np.arange(len(seen)), seen)
    nearest = {
        "latents": neighbours.nearest(codec, asked, records, TOP)[0],
        "classifier's scores": neighbours.nearest(codec, asked, records, TOP, "scores")[0],
        "pixels": pixels.result()[0],
    }
    truth = data.test_labels[:QUERIES, None]
    return {name: 100 * float((data.train_labels[numbers] == truth).mean()) for name, numbers in nearest.items()}


if __name__ == "__main__":
    main()
