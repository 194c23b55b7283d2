"""Data sets and codecs to measure with. All other benchmarks get them here."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import images
import numpy as np

from atlcodec import zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.sets.dataset import Dataset, Images, Labels, Split, load
from atlcodec.sets.official import DIGITS

__all__ = ["DIGITS", "Codec", "Dataset", "Images", "Labels", "Split"]

SETS = ("MNIST", "FashionMNIST", "KMNIST-part")


@dataclass(frozen=True)
class LabelledSet:
    """A data set: images uint8 (N, 28, 28), labels int64 (N,) that are numbers of classes."""

    name: str
    classes: tuple[str, ...]
    train: Images
    train_labels: Labels
    test: Images
    test_labels: Labels


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The option for the folder of all data sets."""
    folder = os.environ.get("ATLC_DATA")
    parser.add_argument("--data", default=folder, required=not folder, metavar="DIR", help="folder of the data sets")


def labelled_sets(folder: str, count: int | None = None) -> list[LabelledSet]:
    """The data sets in a folder; for a quick look, each with its first `count` test images and few training images."""
    found = []
    for path in (Path(folder, name) for name in SETS):
        if path.is_dir():
            data = load(path)
            train, test = data.train, data.test
            if train.labels is None or test is None or test.labels is None:
                raise SystemExit(f"{path}: labels or test images are missing")
            few = count and max(1000, 10 * count)
            arrays = train.images[:few], train.labels[:few], test.images[:count], test.labels[:count]
            found.append(LabelledSet(data.name, data.classes, *arrays))
    if not found:
        raise SystemExit(f"{folder}: contains no data set ({', '.join(SETS)})")
    return found


def add_set(parser: argparse.ArgumentParser) -> None:
    """The option for one data set."""
    parser.add_argument("--data", metavar="DIR|NAME", help="data set [$ATLC_DATA/MNIST, or drawn digits]")


def some_images(where: str | None, count: int) -> tuple[Images, str]:
    """`count` images, uint8 (count, 28, 28), and what they are: the test images of the data set at `where`, of MNIST
    in $ATLC_DATA, or drawn digits. Nothing is downloaded. Images of a small set repeat."""
    mnist = Path(os.environ.get("ATLC_DATA", ""), "MNIST")
    if where is None and not mnist.is_dir():
        return images.digits(count), "digits drawn by a program"
    data = load(where or mnist)
    if not data.test:
        raise SystemExit(f"{where}: the data set has no test images")
    return data.test.images[np.arange(count) % len(data.test)], f"test pictures of {data.name}"


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.installed() if isinstance(model, Model) and model.bundled]


def default() -> list[Codec]:
    """Those that `encode` chooses from."""
    return [Codec(model) for model in zoo.default()]


def trained_on(name: str) -> list[Codec]:
    """The bundled codecs of a data set."""
    return [codec for codec in bundled() if codec.model.card.data[0]["name"] == name]


def listed(codecs: list[Codec]) -> str:
    """Names and ids."""
    return ", ".join(f"{codec.name} {codec.id:08x}" for codec in codecs)
