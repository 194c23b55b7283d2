"""A whole data set in memory: `load`, for training and for `atlc evaluate`. NumPy alone: this needs no PyTorch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec import picture
from atlcodec.errors import AtlcError, BadData
from atlcodec.sets import folders, idx, official
from atlcodec.shape import SIDES, Shape

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

LOOKED_AT = 100  # images of a folder, spread over all, by which its shape is told


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
    where: str | os.PathLike[str], *, shape: Shape | None = None, log: Callable[[str], None] = lambda _: None
) -> Dataset:
    """The data set in a folder, or an official one by its name. Its images must have this `shape`; without one, all
    must have that of the first.

    A folder has IDX files (`idx`), or images as `LABEL/*`, or as `train/LABEL/*` and `test/LABEL/*` (`folders`). A name
    is looked up as a path first, then below `$ATLC_DATA`, then among the official sets, which are downloaded once into
    the user's cache. `log` gets a line for each download.

    Raises `FileNotFoundError` (also a `BadData`) if there is no such folder or name, and `BadData`."""
    folder = _find(where, log)
    if any(idx.find(folder, name) for name in idx.FILES):
        return _load_idx(folder, shape)
    return _load_images(folder, shape)


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
        raise _MissingData(
            f"{where}: no such folder; give a folder of IDX files or of labelled images, or one of: {names}"
        )
    return folder


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


def _load_images(folder: Path, shape: Shape | None) -> Dataset:
    """Without a folder `test`, every tenth image is kept for the test."""
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
    shape = shape or _first_shape(folder, paths["train"])
    train, digest = _read(folder, paths["train"], layout, shape)
    if layout.split:
        test = _read(folder, paths["test"], layout, shape)[0] if (folder / "test").is_dir() else None
        return Dataset(_name(folder), train, test, layout.classes, sha256={"pictures": digest})
    kept = np.arange(len(train)) % 10 == 9
    assert train.labels is not None
    return Dataset(
        _name(folder),
        Split(train.images[~kept], train.labels[~kept]),
        Split(train.images[kept], train.labels[kept]),
        layout.classes,
        sha256={"pictures": digest},
    )


def _first_shape(folder: Path, paths: list[str]) -> Shape:
    """The size of the first image; in colour, if one of the first is."""
    if not paths:
        raise BadData(f"{folder}: has no images in the folders of its labels")
    step = -(-len(paths) // LOOKED_AT)
    try:
        shapes = [picture.read(folder / path).shape for path in paths[::step]]
    except AtlcError as error:
        raise BadData(str(error)) from error
    first = shapes[0][:2]
    if not all(side in SIDES for side in first):
        raise BadData(
            f"{folder / paths[0]}: {first[1]} x {first[0]} pixels; a codec has {SIDES[0]} to {SIDES[-1]} rows and "
            "columns"
        )
    return (*first, 3) if any(len(shape) == 3 for shape in shapes) else first


def _read(folder: Path, paths: list[str], layout: folders.Layout, shape: Shape) -> tuple[Split, str]:
    """The images of one split, shuffled, and a digest of them."""
    digest = hashlib.sha256()
    images, labels = [], []
    for path in paths:
        label = layout.label(path) or ""
        try:
            image = picture.read(folder / path, shape=shape)
        except AtlcError as error:
            what = f"{shape[1]} x {shape[0]} pixels" + (" and grey" if len(shape) == 2 else "")
            raise BadData(f"{error} (in this data set every image must have {what})") from error
        digest.update(f"{label}/{path.split('/')[-1]}\0".encode("utf-8", "surrogateescape") + image.tobytes())
        images.append(image)
        labels.append(layout.classes.index(label))
    if not images:
        raise BadData(f"{folder}: has no images in the folders of its labels")
    # Folders come sorted by label; a split "the last 5,000" must see every label, so the order is a fixed shuffle.
    order = np.random.default_rng(0).permutation(len(images))
    return Split(np.stack(images)[order], np.array(labels, np.int64)[order]), digest.hexdigest()


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name
