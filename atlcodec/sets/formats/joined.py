"""Parts of a set that lie in several files, read as one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atlcodec.sets.formats.parts import Batch, Part
from atlcodec.sets.splits import SPLITS


@dataclass(frozen=True)
class Joined:
    """A `parts.Part` made of several ones of the same split, one after another. Its `path` is that of the first."""

    parts: tuple[Part, ...]

    @property
    def split(self) -> str:
        return self.parts[0].split

    @property
    def path(self) -> Path:
        return self.parts[0].path

    @property
    def labels(self) -> NDArray[np.int64] | None:
        some = [part.labels for part in self.parts]
        if all(labels is None for labels in some):
            return None
        return np.concatenate(
            [np.full(len(part), -1) if own is None else own for part, own in zip(self.parts, some, strict=True)]
        )

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        return chained(self.parts, size, start)


class Images(Protocol):
    """What a part has of images."""

    def __len__(self) -> int: ...
    def images(self, size: int, start: int = 0) -> Iterator[Batch]: ...


def chained(parts: Iterable[Images], size: int, start: int) -> Iterator[Batch]:
    """The images of parts that follow each other, from number `start` on, `size` at a time."""

    def chunks(start: int) -> Iterator[Batch]:
        for part in parts:
            if start < len(part) or not len(part):  # an empty one may still say that its file has too many
                yield from part.images(size, start)
            start = max(0, start - len(part))

    return rebatched(chunks(start), size)


def by_split(parts: Iterable[Part]) -> tuple[Part, ...]:
    """One part for each split, in the order of the splits. Those that say nothing of a split come last."""
    order = (*SPLITS, "")
    found = sorted(parts, key=lambda part: order.index(part.split))
    groups = [tuple(group) for _, group in itertools.groupby(found, lambda part: part.split)]
    return tuple(group[0] if len(group) == 1 else Joined(group) for group in groups)


def rebatched(chunks: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Images that come in pieces of any length, `size` at a time; the last ones may be fewer. Raises `ValueError` for a
    size below 1."""
    if size < 1:
        raise ValueError(f"a batch has at least 1 image, not {size}")
    waiting: list[Batch] = []
    count = 0
    for chunk in chunks:
        while len(chunk):
            piece, chunk = chunk[: size - count], chunk[size - count :]
            waiting.append(piece)
            count += len(piece)
            if count == size:
                yield _as_one(waiting)
                waiting, count = [], 0
    if waiting:
        yield _as_one(waiting)


def _as_one(pieces: list[Batch]) -> Batch:
    """An array if all pieces are arrays of one kind, else a list."""
    if len(pieces) == 1:
        return pieces[0]
    arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
    if len(arrays) == len(pieces) and len({(array.dtype.str, array.shape[1:]) for array in arrays}) == 1:
        return np.concatenate(arrays)
    return [image for piece in pieces for image in piece]
