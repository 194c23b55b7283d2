"""atlc decode: records to images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from atlcodec import picture, record
from atlcodec.cli.common import ErrorCount, escape, progress, quiet_option, tell
from atlcodec.cli.decode_grids import CropType, count_images, decode_grids, with_grids
from atlcodec.cli.files import (
    STANDARD,
    after_reading,
    all_names,
    exists,
    files_from_option,
    is_folder,
    make_folder,
    open_set,
    output_option,
    refuse_collisions,
    refuse_twice,
    save,
)
from atlcodec.cli.help import Command, complete_files, group, model_option
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import BATCH
from atlcodec.grid import Region
from atlcodec.reader import Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.manifest import counted
from atlcodec.sets.paths import FOLDS, OutputPaths, is_device, listable, place
from atlcodec.sets.record_set import RecordSet, Row
from atlcodec.stream import RecordStream
from atlcodec.zoo import writer_name


@click.command(cls=Command, examples=("atlc decode cat.atlc", "atlc decode set.atlc -o pictures/"))
@click.argument("names", nargs=-1, metavar="FILE...", shell_complete=complete_files)
@group("Output")
@output_option("FILE.png|DIR|-", "[default: x.atlc becomes x.atlc.png]")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files.")
@click.option("--skip-existing", is_flag=True, help="Leave out images that exist.")
@click.option(
    "--scale",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Draw each pixel as a square of N x N, to look at it.",
)
@click.option(
    "--crop",
    type=CropType(),
    metavar="X,Y,W,H",
    help="Only this part of an image: left, top, width and height in pixels. Other tiles are not read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for each image.")
@quiet_option
@group("Input")
@model_option()
@files_from_option
def decode(names: tuple[str, ...], files_from: str | None, model: str | None, **given: Any) -> None:
    """Decode records to PNG images: x.atlc becomes x.atlc.png.

    A grid, an image that was encoded with --grid, becomes an image of its size.

    If a file has several records, -o names a folder for the images. They get the paths from the list beside the file
    (set.csv, or the columns of a Parquet file), or numbers if there is no list. "-" is standard input or output."""
    names = all_names(names, files_from)
    refuse_twice(names)
    options = _Options(**given)
    places = _Places(options.output)
    if len(names) > 1 and options.output is not None and places.folder is None:
        raise click.UsageError("several files cannot become one image; name a folder: -o DIR/")
    if options.force and options.skip_existing:
        raise click.UsageError("-f replaces existing files, --skip-existing keeps them; give one of them")
    if options.as_json and places.to_standard_output(names):
        raise click.UsageError("an image and --json cannot both go to standard output; name a file with -o")
    refuse_collisions([(name, places.alone(name)) for name in names], names)
    places.check_ending()
    reader, errors = Reader(model), ErrorCount()
    for name in names:
        try:
            records = open_set(name, reader)
            if isinstance(records.file, RecordStream):
                records.file.peek(2)  # whether it has several decides where they go
            records = with_grids(records)
            if options.crop or records.has_grids:
                _decode_grids(name, records, places, options, names, errors)
                continue
            places.check(name, records, options.force or options.skip_existing)
            _decode(name, records, places, options, names, errors)
            after_reading(records)
        except AtlcError as error:
            errors.report(error)
    errors.exit()


@dataclass(frozen=True)
class _Options:
    """What the user asked for."""

    output: str | None
    force: bool
    skip_existing: bool
    scale: int
    crop: Region | None
    as_json: bool


class _Places:
    """Where the images go: `folder` if -o is one, else the file, device or stream that it names."""

    def __init__(self, output: str | None) -> None:
        self._output = output
        self._written = OutputPaths(folds=True)
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
                if not isinstance(records.file, RecordStream):
                    _refuse_other_files(records)
                many = "several" if isinstance(records.file, RecordStream) else len(records)
                raise NotARecord(f"{records.name}: has {many} records; name a folder for their images: -o DIR/")
            return
        self.check_folder(name, records, force)

    def check_folder(self, name: str, records: RecordSet, force: bool) -> None:
        """The same for a folder."""
        assert self.folder is not None
        if records.has_list and self._listed:
            raise AtlcError(
                f"{records.name}: has paths, which could clash with those of {self._listed}; decode it by itself"
            )
        if records.has_list:
            targets = [place(self.folder, entry.path, make=False).is_file() for entry in records.entries()]
            self._listed = records.name
        elif len(records) > 1 and Path(self.folder).is_dir() and not isinstance(records.file, RecordStream):
            targets = [self._numbered(name, number).is_file() for number in range(len(records))]
        else:
            targets = []
        if len(targets) > 1 and any(targets) and not force:
            raise AtlcError(f"{self.folder}: {sum(targets)} of {len(targets)} images already exist; -f replaces them")

    def of(self, name: str, row: Row, many: bool) -> str:
        """Where the image of a record goes; creates the folders above it."""
        if self.folder is None:
            return self.alone(name)
        if row.entry is not None:
            path = row.entry.path
            if FOLDS and self._written.add(path) is not None:  # another one, for this system
                path = listable(path, self._written)
            return str(place(self.folder, path))
        return str(self._numbered(name, row.number)) if many else self.alone(name)

    def to_standard_output(self, names: tuple[str, ...]) -> bool:
        return any(self.alone(name) == STANDARD for name in names)

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
    name: str, records: RecordSet, places: _Places, options: _Options, inputs: tuple[str, ...], errors: ErrorCount
) -> None:
    """All records of one file."""
    many, done, skipped, folder = len(records) > 1, 0, 0, places.folder
    length = 0 if isinstance(records.file, RecordStream) else len(records)
    for row in progress(_rows(records, folder is not None, errors), "decoding", length):
        if folder is not None and not Path(folder).is_dir():
            make_folder(folder)
        try:
            target = places.of(name, row, many)
            if options.skip_existing and target != STANDARD and exists(target):
                skipped += 1
                continue
            pixels = np.asarray(row.value).repeat(options.scale, 0).repeat(options.scale, 1)
            save(target, picture.png(pixels), options.force, inputs, sync=not many)
        except AtlcError as error:
            errors.report(error)
            continue
        done += 1
        if options.as_json:
            path = {"path": row.entry.path, "label": row.entry.label} if row.entry else {}
            line = {"file": records.name, "record": row.number, "output": target, "model": row.codec.name, **path}
            click.echo(json.dumps(line))
        elif not many and target != STANDARD:
            tell(f"{records.name} -> {target}  {row.codec.name}")
    if many and done and not options.as_json:
        tell(f"{records.name} -> {folder}  {counted(done, 'image')}")
    if skipped:
        tell(f"{records.name}: skipped {counted(skipped, 'image')}, for the output exists")


def _decode_grids(
    name: str, records: RecordSet, places: _Places, options: _Options, inputs: tuple[str, ...], errors: ErrorCount
) -> None:
    """All images of one file that has grids, or a part of its only image."""
    if not options.crop and places.folder is None and (count := count_images(records)) > 1:
        raise NotARecord(f"{records.name}: has {count} images; name a folder for them: -o DIR/")
    if not options.crop and places.folder is not None and records.has_list:
        places.check_folder(name, records, options.force or options.skip_existing)

    def write(row: Row, many: bool, image: bytes) -> str | None:
        if places.folder is not None:
            make_folder(places.folder)
        target = places.of(name, row, many)
        if options.skip_existing and target != STANDARD and exists(target):
            tell(f"{records.name}: skipped {target}, for it exists")
            return None
        save(target, image, options.force, inputs, sync=not many)
        return target

    how: dict[str, Any] = {"crop": options.crop, "scale": options.scale, "as_json": options.as_json}
    decode_grids(records, write, errors, folder=places.folder, **how)


def _refuse_other_files(records: RecordSet) -> None:
    """Raise `NotARecord` for a file without any record: it has no images either."""
    ids = np.fromiter(records.reader.models, np.uint32)
    first = records.file.bytes(0, min(len(records), BATCH) * RECORD_BYTES).reshape(-1, RECORD_BYTES)
    if len(records) <= BATCH and not np.isin(record.ids(first), ids).any():
        raise NotARecord(
            f"{records.name}: holds no record of {writer_name(records.reader.models)}; is it an .atlc file?"
        )


def _rows(records: RecordSet, listed: bool, errors: ErrorCount) -> Iterator[Row]:
    for rows, problem in records.map(lambda codec, some: codec.decode(some), entries=listed):
        if problem:
            errors.report(problem)
        yield from rows
