"""atlc encode: pictures to records."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from atlcodec import api, engine, manifest, metrics, picture
from atlcodec.cli.common import (
    SAMPLE,
    STANDARD,
    Tally,
    clean,
    is_folder,
    make_folder,
    progress,
    refuse_collisions,
    refuse_existing,
    refuse_twice,
    save,
    say,
    standard_input,
)
from atlcodec.cli.names import is_list
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError
from atlcodec.refine import DEFAULT_EFFORT


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...|DIR")
@click.option(
    "-o", "--output", metavar="FILE|DIR|-", help="One file for all, or a folder. [default: beside each picture]"
)
@click.option("-m", "--model", help="Name, id or path. [default: the bundled one that fits best]")
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    help=f"Search for better symbols: 0 none, 9 longest. [default: {DEFAULT_EFFORT}]",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite what is there.")
@click.option("--resize", is_flag=True, help="Scale into 28 x 28, black beside it if it is not square.")
@click.option("--gray", "--grey", is_flag=True, help="Colours to luminance, transparency onto black, 16 bits to 8.")
@click.option("--append", is_flag=True, help="Add a folder's pictures to the set that is there.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that read a folder. [default: as many as cores]",
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
    """Encode pictures to records of 200 bytes: img.png becomes img.atlc.

    Several pictures become one file with -o set.atlc. "-" is standard input or output.

    A folder of pictures, at any depth, or of IDX files becomes one file with -o set.atlc, and a list of paths and
    labels beside it, set.csv; or one Parquet file with -o set.parquet. The same command goes on where it was
    stopped."""
    if len(images) == 1 and images[0] != STANDARD and Path(images[0]).is_dir():
        if output is None:
            raise click.UsageError(f"{clean(images[0])} is a folder; name the file for its records: -o set.atlc")
        from atlcodec.cli.sets import Settings, encode_set  # a single picture does not wait for what a set needs

        if append and force:
            raise click.UsageError("--append adds to what is there, -f overwrites it")
        encode_set(images[0], output, Settings(model, effort, force, append, jobs or engine.threads(), resize, gray))
        return
    if append:
        raise click.UsageError("--append takes one folder of pictures")
    if output is not None and output.lower().endswith(".parquet"):
        raise click.UsageError("a Parquet file is made of a folder of pictures")
    together = output is not None and not is_folder(output)
    refuse_twice(images)
    if together and output:
        targets = dict.fromkeys(images, output)
        refuse_collisions([(images[0], output)], images)
    else:
        targets = {name: _target(name, output) for name in images}
        refuse_collisions([(name, targets[name]) for name in images], images)
    if together and output and output != STANDARD:
        refuse_existing(Path(output), force)
    fixed = Codec.load(model) if model is not None else None
    tally = Tally()
    names, pictures = [], []
    for name in progress(images, "reading", len(images)):
        try:
            if not together and targets[name] != STANDARD:
                refuse_existing(Path(targets[name]), force)
            pictures.append(_read(name, resize=resize, gray=gray))
            names.append(name)
        except AtlcError as error:
            tally.fail(error)
    if pictures:
        if output and not together:
            make_folder(output)
        pixels = np.stack(pictures)
        chosen = fixed or api.choose(pixels[:: -(-len(pixels) // SAMPLE)], effort=0)[0]
        records = chosen.encode(pixels, effort)
        errors = metrics.squared_error(pixels, chosen.decode(records))
        how = chosen.name if fixed else f"{chosen.name} (chosen)"
        if together and output:
            save(output, records.tobytes(), force)
            what = names[0] if len(names) == 1 else f"{len(names)} pictures"
            say(f"{what} -> {output}  {records.size} bytes  {how}  {metrics.psnr(errors.mean()):.1f} dB")
            if is_list(manifest.beside(output)):
                say(f"atlc: warning: {manifest.beside(output)}: lists what {output} held before; remove it")
        for name, packed, mse in zip(names, records, errors, strict=True):
            try:
                if not together:
                    save(targets[name], packed.tobytes(), force)
                    say(f"{name} -> {targets[name]}  {packed.size} bytes  {how}  {metrics.psnr(mse):.1f} dB")
                _warn_if_poor(name, chosen, metrics.psnr(mse))
            except AtlcError as problem:
                tally.fail(problem)
    tally.exit()


def _target(name: str, output: str | None) -> str:
    """Where the record of one picture goes when each has its own file."""
    if name == STANDARD:
        return str(Path(output) / "stdin.atlc") if output else STANDARD
    path = Path(name)
    return str((Path(output) if output else path.parent) / f"{path.stem or path.name}.atlc")


def _read(name: str, *, resize: bool, gray: bool) -> Images:
    if name == STANDARD:
        return picture.read(standard_input(), resize=resize, gray=gray, name="standard input")
    return picture.read(name, resize=resize, gray=gray)


def _warn_if_poor(name: str, chosen: Codec, psnr: float) -> None:
    low = chosen.model.psnr_low
    if low is not None and psnr < low:
        say(
            f"atlc: warning: {name}: {psnr:.1f} dB, where {chosen.name} gives {low:.1f} dB or more to nearly every "
            "picture of its "
            "kind; is it dark on white, or of another kind?"
        )
