"""The list beside a record file: the path and the label of the image in each record. `set.csv` beside `set.atlc`.

    record,path,label
    0,cat/felix.png,cat         records are counted from 0; a path is relative, with / between its folders;
    1,train/00017.png,          an unknown label is empty

If the records are of several models, a column `model` names that of each. It is for people: the seal of a record says
which codec wrote it. If images are cut into tiles, a column `records` says how many records each image has; `record` is
then the number of its first one.

What spreadsheets make of such a list is read, too: semicolons or tabs between the columns, quotes around them, a byte
order mark, and columns that you added.

A list may come from a stranger, and its paths say where files are written. So every line is checked when it is read:
there is one for each record, in order, and its path is safe (`paths`)."""

from __future__ import annotations

import csv
import io
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from atlcodec import atomic
from atlcodec.errors import AtlcError, BadData, MissingFile
from atlcodec.sets.paths import CONTROL, OutputPaths, why_unsafe

HEADER = "record,path,label"
HEADERS = HEADER, f"{HEADER},model", f"{HEADER},records", f"{HEADER},model,records"
LONGEST_LINE = 16_384  # bytes: reading a line without an end stops here
LONGEST_LABEL = 1024  # characters
BOM = b"\xef\xbb\xbf"  # the byte order mark that spreadsheets write first


@dataclass(frozen=True, slots=True)
class Entry:
    """One image: the number of its record, or of the first of its `records`; its path in its folder, and its label if
    that is known."""

    record: int
    path: str
    label: str | None
    records: int = 1


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the list of a record file lies: `set.csv` for `set.atlc`, `set.bin.csv` for a file with another ending."""
    file = Path(path)
    return file.with_suffix(".csv") if file.suffix.lower() == ".atlc" else file.with_name(file.name + ".csv")


class _Dialect(NamedTuple):
    """How a list is written: what divides its columns, how many there are, and which are those of `HEADERS`."""

    delimiter: str
    width: int
    record: int
    path: int
    label: int
    model: int | None
    records: int | None


def header(*, models: bool = False, records: bool = False) -> str:
    """The first line of a list, without or with these columns."""
    return HEADERS[models + 2 * records]


def _dialect(line: str) -> _Dialect | None:
    """That of a list with this first line; None if it is not a list."""
    for delimiter in ",;\t":
        names = [name.strip().strip('"').strip().lower() for name in line.split(delimiter)]
        if len(names) >= 3 and all(names.count(name) == 1 for name in HEADER.split(",")):
            model, records = (names.index(name) if name in names else None for name in ("model", "records"))
            record, path, label = (names.index(name) for name in HEADER.split(","))
            return _Dialect(delimiter, len(names), record, path, label, model, records)
    return None


def _first_line(path: Path) -> str:
    """Raises `OSError`."""
    with path.open("rb") as file:
        return file.readline(LONGEST_LINE).removeprefix(BOM).decode("latin-1").rstrip("\r\n")


def is_list(path: Path) -> bool:
    """Whether a file is the list of a record file, by its first line. False for an unrelated CSV file."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and _dialect(_first_line(path)) is not None
    except OSError:
        return False


def why_unused(path: Path) -> str:
    """Why a file that lies where a list would is not used; "" if there is no such file, or if it is a list."""
    if not path.is_file() or is_list(path):
        return ""
    try:
        first = _first_line(path)
    except OSError as error:
        return f"{path}: is not used ({error.strerror or error})"
    if first.encode("latin-1")[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return f"{path}: is not used, for it is UTF-16 text; save it as CSV in UTF-8"
    return f"{path}: is not used, for its first line is not {HEADER}"


def is_plain(path: Path) -> bool:
    """Whether a list is written as `append` writes lines, so that these can be added to it."""
    return _first_line(path) in HEADERS


def refuse_foreign(path: Path) -> None:
    """Raise `AtlcError` if a file is not a list, so that replacing it is a mistake."""
    if path.is_file() and not is_list(path):
        raise AtlcError(f"{path}: is not a list of atlc; choose another -o")


# -- writing -----------------------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], entries: Iterable[Entry]) -> None:
    """Write a list, whole or not at all. Raises `BadData` for entries that `read` would refuse."""
    with replacing(path, entries):
        pass


@contextmanager
def replacing(path: str | os.PathLike[str], entries: Iterable[Entry], *, records: bool = False) -> Iterator[None]:
    """The same, with a block that runs when the list is written, but before it is in its place; an error there leaves
    the old list, or none. `records` is that of `append`."""
    check = Check(f"{path}")
    with atomic.file(path) as raw:
        file = io.TextIOWrapper(raw, "utf-8", newline="")
        file.write(header(records=records) + "\n")
        append(file, map(check.accept, entries), records=records)
        file.detach()
        raw.flush()
        yield


def append(
    file: TextIO, entries: Iterable[Entry], models: Iterable[str] | None = None, *, records: bool = False
) -> None:
    """Add lines to an open list, with the names of their models and how many `records` they have, if it has these
    columns. A `Check` must have accepted the entries."""
    named = ((entry, ()) for entry in entries) if models is None else zip(entries, zip(models), strict=True)
    csv.writer(file, lineterminator="\n").writerows(
        (entry.record, entry.path, entry.label or "", *model, *([entry.records] if records else []))
        for entry, model in named
    )
    file.flush()


# -- reading -----------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> list[Entry]:
    """A whole list, checked. Raises what `entries` raises."""
    return list(entries(path))


def entries(path: str | os.PathLike[str], check: Check | None = None) -> Iterator[Entry]:
    """A list line by line, each checked, in bounded memory. `check` is a new `Check`, if you need its paths later.

    Raises `BadData` with the number of the wrong line, or `FileNotFoundError`."""
    check = check or Check(f"{path}")
    number, dialect = 0, None
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                line = raw.removeprefix(BOM if number == 1 else b"").decode()
                if dialect is None:
                    dialect = _dialect(line.rstrip("\r\n"))
                    if dialect is None:
                        raise BadData(f"{path}: line 1: is not {HEADER}, so this is not the list of a record file")
                else:
                    yield check.accept(_entry(line, path, number, dialect), number)
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: line {number}: not UTF-8 text") from error
    except FileNotFoundError as error:
        raise MissingFile(path) from error
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}") from error
    if not number:
        raise BadData(f"{path}: is empty; the first line must be {HEADER}")


def has_models(path: Path) -> bool:
    """Whether a list has the column of models."""
    dialect = _dialect(_first_line(path))
    return dialect is not None and dialect.model is not None


def has_tiles(path: Path) -> bool:
    """Whether a list has the column `records`, so that its images may have several."""
    dialect = _dialect(_first_line(path))
    return dialect is not None and dialect.records is not None


def length(path: str | os.PathLike[str]) -> int | None:
    """How many records a list has, by its first and its last line: this does not read the others. None if these are
    not lines of a list."""
    try:
        dialect = _dialect(_first_line(Path(path)))
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_LINE))
            last = file.read().rstrip(b"\r\n").rpartition(b"\n")[2].removeprefix(BOM).decode("latin-1")
    except OSError:
        return None
    if dialect is None:
        return None
    if _dialect(last.rstrip("\r")):
        return 0
    try:
        columns = _columns(last, dialect)
        number, count = columns[dialect.record], "1" if dialect.records is None else columns[dialect.records]
    except (csv.Error, IndexError):
        return None
    return int(number) + int(count) if _is_number(number) and _is_number(count) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _columns(line: str, dialect: _Dialect) -> list[str]:
    """Line by line, so that a quoted column cannot swallow the whole file. Raises `csv.Error`."""
    if '"' not in line:
        return line.rstrip("\r\n").split(dialect.delimiter)
    (columns,) = csv.reader([line], strict=True, delimiter=dialect.delimiter)
    return columns


def _entry(line: str, path: str | os.PathLike[str], number: int, dialect: _Dialect) -> Entry:
    if not line.endswith("\n") and len(line.encode()) >= LONGEST_LINE:
        raise BadData(f"{path}: line {number}: is longer than {LONGEST_LINE} bytes")
    try:
        columns = _columns(line, dialect)
    except (csv.Error, ValueError) as error:
        raise BadData(f"{path}: line {number}: is not a line of CSV ({error})") from error
    whole = len(columns) == dialect.width
    record = columns[dialect.record] if whole else ""
    records = columns[dialect.records] if whole and dialect.records is not None else "1"
    if not _is_number(record) or not _is_number(records) or not int(records):
        needed = header(models=dialect.model is not None, records=dialect.records is not None)
        raise BadData(f"{path}: line {number}: must contain the record's number, its path and its label: {needed}")
    return Entry(int(record), columns[dialect.path], columns[dialect.label] or None, int(records))


# -- checking ----------------------------------------------------------------------------------------------------------


class Check:
    """Checks the entries of one list, named `name`, as they come."""

    def __init__(self, name: str) -> None:
        self.paths = OutputPaths()
        self.records = 0  # of the entries that were accepted
        self._name = name

    def accept(self, entry: Entry, line: int = 0) -> Entry:
        """The entry, if it is the next one, its path is safe and new, and its label is valid. Raises `BadData`."""
        count = len(self.paths)
        if entry.record != self.records:
            raise self._wrong(line, f"record {entry.record}, expected {self.records}")
        why = why_unsafe(entry.path)
        if why:
            raise self._wrong(line, f"the path {entry.path[:100]!a} {why}")
        if entry.label is not None and not is_label(entry.label):
            raise self._wrong(line, f"{entry.label[:100]!a} is not a label: too long, or with control characters")
        first = self.paths.add(entry.path)
        if first is not None:
            which = "records" if self.records == count else "images"
            raise BadData(f"{self._name}: {which} {first} and {count} have the same path")
        self.records += entry.records
        return entry

    def _wrong(self, line: int, what: str) -> BadData:
        return BadData(f"{self._name}: {f'line {line}' if line else f'record {self.records}'}: {what}")


def counted(number: int, noun: str = "record") -> str:
    """The number with its noun: "1 record", "2 records"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_label(label: str) -> bool:
    """Whether a text can be a label in a list."""
    if not 0 < len(label) <= LONGEST_LABEL:
        return False
    return label.isprintable() or not any(unicodedata.category(c) in CONTROL for c in label)
