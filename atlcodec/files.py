"""`.atlc` files: records one after another, and nothing else. Open (memory-mapped), write, append, and find what is
whole."""

from __future__ import annotations

import importlib
import os
import stat
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from atlcodec import atomic, record
from atlcodec.errors import AtlcError, MissingFile, NotARecord
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.spans import Span as Span
from atlcodec.spans import skipped

BATCH = 4096  # records at a time, where a file is worked through
LARGEST_PIPE = 1 << 30  # bytes read from a pipe or a device
_STEP = 1 << 20  # bytes read from it at a time
PARQUET = b"PAR1"  # the first bytes of a Parquet file

_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")  # the first bytes of files that are named by mistake

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


@runtime_checkable
class RecordSource(Protocol):
    """What can be read like a file of records: an .atlc file (`RecordFile`) or a Parquet file (`sets.parquet`)."""

    name: str  # for messages
    size: int  # bytes of the file
    torn: int  # bytes at its end that are not a whole record

    @property
    def array(self) -> Records: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, which: int) -> Bytes: ...
    @overload
    def __getitem__(self, which: slice) -> Records: ...
    def batches(self, size: int = BATCH) -> Iterator[Records]: ...
    def bytes(self, start: int, count: int) -> Bytes: ...
    def spans(self, known: Collection[int]) -> Iterator[Span]: ...


class RecordFile:
    """The records of a file, memory-mapped: `len`, indexing (an int gives uint8 (200,), a slice uint8 (N, 200)),
    `batches`. A `with` block closes it.

    A torn last record is not counted: `torn` says how many bytes are left over. Nothing is verified here; decoding is
    what checks the seals, and `spans` finds the whole records of a damaged file."""

    def __init__(self, data: Bytes, name: str, path: str | None = None) -> None:
        self.name = name
        self._path = path  # of the file that is mapped, if it is one
        self._data: Bytes | None = data
        self.size = len(data)
        self.torn = len(data) % RECORD_BYTES

    def __repr__(self) -> str:
        torn = f" and {self.torn} bytes" if self.torn else ""
        closed = ", closed" if self._data is None else ""
        return f"<RecordFile {self.name}: {len(self)} record{'s' * (len(self) != 1)}{torn}{closed}>"

    def __reduce__(self) -> Any:
        """A mapped file is pickled as its path, so that a process that gets it maps it, too."""
        if self._path is None:
            return RecordFile, (self._bytes, self.name)
        return open, (self._path,)

    @property
    def paths(self) -> list[str] | None:
        """The paths of the images, from the list beside the file; None if there is no list. Raises `BadData`."""
        found = self._entries()
        return None if found is None else [entry.path for entry in found]

    @property
    def labels(self) -> list[str | None] | None:
        """The labels of the images, from the list beside the file; None if there is no list. Raises `BadData`."""
        found = self._entries()
        return None if found is None else [entry.label for entry in found]

    def _entries(self) -> list[Any] | None:
        if self._path is None:
            return None
        # By name, when it is first needed: that room lies above this one, and few need it.
        opened = importlib.import_module("atlcodec.sets.record_set").open(self._path)
        return list(opened.entries()) if opened.has_list else None

    def __len__(self) -> int:
        return self.size // RECORD_BYTES

    def __iter__(self) -> Iterator[Bytes]:
        """The records one by one, each uint8 (200,)."""
        return iter(self.array)

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file: using it raises `ValueError` from then on. It stays mapped as long as arrays of its
        records exist."""
        self._data = None

    @property
    def _bytes(self) -> Bytes:
        if self._data is None:
            raise ValueError(f"{self.name}: is closed; open it again")
        return self._data

    @property
    def array(self) -> Records:
        """All records, uint8 (N, 200), on the mapped file."""
        return self._bytes[: self.size - self.torn].reshape(-1, RECORD_BYTES)

    @overload
    def __getitem__(self, which: int) -> Bytes: ...
    @overload
    def __getitem__(self, which: slice) -> Records: ...
    def __getitem__(self, which: int | slice) -> Records:
        return self.array[which]

    def batches(self, size: int = BATCH) -> Iterator[Records]:
        """The records in order, uint8 (up to `size`, 200) at a time. Raises `ValueError` for a size below 1."""
        if size < 1:
            raise ValueError(f"a batch has at least 1 record, not {size}")
        return (self.array[start : start + size] for start in range(0, len(self), size))

    def bytes(self, start: int, count: int) -> Bytes:
        """Bytes of the file, uint8 (count,), wherever records begin."""
        return np.asarray(self._bytes[start : start + count])

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """What the file holds, in order: runs of records with one of the `known` ids (or of a reserved kind), and what
        lies between. A record damaged in place costs no others. Where the records are out of step (a byte was lost
        or inserted), reading goes on at the next offset at which two consecutive records have known ids, or the last
        one ends the file."""
        good = np.array(sorted(known), np.uint32)
        size, at = len(self._bytes), 0
        while at < size:
            run, why = self.run(at, good)
            if run:
                yield Span(at, run)
                at += run * RECORD_BYTES
                continue
            if size - at < RECORD_BYTES:
                why = f"the last record is cut off ({size - at} of {RECORD_BYTES} bytes); get another copy"
                yield Span(at, 0, size - at, why)
                return
            after = self._next(at, known)
            yield skipped(at, after - at, why)
            at = after

    def run(self, at: int, good: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> tuple[int, str]:
        """How many records with good ids follow each other from `at`; for none, why, if it is a reserved kind of
        record."""
        count = 0
        while True:
            size = BATCH if count else 64
            chunk = self._bytes[at + count * RECORD_BYTES : at + (count + size) * RECORD_BYTES]
            ids = record.ids(chunk[: len(chunk) // RECORD_BYTES * RECORD_BYTES].tobytes())
            fine = np.isin(ids, good)
            if not len(ids) or not fine.all():
                first = int(np.argmin(fine)) if len(ids) else 0
                count += first
                if len(ids) and int(ids[first]) in record.RESERVED:
                    return count, f"a record of a kind unknown to this version (ATL {int(ids[first]) & 255:#04x})"
                return count, ""
            count += len(ids)

    def _next(self, bad: int, known: Collection[int]) -> int:
        """The first offset after `bad` where reading can continue, or the end of the file."""
        data, size = self._bytes.data, len(self._bytes)
        fine, crc32 = {*known, *record.RESERVED}, zlib.crc32
        for at in range(bad + 1, size - RECORD_BYTES + 1):  # hot loop: scans byte by byte
            if crc32(data[at : at + RECORD_BYTES]) in fine:
                in_step, after = (at - bad) % RECORD_BYTES == 0, data[at + RECORD_BYTES : at + 2 * RECORD_BYTES]
                if in_step or not after or (len(after) == RECORD_BYTES and crc32(after) in fine):
                    return at
        return size - (size - bad) % RECORD_BYTES  # what is left of the last whole step is a torn record


def open(path: str | os.PathLike[str]) -> RecordFile:
    """The records of an `.atlc` file, memory-mapped. An empty file holds none. A pipe is read to its end, at most
    `LARGEST_PIPE` bytes.

        with atlcodec.open("set.atlc") as records:
            first = records[0]                      # uint8 (200,)

    Raises `FileNotFoundError`, or `NotARecord` if it cannot be read, is shorter than one record, or is a Parquet file:
    `atlcodec.sets.open` opens both kinds."""
    try:
        info = os.stat(path)
        if stat.S_ISREG(info.st_mode) and info.st_size:
            data: Bytes = np.memmap(path, np.uint8, "r")
        else:  # a directory or a file without permission says why it cannot be read
            with Path(path).open("rb", buffering=0) as stream:
                data = np.frombuffer(read_stream(stream, f"{path}"), np.uint8)
    except FileNotFoundError as error:
        raise MissingFile(path) from error
    except OSError as error:
        raise NotARecord(f"{path}: {error.strerror or error}") from error
    if data[:4].tobytes() == PARQUET:
        raise NotARecord(f"{path}: is a Parquet file; use atlcodec.sets.open")
    if len(data) % RECORD_BYTES and data[:8].tobytes().startswith(_IMAGES):
        raise NotARecord(f"{path}: is an image, not a file of records; encode it first")
    if 0 < len(data) < RECORD_BYTES:
        raise NotARecord(f"{path}: {len(data)} bytes, but a record has {RECORD_BYTES}: cut off, or not an .atlc file")
    mapped = os.path.abspath(path) if isinstance(data, np.memmap) else None
    return RecordFile(data, os.fspath(path), mapped)


def read_stream(stream: BinaryIO | FileIO, name: str) -> bytearray:
    """The content of a pipe or a device, which may never end. Raises `NotARecord` above `LARGEST_PIPE` bytes."""
    content = bytearray()
    while part := stream.read(_STEP):
        content += part
        if len(content) > LARGEST_PIPE:
            raise NotARecord(f"{name}: is larger than {LARGEST_PIPE} bytes; save it as a file first")
    return content


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a Parquet file does. False for a pipe or a device, and if it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with Path(path).open("rb", buffering=0) as file:
            return file.read(len(PARQUET)) == PARQUET
    except OSError:
        return False


def write(
    path: str | os.PathLike[str], records: ArrayLike | bytes, *, append: bool = False, repair: bool = False
) -> None:
    """Write records, uint8 (N, 200) or bytes, to a file: whole or not at all. It replaces an existing file, and it does
    not check the seals: records of any codec can be written.

    `append=True` adds them to the end of the existing file. Several processes may do so at once: each waits for its
    turn. This does not wait for the disk: after a power cut the last records may be missing or torn. If the file ends
    in a torn record it is refused, unless `repair=True` cuts the torn bytes off first. Raises `NotARecord` for bytes
    that are not whole records."""
    packed = record.as_records(records)
    if not append:
        with atomic.file(path) as file:
            file.write(packed.reshape(-1).data)
        return
    try:
        with _locked(path) as file:
            end = file.seek(0, os.SEEK_END)
            torn = end % RECORD_BYTES
            if torn and not repair:
                raise NotARecord(
                    f"{path}: ends in a torn record of {torn} bytes; repair=True cuts them off before adding"
                )
            if torn:
                end = file.truncate(end - torn)
            left = packed.reshape(-1).data
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:  # a full disk, or an interruption: back to what was whole
                with suppress(OSError):  # a device has no end to cut off
                    file.truncate(end)
                raise
    except OSError as error:
        raise AtlcError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _locked(path: str | os.PathLike[str]) -> Iterator[FileIO]:
    """A file that is opened to append, locked against all others that append to it."""
    while True:
        with Path(path).open("ab", buffering=0) as file:
            atomic.lock(file, wait=True)
            try:
                same = os.path.samestat(os.stat(path), os.fstat(file.fileno()))
            except FileNotFoundError:
                same = False
            if same:  # else it was replaced or removed meanwhile, and what is added to it would be lost
                yield file
                return
