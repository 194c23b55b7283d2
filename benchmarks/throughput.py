"""Images per second: encode, decode and classify, beside Pillow's codecs, a CNN on pixels, and matrix products alone.

Everything works in memory, in turns within one run, and the best turn counts. Pillow works on one image at a time in
one thread; atlcodec takes whole arrays and does not search for better symbols (effort 0)."""

from __future__ import annotations

import io
import os
import sys
from functools import partial
from typing import Any

import baselines
import gemm
import inputs
import numpy as np
import pixel_classifiers
import report
import timing
from inputs import Codec, Images
from numpy.typing import NDArray
from PIL import Image
from report import Row, Table
from timing import Calls

from atlcodec import record
from atlcodec.engine import CHUNK, threads

MANY = 4096  # images for the classifier of pixels, and to compare sealing with the compressor
BATCHES = (1, 10, 100, 1000, MANY, 10000)
PEER = 500  # images for Pillow, one at a time
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "WebP, quality 50": ("WEBP", {"quality": 50}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "JPEG, quality 50": ("JPEG", {"quality": 50}),
    "PNG": ("PNG", {}),
}
PARTS = {"encode": "compressor", "decode": "decompressor", "classify": "classifier"}
Rates = dict[tuple[str, int], float]  # images per second, by what is done and the number of images at a time


def main() -> None:
    defaults = {"model": ["mnist", "mnist-lenet"], "rounds": 7, "seconds": 0.2, "threads": threads()}
    options = report.arguments(__doc__, BATCHES[-1], **defaults)
    use_threads(options.threads)
    batches = [*(batch for batch in BATCHES if batch < options.images), options.images]
    images, what = inputs.some_images(options.data, max(batches[-1], MANY))
    codecs, tables = [Codec.load(model) for model in options.model], list[Table]()
    calls = {("", name, PEER): call for name, call in pillow(images[:PEER]).items()}
    sizes = {codec.name: gemm.multiplications(codec.head.file()) for codec in codecs}
    for codec in codecs:
        for count in batches:
            calls |= {(codec.name, name, count): call for name, call in ours(codec, images[:count]).items()}
        size, classes = sizes[codec.name], len(codec.labels)
        from_png, cnn_size = pixel_classifiers.from_png(images[:MANY], size, classes, options.threads)
        calls |= {(codec.name, name, MANY): call for name, call in from_png.items()}
        sizes[f"CNN beside {codec.name}"] = cnn_size
    best = timing.best(calls, options.rounds, options.seconds)
    rates: dict[str, Rates] = {name: {} for name in ("", *(codec.name for codec in codecs))}
    for (model, name, count), seconds in best.items():
        rates[model][name, count] = count / seconds
    for codec in codecs:
        tables += [
            throughput(codec.name, rates[codec.name], batches),
            ratios(codec.name, rates[codec.name], batches, sizes),
        ]
    tables.append(beside_pillow(rates, batches, images[:PEER]))
    facts = {"models": inputs.listed(codecs), "pictures": what, "threads": options.threads}
    report.publish("throughput", "Pictures per second", tables, options.output, facts)


def use_threads(count: int) -> None:
    """BLAS reads its number of threads when it is loaded: with another number, start the program again."""
    names = ("ATLC_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    wanted = dict.fromkeys(names, str(count))
    if not wanted.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def ours(codec: Codec, images: Images) -> Calls:
    """What the codec does with the images, its parts, and the floors."""
    records, latents = codec.encode(images, effort=0), codec.latents(images)
    chunks = [slice(start, start + CHUNK) for start in range(0, len(images), CHUNK)]

    def seal() -> list[NDArray[np.uint8]]:
        return [record.seal(*record.quantise(latents[rows]), codec.id) for rows in chunks]

    symbols = np.concatenate(seal())
    if not np.array_equal(record.pack(symbols), records):
        raise SystemExit("the parts do not make the records of encode: bring this program up to date")
    return {
        "encode": lambda: codec.encode(images, effort=0),
        "- compressor": lambda: codec.latents(images),
        "- quantise, seal": seal,
        "- pack": lambda: [record.pack(symbols[rows]) for rows in chunks],
        "- floor of encode": gemm.floor(codec.model.file("compressor"), len(images)),
        "decode": lambda: codec.decode(records),
        "- check the seals": lambda: record.ids(records),
        "- decompressor": lambda: codec.decode(records, verify=False),
        "- floor of decode": gemm.floor(codec.model.file("decompressor"), len(images)),
        "classify": lambda: codec.classify(records),
        "- classifier": lambda: codec.classify(records, verify=False),
        "- floor of classify": gemm.floor(codec.head.file(), len(images)),
    }


def pillow(images: Images) -> Calls:
    """Pillow's codecs over the images, one at a time."""

    def encode(format: str, settings: dict[str, Any]) -> list[bytes]:
        return [baselines.save(image, format, settings) for image in images]

    def decode(files: list[bytes], format: str) -> None:
        for file in files:
            Image.open(io.BytesIO(file), formats=[format]).load()

    calls: Calls = {}
    for name, peer in PEERS.items():
        calls |= {f"{name}: encode": partial(encode, *peer), f"{name}: decode": partial(decode, encode(*peer), peer[0])}
    return calls


def throughput(model: str, rates: Rates, batches: list[int]) -> Table:
    names = dict.fromkeys(name for name, _ in rates if not name.startswith("PNG"))
    rows: list[Row] = [{"": name, **{str(count): round(rates[name, count], 1) for count in batches}} for name in names]
    return Table.of(
        f"{model}: pictures per second, by pictures at a time",
        rows,
        f"A line with a dash is a part of the line above, alone, in the chunks of {CHUNK} in which it is done.",
        """The floors are products of the same shapes in NumPy, float32, in blocks that stay in the cache: dense layers,
        and convolutions as products of patches that exist already. (The first layer of a classifier is a product of
        eight-bit integers and may be faster than its floor.)""",
    )


def ratios(model: str, rates: Rates, batches: list[int], sizes: dict[str, int]) -> Table:
    rows: list[Row] = []

    def add(name: str, rate: float, other: float) -> None:
        rows.append({"": name, "ratio": round(rate / other, 3)})

    for name, part in PARTS.items():
        for label, row in ((name, name), (part, f"- {part}")):
            batch = max(batches, key=lambda count: rates[row, count])
            floor = rates[f"- floor of {name}", batch]
            add(f"{label}, of the rate of its floor, at its best batch ({batch})", rates[row, batch], floor)
    if MANY in batches:
        sealing, compressing = rates["- quantise, seal", MANY], rates["- compressor", MANY]
        add(f"time to quantise and seal, of the compressor's, {MANY} at a time", compressing, sealing)
    classify, decode = (max(rates[name, count] for count in batches) for name in ("classify", "decode"))
    add("classify, of the rate of decode, each at its best batch", classify, decode)
    notes = [
        f"""PNG + CNN: Pillow decodes {MANY:,} PNG files, and a CNN of {sizes[f"CNN beside {model}"]:,} multiplications
        (the classifier of records has {sizes[model]:,}) reads their pixels in ONNX Runtime."""
    ]
    for name, rate in ((name, rate) for (name, _), rate in rates.items() if name.startswith("PNG")):
        add(f"classify, of the rate of {name}", classify, rate)
        notes.append(f"{name}: {rate:,.0f} pictures per second.")
    return Table.of(f"{model}: ratios", rows, *notes)


def beside_pillow(rates: dict[str, Rates], batches: list[int], images: Images) -> Table:
    rows: list[Row] = []
    for name, peer in PEERS.items():
        size = np.mean([len(baselines.save(image, *peer)) for image in images])
        rate = {verb: rates[""][f"{name}: {verb}", PEER] for verb in ("encode", "decode")}
        row: Row = {"": name, "bytes a picture": round(float(size), 1)}
        row |= {verb: round(value, 1) for verb, value in rate.items()}
        for model in filter(None, rates):
            for count in sorted({batches[0], batches[-1]}):
                for verb, value in rate.items():
                    ratio = rates[model][verb, count] / value
                    row[f"{model} / Pillow, {verb}, {count} at a time"] = round(ratio, 3)
        rows.append(row)
    return Table.of(
        "Pillow's codecs, pictures per second",
        rows,
        f"{PEER} pictures, one at a time in one thread, as Pillow works; atlcodec uses the threads named above.",
        f"A record has {record.RECORD_BYTES} bytes. The codecs do not lose the same: quality.py compares that.",
    )


if __name__ == "__main__":
    main()
