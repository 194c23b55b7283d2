"""Folders of labelled images, read into arrays: each image is decoded, made one of the wanted shape, and let go."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec import picture
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import Fit
from atlcodec.sets import folders
from atlcodec.shape import SIDES, Shape

LOOKED_AT = 100  # images of a folder, spread over all, by which its shape is told
GREY, COLOUR = (28, 28), (32, 32, 3)  # what images of different sizes become, if you name no shape
WAYS = "--fit contain, cover or stretch makes all images one size, and --shape 64x64 says which"


@dataclass(frozen=True)
class Part:
    """Images uint8 (N, *shape), their labels int64 (N,), and the number of the file each was made from, int64 (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Part:
        return Part(self.images[rows], self.labels[rows], self.files[rows])


@dataclass(frozen=True)
class Labelled:
    """What a folder holds, and a digest of the paths and pixels of the training images."""

    classes: tuple[str, ...]
    train: Part
    test: Part | None
    digest: str


@dataclass(frozen=True)
class Reader:
    """How the images of a folder become arrays: of a shape, as `how` says, and with so many random crops of each
    training image that is larger than the shape."""

    folder: Path
    layout: folders.Layout
    shape: Shape
    how: Fit
    crops: int

    def part(self, paths: list[str], crops: int) -> tuple[Part, str]:
        """The images of one split, shuffled, and a digest of them."""
        digest = hashlib.sha256()
        images = np.empty((len(paths) * max(1, crops), *self.shape), np.uint8)
        labels: list[int] = []
        files: list[int] = []
        for number, path in enumerate(paths):
            label = self.layout.label(path) or ""
            made = self._read(path, crops)
            digest.update(f"{label}/{path.split('/')[-1]}\0".encode("utf-8", "surrogateescape") + made.tobytes())
            images[len(labels) : len(labels) + len(made)] = made
            labels += [self.layout.classes.index(label)] * len(made)
            files += [number] * len(made)
        if not labels:
            raise BadData(f"{self.folder}: has no images in the folders of its labels")
        part = Part(images[: len(labels)], np.array(labels, np.int64), np.array(files, np.int64))
        # Folders come sorted by label; a split "the last 5,000" must see every label, so the order is a fixed shuffle.
        # The crops of an image stay together, so that it is nearly always on one side of such a split.
        place = np.empty(len(paths), np.int64)
        place[np.random.default_rng(0).permutation(len(paths))] = np.arange(len(paths))
        return part[np.argsort(place[part.files], kind="stable")], digest.hexdigest()

    def _read(self, path: str, crops: int) -> NDArray[np.uint8]:
        """Uint8 (one or more, *shape). Crops are always the same ones of the same path."""
        try:
            if crops:
                seed = zlib.crc32(path.encode("utf-8", "surrogateescape"))
                return picture.crops(self.folder / path, self.how, self.shape, crops, np.random.default_rng(seed))
            return picture.read(self.folder / path, self.how, shape=self.shape)[None]
        except AtlcError as error:
            what = f"{self.shape[1]} x {self.shape[0]} pixels" + (" and grey" if len(self.shape) == 2 else "")
            raise BadData(f"{error} (in this data set every image must have {what})") from error


def read(folder: Path, shape: Shape | None, how: Fit, crops: int, log: Callable[[str], None]) -> Labelled:
    """The labelled images in a folder. Without a folder `test`, every tenth image is kept for the test.

    Raises `BadData`."""
    layout = folders.layout(str(folder), links=True)
    if len(layout.classes) < 2:
        raise BadData(
            f"{folder}: has neither IDX files (train-images-idx3-ubyte.gz ...) nor two or more folders of images, one "
            "for each label"
        )
    paths: dict[str, list[str]] = {split: [] for split in folders.SPLITS}
    for path, entry in folders.walk(str(folder), links=2 if layout.split else 1):
        if isinstance(entry, OSError):
            raise BadData(f"{folder / path}: {entry.strerror or entry}")
        # Records may lie beside the images from which they were made.
        if layout.label(path) in layout.classes and entry.is_file() and not path.endswith(".atlc"):
            paths[path.split("/")[0] if layout.split else "train"].append(path)
    if shape is None:
        shape = told_shape(folder, paths["train"], how, crops)
        kind = "in colour" if len(shape) == 3 else "grey"
        log(f"{folder}: taken as images of {shape[1]} x {shape[0]} pixels, {kind}; --shape takes them otherwise")
    reader = Reader(folder, layout, shape, how, crops)
    if layout.split:
        train, digest = reader.part(paths["train"], crops)
        test = reader.part(paths["test"], min(crops, 1))[0] if (folder / "test").is_dir() else None
        return Labelled(layout.classes, train, test, digest)
    everything, digest = reader.part(paths["train"], crops)
    order = np.flatnonzero(np.diff(everything.files, prepend=-1))  # where another file begins
    number = np.searchsorted(order, np.arange(len(everything.files)), side="right") - 1
    kept = number % 10 == 9
    first = np.isin(np.arange(len(kept)), order)  # one crop of a test image is enough
    return Labelled(layout.classes, everything[~kept], everything[kept & first], digest)


def told_shape(folder: Path, paths: list[str], how: Fit, crops: int) -> Shape:
    """The shape of codec that suits images: their own, if all have the same; in colour, if one is. Raises `BadData` if
    they differ and nothing may be done to them."""
    if not paths:
        raise BadData(f"{folder}: has no images in the folders of its labels")
    some = paths[:: -(-len(paths) // LOOKED_AT)]
    try:
        shapes = [picture.read(folder / path, how).shape for path in some]
    except AtlcError as error:
        raise BadData(str(error)) from error
    colours = any(len(shape) == 3 for shape in shapes)
    first = shapes[0][:2]
    other = next((n for n, shape in enumerate(shapes) if shape[:2] != first), None)
    if not crops and other is None and all(side in SIDES for side in first):
        return (*first, 3) if colours else first
    if crops or how.fit:
        return COLOUR if colours else GREY
    if other is None:
        sides = f"{SIDES[0]} to {SIDES[-1]} rows and columns"
        raise BadData(f"{folder / paths[0]}: {_size(first)} pixels; a codec has {sides}; {WAYS}")
    raise BadData(
        f"{folder}: has images of different sizes ({some[0]}: {_size(first)}, {some[other]}: {_size(shapes[other])} "
        f"pixels); {WAYS}"
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
