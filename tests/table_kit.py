"""What the tests of tables share: pixels that are drawn, CSV text, and what is found in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec.sets.formats import csv_pixels
from atlcodec.sets.formats.parts import Found, Part

SIDE = 10
PIXELS = SIDE * SIDE
HEADER = [f"pixel{n}" for n in range(PIXELS)]


def drawn(count: int, pixels: int = PIXELS) -> NDArray[np.int64]:
    """Rows whose numbers have one to three digits; 0 is frequent, as in images."""
    rng = np.random.default_rng(count)
    rows: NDArray[np.int64] = rng.integers(0, 256, (count, pixels)) * rng.integers(0, 2, (count, pixels))
    rows[0, :2], rows[:, -1] = (255, 7), rng.integers(0, 256, count)
    return rows


def text(rows: Iterable[Iterable[object]], delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(str(value) for value in row) + end for row in rows)


def beside(labels: Iterable[object], rows: NDArray[Any], at: int = 0) -> list[list[object]]:
    """Rows with a column of labels in this place."""
    return [[*row[:at], label, *row[at:]] for label, row in zip(labels, rows.tolist(), strict=True)]


def all_of(part: Part, size: int = 7, start: int = 0) -> NDArray[Any]:
    return np.concatenate([np.asarray(images) for images in part.images(size, start)])


def found(path: Path) -> Found:
    result = csv_pixels.find(path)
    assert result is not None
    return result


def only(path: Path) -> tuple[Part, Found]:
    result = found(path)
    (part,) = result.parts
    return part, result
