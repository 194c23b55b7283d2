"""Freeze one record per bundled model: `python tests/freeze.py`.

A released model decodes its records for ever. For each bundled id this program writes tests/fixtures/ID.json once:
the record of a drawn seven, and its decoded pixels. It never changes an existing file. The record of the first default
model is also the example in docs/format.md, which this program updates."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np

from atlcodec import exact, zoo
from atlcodec.codec import Codec
from drawings import sample

FIXTURES = Path(__file__).parent / "fixtures"
FORMAT = Path(__file__).parents[1] / "docs/format.md"
HEADING = "## A record to check against"


def example() -> str:
    """The end of docs/format.md: a record of the first default model to check a reader against."""
    model = zoo.default()[0]
    frozen = json.loads((FIXTURES / f"{model.id:08x}.json").read_text())
    record = "\n".join(textwrap.wrap(frozen["record"], 80))
    pixels = "\n".join(frozen["pixels"])
    head = zoo.head(model)
    path = f"{head.folder}/classifier.onnx"
    records = np.frombuffer(bytes.fromhex(frozen["record"]), np.uint8)[None]
    (logits,) = exact.Network(head.file(), path)(records).astype(int).tolist()
    said = f"Its logits by `heads/{head.name}`, for the labels {head.labels[0]} to {head.labels[-1]}:"
    return (
        f"{HEADING}\n\nWritten by `{model.name}`, whose id is `{model.id:08x}`. Its 200 bytes, and so its 400 "
        "symbols:\n\n"
        f"```\n{record}\n```\n\nIts pixels, 28 rows of 28 bytes:\n\n```\n{pixels}\n```\n\n"
        f"{said}\n{' '.join(map(str, logits))}\n"
    )


def main() -> None:
    FIXTURES.mkdir(exist_ok=True)
    for model in zoo.models().values():
        path = FIXTURES / f"{model.id:08x}.json"
        if model.bundled and not path.exists():
            codec = Codec(model)
            record = codec.encode(sample(codec.shape)[None])
            frozen = {
                "model": model.name,
                "id": f"{model.id:08x}",
                "record": record.tobytes().hex(),
                "pixels": [row.tobytes().hex() for row in codec.decode(record)[0]],
            }
            path.write_text(json.dumps(frozen, indent=1) + "\n")
            print(path)
    page = FORMAT.read_text("utf-8")
    FORMAT.write_text(page[: page.index(HEADING)] + example(), "utf-8")


if __name__ == "__main__":
    main()
