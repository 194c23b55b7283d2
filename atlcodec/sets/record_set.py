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

from atlcodec import files
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData
from atlcodec.files import RecordSource
from atlcodec.reader import Part, Reader
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest
from atlcodec.sets.manifest import Entry


@dataclass(frozen=True)
class SetPart(Part):
    """Records of one codec with their entries, or a `problem`: see `reader.Part`."""

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
            count += 1
        self._check_length(count)

    def lookup(self, numbers: set[int]) -> dict[int, Entry]:
        """The entries of the records with these numbers. Raises `BadData` if the list is invalid."""
        return {entry.record: entry for entry in self.entries() if entry.record in numbers}

    def __iter__(self) -> Iterator[SetPart]:
        return self.parts()

    def parts(self, *, entries: bool = True) -> Iterator[SetPart]:
        """All parts of the set. `entries=False` does not read the list."""
        left, why = self._first_entries() if entries else (None, "")
        if why:
            yield _problem(why)
        window: dict[int, Entry] = {}  # entries that were read and may still be needed
        for part in self.reader.parts(self.file):
            found: list[Entry] | None = None
            if left is not None and part.codec is not None and part.in_step:
                try:
                    found = _follow(left, window, part.numbers)
                except AtlcError as error:
                    yield _problem(_without(error))
                    left = None
                if not part.more:
                    window.clear()
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
    why = manifest.why_unused(beside) or manifest.why_half(Path(name))
    if why or not manifest.is_list(beside):
        return RecordSet(file, reader, note=why)
    return RecordSet(
        file, reader, RecordList(f"{beside}", lambda: manifest.entries(beside), lambda: manifest.length(beside))
    )


def _follow(entries: Iterator[Entry], window: dict[int, Entry], numbers: NDArray[np.int64]) -> list[Entry]:
    """The entries of records with ascending numbers. `window` keeps those that were read and not yet used."""
    last = int(numbers[-1])
    while last not in window:
        entry = next(entries, None)
        if entry is None:
            raise BadData("the list became shorter while it was read")
        if entry.record > last - files.BATCH:  # no part of this stretch needs earlier ones
            window[entry.record] = entry
    return [window[number] for number in numbers.tolist()]


def _without(error: AtlcError) -> str:
    return f"{error}; going on without paths"


def _problem(why: str) -> SetPart:
    return SetPart(np.empty(0, np.int64), np.empty((0, RECORD_BYTES), np.uint8), None, why)
