"""Data sets and codecs to measure with. All other benchmarks get them here.

A data set lies in a folder of its name below $ATLC_DATA, or it is downloaded."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from atlcodec import zoo
from atlcodec.codec import Codec
from atlcodec.sets.dataset import Images as Images
from atlcodec.sets.dataset import Labels as Labels
from atlcodec.sets.dataset import load

ATLC = [sys.executable, "-c", "from atlcodec.cli import main; main()"]  # the command line of this environment
SETS = ("MNIST", "FashionMNIST", "KMNIST")


@dataclass(frozen=True)
class LabelledSet:
    """A data set: images uint8 (N, 28, 28), labels int64 (N,) that are numbers of classes."""

    name: str
    classes: tuple[str, ...]
    train: Images
    train_labels: Labels
    test: Images
    test_labels: Labels


def labelled_set(name: str, count: int = 10_000) -> LabelledSet:
    """With its first `count` test images, and ten times as many training images, or 1,000; by default with all."""
    data = load(name)
    train, test = data.train[: max(1000, 10 * count)], data.test and data.test[:count]
    assert test is not None
    assert train.labels is not None
    assert test.labels is not None
    return LabelledSet(data.name, data.classes, train.images, train.labels, test.images, test.labels)


def labelled_sets(count: int = 10_000) -> list[LabelledSet]:
    return [labelled_set(name, count) for name in SETS]


def digits(count: int) -> Images:
    """The first `count` test images of MNIST, repeated if these are too few: uint8 (count, 28, 28)."""
    return np.resize(labelled_set("MNIST").test, (count, 28, 28))


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.models().values() if model.bundled]


def trained_on(name: str) -> list[Codec]:
    """The bundled codecs of a data set."""
    return [codec for codec in bundled() if codec.model.card.data[0]["name"] == name]


def listed(codecs: list[Codec]) -> str:
    """Names and ids."""
    return ", ".join(f"{codec.name} {codec.id:08x}" for codec in codecs)
