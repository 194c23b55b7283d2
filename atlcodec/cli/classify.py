"""atlc classify: labels of records, without decoding them."""

from __future__ import annotations

import json

import click
import numpy as np

from atlcodec.cli.common import Tally, clean, open_records, refuse_twice, results, say
from atlcodec.cli.names import Names, find_names
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.reader import Reader


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("-m", "--model", help="Insist on this model: name, id or path. [default: the record says]")
@click.option("--head", help="The classifier to use, by name. [default: the model's first]")
@click.option(
    "--top", default=1, show_default=True, type=click.IntRange(1), metavar="K", help="The K likeliest labels."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def classify(names: tuple[str, ...], model: str | None, head: str | None, top: int, as_json: bool) -> None:
    """Print the label of each record: read off its 200 bytes, without decoding them. "-" is standard input.

    With --json and a list beside the file (set.csv, or the columns of a Parquet file), a line also gives the picture's
    path, and what the list says as its true label."""
    refuse_twice(names)
    reader, tally = Reader(model, head), Tally()
    for name in names:
        try:
            file = open_records(name)
            if not len(file) and not file.torn:
                say(f"{file.name}: empty, a file of no records")
            known = _known(name, file, tally) if as_json else None
            for batch, in_step in results(reader, file, tally, lambda codec, records: codec.classify(records)):
                lines = []
                for number, codec, scores in batch:
                    best = np.argsort(-scores, kind="stable")[:top]
                    answers = [(codec.labels[index], float(scores[index])) for index in best.tolist()]
                    if as_json:
                        answer = {
                            "file": file.name,
                            "record": number,
                            "model": codec.name,
                            "head": codec.head.name,
                            "label": answers[0][0],
                            "index": int(best[0]),
                            "probability": round(answers[0][1], 6),
                        }
                        if known is not None and in_step:
                            answer |= {"path": known[number].path, "true_label": known[number].label}
                        if top > 1:
                            answer["top"] = [{"label": label, "probability": round(p, 6)} for label, p in answers]
                        lines.append(json.dumps(answer))
                    else:
                        which = f"{file.name}[{number}]" if len(file) > 1 else file.name
                        lines.append(clean(f"{which}: " + ", ".join(f"{label} ({p:.1%})" for label, p in answers)))
                if lines:
                    click.echo("\n".join(lines))
        except AtlcError as error:
            tally.fail(error)
    tally.exit()


def _known(name: str, file: RecordFile, tally: Tally) -> Names | None:
    """The paths and labels of a set; where they are not in order, that is reported, and its records go without."""
    try:
        names = find_names(name, file)
        if names is not None:
            names.check(file)
    except AtlcError as error:
        tally.fail(f"{error}; going on without paths")
        return None
    return names
