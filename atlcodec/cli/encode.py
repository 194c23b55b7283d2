"""atlc encode: images to records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlcodec import choice
from atlcodec.cli.common import ErrorCount, escape, log, meter, quiet_option, tell
from atlcodec.cli.contents import dry_run, dry_run_option, show_contents
from atlcodec.cli.encode_files import encode_files
from atlcodec.cli.encode_inputs import Options
from atlcodec.cli.files import (
    STANDARD,
    all_names,
    check_ending,
    exists,
    files_from_option,
    is_folder,
    output_option,
    shown,
    standard_output,
)
from atlcodec.cli.fitting import fit_of, fit_options, grid_options
from atlcodec.cli.help import Command, Effort, complete_files, group, model_option
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, MissingFile
from atlcodec.fit import Fit
from atlcodec.sets import kinds
from atlcodec.sets.locate import is_known
from atlcodec.sets.manifest import counted
from atlcodec.sets.paths import AlreadyExists, is_device

if TYPE_CHECKING:
    from atlcodec.sets.encode import EncodedSet


@click.command(
    cls=Command,
    examples=("atlc encode cat.png", "atlc encode pictures -o set.atlc -m mnist"),
)
@click.argument("images", nargs=-1, metavar="IMAGE...|SET", shell_complete=complete_files)
@group("Output")
@output_option("FILE|DIR|-", "One file for all, or a folder. [default: beside each]")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
@click.option("--skip-existing", is_flag=True, help="Leave out images whose output exists.")
@click.option("--append", is_flag=True, help="Add a folder's images to an existing set.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for each file written.")
@dry_run_option
@quiet_option
@group("Model and quality")
@model_option(help="Name, id or path. [default: the bundled one that fits the images best]")
@click.option(
    "--effort",
    type=Effort(),
    help="0 is fast, 9 is slow and gives the best quality. [default: what the model's card says]",
)
@click.option("--each", is_flag=True, help="In a set, give each image the model that fits it best.")
@group("Images of other sizes and kinds")
@grid_options
@fit_options
@group("Many images")
@files_from_option
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that read a folder. [default: one for each core]",
)
def encode(images: tuple[str, ...], files_from: str | None, **given: Any) -> None:
    """Encode images to records of 200 bytes: img.png becomes img.atlc.

    With --grid, an image of any size becomes a description and the records of its tiles; atlc decode gives an image of
    the same size back. Those of a folder become one set.

    Several images become one file with -o set.atlc. "-" is standard input or output.

    A SET is a folder of images, at any depth, or a data set: IDX files, .npz, .npy, a CSV of pixels, Parquet, or a name
    like MNIST. It becomes one file with -o set.atlc, and a list of paths and labels beside it, set.csv; or one Parquet
    file with -o set.parquet. The same command continues where it was stopped."""
    images = all_names(images, files_from, "IMAGE...|SET")
    convert = fit_of(given)
    sets = [name for name in images if _is_set(name)]
    _refuse_contradictions(images, sets, given)
    if len(images) == 1 and (sets or (given["dry_run"] and images[0] != STANDARD)):
        _encode_set(images[0], given, convert)
    else:
        _encode_named(images, sets, given, convert)


def _encode_named(images: tuple[str, ...], sets: list[str], given: dict[str, Any], convert: Fit) -> None:
    """Image files, each to a record or, with --grid, to a grid."""
    if given["dry_run"]:
        missing = [name for name in images if name != STANDARD and not os.path.lexists(name)]
        if missing:
            raise MissingFile(missing[0])
        raise click.UsageError("--dry-run is for a folder or a data set")
    _refuse_sets(sets, given["output"], given["append"])
    fixed = Codec.load(given["model"]) if given["model"] is not None else None
    kept = {key: given[key] for key in ("output", "effort", "force", "each", "skip_existing", "as_json")}
    options = Options(fixed=fixed, how=convert, **kept)
    if not given["grid"] and not _is_grid_unasked(images, options):
        encode_files(images, options)
        return
    from atlcodec.cli.encode_grids import encode_grids  # other images do not need it

    encode_grids(images, options, given["overlap"])


def _is_grid_unasked(images: tuple[str, ...], options: Options) -> bool:
    """Whether images of other shapes become grids though nobody asked for it: not in a file of several images."""
    changed = options.how.fit or options.how.frame == "all" or options.each
    return choice.grids_unasked() and not changed and (options.together is None or len(images) == 1)


def _refuse_for_grids(given: dict[str, Any]) -> None:
    """Refuse what an image in tiles does not have."""
    if given["fit"]:
        raise click.UsageError("--grid keeps the size of an image, --fit changes it; give one of them")
    if given["each"]:
        raise click.UsageError("--each is for the images of a set; the tiles of a grid have one model")
    if given["frame"] == "all":
        raise click.UsageError("--grid takes one frame: --frame 0 is the first")


def _refuse_contradictions(images: tuple[str, ...], sets: list[str], given: dict[str, Any]) -> None:
    if given["grid"]:
        _refuse_for_grids(given)
    elif given["overlap"] is not None:
        raise click.UsageError("--overlap is for the tiles of --grid")
    if given["each"] and given["model"] is not None:
        raise click.UsageError("--each gives each image its own model, -m names one for all; give one of them")
    if given["force"] and given["skip_existing"]:
        raise click.UsageError("-f replaces existing files, --skip-existing keeps them; give one of them")
    if given["as_json"] and STANDARD in ((given["output"],) if given["output"] else images):
        raise click.UsageError("records and --json cannot both go to standard output; name a file with -o")


def _refuse_sets(sets: list[str], output: str | None, append: bool) -> None:
    """Refuse what only works with one folder or data set, and one of these among others."""
    if sets:
        what = "folder" if Path(sets[0]).is_dir() else "data set"
        raise click.UsageError(
            f"{escape(sets[0])}: is a {what}; encode one {what} in each call, and add others with --append"
        )
    if append:
        raise click.UsageError("--append takes one folder of images, or one data set")
    if output is not None and output.lower().endswith(".parquet"):
        raise click.UsageError("a Parquet file is made from a folder of images or a data set")


def _is_set(name: str) -> bool:
    """Whether a name stands for many images: a folder, a data set in a file, or an official one."""
    if name == STANDARD:
        return False
    if os.path.lexists(name):
        return Path(name).is_dir() or kinds.is_set(name)
    return is_known(name)


def _encode_set(folder: str, given: dict[str, Any], how: Fit) -> None:
    """The images of a set to one file. Images that cannot be encoded are reported, and the others go on."""
    from atlcodec.sets.encode import encode_folder  # a single image does not need it

    output = given["output"]
    if given["dry_run"]:
        model = Codec.load(given["model"]) if given["model"] is not None else None
        shape = model.shape if model else choice.default_shape()
        dry_run(folder, shape, how, learned=False, whole=given["grid"])
        return
    if output is None:
        what = "folder" if Path(folder).is_dir() else "data set"
        raise click.UsageError(f"{escape(folder)} is a {what}; name the file for its records: -o set.atlc")
    if is_folder(output):
        raise click.UsageError(
            f"{escape(output)} is a folder; all images of {escape(folder)} go into one file: -o set.atlc"
        )
    check_ending(output, (".atlc", ".parquet"), many=False)
    if given["append"] and given["force"]:
        raise click.UsageError("--append adds to a set, -f overwrites it; give one of them")
    if given["append"] and (output == STANDARD or is_device(output)):
        raise click.UsageError(f"--append adds to a file; {escape(output)} is not a regular file")
    if given["skip_existing"] and not given["append"] and exists(output):
        tell(f"{output}: skipped, for it exists")
        return
    names = ("model", "effort", "append", "each", "grid", "overlap", "jobs", *Fit.__dataclass_fields__)
    options = {name: given[name] for name in names}
    errors = ErrorCount()
    try:
        with meter("encoding") as show:
            target = standard_output() if output == STANDARD else output
            options |= {"overwrite": given["force"], "problem": errors.report, "progress": show, "log": log}
            done = encode_folder(folder, target, **options)
    except AlreadyExists as error:
        raise AtlcError(f"{error.path}: already exists; -f replaces it") from error
    _report(folder, output, done, given["as_json"])
    errors.exit()


def _report(folder: str, output: str, done: EncodedSet, as_json: bool) -> None:
    """The line at the end."""
    size = done.paths[0].stat().st_size if done.paths else done.bytes
    warnings = [line for line in (done.warning, *done.losses) if line]
    if as_json:
        line = {"folder": folder, "output": output, "files": done.images, "records": done.records, "bytes": size}
        line |= {"model": done.model, "psnr": None if done.psnr is None else round(done.psnr, 3)}
        line |= {"against": done.against, "problems": list(done.problems), "warnings": warnings}
        click.echo(json.dumps(line | {"contents": done.contents.describe()}))
    elif not done.images:
        log(f"atlc: {folder}: no image could be encoded; nothing was written")
    else:
        how = f"{done.model} ({done.choice})" if done.choice else done.model
        where = ", ".join(map(str, done.paths)) or shown(output)
        against = f" against the images {done.against}" if done.against else ""
        tell(f"{counted(done.images, 'image')} -> {where}  {size} bytes  {how}  {done.psnr:.1f} dB{against}")
    for warning in warnings:
        log(f"atlc: warning: {warning}")
    if not as_json:
        show_contents(folder, done.contents)
