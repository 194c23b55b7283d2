"""Which picture each record of a set was: read from the list beside an .atlc file, or from the columns of a Parquet
file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from atlcodec import manifest
from atlcodec.arrow import RecordTable
from atlcodec.cli.common import STANDARD
from atlcodec.errors import AtlcError, BadData
from atlcodec.files import RecordFile
from atlcodec.manifest import Entry


class Names:
    """The entries of one set, followed as its records are read: in order, and without keeping them."""

    def __init__(self, source: str, entries: Callable[[], Iterator[Entry]]) -> None:
        self.source = source
        self._entries = entries
        self._left: Iterator[Entry] = iter(())
        self._at: Entry | None = None

    def check(self, file: RecordFile, each: Callable[[Entry], object] = lambda _: None) -> None:
        """Go through all of them before any is used, and show each. Raises `BadData` where one is not in order, or they
        are not as many as the records."""
        count = 0
        for entry in self._entries():
            each(entry)
            count += 1
        if count != len(file) or file.torn:
            held = f"{len(file)} records" + (" and a torn one" if file.torn else "")
            raise BadData(
                f"{self.source}: is of {count} records, but {file.name} holds {held}: they do not belong together"
            )
        self._left = self._entries()

    def __getitem__(self, number: int) -> Entry:
        """The entry of a record, asked for in the order of the records."""
        while self._at is None or self._at.record < number:
            self._at = next(self._left)
        return self._at


def find_names(name: str, file: RecordFile) -> Names | None:
    """What a set says of its records, not yet checked; None where it says nothing."""
    if isinstance(file, RecordTable):
        return Names(name, file.entries) if file.named else None
    if name == STANDARD:
        return None
    beside = manifest.beside(name)
    return Names(str(beside), lambda: manifest.entries(beside)) if is_list(beside) else None


def is_list(path: Path) -> bool:
    """Whether this is meant as a list: another table that happens to lie here is none of ours."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(32).removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].rstrip(b"\r") == manifest.HEADER.encode()
    except OSError:
        return False


def place(folder: str, path: str, *, make: bool = True) -> Path:
    """Where below a folder the decoded picture of a path from a list belongs; the folders on the way are made.

    Nothing below the folder may be a link, which could lead out of it. Raises `AtlcError`."""
    at = Path(folder)
    *above, name = manifest.safe(manifest.written(path)).parts
    for part in above:
        at /= part
        kind = _kind(at)
        if kind is None and not make:
            return at
        if kind is None:
            try:
                at.mkdir()
            except OSError as error:
                raise AtlcError(f"{at}: cannot be made a folder ({error.strerror or error})") from error
        elif kind != stat.S_IFDIR:
            raise AtlcError(
                f"{at}: is a link or a file where a folder is to be; remove it, or decode into another folder"
            )
    at /= name
    if _kind(at) == stat.S_IFLNK:
        raise AtlcError(f"{at}: is a link, which is not followed; remove it, or decode into another folder")
    return at


def _kind(path: Path) -> int | None:
    """What is there, with a junction of Windows taken for the link that it is."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AtlcError(f"{path}: {error.strerror or error}") from error
    if getattr(info, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_REPARSE_POINT:
        return stat.S_IFLNK
    return stat.S_IFMT(info.st_mode)
