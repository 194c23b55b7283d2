"""Whole or not at all: a file or a folder is renamed into place when complete, else deleted. It is on the disk then,
with its name: a power cut does not bring the old one back.

What is added to a file in place is added under a lock."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from atlcodec.errors import AtlcError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def file(path: str | os.PathLike[str], *, sync: bool = True, within: Path | None = None) -> Iterator[BinaryIO]:
    """A new file that replaces `path` when everything is written, and vanishes on an error. There is always the old
    file or the new one, and each is whole. A device or a pipe is written to directly. A link stays; its target is
    replaced.

    `sync=False` does not wait for the disk: use it for one of very many files. Such a file may be empty after a power
    cut. The new file grows in the folder `within`, if that lies beside the file: somebody else removes it there when
    this process is killed. Raises `AtlcError`."""
    target = Path(os.path.realpath(path))
    beside = within is None or Path(os.path.realpath(within)).parent != target.parent  # perhaps on another disk
    where = target.parent if beside or within is None else within
    part: Path | None = None
    try:
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        if mode is not None and not stat.S_ISREG(mode):
            with Path(path).open("wb") as device:
                yield device
            return
        part, stream = _part(where, target.name)
        with stream:
            if mode is not None:
                part.chmod(stat.S_IMODE(mode))
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
            if fcntl is not None:
                os.replace(part, target)  # still locked, so that nobody takes it for one that was left
        if fcntl is None:
            os.replace(part, target)  # Windows renames no open file
        if sync:
            sync_folder(target.parent)
    except BaseException as error:
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


def _part(where: Path, name: str) -> tuple[Path, BinaryIO]:
    """A new file that will be renamed to `name`. It takes the place of one that a killed process left."""
    usual = where / f".atlc-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part"
    for _ in range(3):
        try:
            stream = usual.open("xb")
        except FileExistsError:
            if not _left(usual):
                break
            continue
        if _mine(stream.fileno(), usual):
            return usual, stream
        stream.close()
    other = where / f".atlc-{secrets.token_hex(8)}.part"  # another process is writing the same file
    return other, other.open("xb")


def _left(part: Path) -> bool:
    """Whether a file was left by a process that is no more; it is removed then."""
    if fcntl is None:
        return False
    try:
        opened = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode) or not _mine(opened, part):
            return False
        part.unlink()
        return True
    except OSError:
        return False
    finally:
        os.close(opened)


def _mine(opened: int, path: Path) -> bool:
    """Lock an open file or folder, and say whether nobody else has it, and whether it is still what the path names."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(path), os.fstat(opened))
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:  # files cannot be locked there
        return True


@contextmanager
def folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to fill. It replaces `path` when the block ends, and vanishes on an error.

    Raises `AtlcError`, also if another process is filling one for the same path."""
    target = Path(path)
    part, old = (target.with_name(f".{target.name}.{what}") for what in ("part", "old"))
    try:
        part.mkdir(parents=True, exist_ok=True)
        with _alone(part, target):
            try:
                if old.exists() and not target.exists():  # killed between the two renames below
                    old.rename(target)
                _empty(part)  # left by a killed process
                yield part
                _sync(part)
                shutil.rmtree(old, ignore_errors=True)
                if target.exists():
                    target.rename(old)
                part.rename(target)
                for parent in target.absolute().parents[:3]:  # which may be new, too
                    sync_folder(parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                if target.exists():
                    shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _alone(part: Path, target: Path) -> Iterator[None]:
    """No other process fills this folder meanwhile. Folders cannot be locked on Windows."""
    if fcntl is None:
        yield
        return
    opened = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _mine(opened, part):
            raise AtlcError(f"{target}: another process is writing it now; try again later")
        yield
    finally:
        os.close(opened)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Wait until the names in a folder are on the disk: files that were made, renamed and removed. Does nothing where
    that is not possible, as on Windows. Raises `OSError`."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (AttributeError, PermissionError):
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(opened)


def lock(file: BinaryIO | FileIO, *, wait: bool) -> None:
    """Lock an open file against all others that lock it. Closing it gives the lock back, and so does the end of the
    process. Nothing is written for it.

    Without `wait` a lock that is taken raises `BlockingIOError`. Raises `OSError` if the file cannot be locked."""
    import portalocker  # here, because it is slow to import and only those who write need it

    how = portalocker.LockFlags.EXCLUSIVE
    while True:
        try:
            portalocker.lock(file, how if wait else how | portalocker.LockFlags.NON_BLOCKING)
            return
        except portalocker.AlreadyLocked as error:
            if not wait:
                raise BlockingIOError(errno.EAGAIN, "another process has locked it") from error
            # Windows waits for ten seconds and no longer
        except portalocker.LockException as error:
            raise OSError(errno.ENOLCK, "files cannot be locked there") from error


def _sync(folder: Path) -> None:
    """Wait until all of a folder is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)
