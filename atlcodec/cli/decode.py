"""atlc decode: records to pictures."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from atlcodec import picture
from atlcodec.cli.common import (
    STANDARD,
    Tally,
    is_folder,
    make_folder,
    open_records,
    progress,
    refuse_collisions,
    refuse_twice,
    results,
    save,
    say,
)
from atlcodec.cli.names import find_names, place
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.reader import Reader


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", metavar="FILE|DIR|-", help="[default: x.atlc becomes x.atlc.png]")
@click.option("-m", "--model", help="Insist on this model: name, id or path. [default: the record says]")
@click.option("-f", "--force", is_flag=True, help="Overwrite what is there.")
def decode(names: tuple[str, ...], output: str | None, model: str | None, force: bool) -> None:
    """Decode records to PNG pictures: x.atlc becomes x.atlc.png.

    A file of many records becomes pictures in the folder of -o: with the paths of the list beside it (set.csv, or the
    columns of a Parquet file) if there is one, else numbered. "-" is standard input or output."""
    refuse_twice(names)
    if len(names) > 1 and output is not None and not is_folder(output):
        if Path(output).suffix or output == STANDARD:
            raise click.UsageError("several files cannot become one picture; name a folder: -o DIR/")
        output += "/"  # a folder yet to be made
    refuse_collisions([(name, _target(name, output)) for name in names], names)
    reader, tally = Reader(model), Tally()
    named: list[str] = []
    for name in names:
        try:
            _decode(name, output, reader, force, tally, names, named)
        except AtlcError as error:
            tally.fail(error)
    tally.exit()


def _target(name: str, output: str | None) -> str:
    """Where the picture of a file of one record goes."""
    if output is not None and not is_folder(output):
        return output
    if name == STANDARD:
        return STANDARD if output is None else str(Path(output) / "stdin.png")
    path = Path(name)
    return str((Path(output) if output is not None else path.parent) / f"{path.name}.png")


def _decode(
    name: str, output: str | None, reader: Reader, force: bool, tally: Tally, inputs: tuple[str, ...], named: list[str]
) -> None:
    file = open_records(name)
    target = _target(name, output)
    many = len(file) > 1
    if many and (output is None or output == STANDARD or (Path(output).suffix and not is_folder(output))):
        raise NotARecord(f"{file.name}: holds {len(file)} records; name a folder for their pictures: -o DIR/")
    folder = output if output is not None and (many or is_folder(output)) else None
    names = find_names(name, file) if folder is not None else None
    if folder is not None and names is not None:
        if named:
            raise AtlcError(f"{file.name}: has paths, which those of {named[0]} could be, too; decode it by itself")
        names.check(file, lambda entry: place(folder, entry.path, make=False))  # before anything is written
        named.append(file.name)
    if folder is not None:
        make_folder(folder)
    if not len(file) and not file.torn:
        say(f"{file.name}: empty, a file of no records")
    source, done = "stdin" if name == STANDARD else Path(name).name, 0
    batches = results(reader, file, tally, lambda codec, records: codec.decode(records))
    decoded = ((entry, in_step) for batch, in_step in batches for entry in batch)
    for (number, codec, image), in_step in progress(decoded, "decoding", len(file)):
        try:
            where = target
            if folder is not None and names is not None and in_step:
                where = str(place(folder, names[number].path))
            elif folder is not None and many:
                where = str(Path(folder) / f"{source}.{number:06d}.png")
            save(where, picture.png(np.asarray(image)), force, inputs, sync=not many)
            done += 1
            if not many and where != STANDARD:
                say(f"{file.name} -> {where}  {codec.name}")
        except AtlcError as error:
            tally.fail(error)
    if many:
        say(f"{file.name} -> {output}  {done} pictures")
