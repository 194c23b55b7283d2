"""atlc similar: the records of a set that are most similar to a record, without decoding any."""

from __future__ import annotations

import json
from typing import cast

import click
import numpy as np
from numpy.typing import NDArray

from atlcodec.cli.common import ErrorCount, escape, open_set, progress, refuse_twice
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.neighbours import By, Nearest, by_name
from atlcodec.reader import Reader
from atlcodec.record import Records
from atlcodec.sets.manifest import Entry
from atlcodec.sets.record_set import RecordSet

Batches = list[tuple[NDArray[np.int64], Records]]  # record numbers, records


@click.command()
@click.argument("query", metavar="QUERY")
@click.argument("name", metavar="SET")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), metavar="K", help="The K nearest.")
@click.option(
    "--by",
    default="symbols",
    show_default=True,
    type=click.Choice(["symbols", "scores"]),
    help="Compare the records' symbols, or the classifier's probabilities.",
)
@click.option("-m", "--model", help="Read only records of this model: name, id or path. [default: any model]")
@click.option("--head", help="The classifier for --by scores, by name. [default: the model's first]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for each record of QUERY.")
def similar(query: str, name: str, top: int, by: str, model: str | None, head: str | None, as_json: bool) -> None:
    """Print the records of SET that are nearest to each record of QUERY, nearest first: number and distance, and also
    path and label if there is a list beside the set (set.csv, or the columns of a Parquet file). "-" is standard
    input."""
    refuse_twice([query, name])
    reader, errors = Reader(model, head), ErrorCount()
    asked, searched = open_set(query, reader), open_set(name, reader)
    held = _by_codec(searched, errors) if len(asked) and len(searched) else {}
    for part in asked.parts(entries=False) if held else ():
        if part.codec is None:
            errors.report(part.problem)
            continue
        if part.codec.id not in held:
            others = " and ".join(reader.codec(id).name for id in held)
            errors.report(
                f"{asked.name}: record {part.numbers[0]} is a record of {part.codec.name}, but {searched.name} has "
                f"records of {others}; only records of the same model can be compared: encode both with one"
            )
            continue
        try:
            found = _nearest(part.codec, part.records, held[part.codec.id], top, cast(By, by))
        except AtlcError as error:
            errors.report(f"{asked.name}: {error}")
            continue
        known = _lookup(searched, found[0], errors)
        for number, *pairs in zip(part.numbers.tolist(), *(array.tolist() for array in found), strict=True):
            nearest = [(n, distance, known.get(n)) for n, distance in zip(*pairs, strict=True)]
            if as_json:
                line = {"file": asked.name, "record": number, "model": part.codec.name, "by": by, "set": searched.name}
                click.echo(json.dumps({**line, "nearest": [_as_dict(*one) for one in nearest]}))
            else:
                own = f"{asked.name}[{number}]" if len(asked) > 1 else asked.name
                click.echo("\n".join(escape(f"{own}: {_as_text(searched.name, *one)}") for one in nearest))
    errors.exit()


def _by_codec(records: RecordSet, errors: ErrorCount) -> dict[int, Batches]:
    """The records of a file by codec, views into it; damage is reported."""
    held: dict[int, Batches] = {}
    for part in records.parts(entries=False):
        if part.codec is None:
            errors.report(part.problem)
        else:
            held.setdefault(part.codec.id, []).append((part.numbers, part.records))
    return held


def _nearest(
    codec: Codec, queries: Records, held: Batches, top: int, by: By
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `neighbours.nearest`, for records whose seals have been checked already."""
    features = by_name(codec, by)
    search = Nearest(features(queries), top)
    for numbers, records in progress(held, "comparing", len(held)):
        search.add(numbers, features(records))
    return search.result()


def _lookup(records: RecordSet, numbers: NDArray[np.int64], errors: ErrorCount) -> dict[int, Entry]:
    """What the list says of these records; nothing if it is invalid."""
    try:
        return records.lookup(set(numbers.ravel().tolist()))
    except AtlcError as error:
        errors.report(f"{error}; going on without paths")
        return {}


def _as_dict(number: int, distance: float, entry: Entry | None) -> dict[str, object]:
    more = {"path": entry.path, "label": entry.label} if entry else {}
    return {"record": number, "distance": round(distance, 4), **more}


def _as_text(name: str, number: int, distance: float, entry: Entry | None) -> str:
    words = [entry.path, *([entry.label] if entry.label else [])] if entry else []
    return "  ".join([f"{name}[{number}]", f"{distance:.2f}", *words])
