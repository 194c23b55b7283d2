"""Paths from a list: which are safe to write to, where a decoded image goes, and which two cannot both be written.

A list may come from a stranger, and its paths say where files are written. A path must not lead out of its folder. What
only some systems cannot write (a device of Windows, two names that differ in case alone) is allowed in a list, and
replaced on those systems."""

from __future__ import annotations

import os
import re
import stat
import sys
import unicodedata
from pathlib import Path, PurePosixPath

from atlcodec.errors import AtlcError, BadData

LONGEST_PATH = 1024  # bytes, and of each name in it, with .png: the limits of file systems
LONGEST_NAME = 255
CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, surrogates, line and paragraph separators
WINDOWS = sys.platform == "win32"
FOLDS = sys.platform in ("win32", "darwin")  # whether names that differ only in case are one file, as is usual there

_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:[./ :][A-Za-z0-9_-]+)*")  # most paths: they need no further check
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE)
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # disguise a name


def why_unsafe(path: str) -> str:
    """Why a path may not be in a list; "" if it may."""
    if len(path) > LONGEST_PATH:
        return "is too long"
    if len(path) <= LONGEST_NAME - 4 and _PLAIN.fullmatch(path):
        return ""
    if not path:
        return "is empty"
    if any(_hidden(c) for c in path):
        return "contains control characters, or is not Unicode"
    if path.startswith("/"):
        return "is absolute"
    names = path.split("/")
    if ".." in names:
        return "leads out of the folder"
    if "" in names or "." in names:
        return "contains an empty name or a single dot"
    if len(path.encode()) > LONGEST_PATH or any(
        len(name.encode()) > LONGEST_NAME for name in output_path(path).split("/")
    ):
        return "is too long"
    return ""


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in CONTROL or character in _DIRECTION_MARKS


def safe(path: str) -> PurePosixPath:
    """A path from a list, relative to the folder in which the image is written. Raises `BadData` if it is unsafe."""
    why = why_unsafe(path)
    if why:
        raise BadData(f"{path[:100]!a} {why}")
    return PurePosixPath(path)


def listable(path: str, taken: OutputPaths) -> str:
    """A path of a file for a list: the same, or one like it, if a list cannot have it or has it already."""
    if why_unsafe(path):
        path = "/".join(_shortened("".join("_" if _hidden(c) else c for c in name)) for name in path.split("/"))
        path = path if len(path.encode()) <= LONGEST_PATH else _shortened(path.replace("/", "_"))
    free, number = path, 2
    while taken.find(free) is not None:
        stem, suffix = os.path.splitext(path)
        free = f"{stem}-{number}{suffix}"
        number += 1
    return free


def _shortened(name: str) -> str:
    """A name with the same ending, of a length that leaves room for a number and .png."""
    stem, suffix = os.path.splitext(name)
    if len(name.encode()) <= LONGEST_NAME - 4 or len(suffix) > 16:
        stem, suffix = (name, "") if len(suffix) > 16 else (stem, suffix)
    room = LONGEST_NAME - 16 - len(suffix.encode())
    return stem if len(stem.encode()) <= room and not suffix else stem.encode()[:room].decode(errors="ignore") + suffix


def system_path(path: str, *, windows: bool = WINDOWS) -> str:
    """A safe path as the system at hand can write it: Windows knows no colons and backslashes in names, drops dots and
    spaces at their ends, and takes some names for devices."""
    if not windows:
        return path
    names = []
    for name in path.split("/"):
        name = re.sub(r'[\\:*?"<>|]', "_", name)
        name = re.sub(r"[. ]+$", lambda found: "_" * len(found[0]), name)
        names.append(f"_{name}" if _DEVICE.match(name) else name)
    return "/".join(names)


def output_path(path: str) -> str:
    """Where a decoded image is written. It is a PNG file, so a path with another ending gets .png added."""
    return path if path[-4:].lower() == ".png" else path + ".png"


def fold(path: str) -> str:
    """The same text for all paths that some file system takes for one: without case, and with accents in one form."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class OutputPaths:
    """Finds the paths of a list that cannot both be written, from hashes: 120 bytes a path, however long it is.

    Python keys its hash of text anew in each process, so nobody can make paths that only seem to clash."""

    def __init__(self, *, folds: bool = False) -> None:
        """`folds` takes paths for the same that differ only in case, as some systems do."""
        self._folds = folds
        self._files: dict[int, int] = {}  # hash -> number of the first path
        self._folders: dict[int, int] = {}  # the same for folders that are named like an image
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, path: str) -> int | None:
        """Add the next path. Returns what `find` says of it."""
        first, number = self.find(path), self._count
        file, folders = self._hashes(path)
        self._files.setdefault(file, number)
        for folder in folders:
            self._folders.setdefault(folder, number)
        self._count += 1
        return first

    def find(self, path: str) -> int | None:
        """The number of an earlier path that is the same, or a folder of this one, or below it; None if no path
        clashes."""
        file, folders = self._hashes(path)
        taken = [self._files.get(file), self._folders.get(file), *map(self._files.get, folders)]
        return min((other for other in taken if other is not None), default=None)

    def _hashes(self, path: str) -> tuple[int, list[int]]:
        """Of a path, and of the folders in it that are named like an image."""
        key = fold(output_path(path)) if self._folds else output_path(path)
        return hash(key), [hash(key[: found.end() - 1]) for found in re.finditer(r"\.png/", key, re.IGNORECASE)]


def place(folder: str, path: str, *, make: bool = True) -> Path:
    """The file below `folder` for the decoded image of a path from a list. `make=True` creates the folders above it.

    Nothing below the folder may be a link, which could lead out of it. Raises `AtlcError`."""
    at = Path(folder)
    *above, name = system_path(str(safe(output_path(path)))).split("/")
    for part in above:
        at /= part
        kind = _kind(at)
        if kind is None and not make:
            return at
        if kind is None:
            try:
                at.mkdir()
            except OSError as error:
                raise AtlcError(f"{at}: cannot create the folder ({error.strerror or error})") from error
        elif kind != stat.S_IFDIR:
            raise AtlcError(f"{at}: is a link or a file, not a folder; remove it, or decode into another folder")
    at /= name
    if _kind(at) == stat.S_IFLNK:
        raise AtlcError(f"{at}: is a link, which is not followed; remove it, or decode into another folder")
    return at


class AlreadyExists(AtlcError):
    """There is a file at `path`, and you do not overwrite it."""

    def __init__(self, path: Path, option: str) -> None:
        super().__init__(f"{path}: already exists; {option} replaces it")
        self.path = path


def refuse_existing(target: Path, overwrite: bool, option: str = "-f") -> None:
    """Raise `AlreadyExists` if there is a file and you do not overwrite it, or `AtlcError` if there is a folder.
    `option` is what would overwrite it. Writing to a device or a pipe overwrites nothing."""
    try:
        if target.is_dir():
            raise AtlcError(f"{target}: is a folder")
        if not overwrite and (target.is_file() or (target.is_symlink() and not target.exists())):
            raise AlreadyExists(target, option)
    except OSError as error:  # a name that is too long
        raise AtlcError(f"{target}: {error.strerror or error}") from error


def is_device(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a device or a pipe: something that is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _kind(path: Path) -> int | None:
    """The type of a file, as in `stat`; None if it does not exist. A junction of Windows counts as a link."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AtlcError(f"{path}: {error.strerror or error}") from error
    if getattr(info, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_REPARSE_POINT:
        return stat.S_IFLNK
    return stat.S_IFMT(info.st_mode)
