"""Where the records of a set go: an .atlc file with a list beside it, or a Parquet file. What a set has already, and
how the new one replaces it: there is always the whole old set or the whole new one."""

from __future__ import annotations

import io
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from atlcodec import arrow, atomic, description, files, record, zoo
from atlcodec.errors import AtlcError
from atlcodec.files import BATCH, RecordFile, RecordSource
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest, parquet, parquet_tiles
from atlcodec.sets.journal import Journal
from atlcodec.sets.manifest import Check, Entry
from atlcodec.sets.paths import OutputPaths


@dataclass(frozen=True)
class Existing:
    """The set to which images are added: how many records and how many bytes of list it has, the ids of its records,
    its paths, whether any of them has a label, and whether its images are in tiles."""

    records: int = 0
    list_bytes: int = 0
    ids: tuple[int, ...] = ()
    paths: OutputPaths = field(default_factory=OutputPaths)
    labelled: bool = False
    in_tiles: bool = False


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

    def in_tiles(self) -> bool:
        """Whether the existing images may have several records."""
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
    known = entries or iter(())
    labels = {entry.label is not None for entry in (_up_to(known, count) if before else known)}
    if check.records != count or len(file) < count:
        listed = manifest.counted(check.records)
        raise AtlcError(f"{where}: lists {listed}, but {file.name} has {len(file)}: the file was cut or replaced")
    ids = tuple(sorted(counted_ids(file, count)))
    return Existing(count, size, ids, check.paths, True in labels, count > 0 and sink.in_tiles())


def _up_to(entries: Iterator[Entry], count: int) -> Iterator[Entry]:
    """The entries of the first `count` records; no others are read."""
    for entry in entries if count else ():
        yield entry
        if entry.record + entry.records >= count:
            return


def counted_ids(file: RecordSource, count: int) -> Counter[int]:
    """How many of the first `count` records have each id; descriptions of grids have none."""
    ids: Counter[int] = Counter()
    for start in range(0, count, BATCH):
        some, counts = np.unique(record.ids(file[start : min(start + BATCH, count)]), return_counts=True)
        ids.update(dict(zip(some.tolist(), counts.tolist(), strict=True)))
        if len(ids) > parquet.MOST_IDS:
            raise AtlcError(f"{file.name}: is damaged, or not a file of records; see atlc info")
    del ids[description.ID]
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

    def in_tiles(self) -> bool:
        return manifest.has_tiles(self.paths[1])

    def put(self, journal: Journal, existing: Existing) -> None:
        path, beside = self.paths
        within = journal.folder
        with atomic.file(path, within=within) as packed, atomic.file(beside, within=within) as raw:  # the list is first
            _copy(path, packed, existing.records * RECORD_BYTES)
            _copy(journal.records, packed, journal.count * RECORD_BYTES)
            packed.flush()
            os.fsync(packed.fileno())  # all that can fail has failed before either is replaced
            mixed = _mixed(journal, existing) or (existing.list_bytes > 0 and manifest.has_models(beside))
            differs = existing.list_bytes and existing.in_tiles != journal.in_tiles
            if mixed or differs or (existing.list_bytes and not manifest.is_plain(beside)):
                self._put_anew(raw, journal, existing, mixed)
                return
            if _copy(beside, raw, existing.list_bytes) not in b"\r\n":
                raw.write(b"\n")
            listed = io.TextIOWrapper(raw, "utf-8", newline="")
            if not existing.list_bytes:
                listed.write(manifest.header(records=journal.in_tiles) + "\n")
            new = (replace(e, record=existing.records + e.record) for e in manifest.entries(journal.list))
            manifest.append(listed, new, records=journal.in_tiles)
            listed.detach()

    def _put_anew(self, raw: BinaryIO, journal: Journal, existing: Existing, mixed: bool) -> None:
        """The list of a set of several models, whose names the existing one may lack; or where that is written in
        another way."""
        path, beside = self.paths
        listed, in_tiles = io.TextIOWrapper(raw, "utf-8", newline=""), existing.in_tiles or journal.in_tiles
        listed.write(manifest.header(models=mixed, records=in_tiles) + "\n")
        parts = [(journal.records, journal.list, journal.count, existing.records)]
        if existing.records:
            parts.insert(0, (path, beside, existing.records, 0))
        for records, entries, count, first in parts:
            for rows, some in _pieces(files.open(records), manifest.entries(entries), count):
                new = (replace(e, record=first + e.record) for e in some)
                manifest.append(listed, new, _models(rows, some) if mixed else None, records=in_tiles)
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

    def in_tiles(self) -> bool:
        return parquet.open(self.paths[0]).in_tiles

    def put(self, journal: Journal, existing: Existing) -> None:
        (path,) = self.paths
        new: RecordSource = files.open(journal.records)
        parts = [(new, manifest.entries(journal.list), journal.count)]
        if existing.records:
            file = parquet.open(path)
            parts.insert(0, (file, file.entries(), existing.records))
        pieces = itertools.chain.from_iterable(_pieces(*part) for part in parts)
        if existing.in_tiles or journal.in_tiles:
            parquet_tiles.write(path, (_images(rows, some) for rows, some in pieces), within=journal.folder)
            return
        mixed = _mixed(journal, existing)
        parquet.write(path, (_table(rows, some, mixed) for rows, some in pieces), within=journal.folder)


def _mixed(journal: Journal, existing: Existing) -> bool:
    """Whether the set has records of several models."""
    return len({*existing.ids, *counted_ids(files.open(journal.records), journal.count)}) > 1


def _models(rows: Records, entries: list[Entry]) -> list[str]:
    """The name of the model of each image, by its last record; its id, if that is not installed."""
    installed, ends = zoo.models(), np.cumsum([entry.records for entry in entries]) - 1
    return [installed[id].name if id in installed else f"{id:08x}" for id in record.ids(rows[ends]).tolist()]


def _pieces(file: RecordSource, entries: Iterator[Entry], count: int) -> Iterator[tuple[Records, list[Entry]]]:
    """The first `count` records of a file with their entries: whole images, some thousand records at a time."""
    start, some = 0, list[Entry]()
    for entry in _up_to(entries, count):
        some.append(entry)
        end = entry.record + entry.records
        if end - start >= BATCH or end >= count:
            yield file[start:end], some
            start, some = end, []


def _table(rows: Records, entries: list[Entry], mixed: bool) -> Any:
    """Records as an Arrow table."""
    labels, paths = [entry.label for entry in entries], [entry.path for entry in entries]
    return arrow.batch(rows, labels, paths, _models(rows, entries) if mixed else None)


def _images(rows: Records, entries: list[Entry]) -> Any:
    """Images in tiles as an Arrow table."""
    labels, paths = [entry.label for entry in entries], [entry.path for entry in entries]
    return arrow.images(rows, [entry.records for entry in entries], labels, paths)


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
