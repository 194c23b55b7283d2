"""Pictures per second: encode, decode and classify, beside Pillow's codecs, a CNN on pixels, and the matrix products
alone.

Every contestant does the same pictures, in memory, in turns within one run; the best turn counts. Pillow works on one
picture at a time and in one thread; atlcodec takes whole arrays, and searches for no better symbols (effort 0)."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import gemm
import inputs
import numpy as np
import pixel_classifier
import report
from numpy.typing import NDArray
from PIL import Image

from atlcodec import record
from atlcodec.codec import Codec
from atlcodec.engine import CHUNK, threads

SEALING = 4096  # the batch at which sealing is compared with the compressor
FROM_PIXELS = 4096  # pictures for the classifier of pixels
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "WebP, quality 50": ("WEBP", {"quality": 50}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "JPEG, quality 50": ("JPEG", {"quality": 50}),
    "PNG": ("PNG", {}),
}


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-m", "--model", nargs="+", default=["mnist", "mnist-lenet"], help="names, ids or paths")
    parser.add_argument("--data", metavar="DIR|NAME", help="data set [$ATLC_DATA/MNIST if there, else drawn digits]")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 10, 100, 1000, SEALING, 10000], help="pictures at a time"
    )
    parser.add_argument("--peer-images", type=int, default=500, help="pictures for Pillow, one at a time")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a turn")
    parser.add_argument("--threads", type=int, default=threads(), help="for ONNX Runtime and NumPy alike")
    options = parser.parse_args()
    use_threads(options.threads)

    batches = sorted(set(options.batches))
    images, what = inputs.pictures(options.data, max(*batches, options.peer_images, FROM_PIXELS))
    codecs = [Codec.load(model) for model in options.model]
    contestants: dict[tuple[str, str, int], Callable[[], object]] = {}
    budgets = {}
    for codec in codecs:
        for count in batches:
            contestants |= {(codec.name, name, count): call for name, call in ours(codec, images[:count]).items()}
        budget = sum(p.rows * p.inner * p.columns for p in gemm.products(codec.head.file()))
        calls, spent = pixel_classifier.contestants(images[:FROM_PIXELS], budget, len(codec.labels), options.threads)
        contestants |= {(codec.name, name, FROM_PIXELS): call for name, call in calls.items()}
        budgets[codec.name] = budget, spent
    peers, sizes = pillow(images[: options.peer_images])
    contestants |= {("", name, options.peer_images): call for name, call in peers.items()}
    best = report.race(contestants, options.rounds, options.seconds)

    rates = {(model, name, count): count / time for (model, name, count), time in best.items()}
    tables = []
    for codec in codecs:
        own = {(name, count): rate for (model, name, count), rate in rates.items() if model == codec.name}
        tables += [throughput(codec, own, batches), ratios(codec, own, batches, budgets[codec.name])]
    tables.append(beside_pillow(rates, codecs, batches, sizes, options.peer_images))
    facts = {
        "models": ", ".join(f"{codec.name} {codec.id:08x}" for codec in codecs),
        "pictures": what,
        "threads": options.threads,
    }
    report.publish("throughput", "Pictures per second", tables, options.output, facts)


def use_threads(count: int) -> None:
    """BLAS libraries read their number of threads when they are loaded, so the program begins again if it is
    another."""
    names = ("ATLC_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    wanted = dict.fromkeys(names, str(count))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def ours(codec: Codec, images: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    """What the codec does with these pictures, its parts, and the floors."""
    records, latents = codec.encode(images, effort=0), codec.latents(images)
    chunks = [slice(start, start + CHUNK) for start in range(0, len(images), CHUNK)]

    def seal() -> list[NDArray[np.uint8]]:
        return [record.seal(*record.quantise(latents[rows]), codec.id) for rows in chunks]

    symbols = np.concatenate(seal())
    if not np.array_equal(record.pack(symbols), records):
        raise SystemExit("the parts measured do not make what encode makes: this program is out of date")

    encoding, decoding = gemm.products(codec.model.file("compressor")), gemm.products(codec.model.file("decompressor"))
    return {
        "encode": lambda: codec.encode(images, effort=0),
        "- compressor": lambda: codec.latents(images),
        "- quantise, seal": seal,
        "- pack": lambda: [record.pack(symbols[rows]) for rows in chunks],
        "- floor of encode": gemm.floor(encoding, len(images)),
        "decode": lambda: codec.decode(records),
        "- check the seals": lambda: record.ids(records),
        "- decompressor": lambda: codec.decode(records, verify=False),
        "- floor of decode": gemm.floor(decoding, len(images)),
        "classify": lambda: codec.classify(records),
        "- classifier": lambda: codec.classify(records, verify=False),
        "- floor of classify": gemm.floor(gemm.products(codec.head.file()), len(images)),
    }


def pillow(images: NDArray[np.uint8]) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """Pillow's codecs over the same pictures, and the mean size of their files."""
    pictures = [Image.fromarray(image) for image in images]
    contestants: dict[str, Callable[[], object]] = {}
    sizes = {}
    for name, (format, settings) in PEERS.items():

        def encode(format: str = format, settings: dict[str, Any] = settings) -> list[bytes]:
            return [saved(picture, format, settings) for picture in pictures]

        files = encode()

        def decode(format: str = format, files: list[bytes] = files) -> None:
            for file in files:
                Image.open(io.BytesIO(file), formats=[format]).load()

        contestants |= {f"{name}: encode": encode, f"{name}: decode": decode}
        sizes[name] = sum(map(len, files)) / len(files)
    return contestants, sizes


def saved(picture: Image.Image, format: str, settings: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **settings)
    return buffer.getvalue()


def throughput(codec: Codec, rates: dict[tuple[str, int], float], batches: list[int]) -> report.Table:
    names = list(dict.fromkeys(name for name, _ in rates if not name.startswith("PNG")))
    rows: list[list[report.Cell]] = [[name, *(round(rates[name, count], 1) for count in batches)] for name in names]
    notes = [
        f"A line with a dash is a part of the one above it, by itself, in the chunks of {CHUNK} in which it is done.",
        "The floors are the products of the same shapes in NumPy, float32, in blocks that stay in the cache: the "
        "dense layers, and "
        "the convolutions as products of patches that lie there ready. They leave out all else that a network does. "
        "(The first "
        "layer of a classifier is a product of eight-bit integers, and may be faster than its floor.)",
    ]
    return report.Table(
        f"{codec.name}: pictures per second, by pictures at a time", ["", *map(str, batches)], rows, notes
    )


def ratios(
    codec: Codec, rates: dict[tuple[str, int], float], batches: list[int], budget: tuple[int, int]
) -> report.Table:
    rows: list[list[report.Cell]] = []
    for name, part in (("encode", "compressor"), ("decode", "decompressor"), ("classify", "classifier")):
        for contestant in (name, f"- {part}"):
            best = max((rates[contestant, count], count) for count in batches)[1]
            share = rates[contestant, best] / rates[f"- floor of {name}", best]
            label = f"{contestant.removeprefix('- ')}, of the rate of its floor, at its best batch ({best})"
            rows.append([label, round(share, 3)])
    if SEALING in batches:
        share = rates["- compressor", SEALING] / rates["- quantise, seal", SEALING]
        rows.append([f"time to quantise and seal, of the compressor's, {SEALING} at a time", round(share, 3)])
    fastest = {name: max(rates[name, count] for count in batches) for name in ("classify", "decode")}
    rows.append(
        ["classify, of the rate of decode, each at its best batch", round(fastest["classify"] / fastest["decode"], 3)]
    )
    notes = [
        f"PNG + CNN: Pillow decodes {FROM_PIXELS:,} PNG files, and a CNN of {budget[1]:,} multiplications (the "
        "classifier of "
        f"records has {budget[0]:,}) reads their pixels in ONNX Runtime, in chunks of {pixel_classifier.CHUNK:,}."
    ]
    for name in (name for name, _ in rates if name.startswith("PNG")):
        rate = rates[name, FROM_PIXELS]
        rows.append([f"classify, of the rate of {name}", round(fastest["classify"] / rate, 3)])
        notes.append(f"{name}: {rate:,.0f} pictures per second.")
    return report.Table(f"{codec.name}: ratios", ["", "ratio"], rows, notes)


def beside_pillow(
    rates: dict[tuple[str, str, int], float],
    codecs: list[Codec],
    batches: list[int],
    sizes: dict[str, float],
    count: int,
) -> report.Table:
    columns = ["", "bytes a picture", "encode", "decode"]
    for codec in codecs:
        columns += [
            f"{codec.name} / Pillow, {verb}, {size} at a time"
            for size in ends(batches)
            for verb in ("encode", "decode")
        ]
    rows: list[list[report.Cell]] = []
    for name, bytes_ in sizes.items():
        rate = {verb: rates["", f"{name}: {verb}", count] for verb in ("encode", "decode")}
        row: list[report.Cell] = [name, round(bytes_, 1), round(rate["encode"], 1), round(rate["decode"], 1)]
        for codec in codecs:
            row += [
                round(rates[codec.name, v, size] / rate[v], 3) for size in ends(batches) for v in ("encode", "decode")
            ]
        rows.append(row)
    notes = [
        f"{count} pictures, one at a time in one thread, which is how Pillow works; atlcodec uses the threads named "
        "above.",
        f"An .atlc record has {record.RECORD_BYTES} bytes. The codecs do not lose the same: quality.py compares that.",
    ]
    return report.Table("Pillow's codecs, pictures per second", columns, rows, notes)


def ends(batches: list[int]) -> list[int]:
    """The smallest batch and the largest."""
    return sorted({batches[0], batches[-1]})


if __name__ == "__main__":
    main()
