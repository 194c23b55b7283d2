"""Images in CSV files, a row each: the form in which Kaggle gives small images, gzip-compressed or not.

    label,pixel0,...,pixel783       emotion,pixels,Usage            no names: 784 values, with a label before or after
    5,0,...,0                       0,"70 80 ... 106",Training      them, or without

A file is read twice, in blocks: once to count its rows, and to see which labels and which numbers it has, and once for
the images. So a file may be larger than the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets import splits
from atlcodec.sets.formats import csv_columns, csv_lines, csv_rows
from atlcodec.sets.formats.csv_columns import Columns
from atlcodec.sets.formats.joined import by_split, rebatched
from atlcodec.sets.formats.label_numbers import LabelNumbers
from atlcodec.sets.formats.parts import Batch, Found, Part, Raw
from atlcodec.sets.image_files import SUFFIXES

USAGES = {"publictest": splits.VALIDATION, "privatetest": splits.TEST}  # as FER2013 calls them
FIRST = 1 << 16  # bytes of a file that are read to see what it is, and again as many if these are too few
MOST_LOOKED_AT = 1 << 20  # of them


class _Place(NamedTuple):
    """Where a block begins: the number of the first row, its line, and its byte."""

    row: int
    line: int
    offset: int


@dataclass(frozen=True)
class _Scanned:
    """What the first reading of a file found: of each row the number of its label and its split, and where blocks
    begin."""

    path: Path
    columns: Columns
    labels: NDArray[np.int32]
    splits: tuple[str, ...]
    split_numbers: NDArray[np.int8] | None  # None if all rows are of the only split
    kind: np.dtype[Any]
    places: tuple[_Place, ...]
    count: int


@dataclass(frozen=True)
class Table:
    """The rows of a file, or those of one split: a `parts.Part`."""

    split: str
    labels: NDArray[np.int64] | None
    scanned: _Scanned
    rows: NDArray[np.int64] | None  # the numbers of its rows; None if it has all

    @property
    def path(self) -> Path:
        return self.scanned.path

    def __len__(self) -> int:
        return self.scanned.count if self.rows is None else len(self.rows)

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        """The images from number `start` on, (up to `size`, rows, columns) or with 3 colours, at a time. Raises
        `BadData` if the file has changed."""
        return rebatched(self._chunks(start), size)

    def _chunks(self, start: int) -> Iterator[Batch]:
        scanned, columns = self.scanned, self.scanned.columns
        if start >= len(self):
            return
        first = start if self.rows is None else int(self.rows[start])
        place = next(place for place in reversed(scanned.places) if place.row <= first)
        row = place.row
        with csv_lines.opened(self.path) as file:
            for block in csv_lines.blocks(file, self.path, place.line, place.offset):
                values = csv_rows.of(block, columns, f"{self.path}").values
                if KINDS.index(scanned.kind) < csv_rows.kind_of(values) or row + len(values) > scanned.count:
                    raise BadData(f"{self.path}: changed while it was read; begin again")
                begin, row = row, row + len(values)
                wanted = self._wanted(max(begin, first), row)
                images = values[wanted - begin].astype(scanned.kind).reshape(-1, *columns.shape)
                yield cast(Sequence[Raw], images)
        if row != scanned.count:
            raise BadData(f"{self.path}: changed while it was read; begin again")

    def _wanted(self, begin: int, end: int) -> NDArray[np.int64]:
        """The numbers of the rows of this part, of those from `begin` to `end`."""
        if self.rows is None:
            return np.arange(begin, end)
        return self.rows[slice(*np.searchsorted(self.rows, (begin, end)))]


KINDS = csv_rows.KINDS


def find(path: Path) -> Found | None:
    """The images in a CSV file, or in those of a folder: `train.csv`, `test.csv`. None if it is something else.

    Raises `BadData` for a table of something else, if you name the file, and for one that is damaged."""
    if path.is_dir():
        return _of_folder(path)
    columns = _look(path)
    if columns is None:
        return None
    if isinstance(columns, str):
        raise BadData(f"{path}: {columns}")
    return _found([(path, columns)])


def _look(path: Path) -> Columns | str | None:
    """As `csv_columns.of`, from the beginning of a file. Raises `BadData`."""
    if not path.is_file():
        return None
    try:
        with csv_lines.opened(path) as file:
            if b"\0" in file.read(512):
                return None
            text = b""
            for block in csv_lines.blocks(file, path, step=FIRST):
                text += block.text
                if text.count(b"\n") > csv_columns.LOOKED_AT or (len(text) > MOST_LOOKED_AT and text.count(b"\n") > 2):
                    break
    except BadData:
        if _is_text(path):
            raise
        return None  # a compressed file of another kind, or a line without an end that is not text
    columns = csv_columns.of(text) if text else None
    return _settled(path, columns) if isinstance(columns, Columns) else columns


def _settled(path: Path, columns: Columns) -> Columns:
    """Without names, the label is in the first column. It is in the last one if only that varies: the first column and
    the one before the last are corners of the images then, the same in all rows."""
    if columns.header or columns.label != 0:
        return columns
    delimiter = columns.delimiter.encode()
    corners: tuple[set[bytes], set[bytes]] = set(), set()
    last = set[bytes]()
    with csv_lines.opened(path) as file:
        for block in csv_lines.blocks(file, path):
            for line in filter(None, block.text.split(b"\n")):
                corners[0].add(line.partition(delimiter)[0])
                _, *two = line.rsplit(delimiter, 2)
                corners[1].update(two[:1])
                if len(corners[0]) > 1 or len(corners[1]) > 1:
                    return columns
                last.update(two[1:])
    pixels = tuple(range(columns.width - 1))
    return replace(columns, pixels=pixels, label=columns.width - 1) if len(last) > 1 else columns


def _is_text(path: Path) -> bool:
    """Whether a file begins like a table. False if it cannot be read."""
    try:
        with csv_lines.opened(path) as file:
            begin = file.read(512).decode("utf-8", "ignore")
    except BadData:
        return False
    return any(character in begin for character in ",;\t") and begin.replace("\t", " ").replace("\r", "").isprintable()


def _of_folder(folder: Path) -> Found | None:
    """The tables in a folder; without any, those in the folders below it."""
    for files in (_files(folder), [file for below in _folders(folder) for file in _files(below)]):
        found: list[tuple[Path, Columns]] = []
        for path in files:
            try:
                columns = _look(path)
            except BadData:  # a line without an end, or a damaged file of something else
                continue
            if isinstance(columns, Columns):
                found.append((path, columns))
        if found:
            return _found(_of_one_set(folder, found))
    return None


def _files(folder: Path) -> list[Path]:
    """The files in a folder that may be tables, sorted. Those that are named as images are not opened."""
    names = [entry.name for entry in _entries(folder) if entry.is_file()]
    taken = {*names}
    return [
        folder / name
        for name in sorted(names)
        if os.path.splitext(name)[1].lower() not in SUFFIXES
        and not (name.lower().endswith(".gz") and name[:-3] in taken)  # the same one, compressed
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted(folder / entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, without hidden files; nothing, if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.name[0] != "."]
    except OSError:
        return []


def _of_one_set(folder: Path, found: list[tuple[Path, Columns]]) -> list[tuple[Path, Columns]]:
    """The same tables. Raises `BadData` if two of the same split have names of different sets."""
    seen: dict[str, Path] = {}
    for path, _ in found:
        split = splits.found_in(path.name)
        first = seen.setdefault(split, path)
        if _set_name(first) != _set_name(path):
            names = " and ".join(each.relative_to(folder).as_posix() for each in (first, path))
            raise BadData(f"{folder}: has tables of several sets ({names}); name one of them")
    return found


def _set_name(path: Path) -> list[str]:
    """The words in the name of a file that are not of a split, without numbers."""
    words = (word.strip("0123456789") for word in splits.words(path.name))
    return [word for word in words if word and not splits.split_of(word)]


def _found(tables: list[tuple[Path, Columns]]) -> Found:
    numbers = LabelNumbers()
    scanned = [_scan(path, columns, numbers) for path, columns in tables]
    parts: list[Part] = []
    for one in scanned:
        labels = numbers.final(one.labels, f"{one.path}") if len(one.labels) else None
        for number, split in enumerate(one.splits):
            rows = None if one.split_numbers is None else np.flatnonzero(one.split_numbers == number)
            own = labels if labels is None or rows is None else labels[rows]
            parts.append(Table(split, None if own is None or (own < 0).all() else own, one, rows))
    left_out = dict.fromkeys(name for one in scanned for name in one.columns.left_out)
    used = tuple(path for path, _ in tables)
    return Found(by_split(parts), numbers.classes, left_out=tuple(left_out), files=used)


def _scan(path: Path, columns: Columns, numbers: LabelNumbers) -> _Scanned:
    """Read a file for the first time. Raises `BadData` for a wrong row."""
    labels, usages, places = list[NDArray[np.int32]](), list[NDArray[np.int8]](), list[_Place]()
    splits_found: dict[str, int] = {}
    count = kind = 0
    with csv_lines.opened(path) as file:
        for block in csv_lines.blocks(file, path):
            rows = csv_rows.of(block, columns, f"{path}")
            places.append(_Place(count, block.line, block.offset))
            count += len(rows.values)
            kind = max(kind, csv_rows.kind_of(rows.values))
            if columns.label is not None:
                labels.append(numbers.add(rows.labels, f"{path}"))
            if columns.usage is not None:
                found = [splits_found.setdefault(_split(usage), len(splits_found)) for usage in rows.usages]
                usages.append(np.array(found, np.int8))
    if not count:
        raise BadData(f"{path}: has names of columns, but no rows below them")
    return _Scanned(
        path,
        columns,
        np.concatenate(labels) if labels else np.empty(0, np.int32),
        tuple(splits_found) or (splits.found_in(path.name),),
        np.concatenate(usages) if usages else None,
        csv_rows.KINDS[kind],
        tuple(places),
        count,
    )


def _split(usage: str) -> str:
    """The split that the column Usage names."""
    word = usage.strip().lower()
    return USAGES.get(word) or splits.split_of(word)
