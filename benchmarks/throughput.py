"""Images per second: encode, decode and classify, beside a CNN on PNG files, and matrix products alone.

Everything works in memory, in turns within one run, and the best turn counts. Effort 0: quality.py measures the search,
and image codecs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import gemm
import inputs
import numpy as np
import pixel_classifiers
import report
import timing
from inputs import Codec, Images
from numpy.typing import NDArray
from report import Row, Table
from timing import Calls

from atlcodec import record
from atlcodec.engine import CHUNK, threads

MANY = 4096  # images for the classifier of pixels, and to compare sealing with the compressor
BATCHES = (1, 10, 100, 1000, MANY, 10000)
PARTS = {"encode": "compressor", "decode": "decompressor", "classify": "classifier"}
Rates = dict[tuple[str, int], float]  # images per second, by what is done and the number of images at a time


def main() -> None:
    defaults = {"model": ["mnist", "mnist-lenet"], "rounds": 7, "seconds": 0.2, "threads": threads()}
    options = report.arguments(__doc__, BATCHES[-1], **defaults)
    use_threads(options.threads)
    batches = [*(batch for batch in BATCHES if batch < options.images), options.images]
    images, what = inputs.some_images(options.data, max(batches[-1], MANY))
    codecs, tables = [Codec.load(model) for model in options.model], list[Table]()
    calls, sizes = dict[tuple[str, str, int], Callable[[], object]](), dict[str, tuple[int, int]]()
    for codec in codecs:
        for count in batches:
            calls |= {(codec.name, name, count): call for name, call in ours(codec, images[:count]).items()}
        size = gemm.multiplications(codec.head.file())
        cnn, cnn_size = pixel_classifiers.from_png(images[:MANY], size, len(codec.labels), options.threads)
        calls |= {(codec.name, name, MANY): call for name, call in cnn.items()}
        sizes[codec.name] = size, cnn_size
    best = timing.best(calls, options.rounds, options.seconds)
    for model, both in sizes.items():
        rates = {(name, count): count / seconds for (one, name, count), seconds in best.items() if one == model}
        tables += [throughput(model, rates, batches), ratios(model, rates, batches, *both)]
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


def throughput(model: str, rates: Rates, batches: list[int]) -> Table:
    names = dict.fromkeys(name for name, _ in rates if not name.startswith("PNG"))
    rows: list[Row] = [{"": name, **{str(count): round(rates[name, count], 1) for count in batches}} for name in names]
    return Table.of(
        f"{model}: pictures per second, by pictures at a time",
        rows,
        f"A line with a dash is a part of the line above, alone, in the chunks of {CHUNK} in which it is done.",
        """The floors are products of the same shapes in NumPy, float32, in blocks that stay in the cache. (The first
        layer of a classifier is a product of eight-bit integers and may be faster than its floor.)""",
    )


def ratios(model: str, rates: Rates, batches: list[int], own_size: int, cnn_size: int) -> Table:
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
        f"""PNG + CNN: Pillow decodes {MANY:,} PNG files, and a CNN of {cnn_size:,} multiplications
        (the classifier of records has {own_size:,}) reads their pixels in ONNX Runtime."""
    ]
    for name, rate in ((name, rate) for (name, _), rate in rates.items() if name.startswith("PNG")):
        add(f"classify, of the rate of {name}", classify, rate)
        notes.append(f"{name}: {rate:,.0f} pictures per second.")
    return Table.of(f"{model}: ratios", rows, *notes)


if __name__ == "__main__":
    main()
