"""atlc classify: the labels of records, without decoding them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from atlcodec.cli.classify_grids import Place, labelled, map_options, save_map
from atlcodec.cli.common import ErrorCount, escape, quiet_option, require_output
from atlcodec.cli.confusion import Confusion
from atlcodec.cli.decode_grids import with_grids
from atlcodec.cli.files import after_reading, all_names, files_from_option, open_set, refuse_twice, save
from atlcodec.cli.help import Command, complete_files, group, model_option
from atlcodec.errors import AtlcError
from atlcodec.reader import Reader
from atlcodec.sets.paths import refuse_existing
from atlcodec.sets.record_set import RecordSet, Row
from atlcodec.stream import RecordStream


@click.command(cls=Command, examples=("atlc classify cat.atlc", "tail -c +1 -f new.atlc | atlc classify - --json"))
@click.argument("names", nargs=-1, metavar="FILE...", shell_complete=complete_files)
@group("Output")
@click.option(
    "--top", default=1, show_default=True, type=click.IntRange(1), metavar="K", help="The K likeliest labels."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--summary", is_flag=True, help="Only how many images have each label, and how many labels of the list are right."
)
@map_options
@quiet_option
@group("Which classifier")
@click.option("--head", help="The classifier to use, by name. [default: the model's first]")
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Call a label unsure below this probability. [default: what the head's card says]",
)
@group("Input")
@model_option()
@files_from_option
def classify(
    names: tuple[str, ...],
    files_from: str | None,
    model: str | None,
    head: str | None,
    map_file: str | None,
    force: bool,
    **how: Any,
) -> None:
    """Print the label of each record, read from its 200 bytes without decoding them.

    "-" is standard input; its records are answered as they arrive.

    Each tile of a grid has its own label, and its row and column are printed with it; or with --no-tiles, and in a set
    with a list, each image has one.

    A label is "unsure" if the classifier is hardly ever so unsure of images like those that it has learned from.

    With --json and a list beside the file (set.csv, or the columns of a Parquet file), a line also has the image's
    path, and its true label from the list. --summary shows how often each label was taken for which."""
    names = all_names(names, files_from)
    require_output()
    refuse_twice(names)
    if map_file is not None and (len(names) > 1 or Path(map_file).suffix.lower() != ".png"):
        raise click.UsageError("--map draws one file, into one that ends in .png")
    reader, errors = Reader(model, head), ErrorCount()
    for name in names:
        try:
            records = with_grids(open_set(name, reader))
            if map_file is not None:
                refuse_existing(Path(map_file), force)
                save_map(records, map_file, how["min_probability"], lambda path, data: save(path, data, force, names))
            _classify(records, errors, **how)
        except AtlcError as error:
            errors.report(error)
    errors.exit()


def _classify(
    records: RecordSet,
    errors: ErrorCount,
    *,
    top: int,
    min_probability: float | None,
    as_json: bool,
    summary: bool,
    tiles: bool | None,
) -> None:
    """All records of one file."""
    least = min_probability
    if records.has_grids:
        each = not records.has_list if tiles is None else tiles
        _classify_grids(records, labelled(records, errors, tiles=each), top, least, as_json, summary)
        return
    found, line = Confusion(), _json if as_json else _text
    for rows, problem in records.map(lambda codec, some: codec.classify(some), entries=as_json or summary):
        if problem:
            errors.report(problem)
        elif summary:
            found.add(rows, least)
        elif rows:
            click.echo("\n".join(line(records, row, top, least) for row in rows))
    after_reading(records)
    if summary:
        click.echo(found.as_json(records.name) if as_json else found.as_text(records.name))


def _classify_grids(
    records: RecordSet,
    answers: Iterable[tuple[list[Row], list[Place] | None]],
    top: int,
    least: float | None,
    as_json: bool,
    summary: bool,
) -> None:
    """All images or tiles of a file with grids, and where the tiles lie."""
    found = Confusion()
    for rows, places in answers:
        if summary:
            found.add(rows, least)
        elif rows:
            line = _json if as_json else _text
            both = zip(rows, places or itertools.repeat(None), strict=False)
            click.echo("\n".join(line(records, row, top, least, place) for row, place in both))
    if summary:
        click.echo(found.as_json(records.name) if as_json else found.as_text(records.name))


def _json(records: RecordSet, row: Row, top: int, least: float | None, place: Place | None = None) -> str:
    answers = _best(row, top)
    line = {
        "file": records.name,
        "record": row.number,
        "model": row.codec.name,
        "head": row.codec.head.name,
        "label": answers[0][0],
        "index": int(row.value.argmax()),
        "probability": round(answers[0][1], 6),
        "unsure": row.codec.is_unsure(answers[0][1], least),
    }
    if place is not None:
        line |= {"row": place[0], "column": place[1]}
    if row.entry is not None:
        line |= {"path": row.entry.path, "true_label": row.entry.label}
    if top > 1:
        line["top"] = [{"label": label, "probability": round(p, 6)} for label, p in answers]
    return json.dumps(line)


def _text(records: RecordSet, row: Row, top: int, least: float | None, place: Place | None = None) -> str:
    many = len(records) > 1 or isinstance(records.file, RecordStream)  # more may come
    which = f"{records.name}[{row.number}]" if many else records.name
    which += f" row {place[0]}, column {place[1]}" if place else ""
    unsure = "unsure, perhaps " if row.codec.is_unsure(float(row.value.max()), least) else ""
    return escape(f"{which}: {unsure}" + ", ".join(f"{label} ({p:.1%})" for label, p in _best(row, top)))


def _best(row: Row, top: int) -> list[tuple[str, float]]:
    """The likeliest labels and their probabilities."""
    best = np.argsort(-row.value, kind="stable")[:top].tolist()
    return [(row.codec.labels[index], float(row.value[index])) for index in best]
