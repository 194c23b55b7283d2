"""Freeze one record per bundled model: `python tests/freeze.py`.

A model that is released decodes its records for ever. For each installed id this writes tests/fixtures/ID.json once:
the record of a picture drawn by a program, and the pixels that come out. A file that is there already is never changed.
The record of the first default model is also the example in docs/format.md, which is brought up to date."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np

from atlcodec import zoo
from atlcodec.codec import Codec

FIXTURES = Path(__file__).parent / "fixtures"
FORMAT = Path(__file__).parents[1] / "docs/format.md"
HEADING = "## A record to check against"


def drawn() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A seven with soft edges, from two strokes: uint8 (28, 28)."""
    y, x = np.mgrid[0:28, 0:28].astype(float)
    image = np.zeros((28, 28))
    for (x0, y0), (x1, y1) in [((8, 7), (20, 7)), ((20, 7), (12, 22))]:
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        distance = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        image = np.maximum(image, np.clip(2.2 - distance, 0, 1))
    return np.rint(255 * image).astype(np.uint8)


def example() -> str:
    """The end of docs/format.md: a record of the first default model to check a reader against."""
    model = zoo.default()[0]
    frozen = json.loads((FIXTURES / f"{model.id:08x}.json").read_text())
    record = "\n".join(textwrap.wrap(frozen["record"], 80))
    pixels = "\n".join(frozen["pixels"])
    return (
        f"{HEADING}\n\nWritten by `{model.name}`, whose id is `{model.id:08x}`. Its 200 bytes, and so its 400 "
        "symbols:\n\n"
        f"```\n{record}\n```\n\nIts pixels, 28 rows of 28 bytes (within 1):\n\n```\n{pixels}\n```\n"
    )


def main() -> None:
    FIXTURES.mkdir(exist_ok=True)
    for model in zoo.models().values():
        path = FIXTURES / f"{model.id:08x}.json"
        if model.bundled and not path.exists():
            codec = Codec(model)
            record = codec.encode(drawn()[None])
            frozen = {
                "model": model.name,
                "id": f"{model.id:08x}",
                "record": record.tobytes().hex(),
                "pixels": [bytes(row).hex() for row in codec.decode(record)[0]],
            }
            path.write_text(json.dumps(frozen, indent=1) + "\n")
            print(path)
    page = FORMAT.read_text("utf-8")
    FORMAT.write_text(page[: page.index(HEADING)] + example(), "utf-8")


if __name__ == "__main__":
    main()
