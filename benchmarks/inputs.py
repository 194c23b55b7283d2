"""Pictures to measure with: a real test set where there is one, and digits drawn by a program where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from atlcodec import sets

SIDE = 28


def pictures(where: str | None, count: int) -> tuple[NDArray[np.uint8], str]:
    """`count` pictures, uint8 (count, 28, 28), and what they are.

    The test pictures of the data set at `where`; without it, of MNIST below $ATLC_DATA; without that, drawn. Nothing is
    downloaded unasked. A set of fewer pictures is gone through again."""
    if where is None and os.environ.get("ATLC_DATA"):
        below = Path(os.environ["ATLC_DATA"], "MNIST")
        where = str(below) if below.is_dir() else None
    if where is None:
        return drawn(count), "digits drawn by a program"
    data = sets.load(where)
    if data.test is None or not len(data.test):
        raise SystemExit(f"{where}: has no test pictures")
    return data.test.images[np.arange(count) % len(data.test)], f"test pictures of {data.name}"


def drawn(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Digits in one typeface, each turned, scaled and shifted a little: uint8 (count, 28, 28), the same for the same
    seed."""
    rng = np.random.default_rng(seed)
    fonts = [ImageFont.load_default(size) for size in range(18, 26)]
    pictures = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
        canvas = Image.new("L", (SIDE, SIDE))
        x, y = rng.normal(SIDE / 2, 1, 2)
        ImageDraw.Draw(canvas).text(
            (x, y), str(index % 10), fill=255, font=fonts[rng.integers(len(fonts))], anchor="mm"
        )
        turned = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        pictures[index] = np.asarray(turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8))))
    return pictures
