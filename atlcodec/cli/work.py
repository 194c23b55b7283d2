"""What a run that encodes a set has done so far, kept beside its output, so that the same command goes on where it was
stopped.

    .set.atlc.part/job.json       which command: with another one, all begins anew
                   records.atlc   the records so far
                   list.csv       their paths and labels
                   log.jsonl      a line for each batch: its digest, and how far the two files go with it
                   done           there once all are encoded, while the output is put in place

A batch counts once its line in the log is whole: what the files hold beyond that is cut off. The folder goes when all
is done."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from atlcodec import atomic, files, manifest, record
from atlcodec.cli.sources import Batch, Loaded
from atlcodec.errors import AtlcError
from atlcodec.manifest import Entry
from atlcodec.record import RECORD_BYTES, Records

if sys.platform != "win32":
    import fcntl


class Quality(NamedTuple):
    """Of some of the pictures, spread over all: the sum of their mean squared errors, how many, and how many are
    poor."""

    error: float = 0.0
    measured: int = 0
    poor: int = 0


class Work:
    """The work on one output. As a context manager it is this process's alone; on leaving, it stays if a later run can
    use it."""

    def __init__(self, output: str) -> None:
        self._output = output
        self.folder = Path(output).with_name(f".{Path(output).name}.part")
        self.records, self.list = self.folder / "records.atlc", self.folder / "list.csv"
        self._job, self._log, self._done = (self.folder / name for name in ("job.json", "log.jsonl", "done"))
        self.count = 0  # of records
        self.seen = 0  # of pictures, those included that could not be read
        self.quality = Quality()
        self._keep = False

    def __enter__(self) -> Work:
        try:
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            info = self.folder.lstat()
            if not stat.S_ISDIR(info.st_mode) or (hasattr(os, "getuid") and info.st_uid != os.getuid()):
                raise AtlcError(
                    f"{self.folder}: is kept for the work on {self._output}, and is not this user's folder; remove it"
                )
            self._keep = self._log.exists()
            self._lock = (self.folder / "lock").open("wb")
            if sys.platform != "win32":
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise AtlcError(f"{self._output}: another run is writing it at this moment") from error
        except OSError as error:
            raise AtlcError(f"{self._output}: cannot be written ({error.strerror or error})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform == "win32":
            self._lock.close()  # what is open cannot be removed there
        if not self._keep:
            self.remove()
        self._lock.close()

    def remove(self) -> None:
        self._keep = False
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def job(self) -> dict[str, Any]:
        """What the stopped run was to do; nothing where there was none."""
        try:
            job = json.loads(self._job.read_bytes())
        except (OSError, ValueError):
            return {}
        return job if isinstance(job, dict) else {}

    @property
    def done(self) -> bool:
        return self._done.exists()

    def finish(self) -> None:
        """All is encoded. From here on the output may be half old and half new, until it is put right."""
        self._done.touch()

    def begin(self, job: dict[str, Any], id: int, batches: Iterator[Batch]) -> tuple[Iterator[Batch], list[str]]:
        """Keep what a stopped run of this job did with the first of the batches. Returns those that are left, and what
        was complained of in the others."""
        kept: list[dict[str, Any]] = []
        rest = batches
        if self.job == job:
            for line in list(self._whole(id)):
                batch = next(batches, None)
                if batch is None or batch.stamp != line["stamp"]:
                    rest = itertools.chain([batch] if batch else [], batches)
                    break
                kept.append(line)
                self.seen += len(batch.names)
        self.count, size = (kept[-1]["records"], kept[-1]["list"]) if kept else (0, 0)
        self.quality = Quality(*kept[-1]["quality"]) if kept else Quality()
        self._keep = bool(kept)
        self._done.unlink(missing_ok=True)
        for path, end in ((self.records, self.count * RECORD_BYTES), (self.list, size)):
            with path.open("ab") as file:
                file.truncate(end)
        if not kept:
            self.list.write_text(manifest.HEADER + "\n", "utf-8")
        with atomic.file(self._log) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)
        with atomic.file(self._job) as file:
            file.write(json.dumps(job).encode())
        return rest, [complaint for line in kept for complaint in line["complaints"]]

    def _whole(self, id: int) -> Iterator[dict[str, Any]]:
        """The lines of the log, as long as all that they count is there, and sealed."""
        try:
            records, size = files.open(self.records), self.list.stat().st_size
            with self._log.open("rb") as log:
                before = 0
                for text in log:
                    line = json.loads(text)
                    rows = records[before : line["records"]]
                    sealed = len(rows) == line["records"] - before and (record.ids(np.asarray(rows)) == id).all()
                    if not text.endswith(b"\n") or line["list"] > size or not sealed:
                        return
                    before = line["records"]
                    yield {key: line[key] for key in ("stamp", "records", "list", "complaints", "quality")}
        except (OSError, AtlcError, ValueError, KeyError, TypeError):
            return

    def add(self, batch: Batch, loaded: Loaded, records: Records, quality: Quality) -> None:
        """One batch more, and how good all are with it."""
        try:
            with self.records.open("ab") as packed:
                packed.write(records.tobytes())
            with self.list.open("a", encoding="utf-8", newline="") as listed:
                manifest.append(
                    listed, itertools.starmap(Entry, ((self.count + n, *name) for n, name in enumerate(loaded.names)))
                )
            size = self.list.stat().st_size
            self.count += len(records)
            self.seen += len(batch.names)
            self.quality = quality
            line = {
                "stamp": batch.stamp,
                "records": self.count,
                "list": size,
                "complaints": loaded.complaints,
                "quality": quality,
            }
            with self._log.open("ab") as log:
                log.write(json.dumps(line).encode() + b"\n")
            self._keep = True
        except OSError as error:
            raise AtlcError(f"{self._output}: cannot be written ({error.strerror or error})") from error
