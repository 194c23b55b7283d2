"""Where the records of a set go: an .atlc file with a list beside it, or a Parquet file. What is there already, and
putting both in place so that there is always the old set, whole, or the new one."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from atlcodec import arrow, atomic, files, manifest, record
from atlcodec.cli.work import Work
from atlcodec.errors import AtlcError
from atlcodec.files import BATCH, RecordFile
from atlcodec.manifest import Entry, Places
from atlcodec.record import RECORD_BYTES


@dataclass(frozen=True)
class Older:
    """The set that is to be added to: how many records and how many bytes of list it has, the ids of its records, and
    its paths."""

    records: int = 0
    list: int = 0
    ids: tuple[int, ...] = ()
    places: Places = field(default_factory=Places)


class Target(Protocol):
    paths: list[Path]  # what is written

    def held(self) -> tuple[RecordFile, Iterator[Entry] | None, int]:
        """What is there: records, their entries if there are any, and the bytes of the list."""
        ...

    def put(self, work: Work, older: Older) -> None:
        """The work in place of what is there, after the first so many records of that."""
        ...


def of(output: str) -> Target:
    return ParquetTarget(Path(output)) if output.lower().endswith(".parquet") else AtlcTarget(Path(output))


def older(target: Target, stopped: dict[str, int] | None) -> Older:
    """What is there, to be added to: all of it, or as much as a run counted that was `stopped` while it put the new set
    in place.

    Raises `AtlcError` where records and list do not belong together."""
    file, entries, size = target.held()
    count = len(file)
    if stopped:
        count, size = stopped["records"], stopped["list"]
    elif file.torn:
        raise AtlcError(f"{file.name}: ends in a torn record of {file.torn} bytes; nothing can be added after it")
    elif count and entries is None:
        raise AtlcError(
            f"{file.name}: holds {count} records, but there is no list of them ({target.paths[-1]}) to add to"
        )
    places = Places()
    for entry in itertools.islice(entries or (), count if stopped else None):
        places.add(entry.path)
    if len(places) != count or len(file) < count:
        raise AtlcError(
            f"{target.paths[-1]}: is of {len(places)} records, but {file.name} holds {len(file)}: they do not belong "
            "together"
        )
    ids: set[int] = set()
    for start in range(0, count, BATCH):
        ids.update(np.unique(record.ids(file[start : min(start + BATCH, count)])).tolist())
        if len(ids) > arrow.MOST_IDS:
            raise AtlcError(f"{file.name}: is damaged, or no file of records; atlc info tells more")
    return Older(count, size, tuple(sorted(ids)), places)


class AtlcTarget:
    """An .atlc file and the list beside it."""

    def __init__(self, path: Path) -> None:
        self.paths = [path, manifest.beside(path)]

    def held(self) -> tuple[RecordFile, Iterator[Entry] | None, int]:
        path, beside = self.paths
        file = files.open(path) if path.exists() else RecordFile(np.empty(0, np.uint8), str(path))
        return (file, manifest.entries(beside), beside.stat().st_size) if beside.exists() else (file, None, 0)

    def put(self, work: Work, older: Older) -> None:
        path, beside = self.paths
        with (
            atomic.file(path) as packed,
            atomic.file(beside) as raw,
        ):  # on leaving, first the list takes its place
            _copy(path, packed, older.records * RECORD_BYTES)
            _copy(work.records, packed, work.count * RECORD_BYTES)
            packed.flush()
            os.fsync(packed.fileno())  # all that can go wrong has gone wrong before either takes its place
            if _copy(beside, raw, older.list) not in b"\r\n":
                raw.write(b"\n")
            listed = io.TextIOWrapper(raw, "utf-8", newline="")
            if not older.list:
                listed.write(manifest.HEADER + "\n")
            new = manifest.entries(work.list)
            while some := list(itertools.islice(new, BATCH)):
                manifest.append(listed, (Entry(older.records + e.record, e.path, e.label) for e in some))
            listed.detach()


class ParquetTarget:
    """A Parquet file, whose columns hold paths and labels."""

    def __init__(self, path: Path) -> None:
        self.paths = [path]

    def held(self) -> tuple[RecordFile, Iterator[Entry] | None, int]:
        (path,) = self.paths
        if not path.exists():
            return RecordFile(np.empty(0, np.uint8), str(path)), None, 0
        file = arrow.open(path)
        return file, file.entries() if file.named else None, 0

    def put(self, work: Work, older: Older) -> None:
        (path,) = self.paths
        new = _tables(files.open(work.records), manifest.entries(work.list), work.count)
        if older.records:
            file = arrow.open(path)
            new = itertools.chain(_tables(file, file.entries(), older.records), new)
        arrow.write(path, new)


def _tables(file: RecordFile, entries: Iterator[Entry], count: int) -> Iterator[Any]:
    """The first so many records of a file with their entries, as Arrow tables."""
    for start in range(0, count, BATCH):
        rows = file[start : min(start + BATCH, count)]
        some = list(itertools.islice(entries, len(rows)))
        yield arrow.batch(rows, [entry.label for entry in some], [entry.path for entry in some])


def _copy(source: Path, target: BinaryIO, count: int) -> bytes:
    """The first so many bytes of a file; returns the last of them."""
    last = b""
    if not count:
        return last
    with source.open("rb") as file:
        while count and (chunk := file.read(min(count, 1 << 20))):
            target.write(chunk)
            count, last = count - len(chunk), chunk[-1:]
    if count:
        raise AtlcError(f"{source}: has become shorter while it was read")
    return last
