"""A whole folder of images to one file of records, with a list of their paths and labels, or to one Parquet file."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Unpack

from atlcodec import __version__, atomic, engine, files, metrics, record, zoo
from atlcodec.choice import default_shape, defaults
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit, FitOptions
from atlcodec.record import RECORD_BYTES
from atlcodec.sets import sinks
from atlcodec.sets.contents import Contents, contents
from atlcodec.sets.encoder import SAMPLE, Encoder, batch_size, choose, named
from atlcodec.sets.finding import find
from atlcodec.sets.journal import Journal
from atlcodec.sets.losses import Losses
from atlcodec.sets.manifest import counted
from atlcodec.sets.paths import is_device, refuse_existing
from atlcodec.sets.pixels import Pixels
from atlcodec.sets.sinks import Existing, Sink
from atlcodec.sets.sources import Batch, Source
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


def encode_folder(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | BinaryIO,
    *,
    model: str | os.PathLike[str] | None = None,
    effort: int | None = None,
    overwrite: bool = False,
    append: bool = False,
    each: bool = False,
    jobs: int | None = None,
    log: Log = lambda message: None,
    problem: Log = lambda message: None,
    progress: Progress = lambda done, count: None,
    **how: Unpack[FitOptions],
) -> EncodedSet:
    """Encode all images of a folder or of a data set to one file: what `atlc encode DIR -o set.atlc` does.

        result = atlcodec.encode_folder("images", "set.atlc", model="mnist", progress=print)
        print(result.records, result.psnr, *result.problems, sep="\\n")

    The folder has image files of the model's shape at any depth, or a data set, or it is a data set in a file, or an
    official one by name (`sets.finding`). `set.atlc` gets a list of their paths and labels beside it, `set.csv`; an
    output that ends in .parquet is a Parquet file with both. An open binary file, a pipe or a device gets the records
    alone. The same call continues a run that was stopped.

    Without `model`, one model is chosen for the whole set; with `append`, the model that wrote the existing records;
    with `each`, each image gets the model that suits it best, and the list has a column `model` if they differ.
    `effort` is that of `Codec.encode`. `overwrite` replaces an existing set, `append` adds to it. `jobs` is the number
    of processes that read many files (default: one for each core). `how` makes images of other sizes and colours fit,
    by the names of `fit.Fit`: fit="contain", gray=True; frame="all" makes a record of each frame of an animation.

    An image that cannot be encoded does not stop the others: `problem` gets a line about each. `log` gets notes, also a
    line each, and `progress` the number of images that are done and the number of all.

    Raises `AtlcError`: `FileNotFoundError`, `BadData` if there are no images, `UnknownModel`, `BadModel`; and
    `ValueError` for `append` to a pipe or with `overwrite`, for `each` with a model, and for another effort."""
    if append and (overwrite or is_stream(output)):
        raise ValueError("append needs a file, and excludes overwrite")
    if each and model is not None:
        raise ValueError("each image gets its own model (each=True), or all get the one that you name (model=)")
    fixed = Codec.load(model) if model is not None else None
    fit = Fit(**how)
    options = {"effort": effort, "append": append, "each": each, **fit.asked()}
    run = _Run(os.fspath(folder), fixed, options, fit, jobs or engine.threads(), log, problem, progress)
    if is_stream(output):
        return run.to_stream(output)
    assert isinstance(output, str | os.PathLike)
    name = os.fspath(output)
    with Journal(name) as journal:
        return run.to_file(name, overwrite, journal)


def _repeated(source: Source) -> str:
    """What to say of images whose paths the set has already."""
    count, first = len(source.repeats), source.repeats[0]
    some = f"1 image is in the set already ({first})"
    if count > 1:
        some = f"{count} images are in the set already ({first}, ...)"
    if isinstance(source, Pixels):  # the paths say nothing of where the images are from
        some += "; if they are others, with the same numbers, encode them to a file of their own"
    return some


def is_stream(output: str | os.PathLike[str] | BinaryIO) -> bool:
    """Whether an output is an open file, a pipe or a device: no list can lie beside it, and no run can be continued."""
    return not isinstance(output, str | os.PathLike) or is_device(output)


# -- a folder ----------------------------------------------------------------------------------------------------------


@dataclass
class _Run:
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
        batches = source.batches(batch_size(codecs, self.options["effort"]))
        batches, problems = journal.resume(job, [codec.id for codec in codecs], batches, overwrite)
        self._report(problems)
        if journal.discarded:
            self.log(f"{output}: discarding {counted(journal.discarded, 'image')} of an unfinished run")
        if journal.count:
            self.log(f"{output}: {journal.count} images are encoded already; continuing after them")
        encoder = Encoder(codecs, self.options["effort"], -(-len(source) // SAMPLE), journal.quality)
        try:
            self._encode(source, batches, encoder, journal)
        except BaseException:
            if journal.count:
                self.log(f"{output}: stopped; the same command continues from here")
            raise
        ids = sinks.counted_ids(files.open(journal.records), journal.count)
        if journal.count:
            journal.finish()
            sink.put(journal, existing)
        journal.remove()
        paths = tuple(sink.paths) if journal.count else ()
        return self._result(source, encoder, choice, paths, ids, existing.records, journal.losses, output)

    def to_stream(self, output: str | os.PathLike[str] | BinaryIO) -> EncodedSet:
        source, codecs, choice = self._begin(Existing(), str(output))
        encoder, ids = Encoder(codecs, self.options["effort"], -(-len(source) // SAMPLE)), Counter[int]()
        losses = Losses()
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(atomic.file(output)) if isinstance(output, str | os.PathLike) else output
            self.progress(0, len(source))
            seen = 0
            for batch, loaded in source.load(source.batches(batch_size(codecs, self.options["effort"])), self.jobs):
                self._report(loaded.problems)
                records = encoder.encode(loaded.images).records
                file.write(records.tobytes())
                ids.update(record.ids(records).tolist())
                losses.add(loaded.losses)
                seen += len(batch)
                self.progress(seen, len(source))
            file.flush()
        return self._result(source, encoder, choice, (), ids, 0, losses, str(output))

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
        if source.repeats:
            raise AtlcError(f"{self.folder}: {_repeated(source)}; nothing was added")
        for note in source.notes:
            self.log(f"{self.folder}: {note}")
        return source

    def _encode(self, source: Source, batches: Iterator[Batch], encoder: Encoder, journal: Journal) -> None:
        self.progress(journal.seen, len(source))
        for batch, loaded in source.load(batches, self.jobs):
            self._report(loaded.problems)
            records = encoder.encode(loaded.images).records
            journal.add(batch, loaded, records, encoder.quality)
            self.progress(journal.seen, len(source))

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
        ids: Counter[int],
        before: int,
        losses: Losses,
        output: str,
    ) -> EncodedSet:
        quality, images = encoder.quality, ids.total()
        names = {codec.name: ids[codec.id] for codec in encoder.codecs if ids[codec.id]}
        return EncodedSet(
            paths,
            images,
            before + images,
            named(names) if names else encoder.codecs[0].name,
            choice,
            metrics.psnr(quality.error / quality.measured) if quality.measured else None,
            tuple(self.problems),
            encoder.warning(output),
            losses.against(encoder.codecs[0].shape),
            tuple(losses.lines()),
            replace(contents(source), unread=len(self.problems)),
        )
