"""Images per second: encode, decode and classify, beside Pillow's codecs and a CNN on PNG files.

    ATLC_DATA=... python benchmarks/throughput.py

Everything works in memory, in turns within one run, and the best turn counts: first with one thread for each, then with
all threads for atlcodec."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import inputs
import numpy as np
import pixel_classifiers
import report
import timing
from inputs import Images
from report import Row, Table
from rivals import load, save

from atlcodec import engine
from atlcodec.codec import Codec

MANY = 4096  # images for the classifier of pixels
CHUNK = 1024  # of them at a time
SOME = 1000  # images for Pillow's codecs, and at most for the search
BATCHES = (1, 10, 100, SOME, MANY, 10_000)
WEBP, CNN = "WebP, quality 50", "PNG + CNN"
PILLOW: dict[str, tuple[str, dict[str, Any]]] = {  # a codec's format and settings
    WEBP: ("WEBP", {"quality": 50}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "JPEG, quality 50": ("JPEG", {"quality": 50}),
    "PNG": ("PNG", {}),
}
Key = tuple[str, str, int]  # a codec, what it does, the number of images at a time
Calls = dict[Key, Callable[[], object]]
Rates = dict[str, dict[Key, float]]  # images per second, by the number of threads


def main() -> None:
    options = report.arguments(__doc__, images=BATCHES[-1], rounds=7)
    images, codecs = inputs.digits(max(options.images, MANY)), [Codec.load("mnist"), Codec.load("mnist-lenet")]
    batches = [*(batch for batch in BATCHES if batch < options.images), options.images]
    files = {name: [save(image, *how) for image in images[:SOME]] for name, how in PILLOW.items()}
    rates: Rates = {}
    for count in sorted({1, engine.threads()}):
        os.environ["ATLC_THREADS"] = str(count)
        calls = pillow(images[:SOME], files)
        for codec in codecs:
            calls |= {key: call for batch in batches for key, call in ours(codec, images[:batch]).items()}
            calls[codec.name, CNN, MANY] = png_and_cnn(codec, images[:MANY], count)
        best = timing.best(calls, options.rounds, 0.2)
        rates[f"{count} thread{'s' * (count > 1)}"] = {key: key[2] / seconds for key, seconds in best.items()}
    rows = list[Row]()
    for name in PILLOW:
        encode, decode = (rates["1 thread"][name, verb, SOME] for verb in ("encode", "decode"))
        size = sum(map(len, files[name])) // SOME
        rows.append({"": name, "bytes a picture": size, "encode": encode, "decode": decode})
    note = f"The first {SOME:,} pictures, one after another in one thread. The codecs lose unlike: see quality.md."
    tables = [Table("Pillow's codecs: pictures per second", rows, note)]
    for codec in codecs:
        tables += [throughput(codec, rates, batches), ratios(codec, rates)]
    facts = {"models": inputs.listed(codecs), "pictures": "test pictures of MNIST", "threads": " and ".join(rates)}
    report.publish("throughput", "Pictures per second", tables, options.output, facts)


def one_by_one(do: Callable[[Any], object], given: Iterable[Any]) -> None:
    for each in given:
        do(each)


def pillow(images: Images, files: dict[str, list[bytes]]) -> Calls:
    calls: Calls = {}
    for name, (format, settings) in PILLOW.items():
        calls[name, "encode", SOME] = partial(one_by_one, partial(save, format=format, settings=settings), images)
        calls[name, "decode", SOME] = partial(one_by_one, partial(load, format=format), files[name])
    return calls


def verbs(codec: Codec) -> tuple[str, str, str, str]:
    effort = codec.model.card.effort
    return "encode, effort 0", f"encode, effort {effort} (the default)", "decode", f"classify, head {codec.head.name}"


def ours(codec: Codec, images: Images) -> Calls:
    """What the codec does with the images. A search takes long and gets few."""
    records = codec.encode(images, effort=0)
    encode, search, decode, classify = verbs(codec)
    does: dict[str, Callable[[], object]] = {encode: partial(codec.encode, images, 0)}
    does |= {search: partial(codec.encode, images)} if len(images) <= SOME else {}
    does |= {decode: partial(codec.decode, records), classify: partial(codec.classify, records)}
    return {(codec.name, verb, len(images)): call for verb, call in does.items()}


def png_and_cnn(codec: Codec, images: Images, threads: int) -> Callable[[], object]:
    """Labels of PNG files, decoded by Pillow one after another, and read by a CNN with as many multiplications as the
    codec's head."""
    net = pixel_classifiers.cnn(pixel_classifiers.multiplications(codec.head.file()), len(codec.labels))
    run = pixel_classifiers.runner(pixel_classifiers.onnx_file(net), threads)
    files = [save(image, "PNG", {}) for image in images]
    parts = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    return lambda: [run(np.stack([load(file, "PNG") for file in part])) for part in parts]


def throughput(codec: Codec, rates: Rates, batches: list[int]) -> Table:
    rows: list[Row] = [
        {"": f"{verb}, {threads}", **{str(batch): found.get((codec.name, verb, batch)) for batch in batches}}
        for verb in verbs(codec)
        for threads, found in rates.items()
    ]
    return Table(f"{codec.name}: pictures per second, by pictures at a time", rows)


def ratios(codec: Codec, rates: Rates) -> Table:
    """The codec, at its best batch, beside its rivals."""
    rivals = [(WEBP, "encode", SOME), (WEBP, "encode", SOME), (WEBP, "decode", SOME), (codec.name, CNN, MANY)]
    rows = list[Row]()
    for threads, found in rates.items():
        for verb, rival in zip(verbs(codec), rivals, strict=True):
            rate, batch = max((rate, key[2]) for key, rate in found.items() if key[:2] == (codec.name, verb))
            name = f"{verb}, over {CNN if CNN in rival else WEBP}; {threads}"
            row: Row = {"": name, "ratio": round(rate / found[rival], 3), "pictures/s": rate, "at a time": batch}
            rows.append({**row, "the other's pictures/s": found[rival]})
    return Table(
        f"{codec.name}: ratios",
        rows,
        "1 thread: for each. More threads: for atlcodec and the CNN; Pillow always has one.",
        f"""{CNN}: Pillow decodes {MANY:,} PNG files, and a CNN in ONNX Runtime with as many multiplications as the
        head ({pixel_classifiers.multiplications(codec.head.file()):,}) reads their pixels. {WEBP}: Pillow's default
        method.""",
    )


if __name__ == "__main__":
    main()
