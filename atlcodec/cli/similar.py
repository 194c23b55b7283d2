"""atlc similar: the records of a set that are nearest to a record, without decoding any."""

from __future__ import annotations

import json
from typing import cast

import click
import numpy as np
from numpy.typing import NDArray

from atlcodec.cli.common import STANDARD, Tally, clean, open_records, progress, refuse_twice, say
from atlcodec.cli.names import find_names
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.manifest import Entry
from atlcodec.neighbours import By, Nearest, by_name
from atlcodec.reader import Reader
from atlcodec.record import Records

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
    help="What is compared: the records' symbols, or what the classifier makes of them.",
)
@click.option("-m", "--model", help="Insist on this model: name, id or path. [default: the record says]")
@click.option("--head", help="The classifier for --by scores, by name. [default: the model's first]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each record of QUERY.")
def similar(query: str, name: str, top: int, by: str, model: str | None, head: str | None, as_json: bool) -> None:
    """Print the records of SET that are nearest to each record of QUERY, nearest first: number and distance, and where
    there is a list beside the set (set.csv, or the columns of a Parquet file), path and label. "-" is standard
    input."""
    refuse_twice([query, name])
    reader, tally = Reader(model, head), Tally()
    asked, file = open_records(query), open_records(name)
    for each in (asked, file):
        if not len(each) and not each.torn:
            say(f"{each.name}: empty, a file of no records")
    held = by_codec(file, reader, tally) if len(asked) and len(file) else {}
    for part in reader.parts(asked) if held else ():
        if part.codec is None:
            tally.fail(f"{asked.name}: {part.problem}")
            continue
        codec, id = part.codec, part.codec.id
        if id not in held:
            others = " and ".join(reader.codec(other).name for other in held)
            why = f"{file.name} holds those of {others}, and there is no distance between records of different models"
            tally.fail(
                f"{asked.name}: record {part.numbers[0]} is one of {codec.name}; {why}; encode both with the same one"
            )
            continue
        try:
            found = nearest(codec, part.records, held[id], top, cast(By, by))
            known = {} if name == STANDARD else listed(file, found[0], tally)
        except AtlcError as error:
            tally.fail(f"{asked.name}: {error}")
            continue
        for number, *pairs in zip(part.numbers.tolist(), *(array.tolist() for array in found), strict=True):
            show(asked, number, codec, by, file, list(zip(*pairs, strict=True)), known, as_json)
    tally.exit()


def by_codec(file: RecordFile, reader: Reader, tally: Tally) -> dict[int, Batches]:
    """The records of a file, views into it, for each codec; what is damaged is reported."""
    held: dict[int, Batches] = {}
    for part in reader.parts(file):
        if part.codec is None:
            tally.fail(f"{file.name}: {part.problem}")
        else:
            held.setdefault(part.codec.id, []).append((part.numbers, part.records))
    return held


def nearest(
    codec: Codec, queries: Records, held: Batches, top: int, by: By
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `neighbours.nearest`, for records whose seals have been checked already."""
    features = by_name(codec, by)
    search = Nearest(features(queries), top)
    for numbers, records in progress(held, "comparing", len(held)):
        search.add(numbers, features(records))
    return search.result()


def listed(file: RecordFile, numbers: NDArray[np.int64], tally: Tally) -> dict[int, Entry]:
    """What a set says of these records, in the list beside it or in its columns; nothing where that does not fit it."""
    wanted = set(numbers.ravel().tolist())
    found: dict[int, Entry] = {}

    def keep(entry: Entry) -> None:  # of a million entries, these alone
        if entry.record in wanted:
            found[entry.record] = entry

    try:
        names = find_names(file.name, file)
        if names is not None:
            names.check(file, keep)
    except AtlcError as error:
        tally.fail(f"{error}; going on without paths")
        return {}
    return found


def show(
    asked: RecordFile,
    number: int,
    codec: Codec,
    by: str,
    file: RecordFile,
    pairs: list[tuple[int, float]],
    known: dict[int, Entry],
    as_json: bool,
) -> None:
    """The records that are nearest to one: one line of JSON, or a line for each."""
    if as_json:
        lines = []
        for n, distance in pairs:
            entry = known.get(n)
            more = {"path": entry.path, "label": entry.label} if entry else {}
            lines.append({"record": n, "distance": round(distance, 4), **more})
        line = {"file": asked.name, "record": number, "model": codec.name, "by": by, "set": file.name, "nearest": lines}
        click.echo(json.dumps(line))
        return
    own = f"{asked.name}[{number}]" if len(asked) > 1 else asked.name
    for n, distance in pairs:
        entry = known.get(n)
        words = [entry.path, *([entry.label] if entry.label else [])] if entry else []
        click.echo(clean("  ".join([f"{own}: {file.name}[{n}]", f"{distance:.2f}", *words])))
