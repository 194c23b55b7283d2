"""atlc encode: images to records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from atlcodec import metrics, picture
from atlcodec.cli.common import (
    STANDARD,
    ErrorCount,
    escape,
    is_folder,
    log,
    make_folder,
    meter,
    progress,
    refuse_collisions,
    refuse_twice,
    save,
    standard_input,
    standard_output,
)
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError
from atlcodec.refine import DEFAULT_EFFORT
from atlcodec.sets import manifest
from atlcodec.sets.encoder import Encoder, choose
from atlcodec.sets.paths import refuse_existing
from atlcodec.sets.sources import ImageFiles


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...|DIR")
@click.option(
    "-o", "--output", metavar="FILE|DIR|-", help="One file for all, or a folder. [default: beside each image]"
)
@click.option("-m", "--model", help="Name, id or path. [default: the bundled one that suits best]")
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    help=f"How long to search for better symbols: 0 not at all, 9 longest. [default: {DEFAULT_EFFORT}]",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
@click.option("--resize", is_flag=True, help="Scale to 28 x 28, with black bars if the image is not square.")
@click.option(
    "--gray", "--grey", is_flag=True, help="Convert colours to luminance, transparency to black, 16 bits to 8."
)
@click.option("--append", is_flag=True, help="Add a folder's images to an existing set.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that read a folder. [default: one for each core]",
)
def encode(
    images: tuple[str, ...],
    output: str | None,
    model: str | None,
    effort: int | None,
    force: bool,
    resize: bool,
    gray: bool,
    append: bool,
    jobs: int | None,
) -> None:
    """Encode images to records of 200 bytes: img.png becomes img.atlc.

    Several images become one file with -o set.atlc. "-" is standard input or output.

    A folder of images, at any depth, or of IDX files becomes one file with -o set.atlc, and a list of paths and labels
    beside it, set.csv; or one Parquet file with -o set.parquet. The same command continues where it was stopped."""
    if len(images) == 1 and images[0] != STANDARD and Path(images[0]).is_dir():
        if append and force:
            raise click.UsageError("--append adds to a set, -f overwrites it; give one of them")
        options = {"model": model, "effort": effort, "overwrite": force, "append": append, "jobs": jobs}
        _encode_folder(images[0], output, {**options, "resize": resize, "gray": gray})
        return
    if append:
        raise click.UsageError("--append takes one folder of images")
    if output is not None and output.lower().endswith(".parquet"):
        raise click.UsageError("a Parquet file is made from a folder of images")
    _encode_files(images, output, Codec.load(model) if model is not None else None, effort, force, resize, gray)


def _encode_folder(folder: str, output: str | None, options: dict[str, Any]) -> None:
    """The images of a folder to one file. Images that cannot be encoded are reported, and the others go on."""
    from atlcodec.sets.encode import encode_folder, is_stream  # a single image does not need them

    if output is None:
        raise click.UsageError(f"{escape(folder)} is a folder; name the file for its records: -o set.atlc")
    if is_folder(output):
        raise click.UsageError(
            f"{escape(output)} is a folder; all images of {escape(folder)} go into one file: -o set.atlc"
        )
    if options["append"] and (output == STANDARD or is_stream(output)):
        raise click.UsageError(f"--append adds to a file; {escape(output)} is not a regular file")
    errors = ErrorCount()
    with meter("encoding") as show:
        target = standard_output() if output == STANDARD else output
        done = encode_folder(folder, target, **options, log=log, problem=errors.report, progress=show)
    if done.paths:
        how = f"{done.model} ({done.choice})" if done.choice else done.model
        where = ", ".join(map(str, done.paths))
        log(f"{done.images} images -> {where}  {done.bytes} bytes  {how}  {done.psnr:.1f} dB")
        if done.warning:
            log(done.warning)
    errors.exit()


def _encode_files(
    names: tuple[str, ...], output: str | None, fixed: Codec | None, effort: int | None, force: bool, *convert: bool
) -> None:
    """Images to one file, or each to its own. Images that cannot be encoded are reported, and the others go on."""
    refuse_twice(names)
    together = output if output is not None and not is_folder(output) else None
    targets = {name: together or _target(name, output) for name in names}
    refuse_collisions([(name, targets[name]) for name in (names[:1] if together else names)], names)
    if together and together != STANDARD:
        refuse_existing(Path(together), force)
    resize, gray = convert

    def read(name: str) -> Images:
        if not together and targets[name] != STANDARD:
            refuse_existing(Path(targets[name]), force)
        if name == STANDARD:
            return picture.read(standard_input(), resize=resize, gray=gray, name="standard input")
        return picture.read(name, resize=resize, gray=gray)

    errors = ErrorCount()
    source = ImageFiles(progress(names, "reading", len(names)), read)
    for _, loaded in source.load(source.batches(), 1):
        for problem in loaded.problems:
            errors.report(problem)
        if not loaded.names:
            continue
        if output and not together:
            make_folder(output)
        encoder = Encoder(fixed or choose(source), effort)
        records, mse = encoder.encode(loaded.images)
        good = [name for name, _ in loaded.names]
        how = encoder.codec.name if fixed else f"{encoder.codec.name} (chosen)"
        if together:
            save(together, records.tobytes(), force)
            what = good[0] if len(good) == 1 else f"{len(good)} images"
            log(f"{what} -> {together}  {records.size} bytes  {how}  {metrics.psnr(mse.mean()):.1f} dB")
            listed = manifest.beside(together)
            if manifest.is_list(listed):
                log(f"atlc: warning: {listed}: lists the records that {together} had before; remove it")
        for name, packed, error in zip(good, records, mse, strict=True):
            try:
                if not together:
                    save(targets[name], packed.tobytes(), force)
                    log(f"{name} -> {targets[name]}  {packed.size} bytes  {how}  {metrics.psnr(error):.1f} dB")
                if encoder.is_poor(error):
                    log(encoder.warn(name, f"{metrics.psnr(error):.1f} dB,"))
            except AtlcError as problem:
                errors.report(problem)
    errors.exit()


def _target(name: str, output: str | None) -> str:
    """Where the record of an image goes if each has its own file."""
    if name == STANDARD:
        return str(Path(output) / "stdin.atlc") if output else STANDARD
    path = Path(name)
    return str((Path(output) if output else path.parent) / f"{path.stem or path.name}.atlc")
