"""atlc decode: records to images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from atlcodec import picture
from atlcodec.cli.common import (
    STANDARD,
    ErrorCount,
    is_folder,
    log,
    make_folder,
    open_set,
    progress,
    refuse_collisions,
    refuse_twice,
    save,
)
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.reader import Reader
from atlcodec.sets.paths import place
from atlcodec.sets.record_set import RecordSet, Row


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", metavar="FILE|DIR|-", help="[default: x.atlc becomes x.atlc.png]")
@click.option("-m", "--model", help="Read only records of this model: name, id or path. [default: any model]")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
def decode(names: tuple[str, ...], output: str | None, model: str | None, force: bool) -> None:
    """Decode records to PNG images: x.atlc becomes x.atlc.png.

    The records of a file with many become images in the folder of -o: with the paths from the list beside it (set.csv,
    or the columns of a Parquet file) if there is one, else numbered. "-" is standard input or output."""
    refuse_twice(names)
    if len(names) > 1 and output is not None and not is_folder(output):
        if Path(output).suffix or output == STANDARD:
            raise click.UsageError("several files cannot become one image; name a folder: -o DIR/")
        output += "/"  # a new folder
    refuse_collisions([(name, _target(name, output)) for name in names], names)
    job = _Job(names, output, force, ErrorCount())
    reader = Reader(model)
    for name in names:
        try:
            job.decode(name, open_set(name, reader))
        except AtlcError as error:
            job.errors.report(error)
    job.errors.exit()


def _target(name: str, output: str | None) -> str:
    """Where the image goes if the file has one record."""
    if output is not None and not is_folder(output):
        return output
    if name == STANDARD:
        return STANDARD if output is None else str(Path(output) / "stdin.png")
    path = Path(name)
    return str((Path(output) if output is not None else path.parent) / f"{path.name}.png")


@dataclass
class _Job:
    inputs: tuple[str, ...]
    output: str | None
    force: bool
    errors: ErrorCount
    listed: str = ""  # the file whose paths were used: those of two files could clash

    def decode(self, name: str, records: RecordSet) -> None:
        """All records of one file."""
        many = len(records) > 1
        folder = self._folder(records)
        if folder is not None and records.has_list:
            if self.listed:
                raise AtlcError(
                    f"{records.name}: has paths, which could clash with those of {self.listed}; decode it by itself"
                )
            for entry in records.entries():  # check all paths before writing anything
                place(folder, entry.path, make=False)
            self.listed = records.name
        if folder is not None:
            make_folder(folder)
        done = 0
        for row in progress(self._rows(records, listed=folder is not None), "decoding", len(records)):
            try:
                target = self._place(name, row, folder, many)
                save(target, picture.png(np.asarray(row.value)), self.force, self.inputs, sync=not many)
                done += 1
                if not many and target != STANDARD:
                    log(f"{records.name} -> {target}  {row.codec.name}")
            except AtlcError as error:
                self.errors.report(error)
        if many:
            log(f"{records.name} -> {self.output}  {done} images")

    def _folder(self, records: RecordSet) -> str | None:
        """The folder for the images; None if there is one image, which has a file of its own."""
        output, many = self.output, len(records) > 1
        if many and (output is None or output == STANDARD or (Path(output).suffix and not is_folder(output))):
            raise NotARecord(f"{records.name}: has {len(records)} records; name a folder for their images: -o DIR/")
        return output if output is not None and (many or is_folder(output)) else None

    def _rows(self, records: RecordSet, listed: bool) -> Iterator[Row]:
        for rows, problem in records.map(lambda codec, some: codec.decode(some), entries=listed):
            if problem:
                self.errors.report(problem)
            yield from rows

    def _place(self, name: str, row: Row, folder: str | None, many: bool) -> str:
        if folder is not None and row.entry is not None:
            return str(place(folder, row.entry.path))
        if folder is not None and many:
            stem = "stdin" if name == STANDARD else Path(name).name
            return str(Path(folder) / f"{stem}.{row.number:06d}.png")
        return _target(name, self.output)
