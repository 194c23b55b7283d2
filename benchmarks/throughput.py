"""Images per second: encode, decode and classify, beside Pillow's codecs and a CNN on PNG files.

    ATLC_DATA=... python benchmarks/throughput.py

Everything works in memory, in turns within one run, and the best turn counts: first with one thread for each, then with
all threads for atlcodec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import inputs
import numpy as np
import pixel_classifiers
import report
import timing
from baselines import USUAL_QUALITY, load, save
from inputs import Codec, Images
from report import Row, Table

from atlcodec.engine import threads

MANY = 4096  # images for the classifier of pixels
CHUNK = 1024  # of them at a time
SOME = 1000  # images for Pillow's codecs, and at most for the search
BATCHES = (1, 10, 100, SOME, MANY, 10000)
PILLOW: dict[str, tuple[str, dict[str, Any]]] = {  # a codec's format and settings; the first is the one to compare with
    f"WebP, quality {USUAL_QUALITY}": ("WEBP", {"quality": USUAL_QUALITY}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    f"JPEG, quality {USUAL_QUALITY}": ("JPEG", {"quality": USUAL_QUALITY}),
    "PNG": ("PNG", {}),
}
DO = ("encode", "decode")
WEBP, CNN = next(iter(PILLOW)), "PNG + CNN"
Key = tuple[str, str, int]  # a codec, what it does, the number of images at a time
Calls = dict[Key, Callable[[], object]]
Rates = dict[Key, float]  # images per second


def main() -> None:
    options = report.arguments(__doc__, BATCHES[-1], model=["mnist", "mnist-lenet"], rounds=7, seconds=0.2)
    timing.one_blas_thread()
    batches = [*(batch for batch in BATCHES if batch < options.images), options.images]
    images, what = inputs.some_images(options.data, max(batches[-1], MANY))
    codecs, rates, sizes = [Codec.load(model) for model in options.model], dict[int, Rates](), dict[str, int]()
    for count in sorted({1, threads()}):
        with timing.threads(count):
            calls, sizes = pillow(images[:SOME])
            for codec in codecs:
                calls |= {key: call for batch in batches for key, call in ours(codec, images[:batch]).items()}
                calls[codec.name, CNN, MANY] = png_and_cnn(codec, images[:MANY], count)
            best = timing.best(calls, options.rounds, options.seconds)
        rates[count] = {key: key[2] / seconds for key, seconds in best.items()}
    rows: list[Row] = [
        {"": name, "bytes a picture": sizes[name], **{do: rates[1][name, do, SOME] for do in DO}} for name in PILLOW
    ]
    note = f"The first {SOME:,} pictures, one after another in one thread. The codecs lose unlike: see quality.md."
    tables = [Table.of("Pillow's codecs: pictures per second", rows, note)]
    for codec in codecs:
        tables += [throughput(codec, rates, batches), ratios(codec, rates)]
    facts = {"models": inputs.listed(codecs), "pictures": what, "threads": " and ".join(map(str, rates))}
    report.publish("throughput", "Pictures per second", tables, options.output, facts)


def pillow(images: Images) -> tuple[Calls, dict[str, int]]:
    """Calls of Pillow's codecs, one image after another, and the bytes of their files."""
    calls, sizes = Calls(), dict[str, int]()
    for name, (format, settings) in PILLOW.items():
        encode, decode = partial(save, format=format, settings=settings), partial(load, format=format)
        files = [encode(image) for image in images]
        calls[name, "encode", len(images)] = lambda do=encode: [do(image) for image in images]  # type: ignore[misc]
        calls[name, "decode", len(images)] = lambda do=decode, files=files: [do(file) for file in files]  # type: ignore[misc]
        sizes[name] = sum(map(len, files)) // len(files)
    return calls, sizes


def ours(codec: Codec, images: Images) -> Calls:
    """What the codec and its heads do with the images."""
    records, number = codec.encode(images, effort=0), len(images)
    calls: Calls = {(codec.name, "encode, effort 0", number): partial(codec.encode, images, effort=0)}
    if number <= SOME:
        calls[codec.name, searched(codec), number] = partial(codec.encode, images)
    calls[codec.name, "decode", number] = partial(codec.decode, records)
    for head in inputs.with_each_head(codec):
        calls[codec.name, classify(head), number] = partial(head.classify, records)
    return calls


def searched(codec: Codec) -> str:
    return f"encode, effort {codec.model.card.effort} (the default)"


def classify(codec: Codec) -> str:
    return f"classify, head {codec.head.name}"


def png_and_cnn(codec: Codec, images: Images, threads: int) -> Callable[[], object]:
    """Labels of PNG files, decoded by Pillow one after another, and read by a CNN with as many multiplications as the
    codec's default head."""
    file = pixel_classifiers.onnx_file(pixel_classifiers.cnn(multiplications(codec), len(codec.labels)))
    files, run = [save(image, "PNG", {}) for image in images], pixel_classifiers.runner(file, threads)
    parts = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    return lambda: [run(np.stack([load(file, "PNG") for file in part])) for part in parts]


def multiplications(codec: Codec) -> int:
    return pixel_classifiers.multiplications(codec.head.file())


def throughput(codec: Codec, rates: Mapping[int, Rates], batches: list[int]) -> Table:
    names = dict.fromkeys(what for one, what, _ in rates[1] if one == codec.name and what != CNN)
    rows: list[Row] = [
        {"": f"{name}, {told(count)}", **{str(batch): found.get((codec.name, name, batch)) for batch in batches}}
        for name in names
        for count, found in rates.items()
    ]
    return Table.of(f"{codec.name}: pictures per second, by pictures at a time", rows)


def told(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def ratios(codec: Codec, rates: Mapping[int, Rates]) -> Table:
    """The codec, at its best batch, beside its rivals."""
    rivals = {"encode, effort 0": (WEBP, "encode"), searched(codec): (WEBP, "encode"), "decode": (WEBP, "decode")}
    rivals |= {classify(head): (codec.name, CNN) for head in inputs.with_each_head(codec)}
    rows = list[Row]()
    for count, found in rates.items():
        for name, (other, does) in rivals.items():
            rate, batch = max((rate, key[2]) for key, rate in found.items() if key[:2] == (codec.name, name))
            theirs = next(rate for key, rate in found.items() if key[:2] == (other, does))
            row: Row = {
                "": f"{name}, over {CNN if does == CNN else WEBP}; {told(count)}",
                "ratio": round(rate / theirs, 3),
            }
            rows.append({**row, "pictures/s": rate, "at a time": batch, "the other's pictures/s": theirs})
    return Table.of(
        f"{codec.name}: ratios",
        rows,
        "1 thread: for each. More threads: for atlcodec and the CNN; Pillow always has one.",
        f"""{CNN}: Pillow decodes {MANY:,} PNG files, and a CNN in ONNX Runtime with as many multiplications as the
        default head ({multiplications(codec):,}) reads their pixels. {WEBP}: Pillow's default method.""",
    )


if __name__ == "__main__":
    main()
