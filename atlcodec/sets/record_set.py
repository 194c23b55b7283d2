"""A record set: the records of a file, each with the codec that reads it and its entry in the list of paths and labels.

    for part in sets.open("set.atlc"):
        if part.codec is None:
            print(part.problem)                     # damaged bytes, or a list that does not fit
        else:
            images = part.codec.decode(part.records)
            paths = [entry.path for entry in part.entries or ()]

The list lies beside an .atlc file (`manifest`), or in the columns of a Parquet file (`parquet`)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import files, grid_finder
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.files import RecordSource
from atlcodec.grid_file import Grid
from atlcodec.reader import Part, Reader
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest
from atlcodec.sets.half_replaced import why_half
from atlcodec.sets.manifest import Entry


@dataclass(frozen=True)
class SetPart(Part):
    """Records of one codec with their entries, or a `problem`: see `reader.Part`. A tile has the entry of its image."""

    entries: list[Entry] | None = None  # one for each record; None without a list, or if the numbers are a guess


class Row(NamedTuple):
    """One record, and what a function made of it."""

    number: int
    codec: Codec
    value: NDArray[Any]
    entry: Entry | None


@dataclass(frozen=True)
class RecordList:
    """The list of a record set, not yet read."""

    name: str
    entries: Callable[[], Iterator[Entry]]  # checked one by one, from the first on
    length: Callable[[], int | None]  # how many there are, as far as that is cheap to know


class RecordSet:
    """A file of records and its list. Iterate to get it in parts (`SetPart`), in bounded memory, as often as you like.

    Iteration reads records and list once, side by side. A list that does not fit the records is a problem; the records
    then come without entries."""

    def __init__(self, file: RecordSource, reader: Reader, listed: RecordList | None = None, *, note: str = "") -> None:
        self.file, self.reader = file, reader
        self.note = note  # why a file that lies where the list would is not used
        self.name = file.name
        self._list = listed

    def __repr__(self) -> str:
        listed = f", list {self._list.name}" if self._list else ", no list"
        return f"<RecordSet {self.name}: {len(self)} records{listed}>"

    @property
    def paths(self) -> list[str]:
        """The paths of all images, from the list; empty without one. Raises `BadData`."""
        return [entry.path for entry in self.entries()]

    @property
    def labels(self) -> list[str | None]:
        """The labels of all images, from the list; empty without one. Raises `BadData`."""
        return [entry.label for entry in self.entries()]

    def __len__(self) -> int:
        """How many records there are, damaged ones included."""
        return len(self.file)

    @property
    def has_list(self) -> bool:
        """Whether there is a list of paths and labels."""
        return self._list is not None

    def entries(self) -> Iterator[Entry]:
        """All entries of the list, checked. Raises `BadData`, at the latest after the last one."""
        if self._list is None:
            return
        count = 0
        for entry in self._list.entries():
            yield entry
            count += entry.records
        self._check_length(count)

    def lookup(self, numbers: set[int]) -> dict[int, Entry]:
        """The entries of the records with these numbers. Raises `BadData` if the list is invalid."""
        left, found = sorted(numbers, reverse=True), dict[int, Entry]()
        for entry in self.entries():
            while left and left[-1] < entry.record + entry.records:
                found[left.pop()] = entry
        return found

    @property
    def has_grids(self) -> bool:
        """Whether it holds images in tiles; of a stream, that is not known."""
        may = isinstance(self.file, files.RecordFile) or getattr(self.file, "in_tiles", False)
        return may and grid_finder.has_grids(self.file)

    def images(self) -> Iterator[tuple[Grid | Part, list[Entry] | None]]:
        """What `grid_finder.images` finds: images in tiles, records that are images by themselves, and problems; and
        their entries, one for each image."""
        left, why = self._first_entries()
        if why:
            yield _problem(why), None
        window = list[Entry]()
        for one in grid_finder.images(self.reader, self.file):
            numbers = np.array([one.number]) if isinstance(one, Grid) else one.numbers
            found: list[Entry] | None = None
            if left is not None and len(numbers):
                try:
                    found = _follow(left, window, numbers)
                except AtlcError as error:
                    yield _problem(_without(error)), None
                    left = None
                if isinstance(one, Part) and not one.more:
                    _forget(window, int(numbers[-1]))
            yield one, found

    def __iter__(self) -> Iterator[SetPart]:
        return self.parts()

    def parts(self, *, entries: bool = True) -> Iterator[SetPart]:
        """All parts of the set. `entries=False` does not read the list."""
        left, why = self._first_entries() if entries else (None, "")
        if why:
            yield _problem(why)
        window = list[Entry]()  # entries that were read and may still be needed
        for part in self.reader.parts(self.file):
            found: list[Entry] | None = None
            if left is not None and part.codec is not None and part.in_step:
                try:
                    found = _follow(left, window, part.numbers)
                except AtlcError as error:
                    yield _problem(_without(error))
                    left = None
                if not part.more:
                    _forget(window, int(part.numbers[-1]))
            problem = f"{self.name}: {part.problem}" if part.problem else ""
            yield SetPart(part.numbers, part.records, part.codec, problem, part.more, part.in_step, found)

    def map(
        self, function: Callable[[Codec, Records], NDArray[Any]], *, entries: bool = True
    ) -> Iterator[tuple[list[Row], str]]:
        """`function` of the records of each codec: rows in the order of the records, or the text of a problem. If
        `function` raises an `AtlcError`, that is a problem of these records alone."""
        rows: list[Row] = []
        for part in self.parts(entries=entries):
            if part.codec is None:
                yield [], part.problem
                continue
            count = len(part.records)
            try:
                values = function(part.codec, part.records)
                found: Sequence[Entry | None] = part.entries or [None] * count
                rows += itertools.starmap(
                    Row, zip(part.numbers.tolist(), [part.codec] * count, values, found, strict=True)
                )
            except AtlcError as error:
                yield [], f"{self.name}: {count} record{'s' if count > 1 else ''} of {part.codec.name}: {error}"
            if not part.more:  # the parts of one stretch have numbers that alternate
                yield sorted(rows, key=lambda row: row.number), ""
                rows = []

    def _first_entries(self) -> tuple[Iterator[Entry] | None, str]:
        """The entries from the first on, and what is wrong with the list, as far as that is cheap to know."""
        if self._list is None:
            return None, ""
        try:
            length = self._list.length()
            if length is None:
                for _ in self.entries():  # says which line is wrong
                    pass
            else:
                self._check_length(length)
        except AtlcError as error:
            return None, _without(error)
        return self._list.entries(), ""

    def _check_length(self, length: int) -> None:
        if self._list is not None and (length != len(self.file) or self.file.torn):
            has = f"{len(self.file)}" + (" and a torn one" if length == len(self.file) else "")
            raise BadData(
                f"{self._list.name}: lists {manifest.counted(length)}, but {self.name} has {has}: the file was cut or "
                "replaced; to decode without paths, rename the list"
            )


def open(
    path: str | os.PathLike[str], model: str | os.PathLike[str] | None = None, head: str | None = None
) -> RecordSet:
    """The records of an .atlc or Parquet file, or of a folder of Parquet files, with their paths and labels if there is
    a list. `model` reads only the records of that model; `head` names the classifier.

    Raises `FileNotFoundError`, `NotARecord`, `UnknownModel`, `BadModel`."""
    return open_with(Reader(model, head), path)


def open_with(reader: Reader, path: str | os.PathLike[str]) -> RecordSet:
    """As `open`, with a reader for several files."""
    name = os.fspath(path)
    if os.path.isdir(name) or files.is_parquet(name) or name.lower().endswith(".parquet"):
        from atlcodec.sets import parquet_folder

        table = parquet_folder.open(name)
        listed = RecordList(name, table.entries, table.__len__)
        return RecordSet(table, reader, listed if table.has_list else None)
    file, beside = files.open(name), manifest.beside(name)
    why = manifest.why_unused(beside) or why_half(Path(name))
    if why or not manifest.is_list(beside):
        return RecordSet(file, reader, note=why)
    return RecordSet(
        file, reader, RecordList(f"{beside}", lambda: manifest.entries(beside), lambda: manifest.length(beside))
    )


def _follow(entries: Iterator[Entry], window: list[Entry], numbers: NDArray[np.int64]) -> list[Entry]:
    """The entries of records with ascending numbers. `window` keeps those that were read and may be needed again."""
    last = int(numbers[-1])
    while not window or _end(window[-1]) <= last:
        entry = next(entries, None)
        if entry is None:
            raise BadData("the list became shorter while it was read")
        if _end(entry) > last - files.BATCH:  # no part of this stretch needs earlier ones
            window.append(entry)
    begins = np.fromiter((entry.record for entry in window), np.int64, len(window))
    return [window[at] for at in (np.searchsorted(begins, numbers, "right") - 1).tolist()]


def _forget(window: list[Entry], last: int) -> None:
    """Forget the entries of the records up to the `last`. An image in tiles may go on behind it."""
    del window[: next((at for at, entry in enumerate(window) if _end(entry) > last + 1), len(window))]


def _end(entry: Entry) -> int:
    return entry.record + entry.records


def refuse_grids(records: RecordSet, why: str) -> None:
    """Raise `NotARecord` for a set of images in tiles, where each record is taken by itself."""
    if records.has_grids:
        raise NotARecord(f"{records.name}: holds images in tiles (grids); {why}")


def _without(error: AtlcError) -> str:
    return f"{error}; going on without paths"


def _problem(why: str) -> SetPart:
    return SetPart(np.empty(0, np.int64), np.empty((0, RECORD_BYTES), np.uint8), None, why)
