"""The images of a set, each with what a sheet or a page shows of it: its records, its path, its labels.

`collect` gives them in the order of the set, and `pick` the first few in another order, in bounded memory."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atlcodec import grid_finder, metrics
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.grid_file import Grid, pixels
from atlcodec.reader import Part
from atlcodec.record import Records
from atlcodec.sets.manifest import Entry
from atlcodec.sets.record_set import RecordSet

Pixels = NDArray[np.uint8]
Sort = Literal["order", "label", "probability", "psnr"]
AT_ONCE = 64  # images that are decoded at a time
SORTS: tuple[Sort, ...] = ("order", "label", "probability", "psnr")
Report = Callable[[object], None]
Originals = Callable[["Item"], Pixels | None]


@dataclass(slots=True)
class Item:
    """One image of a set: a record, or a grid."""

    file: str
    number: int  # of its first record in the file
    codec: Codec
    packed: Records  # uint8 (1, 200); (0, 200) for a grid
    grid: Grid | None = None
    path: str | None = None
    true: str | None = None  # the label in the list
    label: str | None = None  # what the classifier says
    probability: float = 0.0
    unsure: bool = False
    comparable: bool = False  # whether the classifier could have given the label of the list
    original: Pixels | None = None
    psnr: float | None = None  # of the decoded image against its original
    distance: float | None = None  # from the image that others are compared with
    query: bool = False  # whether it is that image
    place: int = 0  # among all images that were read

    @property
    def wrong(self) -> bool:
        """Whether the classifier says something else than the list, though it knows the list's label."""
        return self.comparable and self.true != self.label

    @property
    def name(self) -> str:
        """Its path, or its number in its file."""
        return self.path or f"{self.file}[{self.number}]"


@dataclass
class Tally:
    """What was seen of all images of a set, of those that are not shown, too."""

    images: int = 0
    more: bool = False  # whether there are others, which were not counted
    unsure: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)  # true label, label

    def count(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, counted."""
        for item in items:
            item.place = self.images
            self.images += 1
            self.unsure += item.unsure
            if item.label is not None:
                self.labels[item.label] += 1
                if item.comparable and item.true is not None:
                    self.pairs[item.true, item.label] += 1
            yield item

    @property
    def right(self) -> int:
        return sum(count for (true, label), count in self.pairs.items() if true == label)


def collect(records: RecordSet, report: Report) -> Iterator[Item]:
    """All images of a set, in its order; what cannot be read is reported."""
    if isinstance(records.file, RecordFile) and grid_finder.has_grids(records.file):
        yield from _with_grids(records, report)
        return
    stretch: list[Item] = []
    for part in records.parts():
        if part.codec is None:
            report(part.problem)
            continue
        stretch += labelled(records.name, part, part.codec, part.entries or (), report)
        if not part.more:  # the parts of one stretch have numbers that alternate
            yield from sorted(stretch, key=lambda item: item.number)
            stretch = []


def _with_grids(records: RecordSet, report: Report) -> Iterator[Item]:
    for one in grid_finder.images(records.reader, records.file):
        if isinstance(one, Grid):
            for why in one.problems:
                report(f"{records.name}: {why}")
            yield Item(records.name, one.number, one.codec, np.empty((0, 200), np.uint8), one)
        elif one.codec is None:
            report(f"{records.name}: {one.problem}")
        else:
            yield from labelled(records.name, one, one.codec, (), report)


def labelled(name: str, part: Part, codec: Codec, entries: Sequence[Entry | None], report: Report) -> list[Item]:
    """The records of a part, with the labels that their classifier gives."""
    numbers, packed = part.numbers.tolist(), part.records
    made = [Item(name, number, codec, packed[row : row + 1]) for row, number in enumerate(numbers)]
    for item, entry in zip(made, entries, strict=False):
        if entry is not None:
            item.path, item.true = entry.path, entry.label
    if _classifies(codec, name, report):
        scores = codec.classify(packed)
        best, labels = scores.argmax(axis=1).tolist(), codec.labels
        known = set(labels)
        for item, index, probability in zip(made, best, scores.max(axis=1).tolist(), strict=True):
            item.label, item.probability, item.unsure = labels[index], probability, codec.is_unsure(probability)
            item.comparable = item.true in known
    return made


def _classifies(codec: Codec, name: str, report: Report) -> bool:
    """Whether a codec has a classifier; models without one are valid."""
    try:
        _ = codec.head
    except AtlcError as error:
        if codec.model.card.default_head is not None:
            report(f"{name}: {error}; going on without labels")
        return False
    return True


def pick(items: Iterable[Item], sort: Sort, limit: int) -> list[Item]:
    """The first `limit` items in an order.

    order        as in the set
    label        by true label, or by the classifier's; of each, wrong ones first
    probability  wrong ones first, the surest of them at the top; then the others, the least sure at the top
    psnr         the worst first"""
    if sort == "order":
        return list(itertools.islice(items, limit))
    return heapq.nsmallest(limit, items, key=_KEYS[sort])


def _by_label(item: Item) -> tuple[str, bool, float]:
    return (item.true or item.label or "", not item.wrong, _doubt(item))


def _by_probability(item: Item) -> tuple[bool, float]:
    return (not item.wrong, _doubt(item))


def _by_psnr(item: Item) -> tuple[bool, float]:
    return (item.psnr is None, item.psnr or 0.0)


def _doubt(item: Item) -> float:
    """Wrong and sure is worst, and so is right and unsure."""
    return -item.probability if item.wrong else item.probability


_KEYS: dict[str, Callable[[Item], tuple[object, ...]]] = {
    "label": _by_label,
    "probability": _by_probability,
    "psnr": _by_psnr,
}


def measured(items: Iterable[Item], originals: Originals, report: Report, keep: bool) -> Iterator[Item]:
    """The items with the PSNR against their originals. `keep` keeps the originals, too."""
    for batch in _batched(items, AT_ONCE):
        for item, image in zip(batch, _decoded(batch, report), strict=True):
            original = originals(item)
            if original is not None and image is not None and original.shape == image.shape:
                item.psnr = float(metrics.psnr_each(metrics.squared_error(original[None], image[None]))[0])
                item.original = original if keep else None
            yield item


def _batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """As Python 3.12 has it."""
    left = iter(items)
    while batch := tuple(itertools.islice(left, size)):
        yield batch


def decode(items: Iterable[Item], report: Report) -> Iterator[Pixels | None]:
    """The pixels of items, some at a time; None for a grid with too few tiles."""
    for batch in _batched(items, AT_ONCE):
        yield from _decoded(batch, report)


def _decoded(items: Sequence[Item], report: Report) -> list[Pixels | None]:
    made: list[Pixels | None] = [None] * len(items)
    singles: dict[int, list[int]] = {}
    for place, item in enumerate(items):
        if item.grid is None:
            singles.setdefault(item.codec.id, []).append(place)
            continue
        try:
            made[place] = pixels(item.grid)
        except AtlcError as error:
            report(f"{item.file}: {error}")
    for places in singles.values():
        images = items[places[0]].codec.decode(np.concatenate([items[place].packed for place in places]))
        for place, image in zip(places, images, strict=True):
            made[place] = image
    return made
