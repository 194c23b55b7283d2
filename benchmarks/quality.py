"""Quality at 200 bytes: records beside WebP, JPEG XL, JPEG and principal components, and labels beside those of pixels.

    ATLC_DATA=... python benchmarks/quality.py

All figures are of the official test images of each data set. A stopped run goes on; to measure everything again, delete
the file of the known figures. Needs the extras `train` and `dev`, and two hours."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import baselines
import comparison
import inputs
import numpy as np
import pixel_classifiers
import report
import timing
import torch
from baselines import IMAGE_CODECS, USUAL_QUALITY, USUAL_WEBP, Components
from comparison import BYTES, FEW, HARDEST, QUICK, WINDOW, Bench, Figures, Known, Timed, version
from inputs import Codec, LabelledSet
from report import Row, Table

# Table 5 of the paper: PSNR pooled, accuracy.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST": (17.6, 85.5)}
RUNS = Path(__file__).parents[1] / "runs" / "quality"
VALIDATION = 5000  # training images that choose between two trainings of the CNN
FIRST = f" (the first {FEW:,})"


class Comparison:
    """A data set, the codecs that were trained on it, and what they are compared with."""

    def __init__(self, known: Known, data: LabelledSet) -> None:
        self.bench, self.codecs = Bench(known, data), inputs.trained_on(data.name)
        self.heads = [each for codec in self.codecs for each in inputs.with_each_head(codec)]
        self.usual = comparison.at_quality(USUAL_WEBP, USUAL_QUALITY)
        self.peers = [comparison.linear(Components.fit(data.train, 8 * BYTES)), self.usual]
        for peer in IMAGE_CODECS:
            self.peers.append(comparison.best_that_fits(peer))
            quality = self.bench.average_quality(peer)
            self.peers += [comparison.at_quality(peer, quality)] if quality is not None else []
            self.peers += [comparison.at_quality(peer, None)] if peer.lossless else []
        records = [comparison.records(codec, effort) for codec in self.codecs for effort in efforts(codec)]
        self.speeds = self.bench.speeds([*records, *self.peers], version(self.codecs))

    def part(self, effort: int) -> Bench:
        """The highest effort is slow and gets few images."""
        return self.bench.few if effort == HARDEST else self.bench


def efforts(codec: Codec) -> tuple[int, int, int]:
    return 0, codec.model.card.effort, HARDEST


def main() -> None:
    options = report.arguments(__doc__, runs=str(RUNS), pixels="yes")
    timing.one_blas_thread()
    torch.set_num_threads(1)  # two on cores that are busy take many times as long
    baselines.register_jxl()
    known = Known(Path(options.runs, "known.json"))
    found = inputs.labelled_sets(options.data, options.images)
    ones = [Comparison(known, data) for data in found if inputs.trained_on(data.name)]
    tables = [*map(quality_table, ones), label_table(ones, options.pixels == "yes")]
    facts = {**report.versions("pillow-jxl-plugin", "scikit-image", "torch"), "models": inputs.listed(inputs.bundled())}
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


def quality_table(one: Comparison) -> Table:
    """Images of one data set: error, size and speed."""
    rows = list[Row]()

    def add(name: str, figures: Figures, measured: str = "") -> None:
        row: Row = {"": name, "bytes a picture": figures["bytes"], "PSNR pooled, dB": figures["psnr"]}
        row |= {"PSNR mean per picture, dB": figures.get("psnr_mean"), "SSIM, %": figures.get("ssim")}
        for verb in ("encode", "decode"):
            if rate := one.speeds.get(f"{measured}, {verb}"):
                row[f"{verb}, pictures/s"] = rate
                row[f"{verb}, of WebP's rate"] = round(rate / one.speeds[f"{one.usual.name}, {verb}"], 3)
        rows.append(row)

    for codec in one.codecs:
        for effort in efforts(codec):
            contestant, part = comparison.records(codec, effort), one.part(effort)
            which = " (the default)" if effort == codec.model.card.effort else FIRST if effort == HARDEST else ""
            add(f"atlcodec, {contestant.name}{which}", part.figures(contestant), contestant.name)
    add("atlcodec, effort 0, model chosen for each picture", {**one.bench.automatic(), "bytes": float(BYTES)})
    for peer in one.peers:
        add(peer.name, one.bench.figures(peer), peer.name)
    data, deflated = one.bench.data, [len(zlib.compress(image, 9)) for image in one.bench.data.test]
    rows.append({"": "zlib of the pixels, lossless", "bytes a picture": float(np.mean(deflated))})
    add("ATL in the paper, its Table 5 (given)", {"bytes": float(BYTES), "psnr": PAPER[data.name][0]})
    return Table.of(f"{data.name}, {len(data.test):,} test pictures", rows, *quality_notes())


def quality_notes() -> Iterator[str]:
    yield f"""WebP uses its slowest method if the name says no other, JPEG XL effort 7, JPEG optimised Huffman tables.
        The best that fits: without loss if that fits {BYTES} bytes, else the quality that fits and loses least, near
        the result of a bisection, else the lowest quality; its speed includes this search. Another quality: the highest
        with {BYTES} bytes on average or less."""
    yield f"""An error of zero counts as 68 dB. SSIM: scikit-image's, windows of {WINDOW} x {WINDOW} pixels. On black it
        punishes noise of a few grey levels, which PSNR hardly does."""
    yield f"""Pictures per second: the best of three turns, with one thread for each. atlcodec and principal components
        take up to {QUICK:,} pictures at once, the others one after another. WebP's rate: at quality {USUAL_QUALITY}, by
        its default method."""


def label_table(ones: list[Comparison], pixels: bool) -> Table:
    """Accuracy of labels from records; and, of networks on pixels, of one of the same cost and of a strong one."""
    rows = [row for one in ones for row in label_rows(one, pixels)]
    p = pixel_classifiers
    slow, fast, resnet = (rate for rates in p.RATES.values() for rate in rates)
    changes = ", ".join(f"{name} {change} times {strength}" for name, (change, strength) in p.CHANGES.items())
    return Table.of(
        "Labels, read off records and off pixels",
        rows,
        "Multiplications of one picture in dense and convolution layers, without the compressor.",
        f"Labels per second: {QUICK:,} pictures at a time, in one thread. Raw pixels lie in memory.",
        f"""CNN: as many multiplications as the default head of the larger codec. ResNet: the network of the teachers,
        a convolution of stride 2 and five basic blocks of 32 to 128 channels. Both are trained on raw pixels for
        {p.EPOCHS} epochs: AdamW, batches of {p.BATCH}, one cycle, label smoothing {p.SMOOTHING}, bfloat16.""",
        f"""Random changes of the training pictures: {changes}. The ResNet sees no others, learns with a rate of
        {resnet}, and has no validation split. Of four CNNs, with rates of {slow} and {fast}, and with half of the
        pictures changed and with none, a validation split chooses one.""",
    )


def label_rows(one: Comparison, pixels: bool) -> Iterator[Row]:
    bench, data = one.bench, one.bench.data
    heads = {each: f"records of {each.name}, head {each.head.name}" for each in one.heads}
    sizes = {name: pixel_classifiers.multiplications(each.head.file()) for each, name in heads.items()}
    budget = max(sizes[heads[each]] for each in heads if each.head.name == each.model.card.default_head)
    classes = len(data.classes)
    nets = {"CNN": pixel_classifiers.cnn(budget, classes), "ResNet": pixel_classifiers.resnet(classes)}
    exported = {name: pixel_classifiers.onnx_file(net) for name, net in nets.items()}
    sizes |= {name: pixel_classifiers.multiplications(file) for name, file in exported.items()}

    def prepare() -> Timed:
        images = np.resize(data.test, (QUICK, 28, 28))
        calls: Timed = {name: (QUICK, partial(each.classify, each.encode(images, 0))) for each, name in heads.items()}
        runners = {name: pixel_classifiers.runner(file, 1) for name, file in exported.items()}
        return calls | {name: (QUICK, partial(run, images)) for name, run in runners.items()}

    rates = bench.rates(f"labels{version(one.codecs)}", prepare)

    def row(name: str, size: int, *accuracies: float) -> Row:
        columns = ("accuracy, %", "at the default effort", f"at effort {HARDEST}{FIRST}")
        made: Row = {"": f"{data.name}: {name}", "bytes a picture": size, "multiplications": sizes.get(name)}
        return {**made, "labels/s": rates.get(name), **dict(zip(columns, accuracies, strict=False))}

    for each, name in heads.items():
        found = (one.part(effort).labels(each, effort)[each.head.name] for effort in efforts(each))
        yield row(name, BYTES, *found)
    yield row("records, model chosen for each picture", BYTES, bench.automatic()["accuracy"])
    yield row("ATL in the paper, its Table 5 (given)", BYTES, PAPER[data.name][1])
    if not pixels:
        return
    tried = [(rate, share) for rate in pixel_classifiers.RATES["CNN"] for share in (0.0, 0.5)]
    yield row("CNN", data.test[0].size, max(bench.classifier("CNN", nets["CNN"], *how, VALIDATION) for how in tried)[1])
    (rate,) = pixel_classifiers.RATES["ResNet"]
    yield row("ResNet", data.test[0].size, bench.classifier("ResNet", nets["ResNet"], rate, 1, 1)[1])


if __name__ == "__main__":
    main()
