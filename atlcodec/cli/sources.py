"""What a folder holds to be encoded: its pictures in a stable order, with their labels. IDX files, or picture files at
any depth.

Picture files are read by other processes if there are many: Pillow spends its time in Python, where threads would wait
for each other (benchmarks/results/dataset.md)."""

from __future__ import annotations

import functools
import hashlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from atlcodec import datasets, manifest, picture
from atlcodec.datasets import Images
from atlcodec.errors import AtlcError, BadData
from atlcodec.manifest import Places

BATCH = 4096  # pictures at a time: enough for the threads of the encoder
PER_PROCESS = 8192  # pictures that are worth a reading process of their own: it takes a while to begin
SUFFIXES = frozenset(".png .jpg .jpeg .jpe .jfif .gif .webp .tif .tiff .bmp .dib .pbm .pgm .ppm .pnm".split())


@dataclass(frozen=True)
class Batch:
    """Pictures that follow each other: paths and labels, why others between them are left out, and a digest of all of
    it by which a later run knows that nothing has changed."""

    names: list[tuple[str, str | None]]
    complaints: list[str]
    stamp: str


@dataclass(frozen=True)
class Loaded:
    """A batch as it was read: uint8 (N, 28, 28), the names of these, and why the others are missing."""

    images: Images
    names: list[tuple[str, str | None]]
    complaints: list[str]


class Source(Protocol):
    """A folder's pictures. `repeats` are the paths that clash with those that were in `places` before: those of an
    older list."""

    repeats: list[str]
    left_out: str  # in words

    def __len__(self) -> int: ...
    def batches(self) -> Iterator[Batch]: ...
    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]: ...
    def sample(self, count: int) -> Images: ...


def find(folder: str, places: Places, *, resize: bool = False, gray: bool = False) -> Source:
    """The pictures of a folder. Raises `BadData` if there are none, or the IDX files are not in order."""
    halves = datasets.idx_halves(Path(folder))
    source: Source = Idx(halves, places) if halves else Folder(folder, places, resize=resize, gray=gray)
    if not len(source):
        raise BadData(f"{folder}: no pictures in it: neither IDX files nor any named {', '.join(sorted(SUFFIXES))}")
    return source


# -- picture files -----------------------------------------------------------------------------------------------------


class Folder:
    """Picture files at any depth, sorted by path; hidden ones and links to folders are left out.

    Labels are as `datasets` gives them: the first folder below, or below `train` and `test`, if there are two or
    more."""

    def __init__(self, folder: str, places: Places, *, resize: bool, gray: bool) -> None:
        self._root = folder
        self._read = functools.partial(_read, folder, resize=resize, gray=gray)
        self._halves = os.path.isdir(os.path.join(folder, "train"))
        top = os.path.join(folder, "train") if self._halves else folder
        with os.scandir(top) as found:
            self._labelled = sum(entry.is_dir(follow_symlinks=False) and entry.name[0] != "." for entry in found) > 1
        self._count, others, some = 0, 0, list[str]()
        older = len(places)
        for path, entry in self._walk():
            if isinstance(entry, OSError):
                continue  # complained of when the batches are made
            if _is_picture(entry):
                self._count += 1
                places.add(path)
            else:
                others += 1
                some = [*some, path][:3]
        clashes = {second - older: first for first, second in reversed(places.clashes()) if second >= older}
        numbered = enumerate(
            path for path, entry in self._walk() if not isinstance(entry, OSError) and _is_picture(entry)
        )
        clashing = {path: clashes[number] < older for number, path in numbered if number in clashes} if clashes else {}
        self.repeats = [path for path, is_older in clashing.items() if is_older]
        self._clashing = clashing.keys() - {*self.repeats}
        named = ", ".join(some) + (", ..." if others > 3 else "")
        self.left_out = (
            f"{others} that {'is' if others == 1 else 'are'} no pictures by name ({named})" if others else ""
        )

    def __len__(self) -> int:
        return self._count

    def batches(self) -> Iterator[Batch]:
        found = self._walk()
        while some := list(itertools.islice(found, BATCH)):
            names, complaints, digest = [], [], hashlib.sha256()
            for path, entry in some:
                if isinstance(entry, OSError):
                    complaints.append(f"{os.path.join(self._root, path)}: {entry.strerror or entry}")
                elif _is_picture(entry):
                    why = manifest.refusal(path)
                    if path in self._clashing:
                        why = "is on some systems the same as another one here"
                    if why:
                        complaints.append(f"{os.path.join(self._root, path)}: its path {why}; rename it")
                    else:
                        names.append((path, self._label(path)))
                        digest.update(f"{names[-1]} {_state(entry)}\0".encode())
            yield Batch(names, complaints, hashlib.sha256(digest.digest() + repr(complaints).encode()).hexdigest())

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        jobs = min(jobs, self._count // PER_PROCESS)
        if jobs <= 1:
            for batch in batches:
                yield batch, _loaded(batch, *self._read([path for path, _ in batch.names]))
            return
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin_reading)
        try:
            ahead: deque[tuple[Batch, Future[tuple[Images, dict[int, str]]]]] = deque()
            for batch in batches:
                ahead.append((batch, pool.submit(self._read, [path for path, _ in batch.names])))
                if len(ahead) > jobs + 1:
                    first, result = ahead.popleft()
                    yield first, _loaded(first, *result.result())
            for first, result in ahead:
                yield first, _loaded(first, *result.result())
        except BrokenProcessPool as error:
            raise AtlcError(f"{self._root}: a process that read pictures was stopped; -j 1 does without") from error
        finally:
            pool.shutdown(cancel_futures=True)

    def sample(self, count: int) -> Images:
        """Up to `count` of the pictures that can be read, spread over all; none only if none can."""
        paths = (path for path, entry in self._walk() if not isinstance(entry, OSError) and _is_picture(entry))
        images, _ = self._read(list(itertools.islice(paths, 0, None, -(-self._count // count))))
        if not len(images):
            images = next(
                (loaded.images[:1] for _, loaded in self.load(self.batches(), 1) if len(loaded.images)), images
            )
        return images

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
        """All that is not hidden and no folder, in the order of the paths' parts, and the folders that cannot be
        read."""
        stack = [("", iter(_listed(self._root)))]
        while stack:
            above, entries = stack[-1]
            for entry in entries:
                path = above + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    yield path, entry
                    continue
                try:
                    stack.append((f"{path}/", iter(_listed(entry.path))))
                except OSError as error:
                    yield path, error
                    continue
                break
            else:
                stack.pop()

    def _label(self, path: str) -> str | None:
        folders = path.split("/")[:-1]
        if self._halves:
            folders = folders[1:] if folders and folders[0] in ("train", "test") else []
        return folders[0] if folders and self._labelled else None


def _listed(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """By its name. A link that leads nowhere is a picture that cannot be read; a link to a folder, a pipe or a device
    is none."""
    if os.path.splitext(entry.name)[1].lower() not in SUFFIXES:
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True  # whoever reads it learns why that cannot be done


def _state(entry: os.DirEntry[str]) -> str:
    try:
        info = entry.stat()
    except OSError:
        return ""
    return f"{info.st_size} {info.st_mtime_ns}"


def _read(root: str, paths: list[str], *, resize: bool, gray: bool) -> tuple[Images, dict[int, str]]:
    """The pictures that can be read, and by number what is wrong with the others."""
    images, complaints = [], {}
    for number, path in enumerate(paths):
        try:
            images.append(picture.read(os.path.join(root, path), resize=resize, gray=gray))
        except AtlcError as error:
            complaints[number] = str(error)
    return np.stack(images) if images else np.empty((0, *picture.SHAPE), np.uint8), complaints


def _loaded(batch: Batch, images: Images, complaints: dict[int, str]) -> Loaded:
    names = [name for number, name in enumerate(batch.names) if number not in complaints]
    return Loaded(images, names, [*batch.complaints, *complaints.values()])


def _begin_reading() -> None:
    """In a reading process: Ctrl-C is for the one that started it, and it does not outlive that one, however that
    ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            multiprocessing.connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


# -- IDX files ---------------------------------------------------------------------------------------------------------


class Idx:
    """The images of IDX files, train before test: `train/00017.png` is number 17 of the training images."""

    left_out = ""

    def __init__(self, halves: list[datasets.IdxHalf], places: Places) -> None:
        self._halves = halves
        self.repeats = []
        older = len(places)
        if older:
            paths = [path for batch in self.batches() for path, _ in batch.names]
            for path in paths:
                places.add(path)
            self.repeats = [paths[second - older] for first, second in places.clashes() if first < older <= second]
        for half in halves:
            for label in {*(half.labels or ())}:
                if not manifest.is_label(label):
                    raise BadData(
                        f"{half.path.parent}: {label[:100]!a} is no label: empty, too long, or with control characters"
                    )

    def __len__(self) -> int:
        return sum(half.count for half in self._halves)

    def batches(self) -> Iterator[Batch]:
        for half in self._halves:
            info = half.path.stat()
            width = max(5, len(str(half.count - 1)))
            for start in range(0, half.count, BATCH):
                numbers = range(start, min(start + BATCH, half.count))
                names = [(f"{half.name}/{n:0{width}d}.png", half.labels[n] if half.labels else None) for n in numbers]
                stamp = f"{half.path.name} {info.st_size} {info.st_mtime_ns} {numbers} {names}"
                yield Batch(names, [], hashlib.sha256(stamp.encode()).hexdigest())

    def load(self, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Loaded]]:
        for half, wanted in itertools.groupby(batches, lambda batch: batch.names[0][0].split("/")[0]):
            (file,) = (each for each in self._halves if each.name == half)
            first = next(wanted)
            images = file.images(BATCH, int(Path(first.names[0][0]).stem))
            for batch in itertools.chain([first], wanted):
                yield batch, Loaded(next(images), batch.names, [])
            next(images, None)  # reads what may stand after the last one

    def sample(self, count: int) -> Images:
        step = -(-len(self) // count)
        start, chosen = 0, []
        for half in self._halves:
            for images in half.images(BATCH):
                chosen.append(images[-start % step :: step].copy())  # what is not chosen need not stay
                start += len(images)
        return np.concatenate(chosen)
