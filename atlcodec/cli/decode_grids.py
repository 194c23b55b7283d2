"""atlc decode for files that have grids: each grid is one image, and so is each record that is not a tile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import click
import numpy as np

from atlcodec import grid, grid_finder, picture
from atlcodec.cli.common import ErrorCount, tell
from atlcodec.cli.files import STANDARD
from atlcodec.description import Description
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.grid import Pixels, Region
from atlcodec.grid_file import Grid, pixels
from atlcodec.reader import Part
from atlcodec.sets.manifest import Entry, counted
from atlcodec.sets.record_set import RecordSet, Row
from atlcodec.stream import RecordStream

Save = Callable[[Row, bool, bytes], str | None]  # an image, whether it is one of several, PNG -> its file


class CropType(click.ParamType[Region]):
    """LEFT,TOP,WIDTH,HEIGHT in pixels."""

    name = "crop"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Region:
        if isinstance(value, Region):
            return value
        numbers = str(value).replace(" ", "").split(",")
        if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
            self.fail(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT in pixels: four whole numbers", param, ctx)
        return grid.region(*map(int, numbers))


def with_grids(records: RecordSet) -> RecordSet:
    """The same records; those of a stream that begins with a grid as a whole, for its tiles are needed together."""
    if isinstance(records.file, RecordStream) and records.file.begins_with_grid():
        return RecordSet(records.file.whole(), records.reader)
    return records


def count_images(records: RecordSet) -> int:
    """How many images a file with grids has."""
    return sum(
        1 if isinstance(one, Grid) else len(one.records) for one in grid_finder.images(records.reader, records.file)
    )


def decode_grids(
    records: RecordSet,
    save: Save,
    errors: ErrorCount,
    *,
    folder: str | None,
    crop: Region | None,
    scale: int,
    as_json: bool,
) -> None:
    """All images of a file, or a part of the only one. `save` writes one of them, several into a `folder`."""
    many, done, last = crop is None and count_images(records) > 1, 0, ""
    for row, image in _images(records, errors, crop):
        model = row.codec.name
        try:
            canvas, shape = _drawn(image, crop, scale)
            target = save(row, many, canvas.png())
        except AtlcError as error:
            errors.report(f"{records.name}: {error}" if isinstance(error, NotARecord) else error)
            continue
        if target is None:
            continue
        done, last = done + 1, target
        if as_json:
            line = {"file": records.name, "record": row.number, "output": target, "model": model}
            line |= {"path": row.entry.path, "label": row.entry.label} if row.entry else {}
            click.echo(json.dumps(line | {"width": shape[1], "height": shape[0]}))
    if done and not as_json and last != STANDARD:
        where, what = (folder, counted(done, "image")) if many else (last, model)
        tell(f"{records.name} -> {where}  {what}")


def _images(records: RecordSet, errors: ErrorCount, crop: Region | None) -> Iterator[tuple[Row, Grid | Part]]:
    """Each image: where it is from, and its content."""
    nothing = np.empty(0, np.uint8)
    if crop:
        found, problems = grid_finder.only(records.reader, records.file, complete=False)
        images: Iterator[tuple[Grid | Part, list[Entry] | None]] = iter([(found, None)])
        for why in problems:
            errors.report(f"{records.name}: {why}")
    else:
        images = records.images()
    for one, entries in images:
        if isinstance(one, Grid):
            for why in () if crop else one.problems:
                errors.report(f"{records.name}: {why}")
            yield Row(one.number, one.codec, nothing, entries[0] if entries else None), one
        elif one.codec is None:
            errors.report(f"{records.name}: {one.problem}")
        else:
            listed: Sequence[Entry | None] = entries or [None] * len(one.records)
            for number, packed, entry in zip(one.numbers.tolist(), one.records, listed, strict=True):
                yield Row(number, one.codec, nothing, entry), Part(np.array([number]), packed[None], one.codec)


def _drawn(image: Grid | Part, crop: Region | None, scale: int) -> tuple[picture.Canvas, tuple[int, ...]]:
    """An image, with each pixel as a square, and its shape before that."""
    strips: Iterator[Pixels] = image.strips(crop) if isinstance(image, Grid) else iter([pixels(image, crop)])
    shape = _shape(image.description, crop) if isinstance(image, Grid) else ()
    canvas: picture.Canvas | None = None
    for strip in strips:
        shape = shape or strip.shape
        canvas = canvas or picture.Canvas((shape[0] * scale, shape[1] * scale, *shape[2:]))
        canvas.add(strip.repeat(scale, 0).repeat(scale, 1))
    assert canvas is not None
    return canvas, shape


def _shape(described: Description, crop: Region | None) -> tuple[int, ...]:
    return (crop.rows, crop.columns, *described.shape[2:]) if crop else described.shape
