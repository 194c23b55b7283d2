"""What 200 bytes are worth: our records beside WebP squeezed into as many, on the test pictures of each data set.

WebP gets the best it can do: lossless where the whole file fits, else the quality whose file fits and loses least. Sizes are not
quite monotone in the quality, so a bisection finds where they cross 200 bytes, and the qualities around it are all tried.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import report
from numpy.typing import NDArray
from PIL import Image

from atlcodec import datasets, metrics, record, zoo
from atlcodec.codec import Codec
from atlcodec.datasets import Split
from atlcodec.engine import threads
from atlcodec.evaluation import Figures, automatic, measure

SETS = ("MNIST", "FashionMNIST", "KMNIST-part")
AROUND = range(-3, 11)  # qualities tried around the one that the bisection finds
# Table 5 of the paper: PSNR pooled, accuracy. Its KMNIST is the whole test set.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST-part": (17.6, 85.5)}


@dataclass(frozen=True)
class Squeezed:
    """A WebP file of one picture."""

    size: int
    error: float
    lossless: bool


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}")
    parser.add_argument("--limit", type=int, help="only the first so many pictures of each set")
    parser.add_argument("--processes", type=int, default=threads(), help="for WebP")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    found = [name for name in SETS if Path(options.data, name).is_dir()]
    if not found:
        parser.error(f"{options.data}: holds none of {', '.join(SETS)}")
    # A fresh process each: one that was forked would share the threads of ONNX Runtime.
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        compress = functools.partial(pool.map, squeeze, chunksize=64)
        tables = [compare(name, Path(options.data, name), options.limit, compress) for name in found]
    missing = [name for name in SETS if name not in found]
    facts: dict[str, report.Cell] = {"not at hand, so not measured": ", ".join(missing)} if missing else {}
    facts["models"] = ", ".join(f"{codec.name} {codec.id:08x}" for codec in bundled())
    report.publish("quality", f"Quality at {record.RECORD} bytes", tables, options.output, facts)


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.installed() if isinstance(model, zoo.Model) and model.bundled]


def compare(
    name: str, folder: Path, limit: int | None, compress: Callable[[Iterable[NDArray[np.uint8]]], Iterable[Squeezed]]
) -> report.Table:
    data = datasets.load(folder)
    if data.test is None:
        raise SystemExit(f"{folder}: has no test pictures")
    test: Split = data.test[:limit]
    rows: list[list[report.Cell]] = []
    costs = []
    for codec in bundled():
        figures = measure(codec, test, data.classes)
        rows.append(row(f"atlcodec, {codec.name}", record.RECORD, figures))
        costs.append(f"{codec.name} {cost(figures)}")
    rows.append(
        row("atlcodec, chosen for each picture", record.RECORD, automatic([Codec(m) for m in zoo.default()], test, data.classes))
    )

    files = list(compress(list(test.images)))
    errors = np.array([file.error for file in files])
    figures = Figures(errors, None, errors, None, ("WebP",) * len(files))
    rows.append(row("WebP, the best that fits", float(np.mean([file.size for file in files])), figures))
    rows.append(
        ["zlib of the pixels, lossless", float(np.mean([len(zlib.compress(image, 9)) for image in test.images])), None, None, None]
    )
    psnr, accuracy = PAPER[name]
    rows.append(["ATL in the paper, its Table 5 (given, not measured here)", record.RECORD, psnr, None, accuracy])

    exact, large = sum(file.lossless for file in files), sum(file.size > record.RECORD for file in files)
    notes = [
        f"WebP: {exact} of {len(files)} pictures fit without loss, which counts as 68 dB in the mean per picture; {large} need "
        f"more than {record.RECORD} bytes even at quality 0 and are counted with that file.",
    ]
    notes.append("What the seal costs: " + "; ".join(costs) + ".")
    if name == "KMNIST-part":
        notes.append("The paper's figures are of the whole KMNIST test set, of which this is a part.")
    columns = ["", "bytes a picture", "PSNR pooled, dB", "PSNR mean per picture, dB", "accuracy, %"]
    return report.Table(f"{name}, {len(test)} test pictures", columns, rows, notes)


def cost(figures: Figures) -> str:
    """Of the seal: what the same symbols would give without one, less what they give with it."""
    summary = {key: float(str(value)) for key, value in figures.summary().items() if key != "models"}
    text = f"{summary['psnr_unsealed'] - summary['psnr']:.3f} dB"
    if "accuracy" in summary:
        lost = summary["accuracy_unsealed"] - summary["accuracy"]
        text += f" and {lost:.2f} points of accuracy (standard error {summary['accuracy_seal_error']:.2f})"
    return text


def row(name: str, size: float, figures: Figures) -> list[report.Cell]:
    summary = figures.summary()
    accuracy = summary.get("accuracy")
    wanted = (summary["psnr"], summary["psnr_mean"], accuracy)
    return [name, size, *(float(str(value)) if value is not None else None for value in wanted)]


def squeeze(image: NDArray[np.uint8]) -> Squeezed:
    """The WebP file of at most 200 bytes that loses least; the one of quality 0 if there is none."""
    picture = Image.fromarray(image)
    exact = webp(picture, lossless=True, quality=100)
    if len(exact) <= record.RECORD:
        return Squeezed(len(exact), loss(image, exact), True)
    files: dict[int, bytes] = {}

    def fits(quality: int) -> bool:
        if quality not in files:
            files[quality] = webp(picture, quality=quality)
        return len(files[quality]) <= record.RECORD

    low, high = 0, 101
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    fitting = [quality for quality in (low + step for step in AROUND) if 0 <= quality <= 100 and fits(quality)]
    return min(
        (Squeezed(len(file), loss(image, file), False) for file in map(files.__getitem__, fitting or [0])), key=lambda s: s.error
    )


def webp(picture: Image.Image, *, quality: int, lossless: bool = False) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", method=6, quality=quality, lossless=lossless)
    return buffer.getvalue()


def loss(image: NDArray[np.uint8], file: bytes) -> float:
    decoded = np.asarray(Image.open(io.BytesIO(file)).convert("L"))
    return float(metrics.squared_error(image[None], decoded[None])[0])


if __name__ == "__main__":
    main()
