"""The same folder gives the same images, labels and splits to encode, train and evaluate, however it is laid out."""

from __future__ import annotations

import functools
import gzip
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import sets
from atlcodec.sets.contents import contents
from atlcodec.sets.finding import find
from atlcodec.sets.manifest import read as read_list
from drawings import Pixels
from kit import MNIST, Cli, put
from sets_kit import Draw, idx

COUNT = 24
Sevens = list[Pixels]
Build = Callable[[Path, Sevens], None]
LABELS = [str(number % 3) for number in range(COUNT)]


def labelled(root: str, first: int, last: int, folder: Path, sevens: Sevens) -> None:
    """Some of the images as ROOT/LABEL/NUMBER.png."""
    for number in range(first, last):
        put(folder / root / LABELS[number] / f"{number:02d}.png", sevens[number])


def in_splits(splits: dict[str, tuple[int, int]], folder: Path, sevens: Sevens) -> None:
    for root, (first, last) in splits.items():
        labelled(root, first, last, folder, sevens)


def idx_files(names: dict[str, tuple[str, int, int]], folder: Path, sevens: Sevens, type: str = "u1") -> None:
    """IDX files by name: of "images" or "labels", and which of them."""
    for name, (kind, first, last) in names.items():
        values = np.stack(sevens[first:last]) if kind == "images" else np.array(LABELS[first:last], ">" + type)
        raw = idx(values.astype(np.uint8)) if kind == "images" or type == "u1" else _integers(values)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(gzip.compress(raw) if name.lower().endswith(".gz") else raw)


def _integers(values: np.ndarray) -> bytes:
    return b"\0\0\x0c\x01" + len(values).to_bytes(4, "big") + values.astype(">i4").tobytes()


def four(train: str, test: str, images: str, labels: str) -> Build:
    """The four files of a set, two thirds for training."""
    names = {
        f"{train}{images}": ("images", 0, 16),
        f"{train}{labels}": ("labels", 0, 16),
        f"{test}{images}": ("images", 16, COUNT),
        f"{test}{labels}": ("labels", 16, COUNT),
    }
    return functools.partial(idx_files, names)


def links(folder: Path, sevens: Sevens) -> None:
    labelled("real", 0, COUNT, folder.with_name("elsewhere"), sevens)
    folder.mkdir()
    for label in "012":
        os.symlink(folder.with_name("elsewhere") / "real" / label, folder / label)


def loop(folder: Path, sevens: Sevens) -> None:
    labelled("", 0, COUNT, folder, sevens)
    os.symlink(folder, folder / "0/again")


def junk(folder: Path, sevens: Sevens) -> None:
    labelled("", 0, COUNT, folder, sevens)
    (folder / "0/Thumbs.db").write_bytes(b"x")
    (folder / "desktop.ini").write_bytes(b"x")


def damaged(folder: Path, sevens: Sevens) -> None:
    labelled("", 0, COUNT, folder, sevens)
    (folder / "1/98.png").write_bytes(b"no image")
    (folder / "1/99.png").write_bytes((folder / "1/01.png").read_bytes()[:60])


def beside(folder: Path, sevens: Sevens) -> None:
    in_splits({"train": (0, 12), "test": (12, 20)}, folder, sevens)
    for number in range(20, COUNT):
        put(folder / f"docs/{number}.png", sevens[number])


def flat(folder: Path, sevens: Sevens) -> None:
    for number, image in enumerate(sevens):
        put(folder / f"{number:02d}.png", image)


def flat_splits(folder: Path, sevens: Sevens) -> None:
    for number, image in enumerate(sevens):
        put(folder / ("test" if number % 4 == 0 else "train") / f"{number:02d}.png", image)


def one_label(folder: Path, sevens: Sevens) -> None:
    for number, image in enumerate(sevens):
        put(folder / f"7/{number:02d}.png", image)


def partly(folder: Path, sevens: Sevens) -> None:
    labelled("", 0, 20, folder, sevens)
    for number in range(20, COUNT):
        put(folder / f"{number}.png", sevens[number])


HALVES = {"train": (0, 12), "test": (12, COUNT)}
THREE = "3 labels: 0 1 2"
BOTH = f"24 images (16 train, 8 test), {THREE}"
HALF = f"24 images (12 train, 12 test), {THREE}"
# How a set is laid out, and what each command says of it.
LAYOUTS: dict[str, tuple[Build, str]] = {
    "labels": (functools.partial(labelled, "", 0, COUNT), f"24 images, {THREE}"),
    "splits": (functools.partial(in_splits, HALVES), HALF),
    "capitals": (functools.partial(in_splits, {"Train": (0, 12), "TEST": (12, COUNT)}), HALF),
    "training and testing": (functools.partial(in_splits, {"training": (0, 12), "testing": (12, COUNT)}), HALF),
    "three splits": (
        functools.partial(in_splits, {"train": (0, 12), "val": (12, 18), "test": (18, COUNT)}),
        f"24 images (12 train, 6 validation, 6 test), {THREE}",
    ),
    "no training": (
        functools.partial(in_splits, {"valid": (0, 12), "test": (12, COUNT)}),
        f"24 images (12 validation, 12 test), {THREE}",
    ),
    "test alone": (functools.partial(labelled, "test", 0, COUNT), f"24 images (24 test), {THREE}"),
    "named splits": (functools.partial(in_splits, {"seg_train": (0, 12), "seg_test": (12, COUNT)}), HALF),
    "twice": (functools.partial(in_splits, {"train/train": (0, 12), "test/test": (12, COUNT)}), HALF),
    "archive": (functools.partial(in_splits, {"archive/train": (0, 12), "archive/test": (12, COUNT)}), HALF),
    "labels below": (functools.partial(labelled, "archive", 0, COUNT), f"24 images, {THREE}"),
    "beside the splits": (beside, f"24 images (12 train, 8 test, 4 in no split), {THREE} (4 without a label)"),
    "links": (links, f"24 images, {THREE}"),
    "a loop": (loop, f"24 images, {THREE}; left out: 0/again"),
    "junk": (junk, f"24 images, {THREE}; left out: 0/Thumbs.db, desktop.ini"),
    "damaged": (damaged, f"24 images, {THREE}; 2 images could not be read"),
    "flat": (flat, "24 images, no labels"),
    "flat splits": (flat_splits, "24 images (18 train, 6 test), no labels"),
    "one label": (one_label, "24 images, no labels"),
    "partly labelled": (partly, f"24 images, {THREE} (4 without a label)"),
    "idx": (four("train-", "t10k-", "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"), BOTH),
    "idx, test": (four("train-", "test-", "images-idx3-ubyte", "labels-idx1-ubyte"), BOTH),
    "idx, dots": (four("train-", "t10k-", "images.idx3-ubyte", "labels.idx1-ubyte"), BOTH),
    "idx, below": (four("MNIST/raw/train-", "MNIST/raw/t10k-", "images-idx3-ubyte", "labels-idx1-ubyte"), BOTH),
    "idx, capitals": (four("TRAIN-", "T10K-", "IMAGES-IDX3-UBYTE", "LABELS-IDX1-UBYTE.GZ"), BOTH),
    "idx, prefix": (four("my-own-train-", "my-own-test-", "images-idx3-ubyte", "labels-idx1-ubyte"), BOTH),
    "idx, folders": (
        four(
            "train-images.idx3-ubyte/train-", "t10k-images.idx3-ubyte/t10k-", "images.idx3-ubyte", "labels.idx1-ubyte"
        ),
        BOTH,
    ),
}


@pytest.fixture
def sevens(draw: Draw) -> Sevens:
    return [draw(number / 2 - 6) for number in range(COUNT)]


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, workplace: Path, sevens: Sevens) -> tuple[str, str]:
    """The folder, and what is said of it."""
    build, says = LAYOUTS[request.param]
    build(workplace / "in", sevens)
    return "in", says


def seen(folder: str) -> Counter[tuple[str, str | None, bytes]]:
    """The split, label and pixels of each image, as encode reads them."""
    source, found = find(folder, shape=(28, 28)), Counter[tuple[str, str | None, bytes]]()
    for _, loaded in source.load(source.batches(), 1):
        for name, image in zip(loaded.names, loaded.images, strict=True):
            found[name.split, name.label, image.tobytes()] += 1
    return found


def test_all_commands_read_the_same_images_labels_and_splits(layout: tuple[str, str], workplace: Path) -> None:
    folder, says = layout
    data, expected = sets.load(folder), seen(folder)
    loaded = Counter[tuple[str, str | None, bytes]]()
    for split, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        for row, image in enumerate(part.images if part else ()):
            label = None if part is None or part.labels is None else data.classes[part.labels[row]]
            loaded[split, label, image.tobytes()] += 1
    if any(split for split, _, _ in expected):  # what is in no split, and without a label, is not learned from
        wanted = {key: count for key, count in expected.items() if key[0] and (key[1] or not data.classes)}
        assert loaded == wanted
    else:
        learned = [(label, image) for _, label, image in expected.elements() if label or not data.classes]
        assert Counter(learned) == Counter((label, image) for _, label, image in loaded.elements())
        assert data.test is not None
        assert len(data.test) == len(list(loaded.elements())) // 10
    assert data.contents is not None
    unused = data.contents.line().removeprefix(says)
    assert unused in ("", "; not used: 4 images in no split", "; not used: 4 images without a label")
    assert bool(unused) == (sum(loaded.values()) < sum(expected.values()))


def test_the_list_has_the_same_labels(layout: tuple[str, str], workplace: Path) -> None:
    folder, says = layout
    done = atlcodec.encode_folder(folder, "set.atlc", model=MNIST, effort=0)
    assert done.contents.line() == says
    listed = Counter(entry.label for entry in read_list("set.csv"))
    assert listed == Counter(label for _, label, _ in seen(folder).elements())


@pytest.mark.parametrize("layout", ["three splits", "damaged", "idx, dots"], indirect=True)
def test_the_commands_say_the_same(layout: tuple[str, str], cli: Cli) -> None:
    folder, says = layout
    line = f"in: {says}".replace("; 2 images could not be read", "")  # a dry run does not read the images
    for command in (["encode"], ["evaluate", MNIST, "--data"], ["train", "-o", "own", "--data"]):
        ran = cli(*command, folder, "--dry-run")
        assert ran.code == 0, ran.err
        assert line.replace("24 images,", "26 images," if "read" in says else "24 images,") in ran.lines
    ran = cli("evaluate", MNIST, "--data", folder)
    assert ran.err.splitlines()[-1] == f"in: {says}"
    assert ran.code == ("read" in says)
    ran = cli("encode", folder, "-o", "set.atlc")
    assert ran.err.splitlines()[-1] == f"in: {says}"
    assert contents(find(folder, shape=(28, 28))).describe()["labels"] == ["0", "1", "2"]
