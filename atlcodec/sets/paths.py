"""Paths from a list: which are safe to write to, where a decoded image goes, and which two cannot both be written.

A list may come from a stranger, and its paths say where files are written. A path must not lead out of its folder, and
no system may take it for another path, a device or a drive."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from pathlib import Path, PurePosixPath

from atlcodec.errors import AtlcError, BadData

LONGEST_PATH = 1024  # bytes, and of each name in it: the limits of file systems
LONGEST_NAME = 250
CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, surrogates, line and paragraph separators

_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:[./ ][A-Za-z0-9_-]+)*")  # most paths: names that need only the device check
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:[.:/]|$)", re.IGNORECASE)
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # disguise a name


def why_unsafe(path: str) -> str:
    """Why a path may not be in a list; "" if it may."""
    if len(path) > LONGEST_PATH:
        return "is too long"
    if _DEVICE.search(path):
        return "contains a name that Windows reserves for a device"
    if len(path) <= LONGEST_NAME and _PLAIN.fullmatch(path):
        return ""
    if not path:
        return "is empty"
    if any(unicodedata.category(c) in CONTROL or c in _DIRECTION_MARKS for c in path):
        return "contains control characters, or is not Unicode"
    if "\\" in path or ":" in path:
        return "contains a backslash or a colon, which divide paths and name drives on Windows"
    if path.startswith("/"):
        return "is absolute"
    names = path.split("/")
    if ".." in names:
        return "leads out of the folder"
    if "" in names or "." in names:
        return "contains an empty name or a single dot"
    if any(name[-1] in ". " or name[0] == " " for name in names):
        return "contains a name that begins with a space, or ends in a dot or a space, which Windows drops"
    if len(path.encode()) > LONGEST_PATH or any(len(name.encode()) > LONGEST_NAME for name in names):
        return "is too long"
    return ""


def safe(path: str) -> PurePosixPath:
    """A path from a list, relative to the folder in which the image is written. Raises `BadData` if it is unsafe."""
    why = why_unsafe(path)
    if why:
        raise BadData(f"{path[:100]!a} {why}")
    return PurePosixPath(path)


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

    def __init__(self) -> None:
        self._files: dict[int, int] = {}  # hash -> number of the first path
        self._folders: dict[int, int] = {}  # the same for folders that are named like an image
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, path: str) -> int | None:
        """Add the next path. Returns the number of an earlier path that is the same (but for case), or a folder of this
        one, or below it; None if no path clashes."""
        key, number = fold(output_path(path)), self._count
        file, folders = hash(key), [hash(key[: found.end() - 1]) for found in re.finditer(r"\.png/", key)]
        taken = [self._files.get(file), self._folders.get(file), *map(self._files.get, folders)]
        self._files.setdefault(file, number)
        for folder in folders:
            self._folders.setdefault(folder, number)
        self._count += 1
        return min((other for other in taken if other is not None), default=None)


def place(folder: str, path: str, *, make: bool = True) -> Path:
    """The file below `folder` for the decoded image of a path from a list. `make=True` creates the folders above it.

    Nothing below the folder may be a link, which could lead out of it. Raises `AtlcError`."""
    at = Path(folder)
    *above, name = safe(output_path(path)).parts
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
    if target.is_dir():
        raise AtlcError(f"{target}: is a folder")
    if not overwrite and (target.is_file() or (target.is_symlink() and not target.exists())):
        raise AlreadyExists(target, option)


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
