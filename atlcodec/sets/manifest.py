"""The list beside a record file: the path and the label of the image in each record. `set.csv` beside `set.atlc`.

    record,path,label
    0,cat/felix.png,cat         records are counted from 0; a path is relative, with / between its folders;
    1,train/00017.png,          an unknown label is empty

If the records are of several models, a fourth column `model` names that of each. It is for people: the seal of a record
says which codec wrote it.

A list may come from a stranger, and its paths say where files are written. So every line is checked when it is read:
there is one for each record, in order, and its path is safe (`paths`)."""

from __future__ import annotations

import csv
import io
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from atlcodec import atomic
from atlcodec.errors import BadData, MissingFile
from atlcodec.sets.paths import CONTROL, OutputPaths, why_unsafe

HEADER = "record,path,label"
HEADERS = HEADER, f"{HEADER},model"
LONGEST_LINE = 16_384  # bytes: reading a line without an end stops here
LONGEST_LABEL = 1024  # characters
BOM = b"\xef\xbb\xbf"  # the byte order mark that spreadsheets write first


@dataclass(frozen=True, slots=True)
class Entry:
    """One record's image: the number of the record, the image's path in its folder, and its label if it is known."""

    record: int
    path: str
    label: str | None


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the list of a record file lies: `set.csv` for `set.atlc`, `set.bin.csv` for a file with another ending."""
    file = Path(path)
    return file.with_suffix(".csv") if file.suffix.lower() == ".atlc" else file.with_name(file.name + ".csv")


def is_list(path: Path) -> bool:
    """Whether a file is the list of a record file, by its first line. False for an unrelated CSV file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(32).removeprefix(BOM).split(b"\n")[0].rstrip(b"\r").decode("latin-1") in HEADERS
    except OSError:
        return False


# -- writing -----------------------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], entries: Iterable[Entry]) -> None:
    """Write a list, whole or not at all. Raises `BadData` for entries that `read` would refuse."""
    check = Check(f"{path}")
    with atomic.file(path) as raw:
        file = io.TextIOWrapper(raw, "utf-8", newline="")
        file.write(HEADER + "\n")
        append(file, map(check.accept, entries))
        file.detach()


def append(file: TextIO, entries: Iterable[Entry], models: Iterable[str] | None = None) -> None:
    """Add lines to an open list, with the names of their models if it has that column. A `Check` must have accepted the
    entries."""
    lines = ((entry.record, entry.path, entry.label or "") for entry in entries)
    rows = lines if models is None else ((*line, name) for line, name in zip(lines, models, strict=True))
    csv.writer(file, lineterminator="\n").writerows(rows)
    file.flush()


# -- reading -----------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> list[Entry]:
    """A whole list, checked. Raises what `entries` raises."""
    return list(entries(path))


def entries(path: str | os.PathLike[str], check: Check | None = None) -> Iterator[Entry]:
    """A list line by line, each checked, in bounded memory. `check` is a new `Check`, if you need its paths later.

    Raises `BadData` with the number of the wrong line, or `FileNotFoundError`."""
    check = check or Check(f"{path}")
    number = columns = 0
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                line = raw.removeprefix(BOM if number == 1 else b"").decode()
                if number > 1:
                    yield check.accept(_entry(line, path, number, columns), number)
                elif line.rstrip("\r\n") in HEADERS:
                    columns = line.count(",") + 1
                else:
                    raise BadData(f"{path}: line 1: is not {HEADER}, so this is not the list of a record file")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: line {number}: not UTF-8 text") from error
    except FileNotFoundError as error:
        raise MissingFile(path) from error
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}") from error
    if not number:
        raise BadData(f"{path}: is empty; the first line must be {HEADER}")


def has_models(path: str | os.PathLike[str]) -> bool:
    """Whether a list has the column of models."""
    with open(path, "rb") as file:
        return file.readline(LONGEST_LINE).removeprefix(BOM).rstrip(b"\r\n").decode("latin-1") == HEADERS[1]


def length(path: str | os.PathLike[str]) -> int | None:
    """How many records a list has, by its last line alone: this does not read the others. None if that line is not a
    line of a list."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_LINE))
            last = file.read().rstrip(b"\r\n").rpartition(b"\n")[2].removeprefix(BOM)
    except OSError:
        return None
    number = last.partition(b",")[0]
    if last.rstrip(b"\r").decode("latin-1") in HEADERS:
        return 0
    return int(number) + 1 if number.isdigit() and len(number) <= 18 else None


def _entry(line: str, path: str | os.PathLike[str], number: int, columns: int) -> Entry:
    if not line.endswith("\n") and len(line.encode()) >= LONGEST_LINE:
        raise BadData(f"{path}: line {number}: is longer than {LONGEST_LINE} bytes")
    if '"' in line:
        try:
            (fields,) = csv.reader([line], strict=True)  # line by line: a quoted field cannot swallow the whole file
        except (csv.Error, ValueError) as error:
            raise BadData(f"{path}: line {number}: is not a line of CSV ({error})") from error
    else:
        fields = line.rstrip("\r\n").split(",")
    if len(fields) != columns or not (fields[0].isascii() and fields[0].isdecimal()) or len(fields[0]) > 18:
        raise BadData(
            f"{path}: line {number}: must contain the record's number, its path and its label: {HEADERS[columns - 3]}"
        )
    return Entry(int(fields[0]), fields[1], fields[2] or None)


# -- checking ----------------------------------------------------------------------------------------------------------


class Check:
    """Checks the entries of one list, named `name`, as they come."""

    def __init__(self, name: str) -> None:
        self.paths = OutputPaths()
        self._name = name

    def accept(self, entry: Entry, line: int = 0) -> Entry:
        """The entry, if it is the next one, its path is safe and new, and its label is valid. Raises `BadData`."""
        count = len(self.paths)
        if entry.record != count:
            raise self._wrong(line, f"record {entry.record}, expected {count}")
        why = why_unsafe(entry.path)
        if why:
            raise self._wrong(line, f"the path {entry.path[:100]!a} {why}")
        if entry.label is not None and not is_label(entry.label):
            raise self._wrong(line, f"{entry.label[:100]!a} is not a label: too long, or with control characters")
        first = self.paths.add(entry.path)
        if first is not None:
            raise BadData(f"{self._name}: records {first} and {count} have the same path on some systems")
        return entry

    def _wrong(self, line: int, what: str) -> BadData:
        return BadData(f"{self._name}: {f'line {line}' if line else f'record {len(self.paths)}'}: {what}")


def counted(number: int, noun: str = "record") -> str:
    """The number with its noun: "1 record", "2 records"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_label(label: str) -> bool:
    """Whether a text can be a label in a list."""
    if not 0 < len(label) <= LONGEST_LABEL:
        return False
    return label.isprintable() or not any(unicodedata.category(c) in CONTROL for c in label)
