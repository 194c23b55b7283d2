"""atlc decode: records to images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from atlcodec import picture
from atlcodec.cli.common import ErrorCount, escape, log, progress
from atlcodec.cli.files import STANDARD, is_folder, make_folder, open_set, refuse_collisions, refuse_twice, save
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.reader import Reader
from atlcodec.sets.paths import is_device, place
from atlcodec.sets.record_set import RecordSet, Row


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", metavar="FILE.png|DIR|-", help="[default: x.atlc becomes x.atlc.png]")
@click.option("-m", "--model", help="Read only records of this model: name, id or path. [default: any model]")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
def decode(names: tuple[str, ...], output: str | None, model: str | None, force: bool) -> None:
    """Decode records to PNG images: x.atlc becomes x.atlc.png.

    If a file has several records, -o names a folder for the images. They get the paths from the list beside the file
    (set.csv, or the columns of a Parquet file), or numbers if there is no list. "-" is standard input or output."""
    refuse_twice(names)
    places = _Places(output)
    if len(names) > 1 and output is not None and places.folder is None:
        raise click.UsageError("several files cannot become one image; name a folder: -o DIR/")
    refuse_collisions([(name, places.alone(name)) for name in names], names)
    places.check_ending()
    reader, errors = Reader(model), ErrorCount()
    for name in names:
        try:
            records = open_set(name, reader)
            places.check(name, records, force)
            _decode(name, records, places, force, names, errors)
        except AtlcError as error:
            errors.report(error)
    errors.exit()


class _Places:
    """Where the images go: `folder` if -o is one, else the file, device or stream that it names."""

    def __init__(self, output: str | None) -> None:
        self._output = output
        self._listed = ""  # the file whose paths were used: those of two files could clash
        named = output is None or output == STANDARD or is_device(output) or Path(output).suffix
        self.folder = None if output is None or (named and not is_folder(output)) else output

    def check_ending(self) -> None:
        output = self._output
        if output is None or self.folder is not None or output == STANDARD or is_device(output):
            return
        if Path(output).suffix.lower() != ".png":
            raise click.UsageError(
                f"{escape(output)}: decode writes PNG; name a file that ends in .png, or a folder that ends in /"
            )

    def check(self, name: str, records: RecordSet, force: bool) -> None:
        """Check where all images of a file will go, before any is written. Raises `AtlcError`."""
        if self.folder is None:
            if len(records) > 1:
                raise NotARecord(f"{records.name}: has {len(records)} records; name a folder for their images: -o DIR/")
            return
        if records.has_list and self._listed:
            raise AtlcError(
                f"{records.name}: has paths, which could clash with those of {self._listed}; decode it by itself"
            )
        if records.has_list:
            targets = [place(self.folder, entry.path, make=False).is_file() for entry in records.entries()]
            self._listed = records.name
        elif len(records) > 1 and Path(self.folder).is_dir():
            targets = [self._numbered(name, number).is_file() for number in range(len(records))]
        else:
            targets = []
        if len(records) > 1 and any(targets) and not force:
            raise AtlcError(f"{self.folder}: {sum(targets)} of {len(records)} images already exist; -f replaces them")

    def of(self, name: str, row: Row, many: bool) -> str:
        """Where the image of a record goes; creates the folders above it."""
        if self.folder is None:
            return self.alone(name)
        if row.entry is not None:
            return str(place(self.folder, row.entry.path))
        return str(self._numbered(name, row.number)) if many else self.alone(name)

    def alone(self, name: str) -> str:
        """Where the image goes if the file has one record and no list."""
        if self._output is not None and self.folder is None:
            return self._output
        if name == STANDARD:
            return STANDARD if self.folder is None else str(Path(self.folder) / "stdin.png")
        path = Path(name)
        return str((Path(self.folder) if self.folder is not None else path.parent) / f"{path.name}.png")

    def _numbered(self, name: str, number: int) -> Path:
        return Path(self.folder or ".") / f"{'stdin' if name == STANDARD else Path(name).name}.{number:06d}.png"


def _decode(
    name: str, records: RecordSet, places: _Places, force: bool, inputs: tuple[str, ...], errors: ErrorCount
) -> None:
    """All records of one file."""
    many, done, folder = len(records) > 1, 0, places.folder
    for row in progress(_rows(records, folder is not None, errors), "decoding", len(records)):
        if folder is not None and not Path(folder).is_dir():
            make_folder(folder)
        try:
            target = places.of(name, row, many)
            save(target, picture.png(np.asarray(row.value)), force, inputs, sync=not many)
            done += 1
            if not many and target != STANDARD:
                log(f"{records.name} -> {target}  {row.codec.name}")
        except AtlcError as error:
            errors.report(error)
    if many and done:
        log(f"{records.name} -> {folder}  {done} images")


def _rows(records: RecordSet, listed: bool, errors: ErrorCount) -> Iterator[Row]:
    for rows, problem in records.map(lambda codec, some: codec.decode(some), entries=listed):
        if problem:
            errors.report(problem)
        yield from rows
