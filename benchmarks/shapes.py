"""A codec of your own from few images: 600 drawn shapes, `atlc train` with its defaults, and PCA of the same images.

Needs the extra `train`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
from baselines import Components
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from report import Row, Table

from atlcodec import metrics
from atlcodec.codec import Codec

TRAIN, TEST, BITS = 600, 200, 1600
SIDE, SCALE = 28, 8  # shapes are drawn so many times as large, then reduced


def shapes(count: int) -> NDArray[np.uint8]:
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


def main() -> None:
    options = report.parser(__doc__).parse_args()
    drawn = shapes(TRAIN + TEST)
    train, test = drawn[:TRAIN], drawn[TRAIN:]
    light = train.mean(axis=(1, 2)) > np.median(train.mean(axis=(1, 2)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, image in enumerate(train):
            path = folder / "shapes" / ("light" if light[index] else "dark") / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        command = [str(Path(sys.executable).with_name("atlc")), "train", "--data", "shapes", "-o", "mine"]
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds = time.perf_counter() - started
        codec = Codec.load(folder / "mine")
        found = {f"atlc train, effort {effort}": codec.decode(codec.encode(test, effort)) for effort in (0, 2, 5)}
    linear = Components.fit(train, BITS)
    found["principal components, 1,600 bits"] = linear.decode(linear.encode(test))
    rows: list[Row] = [
        {"": name, "PSNR, dB": metrics.psnr(float(metrics.squared_error(test, decoded).mean()))}
        for name, decoded in found.items()
    ]
    note = f"{TRAIN} images to learn from, {TEST} others to measure. atlc train took {seconds:.0f} s."
    report.publish("shapes", "A codec of 600 drawn shapes", [Table.of("Shapes", rows, note)], options.output)


if __name__ == "__main__":
    main()
