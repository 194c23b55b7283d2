"""Where the records of a set go: an .atlc file with a list beside it, or a Parquet file. What a set has already, and
how the new one replaces it: there is always the whole old set or the whole new one."""

from __future__ import annotations

import io
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from atlcodec import arrow, atomic, files, record, zoo
from atlcodec.errors import AtlcError
from atlcodec.files import BATCH, RecordFile, RecordSource
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest, parquet
from atlcodec.sets.journal import Journal
from atlcodec.sets.manifest import Check, Entry
from atlcodec.sets.paths import OutputPaths


@dataclass(frozen=True)
class Existing:
    """The set to which images are added: how many records and how many bytes of list it has, the ids of its records,
    its paths, and whether any of them has a label."""

    records: int = 0
    list_bytes: int = 0
    ids: tuple[int, ...] = ()
    paths: OutputPaths = field(default_factory=OutputPaths)
    labelled: bool = False


class Sink(Protocol):
    """An output."""

    paths: list[Path]  # the files that are written

    def refuse_foreign(self) -> None:
        """Raise `AtlcError` if one of the files is of another kind than atlc writes, so that replacing it is a
        mistake."""
        ...

    def open(self, check: Check) -> tuple[RecordSource, Iterator[Entry] | None, int]:
        """The existing records, their entries if there are any (`check` sees them), and the bytes of the list."""
        ...

    def put(self, journal: Journal, existing: Existing) -> None:
        """Replace the output by the existing records and those of the journal."""
        ...


def of(output: str) -> Sink:
    return ParquetSink(Path(output)) if output.lower().endswith(".parquet") else AtlcSink(Path(output))


def examine(sink: Sink, before: dict[str, int] | None) -> Existing:
    """The set to which images are added: the whole of it; or as much as there was `before` a run that was stopped while
    it put the new set in place.

    Raises `AtlcError` if records and list do not belong together."""
    where = sink.paths[-1]
    check = Check(f"{where}")
    file, entries, size = sink.open(check)
    count = len(file)
    if before:
        count, size = before["records"], before["list_bytes"]
    elif file.torn:
        raise AtlcError(
            f"{file.name}: ends in a torn record of {file.torn} bytes; repair it with atlcodec.write(..., append=True, "
            "repair=True), or get another copy"
        )
    elif count and entries is None:
        raise AtlcError(f"{file.name}: has {count} records, but no list of their paths ({where}); nothing can be added")
    labels = {entry.label is not None for entry in itertools.islice(entries or (), count if before else None)}
    if len(check.paths) != count or len(file) < count:
        listed = manifest.counted(len(check.paths))
        raise AtlcError(f"{where}: lists {listed}, but {file.name} has {len(file)}: the file was cut or replaced")
    return Existing(count, size, tuple(sorted(counted_ids(file, count))), check.paths, True in labels)


def counted_ids(file: RecordSource, count: int) -> Counter[int]:
    """How many of the first `count` records have each id."""
    ids: Counter[int] = Counter()
    for start in range(0, count, BATCH):
        some, counts = np.unique(record.ids(file[start : min(start + BATCH, count)]), return_counts=True)
        ids.update(dict(zip(some.tolist(), counts.tolist(), strict=True)))
        if len(ids) > parquet.MOST_IDS:
            raise AtlcError(f"{file.name}: is damaged, or not a file of records; see atlc info")
    return ids


class AtlcSink:
    """An .atlc file and the list beside it."""

    def __init__(self, path: Path) -> None:
        self.paths = [path, manifest.beside(path)]

    def refuse_foreign(self) -> None:
        manifest.refuse_foreign(self.paths[1])

    def open(self, check: Check) -> tuple[RecordSource, Iterator[Entry] | None, int]:
        path, beside = self.paths
        file = files.open(path) if path.exists() else RecordFile(np.empty(0, np.uint8), str(path))
        return (file, manifest.entries(beside, check), beside.stat().st_size) if beside.exists() else (file, None, 0)

    def put(self, journal: Journal, existing: Existing) -> None:
        path, beside = self.paths
        within = journal.folder
        with atomic.file(path, within=within) as packed, atomic.file(beside, within=within) as raw:  # the list is first
            _copy(path, packed, existing.records * RECORD_BYTES)
            _copy(journal.records, packed, journal.count * RECORD_BYTES)
            packed.flush()
            os.fsync(packed.fileno())  # all that can fail has failed before either is replaced
            mixed = _mixed(journal, existing) or (existing.list_bytes > 0 and manifest.has_models(beside))
            if mixed or (existing.list_bytes and not manifest.is_plain(beside)):
                self._put_anew(raw, journal, existing, mixed)
                return
            if _copy(beside, raw, existing.list_bytes) not in b"\r\n":
                raw.write(b"\n")
            listed = io.TextIOWrapper(raw, "utf-8", newline="")
            if not existing.list_bytes:
                listed.write(manifest.HEADER + "\n")
            new = manifest.entries(journal.list)
            while some := list(itertools.islice(new, BATCH)):
                manifest.append(listed, (Entry(existing.records + e.record, e.path, e.label) for e in some))
            listed.detach()

    def _put_anew(self, raw: BinaryIO, journal: Journal, existing: Existing, mixed: bool) -> None:
        """The list of a set of several models, whose names the existing one may lack; or where that is written in
        another way."""
        path, beside = self.paths
        listed = io.TextIOWrapper(raw, "utf-8", newline="")
        listed.write(manifest.HEADERS[mixed] + "\n")
        parts = [(journal.records, journal.list, journal.count, existing.records)]
        if existing.records:
            parts.insert(0, (path, beside, existing.records, 0))
        for records, entries, count, first in parts:
            for rows, some in _pieces(files.open(records), manifest.entries(entries), count):
                new = (Entry(first + e.record, e.path, e.label) for e in some)
                manifest.append(listed, new, _models(rows) if mixed else None)
        listed.detach()


class ParquetSink:
    """A Parquet file, whose columns hold paths and labels."""

    def __init__(self, path: Path) -> None:
        self.paths = [path]

    def refuse_foreign(self) -> None:
        pass  # the user named this file, and said that it is to be replaced

    def open(self, check: Check) -> tuple[RecordSource, Iterator[Entry] | None, int]:
        (path,) = self.paths
        if not path.exists():
            return RecordFile(np.empty(0, np.uint8), str(path)), None, 0
        file = parquet.open(path)
        return file, file.entries(check) if file.has_paths else None, 0

    def put(self, journal: Journal, existing: Existing) -> None:
        (path,) = self.paths
        mixed = _mixed(journal, existing)
        new = _tables(files.open(journal.records), manifest.entries(journal.list), journal.count, mixed)
        if existing.records:
            file = parquet.open(path)
            new = itertools.chain(_tables(file, file.entries(), existing.records, mixed), new)
        parquet.write(path, new, within=journal.folder)


def _mixed(journal: Journal, existing: Existing) -> bool:
    """Whether the set has records of several models."""
    return len({*existing.ids, *counted_ids(files.open(journal.records), journal.count)}) > 1


def _models(rows: Records) -> list[str]:
    """The name of the model of each record; its id, if that is not installed."""
    installed = zoo.models()
    return [installed[id].name if id in installed else f"{id:08x}" for id in record.ids(rows).tolist()]


def _pieces(file: RecordSource, entries: Iterator[Entry], count: int) -> Iterator[tuple[Records, list[Entry]]]:
    """The first `count` records of a file with their entries."""
    for start in range(0, count, BATCH):
        rows = file[start : min(start + BATCH, count)]
        yield rows, list(itertools.islice(entries, len(rows)))


def _tables(file: RecordSource, entries: Iterator[Entry], count: int, mixed: bool) -> Iterator[Any]:
    """The same as Arrow tables."""
    for rows, some in _pieces(file, entries, count):
        models = _models(rows) if mixed else None
        yield arrow.batch(rows, [entry.label for entry in some], [entry.path for entry in some], models)


def _copy(source: Path, target: BinaryIO, count: int) -> bytes:
    """Copy the first `count` bytes of a file; returns the last of them."""
    last = b""
    if not count:
        return last
    with source.open("rb") as file:
        while count and (chunk := file.read(min(count, 1 << 20))):
            target.write(chunk)
            count, last = count - len(chunk), chunk[-1:]
    if count:
        raise AtlcError(f"{source}: became shorter while it was read")
    return last
