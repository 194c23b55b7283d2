"""A compression that exists before the problem does: classifiers that are trained later, from records alone.

    ATLC_DATA=... python benchmarks/universal.py

For each set of labelled pictures, a new head on records of codecs that never saw its labels; beside it, a CNN of the
same cost on pixels, and the codec that was trained together with these labels. A matched pair of colour codecs shows
what the labels cost the picture and gain. A stopped run goes on; to measure all again, delete runs/universal.json and
runs/universal. Needs the extra `train`, and an hour and a half of one thread."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import inputs
import new_heads
import numpy as np
import pixel_classifiers
import report
import torch
from inputs import ATLC
from pixel_classifiers import cnn, multiplications, train
from report import Row, Table

from atlcodec import metrics, zoo
from atlcodec.codec import Codec
from atlcodec.fit import Fit
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.dataset import Dataset, load

RUNS = Path(__file__).parents[1] / "runs" / "universal"
KNOWN = report.Known("universal")
PHOTOGRAPHS = ("Flowers", "Clothing")  # of which a codec of previews never saw the labels
PAIR_EPOCHS, CNN_EPOCHS = 10, 12
FIT = Fit("stretch", background="auto")
PIXELS = replace(pixel_classifiers.SETTINGS, architecture="pca", learning_rate=3e-3, validation=1)  # takes any shape


@dataclass(frozen=True)
class Measured:
    """A classifier: its accuracy on test pictures, how long it was trained, and its multiplications for a picture."""

    accuracy: float  # percent
    seconds: float
    cost: int


def main() -> None:
    options = report.arguments(__doc__, epochs=PAIR_EPOCHS)
    torch.set_num_threads(1)
    os.environ |= {"OMP_NUM_THREADS": "1", "ATLC_THREADS": "1"}
    tables = [
        Table("Labels that came after the codec", later(), *notes()),
        Table("A matched pair in colour", pair(options.epochs), *pair_notes(options.epochs)),
    ]
    facts = {**report.versions("torch"), "models": inputs.listed(inputs.bundled())}
    report.publish("universal", "Classifiers that are trained later", tables, options.output, facts)


# -- labels that came after the codec ----------------------------------------------------------------------------------


def later() -> Iterator[Row]:
    codecs = [codec for codec in inputs.bundled() if not codec.name.endswith("-lenet")]
    for name in (*inputs.SETS, *PHOTOGRAPHS):
        shapes = {codec.shape for codec in codecs if name in inputs.SETS or codec.name == "photo"}
        for shape in shapes:
            suited = [codec for codec in codecs if codec.shape == shape]
            yield from rows(load(name, shape=shape, how=FIT if name in PHOTOGRAPHS else Fit()), suited)


def rows(data: Dataset, codecs: list[Codec]) -> Iterator[Row]:
    """First the codecs that never saw these labels, then those that did, then pixels."""
    pixels, cost = int(np.prod(data.shape)), 0
    strangers = [codec for codec in codecs if not knows(codec, data)]
    for codec in strangers:
        found = head(codec, data)
        cost = max(cost, found.cost)
        yield row(f"{data.name}: new head on records of {codec.name}", found, RECORD_BYTES, len(data.train))
    for codec in (codec for codec in codecs if knows(codec, data)):
        yield {
            "": f"{data.name}: {codec.name}, trained with these labels",
            "accuracy, %": bundled(codec, data),
            "bytes a picture": RECORD_BYTES,
        }
    if strangers:
        yield row(f"{data.name}: CNN on pixels", on_pixels(data, cost), pixels, len(data.train))


def row(name: str, found: Measured, size: int, count: int) -> Row:
    return {
        "": name,
        "accuracy, %": found.accuracy,
        "training, seconds": found.seconds,
        "multiplications": found.cost,
        "bytes a picture": size,
        "bytes read for an epoch, MB": size * count / 1e6,
    }


def knows(codec: Codec, data: Dataset) -> bool:
    """Whether the codec was trained with labels of this set."""
    return bool(codec.model.card.default_head) and set(data.classes) <= set(codec.labels)


def bundled(codec: Codec, data: Dataset) -> float:
    def run() -> float:
        assert data.test is not None
        assert data.test.labels is not None
        names = np.array(codec.labels)[codec.classify(codec.encode(data.test.images, effort=0)).argmax(axis=1)]
        return 100 * float((names == np.array(data.classes)[data.test.labels]).mean())

    return KNOWN.find(f"{codec.name} {codec.id:08x} {codec.head.card.digest[:8]}: {data.name}", run)


def head(codec: Codec, data: Dataset) -> Measured:
    """A head of all latents, made by the command line from records alone, and measured on records of test pictures."""

    def run() -> list[float]:
        assert data.test is not None
        assert data.test.labels is not None
        assert data.train.labels is not None
        records, sealed = (codec.encode(each.images, effort=0) for each in (data.train, data.test))
        with new_heads.trained(codec, records, data.train.labels, "--architecture", "dense") as found:
            accuracy = 100 * metrics.accuracy(found.codec.classify(sealed), data.test.labels)
            return [accuracy, found.seconds, multiplications(found.codec.head.file())]

    accuracy, seconds, cost = KNOWN.find(f"head on {codec.name} {codec.id:08x}: {data.name}", run)
    return Measured(accuracy, seconds, int(cost))


def on_pixels(data: Dataset, budget: int) -> Measured:
    """A CNN of the same cost, trained on raw pixels."""

    def run() -> list[float]:
        begun = time.perf_counter()
        _, accuracy = train(cnn(budget, len(data.classes), data.shape), data, PIXELS, CNN_EPOCHS)
        return [accuracy, time.perf_counter() - begun]

    accuracy, seconds = KNOWN.find(f"CNN of {budget}: {data.name} {data.shape}", run)
    return Measured(accuracy, seconds, budget)


def notes() -> Iterator[str]:
    yield """New head: `atlc train-head --architecture dense` with its defaults, on sealed records of effort 0. The
        codec never saw the labels; where it saw the pictures, it saw them without labels."""
    yield f"""CNN: strided convolutions with as many multiplications as the head, trained on raw pixels for {CNN_EPOCHS}
        epochs. One thread for each; seconds are those of the whole training."""


# -- the pair ----------------------------------------------------------------------------------------------------------


def pair(epochs: int) -> Iterator[Row]:
    """CIFAR-10 with labels and without: the same network, seed and epochs, both losses at once."""
    data = load("CIFAR10")
    for name, options in (("with labels", ()), ("without labels", ("--weight", "0"))):
        codec, seconds = trained(name.split()[0], epochs, options)
        assert data.test is not None
        assert data.test.labels is not None
        sealed = codec.encode(data.test.images, effort=0)
        psnr = metrics.psnr(float(metrics.squared_error(data.test.images, codec.decode(sealed)).mean()))
        together = 100 * metrics.accuracy(codec.classify(sealed), data.test.labels) if not options else None
        later_on = head(codec, data)
        yield {
            "": name,
            "PSNR, dB": psnr,
            "accuracy, trained together, %": together,
            "accuracy, head from records alone, %": later_on.accuracy,
            "training of the codec, minutes": seconds / 60,
            "training of the head, seconds": later_on.seconds,
        }
    found = on_pixels(data, later_on.cost)
    yield {"": "CNN on pixels", "accuracy, trained together, %": found.accuracy}


def trained(name: str, epochs: int, options: tuple[str, ...]) -> tuple[Codec, float]:
    model = RUNS / f"cifar-{name}-{epochs}"
    told = model.with_suffix(".json")
    if not told.is_file():
        RUNS.mkdir(parents=True, exist_ok=True)
        given = ["--data", "CIFAR10", "--recipe", "joint", "--epochs", str(epochs), "--tune", "1", *options]
        how = ["--augment", "affine+mirror", "--augment-strength", "0.5", "--precision", "bfloat16"]
        begun = time.perf_counter()
        subprocess.run([*ATLC, "train", *given, *how, "-o", str(model), "-f", "--no-comparison"], check=True)
        told.write_text(json.dumps(time.perf_counter() - begun), "utf-8")
    seconds: Any = json.loads(told.read_text("utf-8"))
    return Codec(zoo.find(str(model))), float(seconds)


def pair_notes(epochs: int) -> Iterator[str]:
    yield f"""The small networks, `--recipe joint`, {epochs} epochs of 45,000 training pictures, one seed; figures of
        the 1,000 official test pictures at hand, effort 0."""
    yield """Without labels, the loss is the squared error alone (`--weight 0`), and the latents for labels hold what an
        untrained path makes of the picture."""


if __name__ == "__main__":
    main()
