"""The list beside a record file: which picture each record was, and its label. `set.csv` beside `set.atlc`.

    record,path,label
    0,cat/felix.png,cat         records are counted from 0; a path is relative, its folders divided by /;
    1,train/00017.png,          a label that is not known is left empty

A list may come from a stranger, and its paths say where files are written. So all that is read here has been checked:
one line for each record, and no path that leads out of its folder, that another system would take for something else,
or that would overwrite what another record wrote."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np

from atlcodec import atomic
from atlcodec.errors import BadData

HEADER = "record,path,label"
LONGEST_LINE = 16_384  # bytes: a line without an end stops here
LONGEST_PATH = 1024  # bytes, and what each name in it may have: what file systems take
LONGEST_NAME = 250
LONGEST_LABEL = 1024  # characters


@dataclass(frozen=True, slots=True)
class Entry:
    """One record's picture: the record's number, the picture's path in the folder it came from, and its label if that
    is known."""

    record: int
    path: str
    label: str | None


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the list of a record file lies: `set.csv` for `set.atlc`, `set.bin.csv` for a file of another name."""
    file = Path(path)
    return file.with_suffix(".csv") if file.suffix.lower() == ".atlc" else file.with_name(file.name + ".csv")


# -- reading and writing -----------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], entries: Iterable[Entry]) -> None:
    """Write a list, whole or not at all. Raises `BadData` for what `read` would refuse."""
    check = Check(f"{path}")
    with atomic.file(path) as raw:
        file = io.TextIOWrapper(raw, "utf-8", newline="")
        file.write(HEADER + "\n")
        append(file, map(check.passed, entries))
        file.detach()
        check.finish()


def append(file: TextIO, entries: Iterable[Entry]) -> None:
    """Add lines to an open list, as they are: a `Check` has seen them."""
    csv.writer(file, lineterminator="\n").writerows((entry.record, entry.path, entry.label or "") for entry in entries)
    file.flush()


def read(path: str | os.PathLike[str]) -> list[Entry]:
    """A whole list, checked. Raises `BadData` with the number of the line that is wrong."""
    return list(entries(path))


def entries(path: str | os.PathLike[str]) -> Iterator[Entry]:
    """A list line by line, in bounded memory. Whether paths repeat is known only at its end.

    Raises `BadData` with the number of the line that is wrong."""
    check = Check(f"{path}")
    number = 0
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                line = raw.decode(
                    "utf-8-sig" if number == 1 else "utf-8"
                )  # spreadsheets put a byte order mark before it
                if number > 1:
                    yield check.passed(_entry(line, path, number), number)
                elif line.rstrip("\r\n") != HEADER:
                    raise BadData(f"{path}: line 1: is not {HEADER}, so this is not the list of a record file")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: line {number}: not UTF-8 text") from error
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}") from error
    if not number:
        raise BadData(f"{path}: line 1: is missing; it must be {HEADER}")
    check.finish()


def _entry(line: str, path: str | os.PathLike[str], number: int) -> Entry:
    if not line.endswith("\n") and len(line.encode()) >= LONGEST_LINE:
        raise BadData(f"{path}: line {number}: is longer than {LONGEST_LINE} bytes")
    if '"' in line:
        try:
            (fields,) = csv.reader(
                [line], strict=True
            )  # a line at a time: a quoted field cannot swallow the rest of the file
        except (csv.Error, ValueError) as error:
            raise BadData(f"{path}: line {number}: is not a line of CSV ({error})") from error
    else:
        fields = line.rstrip("\r\n").split(",")
    if len(fields) != 3 or not (fields[0].isascii() and fields[0].isdecimal()) or len(fields[0]) > 18:
        raise BadData(f"{path}: line {number}: must hold a record's number, its path and its label: {HEADER}")
    return Entry(int(fields[0]), fields[1], fields[2] or None)


# -- checking ----------------------------------------------------------------------------------------------------------


def safe(path: str) -> PurePosixPath:
    """A path from a list, as one below the folder where the picture is to be written. Raises `BadData` for any that is
    not safe."""
    why = refusal(path)
    if why:
        raise BadData(f"{path[:100]!a} {why}")
    return PurePosixPath(path)


def written(path: str) -> str:
    """The path to which a decoded picture is written: its own if that ends in .png, since it is a PNG, and else with
    .png added."""
    return path if path[-4:].lower() == ".png" else path + ".png"


def same(path: str) -> str:
    """What is equal for paths that some file system takes for the same one: letters' case and the way of accents put
    aside."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class Places:
    """Where the pictures of a list would be written, in 16 bytes each: a million paths need not be kept to see which
    ones clash."""

    def __init__(self) -> None:
        # Python's hash of text is keyed anew for each process, so that no one can make paths that only seem to clash.
        self._files = array("q")
        self._folders, self._owners = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._files)

    def add(self, path: str) -> None:
        key = same(written(path))
        at = key.find(".png/")
        while at >= 0:  # a folder with the name of a picture
            self._folders.append(hash(key[: at + 4]))
            self._owners.append(len(self))
            at = key.find(".png/", at + 1)
        self._files.append(hash(key))

    def clashes(self) -> list[tuple[int, int]]:
        """Pairs of paths, by number, of which on some system only one can be written: the same but for case, or one is
        a folder of the other. The second of a pair is the later one; sorted by it."""
        files, folders, owners = (np.frombuffer(part, np.int64) for part in (self._files, self._folders, self._owners))
        order = np.argsort(files, kind="stable")
        values = files[order]
        starts = np.nonzero(np.diff(values, prepend=~values[:1]))[0]
        first = order[np.repeat(starts, np.diff(starts, append=len(files)))]
        again = np.stack([first, order])[:, first != order]
        within = np.nonzero(np.isin(files, folders))[0]
        by_folder = np.argsort(folders, kind="stable")
        owner = owners[by_folder[np.searchsorted(folders, files[within], sorter=by_folder)]]
        pairs = np.concatenate([again, np.sort([within, owner], axis=0)], axis=1)
        return [(first, second) for second, first in sorted(zip(pairs[1].tolist(), pairs[0].tolist(), strict=True))]


class Check:
    """Goes through the entries of one list as they come; `finish` tells whether two of them would be written to the
    same file."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self.places = Places()
        self._name = name

    def passed(self, entry: Entry, line: int = 0) -> Entry:
        """The entry, if it is the next one and its path and label may be in a list. Raises `BadData`."""
        if entry.record != self.count:
            raise self._wrong(line, f"is of record {entry.record}, where {self.count} comes next")
        why = refusal(entry.path)
        if why:
            raise self._wrong(line, f"the path {entry.path[:100]!a} {why}")
        if entry.label is not None and not is_label(entry.label):
            raise self._wrong(line, f"{entry.label[:100]!a} is no label: too long, or with control characters")
        self.places.add(entry.path)
        self.count += 1
        return entry

    def finish(self) -> None:
        """Raise `BadData` if two of the entries would be written to the same file, on whatever system."""
        for first, second in self.places.clashes():
            raise BadData(
                f"{self._name}: records {first} and {second} cannot both be written: their paths are the same (but "
                "for case), or "
                "one is a folder of the other"
            )

    def _wrong(self, line: int, what: str) -> BadData:
        return BadData(f"{self._name}: {f'line {line}' if line else f'record {self.count}'}: {what}")


_PLAIN = re.compile(
    r"[A-Za-z0-9_-]+(?:[./ ][A-Za-z0-9_-]+)*"
)  # most paths: names that need no closer look but for the next line
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:[.:/]|$)", re.IGNORECASE)
_TURNING = frozenset(
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # make a name look like another


def refusal(path: str) -> str:
    """Why a path may not be in a list; nothing if it may."""
    if len(path) > LONGEST_PATH:
        return "is too long"
    if _DEVICE.search(path):
        return "holds a name that Windows keeps for a device"
    if len(path) <= LONGEST_NAME and _PLAIN.fullmatch(path):
        return ""
    if not path:
        return "is empty"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _TURNING for c in path):
        return "holds control characters, or is not Unicode"
    if "\\" in path or ":" in path:
        return "holds a backslash or a colon, which divide paths and name drives on Windows"
    if path.startswith("/"):
        return "is absolute"
    names = path.split("/")
    if ".." in names:
        return "leads out of the folder"
    if "" in names or "." in names:
        return "holds an empty name or a dot alone"
    if any(name[-1] in ". " or name[0] == " " for name in names):
        return "holds a name that ends in a dot or a space, which Windows drops"
    if len(path.encode()) > LONGEST_PATH or any(len(name.encode()) > LONGEST_NAME for name in names):
        return "is too long"
    return ""


def is_label(label: str) -> bool:
    if not 0 < len(label) <= LONGEST_LABEL:
        return False
    return label.isprintable() or not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in label)
