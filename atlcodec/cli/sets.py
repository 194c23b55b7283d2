"""A whole folder of pictures to one file of records and the list of what they were, or to one Parquet file."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass

import click

from atlcodec import __version__, api, atomic, metrics, zoo
from atlcodec.cli import sources, targets
from atlcodec.cli.common import SAMPLE, STANDARD, Tally, clean, is_folder, meter, refuse_existing, say, standard_output
from atlcodec.cli.sources import Source
from atlcodec.cli.targets import Older
from atlcodec.cli.work import Quality, Work
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError
from atlcodec.record import RECORD_BYTES, Records

POOR = 0.05  # as many below what one in a thousand falls below: these are not the model's kind of pictures


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    model: str | None
    effort: int | None
    force: bool
    append: bool
    jobs: int
    resize: bool
    gray: bool


def encode_set(folder: str, output: str, settings: Settings) -> None:
    """The pictures of a folder to one file. Those that cannot be encoded are reported, and the others go on."""
    if is_folder(output):
        raise click.UsageError(
            f"{clean(output)} is a folder; all pictures of {clean(folder)} go into one file: -o set.atlc"
        )
    if _is_stream(output):
        _stream(folder, output, settings)
        return
    fixed = Codec.load(settings.model) if settings.model is not None else None
    target, tally = targets.of(output), Tally()
    with Work(output) as work:
        # A run that was stopped while it put files in place may have left one old and one new; it is known what was
        # there before.
        stopped = work.job if work.done else None
        if settings.append:
            older = targets.older(target, stopped["older"] if stopped else None)
        else:
            older = Older()
            for path in [] if stopped else target.paths:
                refuse_existing(path, settings.force)
        source = _source(folder, older, settings)
        chosen, how = _choose(source, older, output, fixed)
        job = {
            "version": __version__,
            "model": dict(chosen.model.card.digests),
            "settings": {key: getattr(settings, key) for key in ("effort", "append", "resize", "gray")},
            "older": {"records": older.records, "list": older.list},
        }
        if stopped and stopped != job and not settings.force:
            raise AtlcError(
                f"{output}: another command was stopped as it put it in place; give that again, or remove {work.folder}"
            )
        if work.job and work.job != job:
            say(f"{output}: what another command left unfinished is dropped")
        batches, complaints = work.begin(job, chosen.id, source.batches())
        for complaint in complaints:
            tally.fail(complaint)
        if work.count:
            say(f"{output}: {work.count} pictures are encoded already; going on from there")
        try:
            with meter(len(source) - work.seen, "encoding") as advance:
                for batch, loaded in source.load(batches, settings.jobs):
                    for complaint in loaded.complaints:
                        tally.fail(complaint)
                    records = chosen.encode(loaded.images, settings.effort)
                    some = slice(None, None, -(-len(source) // SAMPLE))
                    quality = _measured(work.quality, chosen, loaded.images[some], records[some])
                    work.add(batch, loaded, records, quality)
                    advance(len(batch.names))
        except BaseException:
            if work.count:
                say(f"{output}: stopped; what is done is kept, and the same command goes on from there")
            raise
        if work.count:
            work.finish()
            target.put(work, older)
            psnr = f"{metrics.psnr(work.quality.error / work.quality.measured):.1f} dB"
            where, size = ", ".join(map(str, target.paths)), (older.records + work.count) * RECORD_BYTES
            say(f"{work.count} pictures -> {where}  {size} bytes  {how}  {psnr}")
            _warn_if_poor(work.quality, chosen, output)
        work.remove()
    tally.exit()


def _is_stream(output: str) -> bool:
    """Standard output, a pipe or a device: no list can lie beside it, and nothing can be taken up again."""
    try:
        return output == STANDARD or not stat.S_ISREG(os.stat(output).st_mode)
    except OSError:
        return False


def _stream(folder: str, output: str, settings: Settings) -> None:
    if settings.append:
        raise click.UsageError(f"--append adds to a file; {clean(output)} is none")
    tally = Tally()
    fixed = Codec.load(settings.model) if settings.model is not None else None
    source = _source(folder, Older(), settings)
    chosen, _ = _choose(source, Older(), output, fixed)
    with contextlib.ExitStack() as stack:
        file = standard_output() if output == STANDARD else stack.enter_context(atomic.file(output))
        for _, loaded in source.load(source.batches(), settings.jobs):
            for complaint in loaded.complaints:
                tally.fail(complaint)
            file.write(chosen.encode(loaded.images, settings.effort).tobytes())
        file.flush()
    tally.exit()


def _source(folder: str, older: Older, settings: Settings) -> Source:
    source = sources.find(folder, older.places, resize=settings.resize, gray=settings.gray)
    if source.repeats:
        more = f" and {len(source.repeats) - 1} more" if len(source.repeats) > 1 else ""
        raise AtlcError(
            f"{folder}: {source.repeats[0]}{more}: there is such a path in the set already; nothing was added"
        )
    if source.left_out:
        say(f"{folder}: leaving out {source.left_out}")
    return source


def _choose(source: Source, older: Older, output: str, fixed: Codec | None) -> tuple[Codec, str]:
    """The codec for the whole set, and in words how it came to be the one."""
    models = zoo.models()
    writers = ", ".join(models[id].name if id in models else f"{id:08x} (not installed)" for id in older.ids[:5])
    if fixed is not None:
        if older.ids and older.ids != (fixed.id,):
            say(f"atlc: warning: {output}: holds records of {writers}; those of {fixed.name} are added to them")
        return fixed, fixed.name
    if older.ids:
        if len(older.ids) > 1 or older.ids[0] not in models:
            raise AtlcError(f"{output}: holds records of {writers}; say with -m which model is to encode the others")
        chosen = Codec(models[older.ids[0]])
        return chosen, f"{chosen.name} (as before)"
    sample = source.sample(SAMPLE)
    chosen = (
        api.choose(sample, effort=0)[0] if len(sample) else Codec(zoo.default()[0])
    )  # where none can be read, none is encoded
    return chosen, f"{chosen.name} (chosen)"


def _measured(before: Quality, chosen: Codec, images: Images, records: Records) -> Quality:
    errors = metrics.squared_error(images, chosen.decode(records))
    low = chosen.model.psnr_low
    poor = 0 if low is None else sum(metrics.psnr(error) < low for error in errors)
    return Quality(before.error + float(errors.sum()), before.measured + len(errors), before.poor + poor)


def _warn_if_poor(quality: Quality, chosen: Codec, output: str) -> None:
    if quality.poor > POOR * quality.measured:
        say(
            f"atlc: warning: {output}: {quality.poor} of {quality.measured} pictures looked at come back with less "
            "than the "
            f"{chosen.model.psnr_low:.1f} dB that {chosen.name} gives to nearly every one of its kind; are they dark "
            "on white, or "
            "of another kind?"
        )
