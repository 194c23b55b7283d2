"""atlc encode: images to records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from atlcodec.cli.common import ErrorCount, escape, log, meter
from atlcodec.cli.encode_files import encode_files
from atlcodec.cli.files import STANDARD, check_ending, is_folder, shown, standard_output
from atlcodec.cli.fitting import fit_options
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.sets.paths import AlreadyExists, is_device


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...|DIR")
@click.option(
    "-o", "--output", metavar="FILE|DIR|-", help="One file for all, or a folder. [default: beside each image]"
)
@click.option("-m", "--model", help="Name, id or path. [default: the bundled one that fits the images best]")
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    help="0 is fast, 9 is slow and gives the best quality. [default: what the model's card says]",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
@fit_options
@click.option("--append", is_flag=True, help="Add a folder's images to an existing set.")
@click.option("--each", is_flag=True, help="In a set, give each image the model that fits it best.")
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
    append: bool,
    each: bool,
    jobs: int | None,
    **how: Any,
) -> None:
    """Encode images to records of 200 bytes: img.png becomes img.atlc.

    Several images become one file with -o set.atlc. "-" is standard input or output.

    A folder of images, at any depth, or of IDX files becomes one file with -o set.atlc, and a list of paths and labels
    beside it, set.csv; or one Parquet file with -o set.parquet. The same command continues where it was stopped."""
    try:
        convert = Fit(**how)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if each and model is not None:
        raise click.UsageError("--each gives each image its own model, -m names one for all; give one of them")
    if len(images) == 1 and images[0] != STANDARD and Path(images[0]).is_dir():
        if append and force:
            raise click.UsageError("--append adds to a set, -f overwrites it; give one of them")
        options = {"model": model, "effort": effort, "overwrite": force, "append": append, "each": each, "jobs": jobs}
        _encode_folder(images[0], output, options | how)
        return
    _refuse_folders(images, output, append)
    encode_files(images, output, Codec.load(model) if model is not None else None, effort, force, convert, each)


def _refuse_folders(images: tuple[str, ...], output: str | None, append: bool) -> None:
    """Refuse what only works with one folder, and a folder among others."""
    for name in images:
        if name != STANDARD and Path(name).is_dir():
            raise click.UsageError(
                f"{escape(name)}: is a folder; encode one folder in each call, and add others with --append"
            )
    if append:
        raise click.UsageError("--append takes one folder of images")
    if output is not None and output.lower().endswith(".parquet"):
        raise click.UsageError("a Parquet file is made from a folder of images")


def _encode_folder(folder: str, output: str | None, options: dict[str, Any]) -> None:
    """The images of a folder to one file. Images that cannot be encoded are reported, and the others go on."""
    from atlcodec.sets.encode import encode_folder  # a single image does not need it

    if output is None:
        raise click.UsageError(f"{escape(folder)} is a folder; name the file for its records: -o set.atlc")
    if is_folder(output):
        raise click.UsageError(
            f"{escape(output)} is a folder; all images of {escape(folder)} go into one file: -o set.atlc"
        )
    check_ending(output, (".atlc", ".parquet"), many=False)
    if options["append"] and (output == STANDARD or is_device(output)):
        raise click.UsageError(f"--append adds to a file; {escape(output)} is not a regular file")
    errors = ErrorCount()
    try:
        with meter("encoding") as show:
            target = standard_output() if output == STANDARD else output
            done = encode_folder(folder, target, **options, log=log, problem=errors.report, progress=show)
    except AlreadyExists as error:
        raise AtlcError(f"{error.path}: already exists; -f replaces it") from error
    if not done.images:
        log(f"atlc: {folder}: no image could be encoded; nothing was written")
    else:
        how = f"{done.model} ({done.choice})" if done.choice else done.model
        where = ", ".join(map(str, done.paths)) or shown(output)
        size = done.paths[0].stat().st_size if done.paths else done.bytes
        against = f" against the images {done.against}" if done.against else ""
        log(f"{done.images} images -> {where}  {size} bytes  {how}  {done.psnr:.1f} dB{against}")
        for line in (done.warning, *(f"atlc: warning: {loss}" for loss in done.losses)):
            if line:
                log(line)
    errors.exit()
