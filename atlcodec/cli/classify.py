"""atlc classify: the labels of records, without decoding them."""

from __future__ import annotations

import json

import click
import numpy as np

from atlcodec.cli.common import ErrorCount, escape, quiet_option, require_output
from atlcodec.cli.confusion import Confusion
from atlcodec.cli.files import after_reading, all_names, files_from_option, open_set, refuse_twice
from atlcodec.cli.help import Command, complete_files, group, model_option
from atlcodec.errors import AtlcError
from atlcodec.reader import Reader
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
    top: int,
    min_probability: float | None,
    as_json: bool,
    summary: bool,
) -> None:
    """Print the label of each record, read from its 200 bytes without decoding them.

    "-" is standard input; its records are answered as they arrive.

    A label is "unsure" if the classifier is hardly ever so unsure of images like those that it has learned from.

    With --json and a list beside the file (set.csv, or the columns of a Parquet file), a line also has the image's
    path, and its true label from the list. --summary shows how often each label was taken for which."""
    names = all_names(names, files_from)
    require_output()
    refuse_twice(names)
    reader, errors = Reader(model, head), ErrorCount()
    for name in names:
        try:
            _classify(open_set(name, reader), top, min_probability, as_json, summary, errors)
        except AtlcError as error:
            errors.report(error)
    errors.exit()


def _classify(
    records: RecordSet, top: int, least: float | None, as_json: bool, summary: bool, errors: ErrorCount
) -> None:
    """All records of one file."""
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


def _json(records: RecordSet, row: Row, top: int, least: float | None) -> str:
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
    if row.entry is not None:
        line |= {"path": row.entry.path, "true_label": row.entry.label}
    if top > 1:
        line["top"] = [{"label": label, "probability": round(p, 6)} for label, p in answers]
    return json.dumps(line)


def _text(records: RecordSet, row: Row, top: int, least: float | None) -> str:
    many = len(records) > 1 or isinstance(records.file, RecordStream)  # more may come
    which = f"{records.name}[{row.number}]" if many else records.name
    unsure = "unsure, perhaps " if row.codec.is_unsure(float(row.value.max()), least) else ""
    return escape(f"{which}: {unsure}" + ", ".join(f"{label} ({p:.1%})" for label, p in _best(row, top)))


def _best(row: Row, top: int) -> list[tuple[str, float]]:
    """The likeliest labels and their probabilities."""
    best = np.argsort(-row.value, kind="stable")[:top].tolist()
    return [(row.codec.labels[index], float(row.value[index])) for index in best]
