"""Freeze one record per bundled model: `python tests/freeze.py`.

A model that is released decodes its records for ever. For each installed id this writes tests/fixtures/ID.json once: the record
of a picture drawn by a program, and the pixels that come out. A file that is there already is never changed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from atlcodec import zoo
from atlcodec.codec import Codec

FIXTURES = Path(__file__).parent / "fixtures"


def drawn() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A seven with soft edges, from two strokes: uint8 (28, 28)."""
    y, x = np.mgrid[0:28, 0:28].astype(float)
    image = np.zeros((28, 28))
    for (x0, y0), (x1, y1) in [((8, 7), (20, 7)), ((20, 7), (12, 22))]:
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        distance = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        image = np.maximum(image, np.clip(2.2 - distance, 0, 1))
    return np.rint(255 * image).astype(np.uint8)


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


if __name__ == "__main__":
    main()
