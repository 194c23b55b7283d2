"""A whole data set in memory: `load`, for training and for `atlc evaluate`. NumPy alone: this needs no PyTorch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from atlcodec import engine
from atlcodec.errors import BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets.contents import Contents, contents
from atlcodec.sets.finding import find
from atlcodec.sets.sources import Name, Source
from atlcodec.sets.splits import TEST, TRAIN, VALIDATION
from atlcodec.shape import Shape

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


FEW_BAD = 3  # images that cannot be read: so many are left out of any set, and a tenth of a large one


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
    """Training and test images, those for validation if the set has them apart, and what their labels stand for."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    source: str = "the user's own"
    licence: str = "the user's own"
    sha256: dict[str, str] = field(default_factory=dict)  # of each decompressed IDX file; or of all paths and pixels
    validation: Split | None = None
    contents: Contents | None = None  # what was read, and what was left out
    problems: tuple[str, ...] = ()  # why some images could not be read

    @property
    def shape(self) -> Shape:
        """Of one image: (rows, columns), or (rows, columns, 3) for colours."""
        return self.train.images.shape[1:]

    def limited(self, count: int) -> Dataset:
        """The same with only the first `count` training images."""
        return replace(self, train=self.train[:count])

    def describe(self) -> dict[str, object]:
        """What a model card says of its data."""
        apart = {} if self.validation is None else {"validation": len(self.validation)}
        return {
            "name": self.name,
            "train": len(self.train),
            **apart,
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
    """The data set in a folder or a file, or an official one by its name (`finding.find`, which also says what `shape`,
    `how` and `crops` are). `log` gets a line for each download.

    Images without a label are left out of a set that has labels, except for a test set without any. If the set says
    nothing of splits, every tenth image is for the test. Images in the order of their labels are shuffled, always in
    the same way, since validation takes the last ones. A few images that cannot be read do not stop the others:
    `Dataset.problems` tells of them.

    Raises `FileNotFoundError` (also a `BadData`) if there is no such path or name, and `BadData`."""
    source = find(where, shape=shape, how=how, crops=crops, log=log)
    return _Collected(source, contents(source)).dataset()


class _Collected:
    """The images of a source by their splits."""

    def __init__(self, source: Source, about: Contents) -> None:
        self._source, self._about = source, about
        self._index = {label: number for number, label in enumerate(source.classes)}
        self._problems = list[str]()
        self._digest = hashlib.sha256()  # of the names and pixels of the training images
        self._images: dict[str, list[Images]] = {}
        self._labels: dict[str, list[int]] = {}
        self._files: dict[str, list[int]] = {}  # which file each image was made from: crops belong together
        for _, loaded in source.load(source.batches(), engine.threads()):
            self._problems += loaded.problems
            self._add(loaded.images, loaded.names, loaded.counts or [1] * len(loaded.names))

    def _add(self, images: Images, names: list[Name], counts: list[int]) -> None:
        ends = np.cumsum([0, *counts])
        splits = np.array([name.split for name in names])
        for split in dict.fromkeys(splits.tolist()):
            wanted = [n for n in np.flatnonzero(splits == split).tolist() if self._is_used(names[n])]
            files = self._files.setdefault(split, [])
            begin = files[-1] + 1 if files else 0
            rows = [row for n in wanted for row in range(ends[n], ends[n + 1])]
            some = images[rows] if len(rows) < len(images) else images
            self._images.setdefault(split, []).append(some)
            labels = self._labels.setdefault(split, [])
            for number, n in enumerate(wanted):
                label = names[n].label
                labels += [self._index.get(label or "", -1)] * counts[n]
                files += [begin + number] * counts[n]
                if split in ("", TRAIN) and not self._source.digests:
                    name = f"{label or ''}/{names[n].path.split('/')[-1]}\0".encode("utf-8", "surrogateescape")
                    self._digest.update(name + images[ends[n] : ends[n + 1]].tobytes())

    def _is_used(self, name: Name) -> bool:
        return self._about.is_used(name.split, labelled=name.label is not None)

    def dataset(self) -> Dataset:
        source = self._source
        bad = len(self._problems)
        if bad > max(FEW_BAD, len(source) // 10) or bad == len(source):
            raise BadData(f"{self._problems[0]} ({bad} of {len(source)} images cannot be read)")
        named = {split for split in self._images if split}
        if named:
            splits = {split: one for split in named if len(one := self._split(split))}
        else:
            splits = dict(zip((TRAIN, TEST), self._divided(), strict=True))
        empty = Split(np.empty((0, *source.shape), np.uint8), np.empty(0, np.int64) if source.classes else None)
        known, about = source.known, replace(self._about, unread=len(self._problems), learned=True)
        own = (known.name, known.source, known.licence) if known else (source.name, Dataset.source, Dataset.licence)
        name, origin, licence = own
        return Dataset(
            name,
            splits.get(TRAIN, empty),
            splits.get(TEST),
            source.classes,
            origin,
            licence,
            dict(source.digests) or {"pictures": self._digest.hexdigest()},
            splits.get(VALIDATION),
            about,
            tuple(self._problems),
        )

    def _split(self, split: str) -> Split:
        images, labels, files = self._joined(split)
        order = _order(files) if self._source.sorted else slice(None)
        return Split(images[order], None if labels is None else labels[order])

    def _divided(self) -> tuple[Split, Split]:
        """Training and test images of a set that says nothing of splits."""
        images, labels, files = self._joined("")
        order = _order(files) if self._source.sorted else np.arange(len(files))
        begins = np.diff(files[order], prepend=-1) != 0  # where another file begins
        tested = np.cumsum(begins) % 10 == 0
        train, test = order[~tested], order[tested & begins]  # one part of a test image is enough
        return tuple(Split(images[rows], None if labels is None else labels[rows]) for rows in (train, test))  # type: ignore[return-value]

    def _joined(self, split: str) -> tuple[Images, Labels | None, NDArray[np.int64]]:
        parts = self._images.get(split, [])
        images = (
            np.concatenate(parts)
            if len(parts) > 1
            else parts[0]
            if parts
            else np.empty((0, *self._source.shape), np.uint8)
        )
        labelled = bool(self._source.classes) and not self._about.is_used(split, labelled=False)
        labels = np.array(self._labels.get(split, []), np.int64) if labelled else None
        return images, labels, np.array(self._files.get(split, []), np.int64)


def _order(files: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fixed shuffle. Sets in the order of their labels need it: "the last 5,000" must see every label. The parts of
    an image stay together, so that it is nearly always on one side of such a split."""
    count = int(files.max(initial=-1)) + 1
    place = np.empty(count, np.int64)
    place[np.random.default_rng(0).permutation(count)] = np.arange(count)
    return np.argsort(place[files], kind="stable")
