"""Whole or not at all: a file or a folder is renamed into place when complete, else deleted. It is on the disk then,
with its name: a power cut does not bring the old one back.

What is added to a file in place is added under a lock."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from atlcodec.errors import AtlcError


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
    part = (target.parent if beside or within is None else within) / f".atlc-{secrets.token_hex(8)}.part"
    made = False
    try:
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        if mode is not None and not stat.S_ISREG(mode):
            with Path(path).open("wb") as stream:
                yield stream
            return
        with part.open("xb") as stream:
            made = True
            if mode is not None:
                part.chmod(stat.S_IMODE(mode))
            yield stream
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.replace(part, target)
        if sync:
            sync_folder(target.parent)
    except BaseException as error:
        if made:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


@contextmanager
def folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to fill. It replaces `path` when the block ends, and vanishes on an error.

    Raises `AtlcError`, also if another process is filling one for the same path."""
    target = Path(path)
    part, old = (target.with_name(f".{target.name}.{what}") for what in ("part", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if old.exists() and not target.exists():  # killed between the two renames below
                old.rename(target)
            for left in (part, old):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            try:
                part.mkdir()
                yield part
                _sync(part)
                if target.exists():
                    target.rename(old)
                part.rename(target)
                sync_folder(target.parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                if target.exists():
                    shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """No other process fills a folder for this path meanwhile."""
    beside = target.with_name(f".{target.name}.lock")
    with beside.open("wb") as file:
        try:
            lock(file, wait=False)
            if not _same(file, beside):  # the one that had the lock has removed it
                raise BlockingIOError
        except BlockingIOError as error:
            raise AtlcError(f"{target}: another process is writing it now; try again later") from error
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                beside.unlink()


def _same(file: BinaryIO | FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


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
