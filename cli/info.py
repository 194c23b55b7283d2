"""atlc info: what is in a file of records."""

from __future__ import annotations

import json
from collections import Counter

import click
import numpy as np

from atlcodec import record
from atlcodec.cli.common import Reader, Tally, clean, open_records, refuse_twice
from atlcodec.errors import AtlcError


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each record.")
def info(names: tuple[str, ...], as_json: bool) -> None:
    """For each record: the model that wrote it, its seal, and how often each of the 16 symbols occurs in it."""
    refuse_twice(names)
    reader, tally = Reader(None), Tally()
    for name in names:
        try:
            file = open_records(name)
            models: Counter[str] = Counter()
            for numbers, records, ids in reader.read(file, tally):
                for number, symbols, id in zip(numbers.tolist(), record.unpack(records), ids.tolist(), strict=True):
                    model = reader.codec(id).name
                    models[model] += 1
                    histogram = np.bincount(symbols.ravel(), minlength=record.LEVELS).tolist()
                    if as_json:
                        line = {"file": file.name, "record": number, "model": model, "id": f"{id:08x}", "histogram": histogram}
                        click.echo(json.dumps(line))
                    else:
                        counts = " ".join(f"{count:3d}" for count in histogram)
                        click.echo(clean(f"{file.name}[{number}]: {model}, seal {id:08x}, symbols 0..15: {counts}"))
            if not as_json:
                parts = ", ".join(f"{count} of {model}" for model, count in models.items())
                total = models.total()
                held = f"{total} record{'s' if total != 1 else ''}" + (f" ({parts})" if parts else "")
                click.echo(clean(f"{file.name}: {file.size} bytes, {held}"))
        except AtlcError as error:
            tally.fail(error)
    tally.exit()
