"""The journal of a run that encodes a set, kept beside its output: the same command continues where it was stopped.

    .set.atlc.part/job.json       the command; another one starts from the beginning
                   records.atlc   the records so far
                   list.csv       their paths and labels
                   log.jsonl      a line for each batch: its stamp, and the sizes of the two files with it
                   done           exists when everything is encoded, until the output is in place

A batch counts when its line in the log is whole; anything in the files beyond that is cut off. At the end the folder is
removed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from atlcodec import atomic, files, record
from atlcodec.errors import AtlcError
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest
from atlcodec.sets.encoder import Quality
from atlcodec.sets.half_replaced import DONE, journal_of
from atlcodec.sets.losses import Losses
from atlcodec.sets.manifest import Entry
from atlcodec.sets.sources import Batch, Loaded


def _sync(file: IO[Any]) -> None:
    """A line of the log shall not come to the disk before what it counts."""
    file.flush()
    os.fsync(file.fileno())


class Journal:
    """The journal for one output. In a `with` block it is locked for this process; afterwards it stays if a later run
    can use it."""

    def __init__(self, output: str, *, in_tiles: bool = False) -> None:
        """With `in_tiles`, an image may have several records."""
        self._output, self.in_tiles = output, in_tiles
        self.folder = journal_of(Path(output))
        self._gone = self.folder.with_suffix(".gone")  # while it is removed
        self.records, self.list = self.folder / "records.atlc", self.folder / "list.csv"
        self._job, self._log, self._done = (self.folder / name for name in ("job.json", "log.jsonl", DONE))
        self.count = 0  # of records
        self.seen = 0  # of images, including those that could not be read
        self.discarded = 0  # records of a stopped run that this one cannot use
        self.quality = Quality()
        self.losses = Losses()
        self._keep = False

    def __enter__(self) -> Journal:
        try:
            shutil.rmtree(self._gone, ignore_errors=True)
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            info = self.folder.lstat()
            if not stat.S_ISDIR(info.st_mode) or (hasattr(os, "getuid") and info.st_uid != os.getuid()):
                raise AtlcError(f"{self.folder}: exists, but is not your folder; delete it to encode {self._output}")
            self._lock = (self.folder / "lock").open("wb")
            atomic.lock(self._lock, wait=False)
            if not os.path.samestat((self.folder / "lock").stat(), os.fstat(self._lock.fileno())):
                raise BlockingIOError  # the run that had the lock has just removed its folder
            self._keep = self._log.exists()
            for left in self.folder.glob(".atlc-*.part"):  # of a run that was killed while it wrote the output
                left.unlink()
        except BlockingIOError as error:
            self._lock.close()
            raise AtlcError(f"{self._output}: another run is writing it now") from error
        except OSError as error:
            raise AtlcError(f"{self._output}: cannot be written ({error.strerror or error})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform == "win32":
            self._lock.close()  # Windows cannot remove an open file
        if not self._keep:
            self.remove()
        self._lock.close()

    def remove(self) -> None:
        """At once, by another name, then file by file: a run that is killed meanwhile leaves nothing that the next one
        could take for a journal."""
        self._keep = False
        with contextlib.suppress(OSError):
            shutil.rmtree(self._gone, ignore_errors=True)
            self.folder.rename(self._gone)
            atomic.sync_folder(self.folder.parent)
        for folder in (self._gone, self.folder):  # Windows does not rename a folder with an open file
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def job(self) -> dict[str, Any]:
        """The job of the run that was stopped; empty without one."""
        try:
            job = json.loads(self._job.read_bytes())
        except (OSError, ValueError):
            return {}
        return job if isinstance(job, dict) else {}

    @property
    def interrupted_job(self) -> dict[str, Any]:
        """The job of a run that was stopped while it put its output in place: one file may be new and the other old.
        Empty without one."""
        return self.job if self._done.exists() else {}

    def finish(self) -> None:
        """Everything is encoded. From here until the output is in place, it may be half old and half new."""
        self._done.touch()
        atomic.sync_folder(self.folder)
        atomic.sync_folder(self.folder.parent)

    def resume(
        self, job: dict[str, Any], ids: list[int], batches: Iterator[Batch], overwrite: bool = False
    ) -> tuple[Iterator[Batch], list[str]]:
        """Keep what a stopped run of this job did with the first batches, and discard all else. Returns the other
        batches, and the problems of the first ones. `ids` are those of the codecs.

        Raises `AtlcError` if a run of another job was stopped while it put its output in place, unless you
        `overwrite` that."""
        if self.interrupted_job and self.job != job and not overwrite:
            raise AtlcError(
                f"{self._output}: another command stopped while it wrote this file; run that command again, or delete "
                f"{self.folder}"
            )
        job = json.loads(json.dumps(job))  # as it will be read: with lists for tuples
        before = self._logged()
        if before and self.job != job and not overwrite:
            raise AtlcError(
                f"{self._output}: another command left {manifest.counted(before)} of it in {self.folder}; run that "
                "command again to continue it, or discard its work with -f (overwrite=True)"
            )
        kept: list[dict[str, Any]] = []
        rest = batches
        if self.job == job:
            for line in list(self._whole(ids)):
                batch = next(batches, None)
                if batch is None or batch.stamp != line["stamp"]:
                    rest = itertools.chain([batch] if batch else [], batches)
                    break
                kept.append(line)
                self.seen += len(batch)
        self.count, size = (kept[-1]["records"], kept[-1]["list"]) if kept else (0, 0)
        self.discarded = max(0, before - self.count)
        self.quality = Quality(*kept[-1]["quality"]) if kept else Quality()
        self.losses = Losses.from_json(kept[-1]["losses"]) if kept else Losses()
        self._keep = bool(kept)
        try:
            self._begin(kept, size, job)
        except OSError as error:
            raise AtlcError(f"{self._output}: cannot be written ({error.strerror or error})") from error
        return rest, [problem for line in kept for problem in line["problems"]]

    def _begin(self, kept: list[dict[str, Any]], size: int, job: dict[str, Any]) -> None:
        """Cut the files to what is kept. Raises `OSError`."""
        self._done.unlink(missing_ok=True)
        for path, end in ((self.records, self.count * RECORD_BYTES), (self.list, size)):
            with path.open("ab") as file:
                file.truncate(end)
        if not kept:
            self.list.write_text(manifest.header(records=self.in_tiles) + "\n", "utf-8")
        with atomic.file(self._log) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)
        with atomic.file(self._job) as file:
            file.write(json.dumps(job).encode())

    def _logged(self) -> int:
        """How many records the log counts, valid or not."""
        try:
            return max(
                (int(json.loads(line)["records"]) for line in self._log.read_bytes().splitlines()[-2:]), default=0
            )
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _whole(self, ids: list[int]) -> Iterator[dict[str, Any]]:
        """The lines of the log, as long as the files have all that they count, and the records are sealed."""
        try:
            records, size = files.open(self.records), self.list.stat().st_size
            with self._log.open("rb") as log:
                before = 0
                for text in log:
                    line = json.loads(text)
                    rows = records[before : line["records"]]
                    sealed = len(rows) == line["records"] - before and np.isin(record.ids(np.asarray(rows)), ids).all()
                    if not text.endswith(b"\n") or line["list"] > size or not sealed:
                        return
                    before = line["records"]
                    Losses.from_json(line["losses"])
                    yield {key: line[key] for key in ("stamp", "records", "list", "problems", "quality", "losses")}
        except (OSError, AtlcError, ValueError, KeyError, TypeError, AttributeError):
            return

    def add(self, batch: Batch, loaded: Loaded, records: Records, quality: Quality) -> None:
        """Add a batch. `quality` is that of all batches so far. What the images lost is added up."""
        try:
            with self.records.open("ab") as packed:
                packed.write(records.tobytes())
                _sync(packed)
            with self.list.open("a", encoding="utf-8", newline="") as listed:
                counts = loaded.counts or [1] * len(loaded.names)
                firsts = accumulate(counts, initial=self.count)
                entries = (
                    Entry(first, one.path, one.label, count)
                    for first, count, one in zip(firsts, counts, loaded.names, strict=False)
                )
                manifest.append(listed, entries, records=self.in_tiles)
                _sync(listed)
            size = self.list.stat().st_size
            self.count += len(records)
            self.seen += len(batch)
            self.quality = quality
            self.losses.add(loaded.losses)
            line = {
                "stamp": batch.stamp,
                "records": self.count,
                "list": size,
                "problems": loaded.problems,
                "quality": quality,
                "losses": self.losses.to_json(),
            }
            with self._log.open("ab") as log:
                log.write(json.dumps(line).encode() + b"\n")
            self._keep = True
        except OSError as error:
            raise AtlcError(f"{self._output}: cannot be written ({error.strerror or error})") from error
