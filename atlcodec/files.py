"""`.atlc` files: records one after another, and nothing else. Open (memory-mapped), write, append, and find what is whole."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
from numpy.typing import ArrayLike

from atlcodec import record
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.record import RECORD, Records

BATCH = 4096  # records at a time, where a file is worked through


@dataclass(frozen=True)
class Span:
    """A stretch of a file: `count` records from byte `start` on, or `skipped` bytes that are none, and why."""

    start: int
    count: int
    skipped: int = 0
    why: str = ""


class RecordFile:
    """The records of a file, memory-mapped: `len`, indexing (an int gives uint8 (200,), a slice uint8 (N, 200)), `batches`.

    A torn last record is not counted: `torn` says how many bytes are left over. Nothing is verified here; decoding is what checks
    the seals, and `spans` finds the whole records of a damaged file."""

    def __init__(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]], name: str) -> None:
        self.name = name
        self._bytes = data
        self.size = len(data)
        self.torn = len(data) % RECORD
        self.array: Records = data[: len(data) - self.torn].reshape(-1, RECORD)

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, which: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]: ...
    @overload
    def __getitem__(self, which: slice) -> Records: ...
    def __getitem__(self, which: int | slice) -> Records:
        return self.array[which]

    def batches(self, size: int = BATCH) -> Iterator[Records]:
        """The records in order, uint8 (up to `size`, 200) at a time."""
        for start in range(0, len(self.array), size):
            yield self.array[start : start + size]

    def bytes(self, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """Bytes of the file, uint8 (count,), wherever records begin."""
        return np.asarray(self._bytes[start : start + count])

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """What the file holds, in order: runs of records with one of the `known` ids (or of a reserved kind), and what lies
        between. A record damaged in place costs itself alone. Where the records are out of step (a byte was lost or inserted),
        reading goes on at the next offset at which two consecutive records have known ids, or the last one ends the file."""
        good = np.array(sorted(known), np.uint32)
        size, at = len(self._bytes), 0
        while at < size:
            run, why = self._run(at, good)
            if run:
                yield Span(at, run)
                at += run * RECORD
                continue
            if size - at < RECORD:
                yield Span(at, 0, size - at, f"a torn record of {size - at} bytes at the end")
                return
            after = self._next(at, known)
            skipped = after - at
            if not why:
                lost = f"{skipped // RECORD} damaged or foreign record{'s' if skipped > RECORD else ''}"
                why = lost if skipped % RECORD == 0 else f"{skipped} bytes out of step (bytes lost or inserted)"
            yield Span(at, 0, skipped, why)
            at = after

    def _run(self, at: int, good: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> tuple[int, str]:
        """How many records with good ids follow each other from `at`; for none, why, if it is a kind of record yet to come."""
        count = 0
        while True:
            size = BATCH if count else 64
            chunk = self._bytes[at + count * RECORD : at + (count + size) * RECORD]
            ids = record.ids(chunk[: len(chunk) // RECORD * RECORD].tobytes())
            fine = np.isin(ids, good)
            if not len(ids) or not fine.all():
                first = int(np.argmin(fine)) if len(ids) else 0
                count += first
                reserved = len(ids) and int(ids[first]) in record.RESERVED
                return (
                    count,
                    f"a record of a kind unknown to this version (ATL {int(ids[first]) & 255:#04x})" if reserved else "",
                )
            count += len(ids)

    def _next(self, bad: int, known: Collection[int]) -> int:
        """The first offset after `bad` at which reading can go on; the end of the file if there is none."""
        data, size = self._bytes.data, len(self._bytes)

        def fine(at: int) -> bool:
            crc = zlib.crc32(data[at : at + RECORD])
            return crc in known or crc in record.RESERVED

        for at in range(bad + 1, size - RECORD + 1):
            if fine(at):
                in_step = (at - bad) % RECORD == 0
                if in_step or at + RECORD == size or (at + 2 * RECORD <= size and fine(at + RECORD)):
                    return at
        return size - (size - bad) % RECORD  # what is left of the last whole step is a torn record


def open(path: str | os.PathLike[str]) -> RecordFile:
    """The records of an `.atlc` file, memory-mapped. An empty file holds none.

    Raises `NotARecord` if it cannot be read or is shorter than one record."""
    try:
        size = os.stat(path).st_size
        # Whoever cannot map it (a directory, no permission, a pipe) learns why from the attempt to open it.
        data = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
        if not size:
            Path(path).open("rb").close()
    except OSError as error:
        raise NotARecord(f"{path}: {error.strerror or error}") from error
    if 0 < size < RECORD:
        raise NotARecord(f"{path}: {size} bytes, but a record has {RECORD}: cut off, or not an .atlc file")
    return RecordFile(data, os.fspath(path))


def write(path: str | os.PathLike[str], records: ArrayLike | bytes, *, append: bool = False, repair: bool = False) -> None:
    """Write records, uint8 (N, 200) or bytes, to a file: whole or not at all.

    `append=True` adds them to the end of what is there. If that ends in a torn record it is refused, unless `repair=True` cuts
    the torn bytes off first. Raises `NotARecord` for bytes that are not whole records."""
    packed = record.as_records(records)
    if not append:
        with replacing(path) as file:
            file.write(packed.reshape(-1).data)
        return
    try:
        with Path(path).open("ab") as file:
            end = file.seek(0, os.SEEK_END)
            torn = end % RECORD
            if torn and not repair:
                raise NotARecord(f"{path}: ends in a torn record of {torn} bytes; repair=True cuts them off before adding")
            file.truncate(end - torn)
            try:
                file.write(packed.reshape(-1).data)
                file.flush()
            except OSError:
                file.truncate(end - torn)  # a full disk: back to what was whole
                raise
    except OSError as error:
        raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when all is written, and vanishes when not: there is always the old one, whole,
    or the new one."""
    target = Path(path)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        file = part.open("xb")
    except OSError as error:
        raise AtlcError(f"{target}: cannot be written ({error.strerror or error})") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise AtlcError(f"{target}: cannot be written ({error.strerror or error})") from error
        raise
