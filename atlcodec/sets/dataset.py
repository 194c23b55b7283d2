"""A whole data set in memory: `load`, for training and for `atlc evaluate`. NumPy alone: this needs no PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec import picture
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets import cifar, idx, image_files, labelled, official
from atlcodec.shape import Shape

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, *shape), and their labels int64 (N,) if there are any."""

    images: Images
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Split:
        return Split(self.images[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """Training and test images, and what their labels stand for."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    source: str = "the user's own"
    licence: str = "the user's own"
    sha256: dict[str, str] = field(default_factory=dict)  # of each decompressed IDX file; or of all paths and pixels

    @property
    def shape(self) -> Shape:
        """Of one image: (rows, columns), or (rows, columns, 3) for colours."""
        return self.train.images.shape[1:]

    def limited(self, count: int) -> Dataset:
        """The same with only the first `count` training images."""
        return replace(self, train=self.train[:count])

    def describe(self) -> dict[str, object]:
        """What a model card says of its data."""
        return {
            "name": self.name,
            "train": len(self.train),
            "test": 0 if self.test is None else len(self.test),
            "source": self.source,
            "licence": self.licence,
            "sha256": self.sha256,
        }


def load(
    where: str | os.PathLike[str],
    *,
    shape: Shape | None = None,
    how: Fit = NOTHING,
    crops: int = 0,
    log: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """The data set in a folder, or an official one by its name. `how` says how its images become images of this
    `shape`; by default they must have it. Without a shape, it is told from the images (`labelled`).

    A folder has IDX files (`idx`), CIFAR-10 in its binary version (`cifar`), or images as `LABEL/*`, or as
    `train/LABEL/*` and `test/LABEL/*` (`labelled`). Of each training image that is larger than the shape, `crops` takes
    so many parts at random places and scales. A name is looked up as a path first, then below `$ATLC_DATA`, then among
    the official sets, which are downloaded once into the user's cache. `log` gets a line for each download.

    Raises `FileNotFoundError` (also a `BadData`) if there is no such folder or name, and `BadData`."""
    folder = _find(where, log)
    if any(idx.find(folder, name) for name in idx.FILES):
        return _fitted(_load_idx(folder, None if how.fit else shape), shape, how)
    batches = cifar.find(folder)
    if batches is not None:
        return _fitted(_load_cifar(batches), shape, how)
    return _load_images(folder, shape, how, crops, log)


class _MissingData(BadData, FileNotFoundError):
    """There is no data set of this name."""


def _find(where: str | os.PathLike[str], log: Callable[[str], None]) -> Path:
    folder = Path(where)
    if not folder.is_dir() and len(folder.parts) == 1:
        below = Path(os.environ.get("ATLC_DATA", "")) / folder
        if os.environ.get("ATLC_DATA") and below.is_dir():
            return below
        name = {name.lower(): name for name in official.OFFICIAL}.get(str(where).lower())
        if name is not None:
            return official.download(name, log=log)
    if not folder.is_dir():
        names = ", ".join(official.OFFICIAL)
        hint = f"; {cifar.NAME} is not downloaded: give its folder {cifar.BELOW}" if _is_cifar(where) else ""
        raise _MissingData(
            f"{where}: no such folder; give a folder of IDX files or of labelled images, or one of: {names}{hint}"
        )
    return folder


def _is_cifar(where: str | os.PathLike[str]) -> bool:
    return str(where).lower().replace("-", "") == cifar.NAME.lower()


def _load_idx(folder: Path, shape: Shape | None) -> Dataset:
    parts = idx.parts(folder, shape)
    if not parts or parts[0].name != "train":
        raise BadData(f"{folder}: {idx.FILES[0]} (or {idx.FILES[0]}.gz) is missing")
    digests: dict[str, str] = {}
    splits: dict[str, Split] = {}
    for part in parts:
        images, digest = idx.read(part.path)
        splits[part.name] = Split(images, None if part.labels is None else part.labels.astype(np.int64))
        images_name, labels_name = idx.FILES[:2] if part.name == "train" else idx.FILES[2:]
        digests[images_name] = digest
        if part.labels is not None:
            digests[labels_name] = part.labels_digest
    known = official.known(parts[0].labels_digest)
    classes = idx.label_names(folder, parts, known.labels if known else ())
    train, test = splits["train"], splits.get("test")
    if known is None:
        return Dataset(_name(folder), train, test, classes, sha256=digests)
    return Dataset(known.name, train, test, classes, known.source, known.licence, digests)


def _load_cifar(folder: Path) -> Dataset:
    found = cifar.read(folder)
    train, test = Split(*found.train), Split(*found.test) if found.test else None
    if found.official:
        return Dataset(cifar.NAME, train, test, found.classes, cifar.SOURCE, "not stated", found.digests)
    return Dataset(_name(folder), train, test, found.classes, sha256=found.digests)


def _load_images(folder: Path, shape: Shape | None, how: Fit, crops: int, log: Callable[[str], None]) -> Dataset:
    found = labelled.read(folder, shape, how, crops, log)
    test = None if found.test is None else Split(found.test.images, found.test.labels)
    train = Split(found.train.images, found.train.labels)
    return Dataset(_name(folder), train, test, found.classes, sha256={"pictures": found.digest})


def _fitted(data: Dataset, shape: Shape | None, how: Fit) -> Dataset:
    """The same with each image made one of the shape, as image files are. Raises `BadData`."""
    wanted = shape or data.shape
    if wanted == data.shape and not how.asked():
        return data

    def split(images: Images, labels: Labels | None) -> Split:
        try:
            made = [picture.from_array(image, how, name=data.name, shape=wanted).pixels for image in images]
        except AtlcError as error:
            raise BadData(str(error)) from error
        return Split(image_files.stack(made, wanted), labels)

    test = None if data.test is None else split(data.test.images, data.test.labels)
    return replace(data, train=split(data.train.images, data.train.labels), test=test)


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name
