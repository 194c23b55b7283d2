"""atlc info: what is in a file of records."""

from __future__ import annotations

import json
from collections import Counter

import click
import numpy as np

from atlcodec import record
from atlcodec.cli.common import Tally, clean, open_records, refuse_twice
from atlcodec.cli.names import find_names
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from atlcodec.record import Symbols

MOST = 100  # labels that are listed in words


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("--summary", is_flag=True, help="Not each record, only how many of which model, and the labels.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line, for each record, or with --summary for each file."
)
def info(names: tuple[str, ...], summary: bool, as_json: bool) -> None:
    """For each record: the model that wrote it, its seal, and how often each of the 16 symbols occurs in it.

    Then how many there are of each model, and of each label if there is a list beside the file (set.csv, or the columns
    of a Parquet file)."""
    refuse_twice(names)
    reader, tally = Reader(None), Tally()
    for name in names:
        try:
            file = open_records(name)
            models: Counter[str] = Counter()
            for part in reader.parts(file):
                if part.codec is None:
                    tally.fail(f"{file.name}: {part.problem}")
                    continue
                models[part.codec.name] += len(part.records)
                if not summary:
                    for number, symbols in zip(part.numbers.tolist(), record.unpack(part.records), strict=True):
                        _show(file.name, number, symbols, part.codec, as_json)
            labels = _labels(name, file, tally)
            if not as_json:
                total = models.total()
                held = f"{total} record{'s' if total != 1 else ''}" + (f" ({_counts(models)})" if total else "")
                click.echo(clean(f"{file.name}: {file.size} bytes, {held}"))
                if labels:
                    click.echo(clean(f"{file.name}: labels: {_counts(labels)}"))
            elif summary:
                counts = {"models": dict(models), "labels": dict(labels)}
                click.echo(json.dumps({"file": file.name, "bytes": file.size, "records": models.total(), **counts}))
        except AtlcError as error:
            tally.fail(error)
    tally.exit()


def _show(file: str, number: int, symbols: Symbols, codec: Codec, as_json: bool) -> None:
    """One record."""
    histogram = np.bincount(symbols.ravel(), minlength=record.LEVELS).tolist()
    if as_json:
        line = {"file": file, "record": number, "model": codec.name, "id": f"{codec.id:08x}", "histogram": histogram}
        click.echo(json.dumps(line))
    else:
        counts = " ".join(f"{count:3d}" for count in histogram)
        click.echo(clean(f"{file}[{number}]: {codec.name}, seal {codec.id:08x}, symbols 0..15: {counts}"))


def _labels(name: str, file: RecordFile, tally: Tally) -> Counter[str]:
    """How often each label is in the list of a set, in order; none where there is no list, or it is not in order."""
    labels: Counter[str] = Counter()
    try:
        names = find_names(name, file)
        if names is not None:
            names.check(file, lambda entry: labels.update([entry.label] if entry.label is not None else []))
    except AtlcError as error:
        tally.fail(error)
        return Counter()
    return Counter(dict(sorted(labels.items())))


def _counts(of: Counter[str]) -> str:
    """In words, the first few if there are many."""
    some = ", ".join(f"{count} of {name}" for name, count in list(of.items())[:MOST])
    return some + (f", and {len(of) - MOST} more" if len(of) > MOST else "")
