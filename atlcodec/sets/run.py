"""One run that encodes the images of a set: to a file, with a journal, or to a stream. `encode` begins it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from atlcodec import __version__, atomic, files, metrics, record, zoo
from atlcodec.choice import default_shape, defaults
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import manifest, sinks
from atlcodec.sets.contents import Contents, contents
from atlcodec.sets.encoder import SAMPLE, Encoder, batch_size, choose, named
from atlcodec.sets.finding import find
from atlcodec.sets.journal import Journal
from atlcodec.sets.losses import Losses
from atlcodec.sets.manifest import counted
from atlcodec.sets.paths import refuse_existing
from atlcodec.sets.pixels import Pixels
from atlcodec.sets.sinks import Existing, Sink
from atlcodec.sets.sources import Batch, Loaded, Source
from atlcodec.shape import Shape

Log = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EncodedSet:
    """What `encode_folder` did."""

    paths: tuple[Path, ...]  # the files it wrote; none if no image could be encoded
    images: int  # that are now encoded, with those of a run that was stopped
    records: int  # in the file, with those that were there before
    model: str  # its name, or with `each` those of all: "30 of mnist, 10 of fashion"
    choice: str  # "" if you named the model, "chosen", "each its own", or "as before" if it wrote the existing records
    psnr: float | None  # dB, of up to 1,000 images or a few more; None without images
    problems: tuple[str, ...]  # images that could not be encoded, and why
    warning: str  # "" if the images suit the model
    against: str  # what `psnr` is measured against: "" for the images as they are, else "in grey" or other changes
    losses: tuple[str, ...]  # what images lost on the way to the model's shape
    contents: Contents  # what was read: splits, labels, and what was left out

    @property
    def bytes(self) -> int:
        """Of all records."""
        return self.records * RECORD_BYTES


@dataclass
class Run:
    folder: str
    fixed: Codec | None  # the model that the user named
    options: dict[str, Any]
    how: Fit
    jobs: int
    log: Log
    problem: Log
    progress: Progress
    problems: list[str] = field(default_factory=list)

    def to_file(self, output: str, overwrite: bool, journal: Journal) -> EncodedSet:
        sink = sinks.of(output)
        existing = self._existing(sink, overwrite, journal.interrupted_job)
        source, codecs, choice = self._begin(existing, output)
        job = {
            "version": __version__,
            "folder": os.path.abspath(self.folder) if os.path.exists(self.folder) else self.folder,
            "models": [dict(codec.model.card.digests) for codec in codecs],
            "settings": self.options,
            "before": {"records": existing.records, "list_bytes": existing.list_bytes},
        }
        batches = source.batches(self._batch_size(codecs))
        batches, problems = journal.resume(job, self._ids(codecs), batches, overwrite)
        self._report(problems)
        if journal.discarded:
            self.log(f"{output}: discarding {counted(journal.discarded, 'image')} of an unfinished run")
        if journal.count:
            self.log(f"{output}: {journal.count} images are encoded already; continuing after them")
        encoder = Encoder(codecs, self.options["effort"], -(-len(source) // SAMPLE), journal.quality)
        try:
            self.progress(journal.seen, len(source))
            for batch, loaded, records in self._encoded(source, batches, encoder):
                self._report(loaded.problems)
                journal.add(batch, loaded, records, encoder.quality)
                self.progress(journal.seen, len(source))
        except BaseException:
            if journal.count:
                self.log(f"{output}: stopped; the same command continues from here")
            raise
        ids = sinks.counted_ids(files.open(journal.records), journal.count)
        if journal.count:
            journal.finish()
            sink.put(journal, existing)
        images = sum(1 for _ in manifest.entries(journal.list))
        journal.remove()
        paths, total = tuple(sink.paths) if journal.count else (), existing.records + journal.count
        return self._result(source, encoder, choice, paths, images, total, ids, journal.losses, output)

    def to_stream(self, output: str | os.PathLike[str] | BinaryIO) -> EncodedSet:
        source, codecs, choice = self._begin(Existing(), str(output))
        encoder, ids = Encoder(codecs, self.options["effort"], -(-len(source) // SAMPLE)), Counter[int]()
        losses = Losses()
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(atomic.file(output)) if isinstance(output, str | os.PathLike) else output
            self.progress(0, len(source))
            seen = images = total = 0
            batches = source.batches(self._batch_size(codecs))
            for batch, loaded, records in self._encoded(source, batches, encoder):
                self._report(loaded.problems)
                file.write(records.tobytes())
                ids.update(record.ids(records).tolist())
                losses.add(loaded.losses)
                images, total, seen = images + len(loaded.names), total + len(records), seen + len(batch)
                self.progress(seen, len(source))
            file.flush()
        return self._result(source, encoder, choice, (), images, total, ids, losses, str(output))

    # What is different for images in tiles (`encode_grids`).

    def _batch_size(self, codecs: list[Codec]) -> int:
        """How many images are read at a time."""
        return batch_size(codecs, self.options["effort"])

    def _ids(self, codecs: list[Codec]) -> list[int]:
        """What the records may have."""
        return [codec.id for codec in codecs]

    def _encoded(
        self, source: Source, batches: Iterator[Batch], encoder: Encoder
    ) -> Iterator[tuple[Batch, Loaded, Records]]:
        for batch, loaded in source.load(batches, self.jobs):
            yield batch, loaded, encoder.encode(loaded.images).records

    def _begin(self, existing: Existing, output: str) -> tuple[Source, list[Codec], str]:
        """The images, the codec for all or those for each, and `EncodedSet.choice`."""
        codec, choice = self._known(existing, output)
        source = self._source(existing, codec.shape if codec else default_shape())
        if codec:
            return source, [codec], choice
        if self.options["each"]:
            return source, defaults(default_shape()), choice
        codec, note = choose(source)
        if note:
            self.log(f"atlc: warning: {output}: {note}")
        return source, [codec], choice

    def _known(self, existing: Existing, output: str) -> tuple[Codec | None, str]:
        """The codec for the whole set, if it does not depend on the images; and `EncodedSet.choice`."""
        models = zoo.models()
        writers = ", ".join(models[id].name if id in models else f"{id:08x} (not installed)" for id in existing.ids[:5])
        if self.fixed is not None:
            if existing.ids and existing.ids != (self.fixed.id,):
                self.log(f"atlc: warning: {output}: has records of {writers}; adding records of {self.fixed.name}")
            return self.fixed, ""
        if self.options["each"]:
            return None, "each its own"
        if not existing.ids:
            return None, "chosen"
        if len(existing.ids) > 1 or existing.ids[0] not in models:
            raise AtlcError(
                f"{output}: has records of {writers}; name the model for the new ones with -m (model=), or give each "
                "its own with --each (each=True)"
            )
        return Codec(models[existing.ids[0]]), "as before"

    def _existing(self, sink: Sink, overwrite: bool, interrupted_job: dict[str, Any]) -> Existing:
        if self.options["append"]:
            return sinks.examine(sink, interrupted_job.get("before"))
        sink.refuse_foreign()  # before -f is advised for it
        for path in [] if interrupted_job else sink.paths:
            refuse_existing(path, overwrite, "overwrite=True")
        return Existing()

    def _source(self, existing: Existing, shape: Shape) -> Source:
        source = find(
            self.folder, shape=shape, how=self.how, taken=existing.paths, labelled=existing.labelled, log=self.log
        )
        self._refuse_repeats(source)
        return source

    def _refuse_repeats(self, source: Source) -> None:
        """And log what the user must know of the others."""
        if source.repeats:
            raise AtlcError(f"{self.folder}: {_repeated(source)}; nothing was added")
        for note in source.notes:
            self.log(f"{self.folder}: {note}")

    def _report(self, problems: list[str]) -> None:
        self.problems += problems
        for problem in problems:
            self.problem(problem)

    def _result(
        self,
        source: Source,
        encoder: Encoder,
        choice: str,
        paths: tuple[Path, ...],
        images: int,
        records: int,
        ids: Counter[int],
        losses: Losses,
        output: str,
    ) -> EncodedSet:
        quality = encoder.quality
        names = {codec.name: ids[codec.id] for codec in encoder.codecs if ids[codec.id]}
        return EncodedSet(
            paths,
            images,
            records,
            named(names) if names else encoder.codecs[0].name,
            choice,
            metrics.psnr(quality.error / quality.measured) if quality.measured else None,
            tuple(self.problems),
            encoder.warning(output),
            losses.against(encoder.codecs[0].shape),
            tuple(losses.lines()),
            replace(contents(source), unread=len(self.problems)),
        )


def _repeated(source: Source) -> str:
    """What to say of images whose paths the set has already."""
    count, first = len(source.repeats), source.repeats[0]
    some = f"1 image is in the set already ({first})"
    if count > 1:
        some = f"{count} images are in the set already ({first}, ...)"
    if isinstance(source, Pixels):  # the paths say nothing of where the images are from
        some += "; if they are others, with the same numbers, encode them to a file of their own"
    return some
