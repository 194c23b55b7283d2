"""atlc info: what a file of records contains."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click
import numpy as np

from atlcodec import grid_finder, record
from atlcodec.cli.common import ErrorCount, escape, require_output
from atlcodec.cli.decode_grids import with_grids
from atlcodec.cli.files import after_reading, all_names, files_from_option, open_set, refuse_twice
from atlcodec.cli.help import Command, complete_files, group
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.grid_file import Grid
from atlcodec.reader import Reader
from atlcodec.record import Symbols
from atlcodec.sets.record_set import RecordSet

MOST = 100  # labels in a line of text


@click.command(cls=Command, examples=("atlc info set.atlc --summary", "atlc info cat.atlc"))
@click.argument("names", nargs=-1, metavar="FILE...", shell_complete=complete_files)
@group("Output")
@click.option("--summary", is_flag=True, help="Only the number of records of each model and label, not each record.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object a line, for each record, or with --summary each file.",
)
@group("Input")
@files_from_option
def info(names: tuple[str, ...], files_from: str | None, summary: bool, as_json: bool) -> None:
    """Print what a file of records contains: models, labels, and each record.

    An image in tiles (a grid) has a line with its size. For each record that is the model that wrote it, its id, and
    how often it has each of the 16 symbols; then the number of records of each model, and of each label if there is a
    list beside the file (set.csv, or the columns of a Parquet file)."""
    names = all_names(names, files_from)
    require_output()
    refuse_twice(names)
    reader, errors = Reader(None), ErrorCount()
    for name in names:
        try:
            records = open_set(name, reader)
            records = with_grids(records)
            grids = _grids(records)
            if not summary:
                _show_grids(records.name, grids, as_json)
            models = _counted(records, errors) if summary else _shown(records, errors, as_json)
            after_reading(records)
            labels = _labels(records, errors)
            if not as_json:
                _summarise(records, models, labels)
                if summary and records.has_list and len(grids) > 1:
                    tiles = sum(len(one.numbers) for one in grids)
                    click.echo(escape(f"{records.name}: {len(grids)} images in {tiles} tiles"))
                elif summary:
                    _show_grids(records.name, grids, as_json=False)
            elif summary:
                named = {label: count for label, count in labels.items() if label is not None}
                counts = {"records": models.total(), "models": dict(models), "labels": named, "grids": len(grids)}
                click.echo(
                    json.dumps({"file": records.name, "bytes": records.file.size, **counts, "unlabelled": labels[None]})
                )
        except AtlcError as error:
            errors.report(error)
    errors.exit()


def _grids(records: RecordSet) -> list[Grid]:
    """The images in tiles."""
    if not records.has_grids:
        return []
    return [one for one in grid_finder.images(records.reader, records.file) if isinstance(one, Grid)]


def _show_grids(file: str, grids: list[Grid], as_json: bool) -> None:
    for one in grids:
        about, tile = one.description, one.description.tile
        if as_json:
            line = {"file": file, "record": one.number, "model": one.codec.name, "id": f"{one.codec.id:08x}"}
            size = {"width": about.width, "height": about.height, "channels": about.channels, "overlap": about.overlap}
            tiles = {"rows": about.rows, "columns": about.columns, "missing": about.tiles - len(one.numbers)}
            click.echo(json.dumps(line | {"grid": size | tiles}))
            continue
        missing = f", {about.tiles - len(one.numbers)} of them missing" if len(one.numbers) < about.tiles else ""
        overlap = f" that overlap by {about.overlap}" if about.overlap else ""
        click.echo(
            escape(
                f"{file}[{one.number}]: an image of {about.width} x {about.height} pixels in "
                f"{'colour' if about.channels == 3 else 'grey'}: {about.columns} x {about.rows} tiles of "
                f"{one.codec.name}, {tile[1]} x {tile[0]}{overlap}{missing}"
            )
        )


def _counted(records: RecordSet, errors: ErrorCount) -> Counter[str]:
    """How many records of each model a set has."""
    models: Counter[str] = Counter()
    for part in records.parts(entries=False):
        if part.codec is None:
            errors.report(part.problem)
        else:
            models[part.codec.name] += len(part.records)
    return models


def _shown(records: RecordSet, errors: ErrorCount, as_json: bool) -> Counter[str]:
    """The same, and a line for each record."""
    models: Counter[str] = Counter()
    for rows, problem in records.map(lambda _, packed: record.unpack(packed), entries=False):
        if problem:
            errors.report(problem)
        for row in rows:
            models[row.codec.name] += 1
            _show(records.name, row.number, row.value, row.codec, as_json)
    return models


def _show(file: str, number: int, symbols: Symbols, codec: Codec, as_json: bool) -> None:
    """One record."""
    histogram = np.bincount(symbols.ravel(), minlength=record.LEVELS).tolist()
    if as_json:
        line = {"file": file, "record": number, "model": codec.name, "id": f"{codec.id:08x}", "histogram": histogram}
        click.echo(json.dumps(line))
    else:
        counts = " ".join(f"{count:3d}" for count in histogram)
        click.echo(escape(f"{file}[{number}]: {codec.name}, id {codec.id:08x}, symbols 0..15: {counts}"))


def _summarise(records: RecordSet, models: Counter[str], labels: Counter[str | None]) -> None:
    total = models.total()
    held = f"{total} record{'s' if total != 1 else ''}" + (f" ({_counts(models.most_common())})" if total else "")
    click.echo(escape(f"{records.name}: {records.file.size} bytes, {held}"))
    if labels:
        named = [(label, count) for label, count in labels.items() if label is not None]
        words = [_counts(named)] if named else []
        words += [f"{labels[None]} without a label"] if labels[None] else []
        click.echo(escape(f"{records.name}: labels: {', '.join(words)}"))


def _labels(records: RecordSet, errors: ErrorCount) -> Counter[str | None]:
    """How often the list of a set has each label, sorted, and no label; empty if there is no valid list."""
    try:
        labels = Counter(entry.label for entry in records.entries())
    except AtlcError as error:
        errors.report(error)
        return Counter()
    return Counter(dict(sorted(labels.items(), key=lambda item: item[0] or "")))


def _counts(of: Sequence[tuple[str, int]]) -> str:
    some = ", ".join(f"{count} of {name}" for name, count in of[:MOST])
    return some + (f", and {len(of) - MOST} more" if len(of) > MOST else "")
