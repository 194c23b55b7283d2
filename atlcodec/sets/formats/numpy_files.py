"""Data sets in NumPy's formats: a `.npz` file, a `.npy` file, several that belong together, or a folder of them.

    mnist.npz                                       x_train, y_train, x_test, y_test
    pneumoniamnist.npz                              train_images, train_labels, val_images, ...
    k49-train-imgs.npz, k49-train-labels.npz, ...   arr_0 in each; if you name one, the others are found beside it
    x_train.npy, y_train.npy, ...                   the same in a folder
    cat.npy, dog.npy, ...                           in a folder: each file is a label

`numpy_names` has what the names tell, `numpy_images` what the shapes mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from atlcodec.errors import BadData
from atlcodec.sets import splits
from atlcodec.sets.formats import numpy_arrays, numpy_labels
from atlcodec.sets.formats.numpy_images import OBJECTS, Part, Stack, colour_notes, colour_order, is_stack, stack
from atlcodec.sets.formats.numpy_names import IMAGES, LABELS, Named, labels_by_file, named, partner, set_of_file
from atlcodec.sets.formats.parts import Found
from atlcodec.sets.image_files import SUFFIXES

_ORDER = (*splits.SPLITS, "")


def find(path: Path) -> Found | None:
    """The set in a file or a folder; None if it has no arrays of NumPy. A folder with image files, at any depth, is not
    such a set, and folders in it are not looked into.

    Raises `BadData`."""
    if path.is_dir():
        files = _in_folder(path)
    elif path.is_file() and numpy_arrays.holds(path):
        files = [path]
    else:
        return None
    if not files:
        return None
    arrays = [named(array) for file in files for array in numpy_arrays.read(file)]
    if not path.is_dir() and not any(one.own for one in arrays):
        arrays += [named(array) for file in _siblings(path) for array in numpy_arrays.read(file)]
    return replace(_Choice(path, arrays).found(), files=tuple(files))


@dataclass(frozen=True)
class _Choice:
    """Which of the arrays below a path are the images, and which the labels."""

    path: Path
    arrays: Sequence[Named]

    def found(self) -> Found:
        images = self._images()
        by_file = self._by_file(images)
        if by_file:
            return self._left(by_file, images)
        self._check_one_set(images)
        chosen = {split: self._best(split, some) for split in _ORDER if (some := _of(split, images))}
        used, notes = list(chosen.values()), list[str]()
        stacks, values = dict[str, Stack](), dict[str, numpy_labels.Values | None]()
        for split, one in chosen.items():
            candidates = [each for each in _of(split, self._labels()) if each not in used]
            counts = {numpy_labels.counts(each.array) for each in candidates}
            stacks[split] = stack(one.array, counts, colour_order(stacks.values()))
            values[split], label, said = self._values(one, len(stacks[split]), candidates)
            notes += said
            used += [label] if label else []
        notes += [*self._missing(chosen, used), *colour_notes(stacks.values())]
        classes, labels = numpy_labels.classes(list(values.values()))
        parts = [
            Part(split, stacks[split].array.path, known, (stacks[split],))
            for split, known in zip(stacks, labels, strict=True)
        ]
        return self._left(Found(tuple(parts), classes, tuple(notes)), used)

    def _images(self) -> list[Named]:
        """Those that are images by their names; without such a name, by their shapes."""
        told = [one for one in self.arrays if one.kind == IMAGES]
        untold = [one for one in self.arrays if not one.kind]
        likely = [one for one in untold if one.array.dtype.kind in "biuf" and is_stack(one.array.shape)]
        if told or likely:
            return told or likely
        if len(untold) == 1:  # it may be one image, or what is wrong with it can be said
            return untold
        if any(one.array.dtype.hasobject for one in untold):
            raise BadData(f"{self.path}: {OBJECTS}")
        some = ", ".join(f"{self._name(one)} {one.array.shape}" for one in self.arrays[:5]) or "nothing"
        more = ", ..." if len(self.arrays) > 5 else ""
        raise BadData(f"{self.path}: has no array of images, only {some}{more}; name it images or x_train")

    def _labels(self) -> list[Named]:
        """Those that are labels by their names; arrays without a name are labels if no image has their shape."""
        told = [one for one in self.arrays if one.kind == LABELS]
        return told or [one for one in self.arrays if one.unnamed and not one.kind and not is_stack(one.array.shape)]

    def _best(self, split: str, images: list[Named]) -> Named:
        first, *rest = sorted(images, key=lambda one: (len(one.rest), one.rank))
        if rest and (len(first.rest), first.rank) == (len(rest[0].rest), rest[0].rank):
            names = f"{self._name(first)} and {self._name(rest[0])}"
            raise BadData(
                f"{self.path}: {names} may both be the {split + ' ' if split else ''}images; give them names like "
                "x_train and x_test, or keep one"
            )
        return first

    def _values(
        self, images: Named, count: int, candidates: list[Named]
    ) -> tuple[numpy_labels.Values | None, Named | None, list[str]]:
        """The labels of these images, the array that they are in, and what the user must know."""

        def order(one: Named) -> tuple[object, ...]:
            return numpy_labels.counts(one.array) != count, one.set != images.set, len(one.rest), one.rank

        if not candidates:
            return None, None, []
        first, *rest = sorted(candidates, key=order)
        notes = []
        if rest and order(first) == order(rest[0]):
            notes.append(f"the labels are {self._name(first)}, not {self._name(rest[0])}")
        values = numpy_labels.read(first.array, count)
        if isinstance(values, str):
            return None, first, [f"{self._name(first)} {values}, so they are not used"]
        without = int(np.count_nonzero(values == numpy_labels.NO_LABEL)) if values.dtype.kind == "i" else 0
        if without:
            notes.append(f"{self._name(first)} has {without} times -1: these images have no label")
        return values, first, notes

    def _missing(self, chosen: dict[str, Named], used: list[Named]) -> list[str]:
        """Notes about images that have no array of labels."""
        known = {one.split: self._name(one) for one in used if one.kind != IMAGES and one not in chosen.values()}
        other = next(iter(known.values()), "")
        missing = [self._name(one) for split, one in chosen.items() if split not in known]
        wanted = [(name, partner(name, other)) for name in missing]
        return [f"no labels: {by} is missing" if by else f"no labels for {name}" for name, by in wanted]

    def _by_file(self, images: list[Named]) -> Found | None:
        """The set if each file is a label: `.npy` files of several names, without any labels."""
        names = [one.array.path.name for one in images]
        same = len({one.set for one in images}) < 2
        if same or self._labels() or any(one.array.member for one in images):
            return None
        divided = all(one.split for one in images)
        if any(one.kind for one in images) and any(one.split for one in images):
            return None
        texts = labels_by_file(names, divided=divided)
        stacks = dict[str, list[Stack]]()
        values = dict[str, list[str]]()
        planes = None
        for one, text in zip(images, texts, strict=True):
            split = one.split if divided else ""
            found = stack(one.array, (), planes)
            planes = colour_order([found]) if planes is None else planes
            stacks.setdefault(split, []).append(found)
            values.setdefault(split, []).append(text)
        classes = tuple(sorted(set(texts)))
        parts = []
        for split in (split for split in _ORDER if split in stacks):
            numbers = np.array([classes.index(text) for text in values[split]], np.int64)
            labels = np.repeat(numbers, [len(one) for one in stacks[split]])
            parts.append(Part(split, self.path, labels, tuple(stacks[split])))
        notes = (
            "the labels are the names of the files",
            *colour_notes(one for some in stacks.values() for one in some),
        )
        return Found(tuple(parts), classes, notes)

    def _check_one_set(self, images: list[Named]) -> None:
        sets = {one.set: one.array.path.name for one in reversed(images)}
        if len(sets) > 1:
            names = ", ".join(sorted(sets.values())[:5])
            raise BadData(f"{self.path}: has {len(sets)} data sets ({names}); name one of these files")

    def _left(self, found: Found, used: Sequence[Named]) -> Found:
        return replace(found, left_out=tuple(self._name(one) for one in self.arrays if one not in used))

    def _name(self, one: Named) -> str:
        """Of an array, for people; in a folder or among several files, with its file."""
        if one.unnamed and not any(each.array.path == one.array.path for each in self.arrays if each is not one):
            return one.array.path.name
        several = len({each.array.path for each in self.arrays}) > 1
        return f"{one.array.path.name}: {one.array.name}" if several and one.array.member else one.array.name


def _of(split: str, arrays: Sequence[Named]) -> list[Named]:
    return [one for one in arrays if one.split == split]


def _in_folder(folder: Path) -> list[Path]:
    """The files of NumPy in a folder; none if there are images in it."""
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_file())
    except OSError as error:
        raise BadData(f"{folder}: cannot be read ({error.strerror or error})") from error
    if any(_is_image(name) for name in entries):
        return []
    files = [folder / name for name in entries if numpy_arrays.holds(folder / name)]
    return [] if files and _has_images(folder) else files


def _has_images(folder: Path) -> bool:
    """At any depth; what is hidden does not count."""
    for _, below, names in os.walk(folder):
        below[:] = [name for name in below if name[0] != "."]
        if any(_is_image(name) for name in names if name[0] != "."):
            return True
    return False


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _siblings(path: Path) -> list[Path]:
    """The other files of the same set beside a file, by their names."""
    wanted = set_of_file(path.name)
    if wanted is None:
        return []
    try:
        names = sorted(entry.name for entry in os.scandir(path.parent) if entry.name[0] != "." and entry.is_file())
    except OSError:  # the file itself can be read
        return []
    same = [path.parent / name for name in names if name != path.name and set_of_file(name) == wanted]
    return [file for file in same if numpy_arrays.holds(file)]
