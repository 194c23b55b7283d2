"""The sample images of the tests: digits drawn by a program, white on black as in MNIST."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[float, float]  # x to the right, y down, in pixels


def seven(slant: float = 0.0) -> Pixels:
    """A seven, uint8 (28, 28). The frozen records in tests/fixtures are of the one without a slant."""
    return drawn((8, 7), (20, 7), (12 + slant, 22))


def sample(shape: tuple[int, ...], figure: Pixels | None = None) -> Pixels:
    """A figure, or the seven, in the middle of an image of a codec's shape, uint8 (*shape); in colour, orange on
    blue."""
    beyond = [(side - 28) // 2 for side in shape[:2]]
    figure = seven() if figure is None else figure
    figure = np.pad(figure, [(each, side - 28 - each) for each, side in zip(beyond, shape[:2], strict=True)])
    if len(shape) == 2:
        return figure
    share = figure[..., None] / 255
    return np.rint(share * (240, 150, 40) + (1 - share) * (30, 60, 140)).astype(np.uint8)


def one(slant: float = 0.0) -> Pixels:
    """A one, uint8 (28, 28)."""
    return drawn((14 + slant, 6), (14 - slant, 22))


def drawn(*points: Point) -> Pixels:
    """Strokes from point to point, with soft edges: uint8 (28, 28)."""
    y, x = np.mgrid[0:28, 0:28].astype(float)
    image = np.zeros((28, 28))
    for (x0, y0), (x1, y1) in pairwise(points):
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        distance = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        image = np.maximum(image, np.clip(2.2 - distance, 0, 1))
    return np.rint(255 * image).astype(np.uint8)
