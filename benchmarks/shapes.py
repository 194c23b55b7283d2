"""A codec of your own from few images: 600 drawn shapes, `atlc train` with its defaults, and PCA of the same images.

    python benchmarks/shapes.py

Needs the extra `train`."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import inputs
import numpy as np
import report
from PIL import Image, ImageDraw
from report import Row, Table
from rivals import Components, Pixels

from atlcodec import metrics
from atlcodec.codec import Codec

TEST, BITS = 200, 1600
SIDE, SCALE = 28, 8  # shapes are drawn so many times as large, then reduced


def main() -> None:
    options = report.arguments(__doc__, images=600)
    drawn = shapes(options.images + TEST)
    train, test = drawn[:-TEST], drawn[-TEST:]
    linear = Components.fit(train, BITS).decoded(test)
    with tempfile.TemporaryDirectory() as folder:
        light = train.mean(axis=(1, 2)) > np.median(train.mean(axis=(1, 2)))
        for index, image in enumerate(train):
            path = Path(folder, "shapes", "light" if light[index] else "dark", f"{index:03d}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        started = time.perf_counter()
        subprocess.run(
            [*inputs.ATLC, "train", "--data", "shapes", "-o", "mine"], cwd=folder, check=True, capture_output=True
        )
        seconds = time.perf_counter() - started
        codec = Codec.load(Path(folder, "mine"))
        found = {f"atlc train, effort {effort}": codec.decode(codec.encode(test, effort)) for effort in (0, 2, 5)}
    found[f"principal components, {BITS:,} bits"] = linear
    rows: list[Row] = [
        {"": name, "PSNR, dB": metrics.psnr(float(metrics.squared_error(test, decoded).mean()))}
        for name, decoded in found.items()
    ]
    note = f"{len(train)} images to learn from, {TEST} others to measure. atlc train took {seconds:.0f} s."
    report.publish("shapes", "A codec of 600 drawn shapes", [Table("Shapes", rows, note)], options.output)


def shapes(count: int) -> Pixels:
    """One to three ellipses, rectangles, triangles or lines, filled or not: uint8 (count, 28, 28)."""
    rng, drawn = np.random.default_rng(0), []
    for _ in range(count):
        canvas = Image.new("L", (SIDE * SCALE, SIDE * SCALE))
        pen = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(1, 4)):
            (left, top), (right, bottom) = rng.uniform(2, 14, 2) * SCALE, rng.uniform(16, 26, 2) * SCALE
            grey, width = int(rng.integers(128, 256)), int(rng.uniform(1, 4) * SCALE)
            fill, kind = grey if rng.random() < 0.5 else None, rng.integers(4)
            if kind < 2:
                (pen.rectangle if kind else pen.ellipse)((left, top, right, bottom), fill, grey, width)
            elif kind == 2:
                pen.polygon([(left, bottom), (right, bottom), (rng.uniform(left, right), top)], fill, grey, width)
            else:
                pen.line((left, top, right, bottom), grey, width)
        drawn.append(np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8))
    return np.stack(drawn)


if __name__ == "__main__":
    main()
