"""Whole or not at all: a file or a folder is renamed into place when complete, else deleted.

What is added to a file in place is added under a lock."""

from __future__ import annotations

import errno
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


@contextmanager
def file(path: str | os.PathLike[str], *, sync: bool = True) -> Iterator[BinaryIO]:
    """A new file that replaces `path` when everything is written, and vanishes on an error. There is always the old
    file or the new one, and each is whole. A device or a pipe is written to directly. A link stays; its target is
    replaced.

    `sync=False` does not wait for the disk: use it for one of very many files. Such a file may be empty after a power
    cut. Raises `AtlcError`."""
    target = Path(os.path.realpath(path))
    part = target.with_name(f".atlc-{secrets.token_hex(8)}.part")
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
    except BaseException as error:
        if made:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


@contextmanager
def folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to fill. It replaces `path` when the block ends, and vanishes on an error.

    Raises `AtlcError`."""
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # left by a killed process
        part.mkdir(parents=True)
        yield part
        _sync(part)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


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
    """Wait until every file of a folder is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
