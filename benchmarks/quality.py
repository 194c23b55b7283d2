"""Quality at 200 bytes: records beside WebP, JPEG XL, JPEG and principal components, and labels beside those of pixels.

    ATLC_DATA=... python benchmarks/quality.py

All figures are of the official test images of each data set. A stopped run goes on; to measure everything again, delete
runs/quality.json. Needs the extras `train` and `dev`, and two hours."""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import inputs
import numpy as np
import pillow_jxl.JpegXLImagePlugin  # noqa: F401
import report
import torch
from inputs import Images, LabelledSet
from pixel_classifiers import SETTINGS as PIXELS
from pixel_classifiers import cnn, multiplications, onnx_file, train
from report import Row, T, Table
from rivals import IMAGE_CODECS, Components, ImageCodec, load
from skimage.metrics import structural_similarity
from torch import nn

from atlcodec import evaluation, metrics, record, zoo
from atlcodec.codec import Codec
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training.teacher import teacher

BYTES = record.RECORD_BYTES
# Table 5 of the paper: PSNR pooled, accuracy.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST": (17.6, 85.5)}
WINDOW = 7  # side of SSIM's window
# How classifiers of pixels are trained: random changes and their strength, by data set, and what all share.
CHANGES = {"MNIST": ("elastic", 1.0), "FashionMNIST": ("affine+mirror", 0.4), "KMNIST": ("elastic", 1.0)}
RATES, EPOCHS = (3e-3, 6e-3), 12
Figures = dict[str, Any]
KNOWN = report.Known("quality")


def main() -> None:
    options = report.arguments(__doc__, images=10_000)
    torch.set_num_threads(1)  # two on cores that are busy take many times as long
    data = inputs.labelled_sets(options.images)
    labels = (row for one in data for row in label_rows(one))
    tables = [*map(quality_table, data), Table("Labels, read off records and off pixels", labels, *label_notes())]
    facts = {**report.versions("pillow-jxl-plugin", "scikit-image", "torch"), "models": inputs.listed(inputs.bundled())}
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


# -- what is measured --------------------------------------------------------------------------------------------------


def find(what: str, data: LabelledSet, run: Callable[[], T]) -> T:
    return KNOWN.find(f"{what}: {len(data.train)} + {len(data.test)} of {data.name}", run)


def figures(data: LabelledSet, decoded: Images, size: float) -> Figures:
    errors = metrics.squared_error(data.test, decoded)
    ssim: Any = partial(structural_similarity, win_size=WINDOW, channel_axis=0, data_range=255)
    return {
        "bytes a picture": size,
        "PSNR pooled, dB": metrics.psnr(float(np.maximum(errors, metrics.FLOOR).mean())),
        "PSNR mean per picture, dB": float(metrics.psnr_each(errors).mean()),
        "SSIM, %": 100 * float(ssim(data.test, decoded)),
    }


def of_records(data: LabelledSet, codec: Codec, effort: int) -> tuple[Figures, float]:
    """And the accuracy in percent."""

    def run() -> tuple[Figures, float]:
        records = codec.encode(data.test, effort)
        accuracy = 100 * metrics.accuracy(codec.classify(records), data.test_labels)
        return figures(data, codec.decode(records), BYTES), accuracy

    return find(f"{codec.name}, effort {effort} {version(codec)}", data, run)


def of_files(data: LabelledSet, codec: ImageCodec, how: str, encode: Callable[[Images], bytes]) -> Figures:
    def run() -> Figures:
        files = [encode(image) for image in data.test]
        decoded = np.stack([load(file, codec.format) for file in files])
        return figures(data, decoded, sum(map(len, files)) / len(files))

    return find(f"{codec.name}, {how}", data, run)


def at_quality(data: LabelledSet, codec: ImageCodec, quality: int) -> Figures:
    return of_files(data, codec, f"quality {quality}", partial(codec.encode, quality=quality))


def automatic(data: LabelledSet) -> Figures:
    """As if each image were encoded alone at effort 0, by the codec that suits it best."""
    codecs = [Codec(model) for model in zoo.default()]
    run = partial(evaluation.automatic, codecs, data.test, data.test_labels, data.classes)
    return find(f"model chosen for each picture {version(*codecs)}", data, lambda: run().summary())


def of_pixels(data: LabelledSet, net: nn.Sequential | None, rate: float, share: float, held: int) -> list[float]:
    """The accuracy in percent, on images held out and on the test images, of a network that is trained as teachers are,
    with a share of the images changed; without one, of a teacher."""
    changes, strength = CHANGES[data.name] if share else ("none", 1.0)
    changed: dict[str, Any] = {"augment": changes, "augment_strength": strength, "augment_share": share or 1.0}
    splits = Split(data.train, data.train_labels), Split(data.test, data.test_labels)
    settings = replace(PIXELS, learning_rate=rate, validation=held, **changed)
    return list(train(net, Dataset(data.name, *splits, data.classes), settings, EPOCHS))


def version(*codecs: Codec) -> str:
    """Changes with the networks of the codecs: their figures are then measured again."""
    files = [(codec.model.card.digests, codec.head.card.digest) for codec in codecs]
    return hashlib.sha256(repr(files).encode()).hexdigest()[:8]


# -- tables ------------------------------------------------------------------------------------------------------------


def quality_table(data: LabelledSet) -> Table:
    """Images of one data set: error and size."""
    rows: dict[str, Figures] = {}
    for codec in inputs.trained_on(data.name):
        for effort, told in ((0, ""), (codec.model.card.effort, " (the default)")):
            rows[f"atlcodec, {codec.name}, effort {effort}{told}"] = of_records(data, codec, effort)[0]
    chosen = automatic(data)
    psnr = {"PSNR pooled, dB": chosen["psnr"], "PSNR mean per picture, dB": chosen["psnr_mean"]}
    rows["atlcodec, effort 0, model chosen for each picture"] = {"bytes a picture": BYTES, **psnr}
    linear = Components.fit(data.train, 8 * BYTES).decoded(data.test)
    rows[f"principal components, {8 * BYTES:,} bits"] = figures(data, linear, BYTES)
    for peer in IMAGE_CODECS:
        rows |= rows_of_files(data, peer)
    deflated = [len(zlib.compress(image, 9)) for image in data.test]
    rows["zlib of the pixels, lossless"] = {"bytes a picture": float(np.mean(deflated))}
    paper = {"bytes a picture": BYTES, "PSNR pooled, dB": PAPER[data.name][0]}
    rows["ATL in the paper, its Table 5 (given)"] = paper
    return Table(
        f"{data.name}, {len(data.test):,} test pictures",
        ({"": name, **row} for name, row in rows.items()),
        f"""WebP uses its slowest method, JPEG XL effort 7, JPEG optimised Huffman tables. The best that fits: without
        loss if that fits {BYTES} bytes, else the quality that fits and loses least, near the result of a bisection,
        else the lowest quality. Another quality: the highest with {BYTES} bytes on average or less.""",
        f"""An error of zero counts as 68 dB. SSIM: scikit-image's, windows of {WINDOW} x {WINDOW} pixels. On black it
        punishes noise of a few grey levels, which PSNR hardly does.""",
    )


def rows_of_files(data: LabelledSet, codec: ImageCodec) -> dict[str, Figures]:
    """The best that fits, the highest quality whose files have 200 bytes on average or less, and lossless."""
    best = of_files(data, codec, "the best that fits", partial(codec.best_that_fits, limit=BYTES))
    rows = {f"{codec.name}, the best that fits": best}
    if fitting := bisect_right(codec.qualities, BYTES, key=lambda q: at_quality(data, codec, q)["bytes a picture"]):
        quality = codec.qualities[fitting - 1]
        rows[f"{codec.name}, quality {quality}"] = at_quality(data, codec, quality)
    if codec.lossless:
        rows[f"{codec.name}, lossless"] = of_files(data, codec, "lossless", partial(codec.encode, quality=None))
    return rows


def label_rows(data: LabelledSet) -> Iterator[Row]:
    """Accuracy of labels from records; and, of networks on pixels, of one of the same cost and of a strong one."""

    def row(name: str, size: int, file: bytes | None, accuracy: float, searched: float | None = None) -> Row:
        made: Row = {"": f"{data.name}: {name}", "bytes a picture": size}
        made["multiplications"] = multiplications(file) if file else None
        return {**made, "accuracy, %": accuracy, "at the default effort": searched}

    classes, size, codecs = len(data.classes), data.test[0].size, inputs.trained_on(data.name)
    for codec in (Codec(one.model, head) for one in codecs for head in zoo.heads(one.model)):
        found = (of_records(data, codec, effort)[1] for effort in (0, codec.model.card.effort))
        yield row(f"records of {codec.name}, head {codec.head.name}", BYTES, codec.head.file(), *found)
    yield row("records, model chosen for each picture", BYTES, None, automatic(data)["accuracy"])
    yield row("ATL in the paper, its Table 5 (given)", BYTES, None, PAPER[data.name][1])
    budget, tried = max(multiplications(codec.head.file()) for codec in codecs), list[list[float]]()
    for rate, share in product(RATES, (0.0, 0.5)):
        learn = partial(of_pixels, data, cnn(budget, classes), rate, share, 5000)
        tried.append(find(f"CNN of {budget} multiplications, rate {rate}, {share} changed", data, learn))
    yield row("CNN", size, onnx_file(cnn(budget, classes)), max(tried)[1])
    resnet = find("ResNet", data, partial(of_pixels, data, None, RATES[0], 1.0, 1))
    yield row("ResNet", size, onnx_file(teacher(classes)), resnet[1])


def label_notes() -> Iterator[str]:
    changes = ", ".join(f"{name} {change} times {strength}" for name, (change, strength) in CHANGES.items())
    yield "Multiplications of one picture in dense and convolution layers, without the compressor."
    yield f"""CNN: as many multiplications as the head of the larger codec. ResNet: the network of the teachers, a
        convolution of stride 2 and five basic blocks of 32 to 128 channels. Both are trained on raw pixels for
        {EPOCHS} epochs: AdamW, batches of {PIXELS.batch_size}, a rate that rises, then falls along a cosine, label
        smoothing {PIXELS.label_smoothing}, bfloat16."""
    yield f"""Random changes of the training pictures: {changes}. The ResNet sees no others, learns with a rate of
        {RATES[0]}, and has no validation split. Of four CNNs, with rates of {RATES[0]} and {RATES[1]}, and with half of
        the pictures changed and with none, a validation split chooses one."""


if __name__ == "__main__":
    main()
