"""atlc similar: the records of a set that are most similar to a record, without decoding any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import click
import numpy as np
from numpy.typing import NDArray

from atlcodec.cli.common import ErrorCount, escape, log, progress, quiet_option, require_output, tell
from atlcodec.cli.files import check_output, open_set, output_option, refuse_twice, save
from atlcodec.cli.help import Command, complete_files, group, model_option
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.neighbours import By, Nearest, by_name
from atlcodec.reader import Part, Reader
from atlcodec.record import Records
from atlcodec.sets.manifest import Entry, counted
from atlcodec.sets.record_set import RecordSet, SetPart, refuse_grids

if TYPE_CHECKING:
    from atlcodec.show.items import Item

SAME = "only records of the same model can be compared: encode both with one"
Batches = list[tuple[NDArray[np.int64], Records]]  # record numbers, records


@click.command(
    cls=Command, examples=("atlc similar cat.atlc set.atlc", "atlc similar cat.atlc set.parquet --top 3 --json")
)
@click.argument("query", metavar="QUERY", shell_complete=complete_files)
@click.argument("name", metavar="SET", shell_complete=complete_files)
@group("Output")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), metavar="K", help="How many to print.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for each record of QUERY.")
@output_option("FILE.html|FILE.png", "Show the hits instead: a page for the browser, or a contact sheet.")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
@quiet_option
@group("What is compared")
@click.option(
    "--by",
    default="latents",
    show_default=True,
    type=click.Choice(["latents", "scores"]),
    help="Compare the records' latents, or the classifier's probabilities.",
)
@click.option("--tiles", is_flag=True, help="Compare the tiles of images (grids) one by one.")
@model_option()
@click.option("--head", help="The classifier for --by scores, by name. [default: the model's first]")
def similar(
    query: str,
    name: str,
    top: int,
    by: str,
    tiles: bool,
    model: str | None,
    head: str | None,
    as_json: bool,
    output: str | None,
    force: bool,
) -> None:
    """Print the records of SET that are most similar to each record of QUERY.

    The nearest comes first: number and distance, and also path and label if there is a list beside the set (set.csv, or
    the columns of a Parquet file). "-" is standard input."""
    require_output()
    refuse_twice([query, name])
    ending = check_output(output, (".html", ".png"), "similar writes a page or a sheet")
    reader, errors = Reader(model, head), ErrorCount()
    query_set, target_set = (_open(each, reader, tiles) for each in (query, name))
    targets = _by_codec(target_set, errors) if len(query_set) and len(target_set) else {}
    compared, shown = set[int](), list["Item"]()  # ids
    for codec, part, numbers, distances in _search(query_set, target_set, targets, top, cast(By, by), errors):
        compared.add(codec.id)
        entries = _lookup(target_set, numbers, errors)
        if ending:
            shown += _items(query_set, target_set, codec, part, targets[codec.id], numbers, distances, entries, errors)
            continue
        for hits in zip(part.numbers.tolist(), numbers.tolist(), distances.tolist(), strict=True):
            click.echo(_line(query_set, target_set, codec, by, *hits, entries, as_json))
    if compared:
        _note_others({reader.codec(id).name: targets[id] for id in targets if id not in compared}, target_set.name)
    if output is not None and shown:
        title = f"{query_set.name} in {target_set.name}"
        save(output, _file(ending, shown, title, errors), force, [query, name])
        tell(f"{title} -> {output}  {counted(len(shown), 'image')}")
    errors.exit()


def _line(
    query_set: RecordSet,
    target_set: RecordSet,
    codec: Codec,
    by: str,
    number: int,
    found: list[int],
    distances: list[float],
    entries: dict[int, Entry],
    as_json: bool,
) -> str:
    """What is printed for one record of the query."""
    nearest = [(n, distance, entries.get(n)) for n, distance in zip(found, distances, strict=True)]
    if as_json:
        line = {"file": query_set.name, "record": number, "model": codec.name, "by": by}
        return json.dumps(line | {"set": target_set.name, "nearest": [_as_dict(*one) for one in nearest]})
    own = f"{query_set.name}[{number}]" if len(query_set) > 1 else query_set.name
    return "\n".join(escape(f"{own}: {_as_text(target_set.name, *one)}") for one in nearest)


def _search(
    query_set: RecordSet, target_set: RecordSet, targets: dict[int, Batches], top: int, by: By, errors: ErrorCount
) -> Iterator[tuple[Codec, SetPart, NDArray[np.int64], NDArray[np.float32]]]:
    """The records of the query, and the numbers and distances of their nearest in the set."""
    for part in query_set.parts(entries=False) if targets else ():
        if part.codec is None:
            errors.report(part.problem)
            continue
        if part.codec.id not in targets:
            others = " and ".join(query_set.reader.codec(id).name for id in targets)
            own = f"{query_set.name}: record {part.numbers[0]} is a record of {part.codec.name}"
            errors.report(f"{own}, but {target_set.name} has records of {others}; {SAME}")
            continue
        try:
            numbers, distances = _nearest(part.codec, part.records, targets[part.codec.id], top, by)
        except AtlcError as error:
            errors.report(f"{query_set.name}: {error}")
            continue
        yield part.codec, part, numbers, distances


def _items(
    query_set: RecordSet,
    target_set: RecordSet,
    codec: Codec,
    part: SetPart,
    targets: Batches,
    numbers: NDArray[np.int64],
    distances: NDArray[np.float32],
    entries: dict[int, Entry],
    errors: ErrorCount,
) -> list[Item]:
    """Each record of the query, and behind it its nearest."""
    from atlcodec.show.items import labelled

    hits: dict[int, Item] = {}
    for some, records in targets:
        rows = np.isin(some, numbers)
        listed = [entries.get(number) for number in some[rows].tolist()]
        found = labelled(target_set.name, Part(some[rows], records[rows], codec), codec, listed, errors.report)
        hits |= {item.number: item for item in found}
    shown = []
    queries = labelled(query_set.name, part, codec, (), errors.report)
    for item, nearest, at in zip(queries, numbers.tolist(), distances.tolist(), strict=True):
        shown.append(replace(item, query=True))
        shown += [replace(hits[number], distance=distance) for number, distance in zip(nearest, at, strict=True)]
    return shown


def _file(ending: str, shown: list[Item], title: str, errors: ErrorCount) -> bytes:
    if ending == ".html":
        from atlcodec.show import page

        return page.make(shown, title)
    from atlcodec.show import items, sheet

    sheet.check(shown, title, None)
    return sheet.draw(shown, list(items.decode(shown, errors.report)), title, items.Tally(), None)


def _open(name: str, reader: Reader, tiles: bool) -> RecordSet:
    records = open_set(name, reader, whole=True)
    if not tiles:
        refuse_grids(records, "--tiles compares their tiles one by one")
    return records


def _note_others(others: dict[str, Batches], name: str) -> None:
    """Say how many records of the set were left out because another model wrote them than those of the query."""
    if others:
        count = sum(len(records) for batches in others.values() for _, records in batches)
        log(f"{name}: left out {counted(count)} of {' and '.join(others)}, which cannot be compared with the query")


def _by_codec(records: RecordSet, errors: ErrorCount) -> dict[int, Batches]:
    """The records of a set by the id of their codec, views into the file; damage is reported."""
    found: dict[int, Batches] = {}
    for part in records.parts(entries=False):
        if part.codec is None:
            errors.report(part.problem)
        else:
            found.setdefault(part.codec.id, []).append((part.numbers, part.records))
    return found


def _nearest(
    codec: Codec, queries: Records, targets: Batches, top: int, by: By
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `neighbours.nearest`, for records whose seals have been checked already."""
    features = by_name(codec, by)
    search = Nearest(features(queries), top)
    for numbers, records in progress(targets, "comparing", len(targets)):
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
