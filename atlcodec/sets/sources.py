"""Where images come from: image files in a folder at any depth, or IDX files. In a stable order, in batches, with their
labels. `named_files` has those that you name."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from atlcodec import picture
from atlcodec.codec import Images
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets import folders, idx, official
from atlcodec.sets.image_files import Read, Wanted, is_image, left_out, numbered, read_files
from atlcodec.sets.losses import Losses
from atlcodec.sets.manifest import counted, is_label
from atlcodec.sets.paths import OutputPaths, listable
from atlcodec.shape import Shape

BATCH = 4096  # images at a time at most: enough for the threads of the encoder. A setting; tests make it small
PER_PROCESS = 8192  # images for each reading process: fewer do not pay for its start. A setting, too

Name = tuple[str, str | None]  # path and label


@dataclass(frozen=True)
class Batch:
    """Images that follow each other, not yet read. The `stamp` is a digest of names and times of change: if a later run
    finds the same, the images are the same."""

    names: list[Name]
    problems: list[str]  # why others between them are left out
    stamp: str

    def __len__(self) -> int:
        return len(self.names) + len(self.problems)


@dataclass(frozen=True)
class Loaded:
    """The images of a batch that could be read, uint8 (N, *shape), their names, and why the others could not; and what
    the images lost."""

    images: Images
    names: list[Name]
    problems: list[str]
    losses: Losses = field(default_factory=Losses)


class Source(Protocol):
    """Images to encode."""

    repeats: list[str]  # paths that clash with those of the set to which they would be added
    notes: list[str]  # what the user must know of the others: files that are left out, images without a label

    def __len__(self) -> int: ...
    def batches(self, size: int | None = None) -> Iterator[Batch]: ...  # the default is BATCH
    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]: ...
    def sample(self, count: int) -> Images: ...


def find(
    folder: str,
    taken: OutputPaths,
    shape: Shape,
    *,
    labelled: bool = False,
    how: Fit = NOTHING,
) -> Source:
    """The images of a folder, of this shape. `taken` are the paths of the set to which they will be added; if that is
    `labelled`, a folder is a label even if it is the only one.

    Raises `BadData` if it has no images, or invalid IDX files."""
    parts = idx.parts(Path(folder), shape[1::-1] if how.transpose and len(shape) == 2 else shape)
    if parts:
        source: Source = IdxFiles(folder, parts, taken, how)
    else:
        layout = folders.layout(folder, fewest=1 if labelled else 2)
        read = functools.partial(read_files, shape=shape, how=how)
        source = ImageFolder(folder, taken, layout, read, frames=how.frame == "all")
    if not len(source):
        raise BadData(f"{folder}: contains no images (PNG, JPEG, ...) and no IDX files")
    return source


class ImageFolder:
    """Image files in a folder at any depth, sorted by path; hidden files and links to folders are left out. Labels are
    those of `folders`. With `frames`, each frame of an animation is an image with a path of its own (`numbered`)."""

    def __init__(
        self,
        folder: str,
        taken: OutputPaths,
        layout: folders.Layout,
        read: Callable[..., Read],
        *,
        frames: bool = False,
    ) -> None:
        self._root = folder
        self._read = functools.partial(read, folder)
        self._layout = layout
        self._paths: list[str] = []
        self._problems: dict[int, str] = {}  # by number in _paths
        self._frames: dict[str, Wanted] = {}  # by path in the list: frames of animations, and files of other names
        self._changed: dict[str, str] = {}  # the paths of these files by those in the list
        self.repeats = []
        existing, others = len(taken), list[str]()
        for path, entry in folders.walk(folder):
            if not isinstance(entry, OSError) and not is_image(entry):
                others.append(path)
                continue
            wrong = _why_not(entry)
            for each in self._split(path) if frames and not wrong else [path]:
                if wrong:
                    self._problems[len(self._paths)] = wrong
                    self._paths.append(each)
                    continue
                first = taken.find(each)
                if first is not None and first < existing:
                    self.repeats.append(each)
                    taken.add(each)
                    self._paths.append(each)
                else:
                    self._paths.append(self._listed(each, taken))
        self.notes = [*left_out(others), *self._unlabelled(), *self._changed_names()]

    def __len__(self) -> int:
        return len(self._paths)

    def _split(self, path: str) -> list[str]:
        """The paths of the frames of a file; its own, if it has only one or cannot be read."""
        try:
            count = picture.frame_count(os.path.join(self._root, path))
        except AtlcError:  # reading it will say why
            return [path]
        if count == 1:
            return [path]
        frames = {numbered(path, frame, count): (path, frame) for frame in range(count)}
        self._frames |= frames
        return list(frames)

    def _listed(self, path: str, taken: OutputPaths) -> str:
        """Add a path, changed if a list cannot have it."""
        listed = listable(path, taken)
        taken.add(listed)
        if listed != path:
            self._changed[listed] = path
            self._frames[listed] = self._frames.get(path, (path, None))
        return listed

    def _changed_names(self) -> list[str]:
        if not self._changed:
            return []
        new, old = next(iter(self._changed.items()))
        count = len(self._changed)
        what = "1 path in the list differs" if count == 1 else f"{count} paths in the list differ"
        return [f"{what} from the name of the file ({old!a} is {new!a})"]

    def _wanted(self, paths: Iterable[str]) -> list[Wanted]:
        return [self._frames.get(path, (path, None)) for path in paths]

    def _unlabelled(self) -> list[str]:
        """A note if the images would have a label in a labelled set."""
        if len(self._layout.classes) != 1 or self._layout.fewest == 1:
            return []
        count = sum(self._layout.top(path) is not None for path in self._paths)
        return (
            [f"{counted(count, 'image')} {'has' if count == 1 else 'have'} no label (it has only one folder)"]
            if count
            else []
        )

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        size = size or BATCH
        for start in range(0, len(self), size):
            names, problems, digest = list[Name](), list[str](), hashlib.sha256()
            for number, path in enumerate(self._paths[start : start + size], start):
                full = os.path.join(self._root, path)
                if number in self._problems:
                    problems.append(f"{full}: {self._problems[number]}")
                else:
                    names.append((path, self._layout.label(path)))
                    file = os.path.join(self._root, self._frames.get(path, (path, None))[0])
                    digest.update(f"{names[-1]} {_state(file)}\0".encode())
            digest.update(repr(problems).encode())
            yield Batch(names, problems, digest.hexdigest())

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        jobs = min(jobs, len(self) // PER_PROCESS)
        paths = ((batch, self._wanted(path for path, _ in batch.names)) for batch in batches)
        results: Iterable[tuple[Batch, Read]]
        if jobs <= 1:
            results = ((batch, self._read(some)) for batch, some in paths)
        else:
            from atlcodec.sets import processes

            results = processes.read(self._root, self._read, paths, jobs)
        for batch, (images, problems, losses) in results:
            names = [name for number, name in enumerate(batch.names) if number not in problems]
            yield batch, Loaded(images, names, [*batch.problems, *problems.values()], losses)

    def sample(self, count: int) -> Images:
        """Up to `count` of the images that can be read, spread over all; at least one if any can be read."""
        good = [path for number, path in enumerate(self._paths) if number not in self._problems]
        images = self._read(self._wanted(good[:: -(-len(good) // count) or 1])).images
        if len(images):
            return images
        return next((loaded.images[:1] for _, loaded in self.load(self.batches(), 1) if len(loaded.images)), images)


class IdxFiles:
    """The images of IDX files, train before test: `train/00017.png` is number 17 of the training images."""

    def __init__(self, folder: str, parts: list[idx.Part], taken: OutputPaths, how: Fit = NOTHING) -> None:
        self._how = how
        self._parts = {part.name: part for part in parts}
        digest = next((part.labels_digest for part in parts if part.labels_digest), "")
        known = official.known(digest)
        self._classes = idx.label_names(Path(folder), parts, known.labels if known else ())
        for label in self._classes:
            if not is_label(label):
                raise BadData(
                    f"{folder}: {label[:100]!a} cannot be a label: it is empty, too long, or has control characters"
                )
        self.repeats, self.notes = list[str](), list[str]()
        existing = len(taken)
        for path in (path for batch in self.batches() for path, _ in batch.names) if existing else ():
            first = taken.add(path)
            if first is not None and first < existing:
                self.repeats.append(path)

    def __len__(self) -> int:
        return sum(part.count for part in self._parts.values())

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        size = size or BATCH
        for part in self._parts.values():
            width = max(5, len(str(part.count - 1)))
            for start in range(0, part.count, size):
                numbers = range(start, min(start + size, part.count))
                labels = [None] * len(numbers) if part.labels is None else part.labels[start : numbers.stop].tolist()
                names = [
                    (f"{part.name}/{number:0{width}d}.png", None if label is None else self._classes[label])
                    for number, label in zip(numbers, labels, strict=True)
                ]
                stamp = f"{part.path.name} {_state(str(part.path))} {numbers} {names}"
                yield Batch(names, [], hashlib.sha256(stamp.encode()).hexdigest())

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        for name, wanted in itertools.groupby(batches, lambda batch: batch.names[0][0].split("/")[0]):
            first = next(wanted)
            images = self._parts[name].images(len(first), int(Path(first.names[0][0]).stem))
            for batch in itertools.chain([first], wanted):
                losses = Losses(changes={"inverted"} if self._how.invert else set())
                yield batch, Loaded(self._fitted(next(images)), batch.names, [], losses)
            next(images, None)  # checks that nothing comes after the last one

    def _fitted(self, images: Images) -> Images:
        """What `fit.Fit` can do to pixels that are grey and of the right size."""
        images = images.swapaxes(1, 2) if self._how.transpose else images
        return 255 - images if self._how.invert else np.ascontiguousarray(images)

    def sample(self, count: int) -> Images:
        step = -(-len(self) // count)
        start, chosen = 0, []
        for part in self._parts.values():
            for images in part.images(BATCH):
                chosen.append(
                    self._fitted(images[-start % step :: step]).copy()
                )  # a copy, so that the others need not stay
                start += len(images)
        return np.concatenate(chosen)


def _why_not(entry: os.DirEntry[str] | OSError) -> str:
    return (entry.strerror or str(entry)) if isinstance(entry, OSError) else ""


def _state(path: str) -> str:
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_size} {info.st_mtime_ns}"
