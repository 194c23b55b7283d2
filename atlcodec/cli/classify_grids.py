"""atlc classify for files that have grids: a label for each tile, and a map of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from atlcodec import files, grid_finder, label_map
from atlcodec.cli.common import ErrorCount, tell
from atlcodec.cli.files import not_empty
from atlcodec.errors import NotARecord
from atlcodec.files import RecordSource
from atlcodec.grid_file import Grid, pixels
from atlcodec.reader import Part, Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.manifest import Entry
from atlcodec.sets.record_set import RecordSet, Row

Place = tuple[int, int]  # the row and the column of a tile


def map_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for a map of labels."""
    command = click.option("-f", "--force", is_flag=True, help="Overwrite an existing map.")(command)
    command = click.option(
        "--tiles/--no-tiles",
        default=None,
        help="Of images in tiles, a label for each tile, or one for each image: the mean of its tiles' probabilities. "
        "[default: for each tile; in a set with a list, for each image]",
    )(command)
    return click.option(
        "--map",
        "map_file",
        metavar="FILE.png",
        callback=not_empty,
        help="Of an image in tiles (atlc encode --grid), also draw the labels over it, with a legend.",
    )(command)


def labelled(records: RecordSet, errors: ErrorCount, *, tiles: bool) -> Iterator[tuple[list[Row], list[Place] | None]]:
    """The probabilities of images or of `tiles`, and the places of tiles."""
    for one, entries in records.images():
        if isinstance(one, Part):
            if one.codec is None:
                errors.report(f"{records.name}: {one.problem}")
            else:
                values = one.codec.classify(one.records)
                listed: Sequence[Entry | None] = entries or [None] * len(values)
                each = zip(one.numbers.tolist(), values, listed, strict=True)
                yield [Row(number, one.codec, value, entry) for number, value, entry in each], None
            continue
        for why in one.problems:
            errors.report(f"{records.name}: {why}")
        entry = entries[0] if entries else None
        if tiles:
            for at, values, places in _of_tiles(one):
                yield [Row(k, one.codec, value, entry) for k, value in zip(at, values, strict=True)], places
        elif len(one.numbers):
            total = np.sum([values.sum(axis=0) for _, values, _ in _of_tiles(one)], axis=0)
            yield [Row(one.number, one.codec, np.asarray(total / total.sum()), entry)], None


def _of_tiles(one: Grid) -> Iterator[tuple[list[int], NDArray[np.float32], list[Place]]]:
    """The numbers of the records of tiles, their probabilities and their places, some thousand at a time."""
    for start in range(0, len(one.numbers), files.BATCH):
        numbers = one.numbers[start : start + files.BATCH]
        packed, there = one.records(numbers)
        at = (one.places[start : start + files.BATCH][there] // RECORD_BYTES).tolist()
        places = [divmod(number, one.description.columns) for number in numbers[there].tolist()]
        yield at, one.codec.classify(packed[there]), places


def map_of(reader: Reader, file: RecordSource, least: float | None) -> bytes:
    """The PNG file of a map of the one grid in a file. Raises `NotARecord` for other files."""
    found, _ = grid_finder.only(reader, file)
    if not isinstance(found, Grid):
        raise NotARecord(f"{file.name}: is not an image in tiles, so it has no map; encode it with --grid")
    described, codec = found.description, found.codec
    image = pixels(found)  # raises for a description that promises too much, before anything else is allocated
    indices: NDArray[np.intp] = np.full(described.tiles, -1)
    sure = np.zeros(described.tiles, bool)
    for start in range(0, len(found.numbers), files.BATCH):
        numbers = found.numbers[start : start + files.BATCH]
        packed, there = found.records(numbers)
        values = codec.classify(packed[there])
        indices[numbers[there]] = values.argmax(axis=1)
        sure[numbers[there]] = [not codec.is_unsure(float(value), least) for value in values.max(axis=1)]
    return label_map.draw(image, described, indices, sure, list(codec.labels))


def save_map(records: RecordSet, target: str, least: float | None, save: Callable[[str, bytes], None]) -> None:
    """Write the map of a file, and say so."""
    save(target, map_of(records.reader, records.file, least))
    tell(f"{records.name} -> {target}  map of labels")
