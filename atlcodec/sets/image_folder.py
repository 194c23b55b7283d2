"""Image files in a folder, as a `sources.Source`."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from atlcodec import picture
from atlcodec.codec import Images
from atlcodec.errors import AtlcError, BadData
from atlcodec.fit import NOTHING, Fit
from atlcodec.sets import folders, sources
from atlcodec.sets.image_files import Read, Wanted, is_image, numbered, read_crops, read_files
from atlcodec.sets.labels import in_order
from atlcodec.sets.manifest import counted
from atlcodec.sets.official import Known
from atlcodec.sets.paths import OutputPaths, listable
from atlcodec.sets.sources import Batch, Listed, Loaded, Name
from atlcodec.sets.splits import TRAIN
from atlcodec.shape import Shape

Item = tuple[Wanted, bool]  # and whether it is to be learned from
CHECKED = 8  # images, spread over all, that are tried before thousands are reported


@dataclass(frozen=True)
class Reading:
    """How image files become arrays of a shape. With `crops`, an image that is larger gives so many parts of it at
    random places and scales; one, if it is for a test."""

    shape: Shape
    how: Fit = NOTHING
    crops: int = 0

    def __call__(self, root: str, wanted: list[Wanted], trained: list[bool]) -> Read:
        if not self.crops:
            return read_files(root, wanted, shape=self.shape, how=self.how)
        counts = [self.crops if one else 1 for one in trained]
        return read_crops(root, wanted, counts, shape=self.shape, how=self.how)


class ImageFolder:
    """Image files in a folder at any depth, sorted by path; hidden files are left out. Splits and labels are those of
    `folders`; fewer than `fewest` labels do not count. If `reading` takes all frames, each frame of an animation
    is an image with a path of its own (`numbered`)."""

    sorted = True
    known: Known | None = None

    def __init__(
        self, folder: str, reading: Reading, taken: OutputPaths, layout: folders.Layout, *, fewest: int = 2
    ) -> None:
        self.name, self.shape = os.path.basename(os.path.abspath(folder)), reading.shape
        self.digests: dict[str, str] = {}
        self._root, self._reading, self._layout = folder, reading, layout
        self._paths: list[str] = []
        self._problems: dict[int, str] = {}  # by number in _paths
        self._frames: dict[str, Wanted] = {}  # by path in the list: frames of animations, and files of other names
        self._changed: dict[str, str] = {}  # the paths of these files by those in the list
        self.repeats = list[str]()
        existing, others = len(taken), list[str]()
        for path, entry in folders.walk(folder):
            if not isinstance(entry, OSError) and not is_image(entry):
                others.append(path)
                continue
            wrong = (entry.strerror or str(entry)) if isinstance(entry, OSError) else ""
            for each in self._split(path) if reading.how.frame == "all" and not wrong else [path]:
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
        found = {label for path in self._paths if (label := layout.place(path)[1]) is not None}
        self.classes = tuple(sorted(found, key=in_order)) if len(found) >= fewest else ()
        self.left_out = tuple(others)
        self.notes = [*self._unlabelled(), *self._deeper(), *self._changed_names()]

    def take(self, shape: Shape) -> None:
        """Make the images of another shape."""
        self.shape, self._reading = shape, replace(self._reading, shape=shape)

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

    def _unlabelled(self) -> list[str]:
        """A note if the images would have a label in a labelled set."""
        count = sum(self._layout.place(path)[1] is not None for path in self._paths)
        if self.classes or not count:
            return []
        return [f"{counted(count, 'image')} {'has' if count == 1 else 'have'} no label (it has only one folder)"]

    def _deeper(self) -> list[str]:
        """A note if a label has several folders below its own: they might have been meant as labels."""
        found = sorted({self._layout.deeper(path) for path in self._paths} - {""})
        labels = [path.split("/")[0] for path in found]
        first = next((path for path, label in zip(found, labels, strict=True) if labels.count(label) > 1), None)
        if first is None or not self.classes:
            return []
        return [
            f"the label of all below {first.split('/')[0]}/ is that name; {first} and others below it are not labels"
        ]

    def _named(self, path: str) -> Name:
        split, label = self._layout.place(path)
        return Name(path, label if self.classes else None, split)

    def files(self, names: list[Name]) -> list[str]:
        """Where images with these names lie."""
        return [os.path.join(self._root, self._frames.get(name.path, (name.path, None))[0]) for name in names]

    def listed(self, size: int | None = None) -> Iterator[Listed]:
        size = size or sources.BATCH
        for start in range(0, len(self), size):
            found = Listed([], [])
            for number, path in enumerate(self._paths[start : start + size], start):
                if number in self._problems:
                    found.problems.append(f"{os.path.join(self._root, path)}: {self._problems[number]}")
                else:
                    found.names.append(self._named(path))
            yield found

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        for names, problems in self.listed(size):
            digest = hashlib.sha256()
            for name, file in zip(names, self.files(names), strict=True):
                digest.update(f"{tuple(name)} {state(file)}\0".encode("utf-8", "surrogateescape"))
            digest.update(repr(problems).encode())
            yield Batch(names, problems, digest.hexdigest())

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        jobs = min(jobs, len(self) // sources.PER_PROCESS)
        read = functools.partial(_read, self._root, self._reading)
        wanted = ((batch, self._items(batch.names)) for batch in batches)
        results: Iterable[tuple[Batch, Read]]
        if jobs <= 1:
            results = ((batch, read(some)) for batch, some in wanted)
        else:
            from atlcodec.sets import processes

            results = processes.read(self._root, read, wanted, jobs)
        for batch, found in results:
            names = [name for number, name in enumerate(batch.names) if number not in found.problems]
            problems = [*batch.problems, *found.problems.values()]
            yield batch, Loaded(found.images, names, problems, found.losses, found.counts)

    def _items(self, names: list[Name]) -> list[Item]:
        return [(self._frames.get(name.path, (name.path, None)), name.split in ("", TRAIN)) for name in names]

    def shapes(self, count: int) -> list[tuple[str, tuple[int, ...]]]:
        """The paths and shapes of up to `count` images as they are, spread over all. Those that cannot be read are left
        out; raises `AtlcError` if none can be."""
        good = [path for number, path in enumerate(self._paths) if number not in self._problems]
        files = [self._frames.get(path, (path, None))[0] for path in good[:: -(-len(good) // count) or 1]]
        found, wrong = list[tuple[str, tuple[int, ...]]](), list[AtlcError]()
        for file in files:
            try:
                found.append((file, picture.read(os.path.join(self._root, file), self._reading.how).shape))
            except AtlcError as error:
                wrong.append(error)
        if not found and wrong:
            raise wrong[0]
        return found

    def check(self) -> None:
        """Raise `BadData` if not one of some images, spread over all, can be read as it is: a line for each of
        thousands would not help."""
        good = [path for number, path in enumerate(self._paths) if number not in self._problems]
        some = good[:: len(good) // CHECKED] if len(good) >= CHECKED else []
        found = _read(self._root, self._reading, self._items([self._named(path) for path in some]))
        if some and not len(found.images):
            raise BadData(
                f"{self._root}: not one of {len(some)} images that were tried can be read as it is: "
                f"{next(iter(found.problems.values()))}; or atlc train --data {self._root} makes a codec for them"
            )

    def sample(self, count: int) -> Images:
        """Up to `count` of the images that can be read, spread over all; at least one if any can be read."""
        good = [path for number, path in enumerate(self._paths) if number not in self._problems]
        some = [self._named(path) for path in good[:: -(-len(good) // count) or 1]]
        images = _read(self._root, self._reading, self._items(some)).images
        if len(images):
            return images
        return next((loaded.images[:1] for _, loaded in self.load(self.batches(), 1) if len(loaded.images)), images)


def _read(root: str, reading: Reading, items: list[Item]) -> Read:
    return reading(root, [wanted for wanted, _ in items], [trained for _, trained in items])


def state(path: str) -> str:
    """Size and time of change of a file; "" if it is not there."""
    try:
        info = os.stat(path)
    except OSError:
        return ""
    return f"{info.st_size} {info.st_mtime_ns}"
