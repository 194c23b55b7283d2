"""Data sets, drawn digits and codecs to measure with. All other benchmarks get them here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from atlcodec import zoo
from atlcodec.card import BUNDLED, Model
from atlcodec.codec import Codec
from atlcodec.sets.dataset import Images, Labels, Split, load

SETS = ("MNIST", "FashionMNIST", "KMNIST")
SIDE = 28


@dataclass(frozen=True)
class LabelledSet:
    """A data set: images uint8 (N, 28, 28), labels int64 (N,) that are numbers of classes."""

    name: str
    classes: tuple[str, ...]
    train: Images
    train_labels: Labels
    test: Images
    test_labels: Labels


def labelled_sets(folder: str | None, count: int | None = None) -> list[LabelledSet]:
    """The data sets in a folder [$ATLC_DATA]; for a quick look, each with its first `count` test images and few
    training images."""
    folder, found = folder or os.environ.get("ATLC_DATA", ""), []
    for data in (load(path) for path in (Path(folder, name) for name in SETS) if path.is_dir()):
        train, test, few = data.train, data.test, count and max(1000, 10 * count)
        if train.labels is None or test is None or test.labels is None:
            raise SystemExit(f"{data.name}: labels or test images are missing")
        arrays = train.images[:few], train.labels[:few], test.images[:count], test.labels[:count]
        found.append(LabelledSet(data.name, data.classes, *arrays))
    if not found:
        raise SystemExit(f"found no data set ({', '.join(SETS)}): name their folder with --data, or set ATLC_DATA")
    return found


def some_images(where: str | None, count: int) -> tuple[Images, str]:
    """`count` images, uint8 (count, 28, 28), and what they are: the test images of the data set at `where`, of MNIST
    in $ATLC_DATA, or drawn digits. Images of a small set repeat."""
    mnist = Path(os.environ.get("ATLC_DATA", ""), "MNIST")
    if where is None and not mnist.is_dir():
        return digits(count), "digits drawn by a program"
    data = load(where or mnist)
    if not data.test:
        raise SystemExit(f"{where}: the data set has no test images")
    return data.test.images[np.arange(count) % len(data.test)], f"test pictures of {data.name}"


def digits(count: int) -> Images:
    """Digits of one typeface, each turned, scaled and moved a little; the same in every run."""
    fonts, rng, drawn = [ImageFont.load_default(size) for size in range(18, 26)], np.random.default_rng(0), []
    for index in range(count):
        canvas = Image.new("L", (SIDE, SIDE))
        (x, y), font = rng.normal(SIDE / 2, 1, 2), fonts[rng.integers(len(fonts))]
        ImageDraw.Draw(canvas).text((x, y), str(index % 10), fill=255, font=font, anchor="mm")
        turned = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        drawn.append(np.asarray(turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8))), np.uint8))
    return np.stack(drawn)


def moving_digits(number: int, batch: int = 1) -> Iterator[Images]:
    """`number` digits in batches; each batch is moved by up to 3 pixels."""
    some, rng = digits(2000), np.random.default_rng(1)
    for start in range(0, number, batch):
        chosen = some[rng.integers(len(some), size=min(batch, number - start))]
        yield np.roll(chosen, rng.integers(-3, 4, 2), axis=(1, 2))


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.installed() if isinstance(model, Model) and model.bundled]


def trained_on(name: str) -> list[Codec]:
    """The bundled codecs of a data set."""
    return [codec for codec in bundled() if codec.model.card.data[0]["name"] == name]


def with_each_head(codec: Codec) -> list[Codec]:
    """The codec with its default head, then with each further one that is bundled."""
    found = [name for name, head in zoo.heads(codec.model).items() if head.folder.is_relative_to(BUNDLED)]
    return [codec, *(Codec(codec.model, name) for name in found if name != codec.model.card.default_head)]


def listed(codecs: list[Codec]) -> str:
    """Names and ids."""
    return ", ".join(f"{codec.name} {codec.id:08x}" for codec in codecs)


__all__ = ["Codec", "Images", "LabelledSet", "Labels", "Split"]
