"""What 200 bytes are worth: records beside WebP, JPEG XL, JPEG and principal components; their labels beside those of
pixels.

On the official test pictures of each data set. What is measured is kept in runs/quality, under a name that says what it
is of: a run that was stopped goes on, and one with other models measures only what is new. Delete that folder to
measure all again. Needs the extras `train` and `dev`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import drawn
import gemm
import numpy as np
import report
import rivals
from contest import (
    BITS,
    BYTES,
    EPOCHS,
    FEW,
    HARDEST,
    QUICK,
    WINDOW,
    Bench,
    Contest,
    Figures,
    Test,
    at_quality,
    best_that_fits,
    bundled,
    chosen,
    contest,
    default,
    every,
    glance,
    hard,
    lessons,
    linear,
    ours,
    reads,
    seals,
    usual,
    with_effort,
)
from rivals import JPEG, JXL, RIVALS, WEBP

from atlcodec import atomic, refine
from atlcodec.engine import threads
from atlcodec.sets.dataset import Split

ROOT = Path(__file__).parents[1]
SETS = ("MNIST", "FashionMNIST", "KMNIST-part")
# Table 5 of the paper: PSNR pooled, accuracy. Its KMNIST is the whole test set.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST-part": (17.6, 85.5)}
# In the picture: qualities of the other codecs.
CURVE = range(0, 100, 5)
COLOURS = {WEBP.name: "C0", "principal components": "C1", JXL.name: "C2", JPEG.name: "black"}


def main() -> None:
    options = arguments()
    found = [name for name in SETS if Path(options.data, name).is_dir()]
    if not found:
        raise SystemExit(f"{options.data}: holds none of {', '.join(SETS)}")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    rivals.prepare()
    # A fresh process each: one that was forked would share the threads of ONNX Runtime.
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn"), rivals.prepare) as pool:
        bench = Bench(options.runs, pool, full=options.full)
        contests = [contest(bench, Path(options.data, name), options.limit) for name in found]
        tables = [compare(bench, one) for one in contests]
        tables.append(labels(bench, contests, options.limit))
        tables.append(elsewhere(bench, contests, options.limit or FEW))
        tables.append(efforts(bench, contests))
        options.output.mkdir(parents=True, exist_ok=True)
        draw(bench, contests, options.output / "quality.png")
    facts: dict[str, report.Cell] = {
        package: version(package) for package in ("pillow-jxl-plugin", "scikit-image", "torch")
    }
    missing = [name for name in SETS if name not in found]
    if missing:
        facts["not at hand, so not measured"] = ", ".join(missing)
    facts["models"] = ", ".join(f"{codec.name} {codec.id:08x}" for codec in bundled())
    facts["processes that were running already (load average)"] = busy
    facts["picture"] = "[quality.png](quality.png), PSNR over bytes"
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


def arguments() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument(
        "--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}"
    )
    parser.add_argument(
        "--limit", type=int, help="a quick look: only the first so many test pictures, and little training"
    )
    parser.add_argument(
        "--full", action="store_true", help=f"effort {HARDEST} on all test pictures, not the first {FEW:,}"
    )
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs" / "quality", metavar="DIR", help="what is known already"
    )
    parser.add_argument("--processes", type=int, default=threads(), help="for the other codecs and for training")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    if options.limit and options.output == report.RESULTS:
        parser.error("a quick look is no result: name another folder with --output")
    return options


# -- the tables --------------------------------------------------------------------------------------------------------


def compare(bench: Bench, one: Contest) -> report.Table:
    """Pictures of a data set: how near, how small, how fast."""
    rows: list[list[report.Cell]] = []
    test, rates = one.test, one.rates

    def add(name: str, figures: Figures, encoder: str = "", decoder: str = "") -> None:
        row: list[report.Cell] = [name, figures["bytes"], figures.get("psnr"), figures.get("psnr_mean")]
        row.append(100 * figures["ssim"] if "ssim" in figures else None)
        speeds = {f"encode {encoder}": "encode WebP, free", f"decode {decoder or encoder}": "decode WebP, free"}
        row += [rates.get(mine) for mine in speeds]
        row += [
            round(rates[mine] / rates[peer], 3) if mine in rates and peer in rates else None
            for mine, peer in speeds.items()
        ]
        rows.append(row)

    for codec in one.codecs:
        for effort in usual(codec):
            pictures, which = hard(bench, test, effort)
            figures = ours(bench, codec, effort, pictures)
            add(f"atlcodec, {with_effort(codec, effort)}{which}", figures, with_effort(codec, effort), codec.name)
    add(f"atlcodec, model chosen for each picture, effort {refine.DEFAULT_EFFORT}", chosen(bench, test))
    notes = [seals(bench, one.codecs, test)] if one.codecs else []
    for rival, quality in one.qualities.items():
        figures = best_that_fits(bench, rival, test)
        smallest = ", or the smallest" if figures["large"] else ""
        add(f"{rival.name}, the best that fits{smallest}", figures, f"{rival.name}, fits")
        if quality is not None:
            add(
                f"{rival.name}, one quality ({quality})", at_quality(bench, rival, quality, test), f"{rival.name}, free"
            )
        if rival.exact:
            add(f"{rival.name}, lossless", at_quality(bench, rival, None, test), f"{rival.name}, lossless")
        large = (
            f"{figures['large']:,} of {len(test):,} pictures need more than {BYTES} bytes even at its lowest quality"
        )
        exact = f"; {figures['exact']:,} fit without loss" if rival.exact else ""
        notes.append(f"{rival.name}: {large} and are counted with that file{exact}.")
        if quality is None:
            notes[-1] += f" At no quality have its files {BYTES} bytes on average."
    fitted = one.components[BITS]
    add(f"principal components, {BITS:,} bits", linear(bench, fitted, test), "PCA")
    add(
        "zlib of the pixels, lossless",
        {"bytes": float(np.mean([len(zlib.compress(image, 9)) for image in test.images]))},
    )
    add(
        "ATL in the paper, its Table 5 (given, not measured here)", {"bytes": float(BYTES), "psnr": PAPER[test.name][0]}
    )
    notes += [
        "WebP with its slowest method, JPEG XL with effort 7, JPEG with Huffman tables of its own; files whole, as "
        "Pillow writes "
        f"them. The best that fits: for each picture lossless if that fits {BYTES} bytes, else the quality that "
        "loses least, of "
        "those that fit and are near the one that a bisection finds. One quality: the same for all pictures, the "
        "highest at "
        f"which the files have {BYTES} bytes on average or less.",
        f"PSNR of no error counts as 68 dB. SSIM: scikit-image's, in uniform windows of {WINDOW} x {WINDOW} pixels, "
        "with a data "
        "range of 255; the mean over all pictures. On black it counts noise of a few grey levels, which PSNR hardly "
        "does.",
        f"Pictures per second: the best of three turns. atlcodec and principal components take up to {QUICK:,} "
        "pictures at once "
        f"(atlcodec {threads()} threads), Pillow one after another in one thread; the best that fits includes its "
        "search. Of "
        "WebP's rate: of that at one quality.",
        f"Principal components: {len(fitted.bits)} of the training pictures', in 1 to {fitted.bits.max()} bits each, "
        "uniformly "
        "quantised.",
    ]
    if test.name == "KMNIST-part":
        notes.append("The paper's figures are of the whole KMNIST test set, of which this is a part.")
    columns = ["", "bytes a picture", "PSNR pooled, dB", "PSNR mean per picture, dB", "SSIM, %"]
    columns += ["encode, pictures/s", "decode, pictures/s", "encode, of WebP's rate", "decode, of WebP's rate"]
    return report.Table(f"{test.name}, {len(test):,} test pictures", columns, rows, notes)


def labels(bench: Bench, contests: list[Contest], limit: int | None) -> report.Table:
    """Accuracy on records, and of networks of the same size on pixels."""
    rows: list[list[report.Cell]] = []
    counted = []
    for one in contests:
        test, budget = one.test, 0
        for codec in filter(reads, one.codecs):
            multiplications = sum(p.rows * p.inner * p.columns for p in gemm.products(codec.head.file()))
            budget = max(budget, multiplications)
            for effort in usual(codec):
                pictures, which = hard(bench, test, effort)
                name = f"{test.name}: records of {with_effort(codec, effort)}{which}"
                rows.append([name, BYTES, multiplications, ours(bench, codec, effort, pictures)["accuracy"]])
        name = f"{test.name}: records, model chosen for each picture, effort {refine.DEFAULT_EFFORT}"
        rows.append([name, BYTES, None, chosen(bench, test)["accuracy"]])
        for (network, pixels), lesson in (lessons(bench, one, budget, limit) if budget else {}).items():
            size = 784 if pixels == "raw" else f"at most {BYTES}"
            rows.append(
                [f"{test.name}: {network}, {pixels} pixels", size, lesson["multiplications"], lesson["accuracy"]]
            )
            augmented = "augmented" if lesson["augment"] else "not augmented"
            counted.append(f"{test.name}, {network}, {pixels}: {lesson['epoch']}, {augmented}")
        rows.append([f"{test.name}: ATL in the paper, its Table 5 (given)", BYTES, None, PAPER[test.name][1]])
    notes = [
        "Multiplications in dense and convolution layers, from what is read to the scores of one picture. What the "
        "compressor "
        "computed when a record was made is not among them, and neither is the decoding of WebP.",
        "The budget of MLP and CNN is that of the largest classifier of records for the data set. MLP: pixels, a "
        "layer as wide "
        f"as the budget allows, {rivals.SECOND}, classes. CNN: convolutions of 5 x 5 and 3 x 3 with stride 2, a "
        "dense layer, "
        "classes. LeNet-5, of its own size: convolutions of 5 x 5 with 6 and 16 channels and max-pooling, 120, 84, "
        "classes. All "
        "with ReLU.",
        "They were trained for this table on raw pixels, or on pixels that came back from WebP files of at most "
        f"{BYTES} bytes "
        "(the highest lossy quality that fits each picture, by bisection; its lowest where none does), and tested on "
        "the same "
        f"kind: Adam, a rate of {rivals.RATE} falling along a cosine, batches of {rivals.BATCH}, label smoothing "
        f"{rivals.SMOOTHING}; epochs: {', '.join(f'{name} {count}' for name, count in EPOCHS.items())}. Each was "
        "trained twice, "
        "once with half of the pictures bent (turned, stretched, sheared, moved; those of FashionMNIST also "
        "mirrored), after "
        "WebP. The last training pictures (a tenth, 5,000 at most) were held out to say which of the two counts, and "
        "after which "
        "epoch.",
        f"Epochs that count: {'; '.join(counted)}.",
    ]
    if limit:
        notes.append(f"A quick look: they were trained on the first {glance(limit):,} training pictures.")
    return report.Table(
        "Labels, read off records and off pixels",
        ["", "bytes a picture", "multiplications", "accuracy, %"],
        rows,
        notes,
    )


def elsewhere(bench: Bench, contests: list[Contest], count: int) -> report.Table:
    """Pictures that a model was not trained on."""
    codecs, names = bundled(), {codec.name for codec in default()}
    tests = [one.test for one in contests]
    strange = {name: drawn.letters(ranges, count) for name, ranges in drawn.SCRIPTS.items()}
    strange |= {"shapes drawn by a program": drawn.shapes(count), "pieces of photographs": drawn.photographs(count)}
    tests += [Test(name, Split(images, None)) for name, images in strange.items()]
    rows: list[list[report.Cell]] = []
    for test in tests:
        reached = {
            codec.name: ours(bench, codec, refine.DEFAULT_EFFORT if codec.model.refines else 0, test)["psnr"]
            for codec in codecs
        }
        rows.append([f"{test.name} ({len(test):,})", *reached.values(), max(reached[name] for name in names)])
    trained = [f"{codec.name} {' and '.join(part['name'] for part in codec.model.card.data)}" for codec in codecs]
    notes = [
        f"Effort {refine.DEFAULT_EFFORT}. The best: of {', '.join(sorted(names))}, one for all pictures of a row.",
        f"Trained on: {'; '.join(trained)}.",
        "Letters: of the fonts that come with Matplotlib and Pillow which have them, 16 to 22 pixels long, turned (8 "
        "degrees "
        "standard deviation) and moved (1 pixel). Shapes: ellipses, rectangles, triangles and lines, filled or not, "
        "grey to "
        "white on black. Photographs: those of scikit-image, grey, at a quarter of their size; no model is made for "
        "these.",
    ]
    columns = ["PSNR pooled, dB", *(codec.name for codec in codecs), "the best"]
    return report.Table("Other scripts and objects", columns, rows, notes)


def efforts(bench: Bench, contests: list[Contest]) -> report.Table:
    """What a longer search buys."""
    rows: list[list[report.Cell]] = []
    listed = {codec.id for codec in default()}
    for one in contests:
        test = one.test.few
        for codec in (codec for codec in one.codecs if codec.id in listed):
            for effort in every(codec):
                figures, name = ours(bench, codec, effort, test), with_effort(codec, effort)
                rate = one.rates[f"encode {name}"]
                name += " (the default)" if effort == refine.DEFAULT_EFFORT else ""
                rows.append([name, refine.EVALUATIONS[effort], figures["psnr"], figures["accuracy"], rate])
    notes = [
        f"The first {FEW:,} test pictures of each model's own data set; pictures per second with {threads()} threads."
    ]
    return report.Table(
        "What effort buys", ["", "evaluations", "PSNR pooled, dB", "accuracy, %", "encode, pictures/s"], rows, notes
    )


# -- the plot ----------------------------------------------------------------------------------------------------------


def draw(bench: Bench, contests: list[Contest], path: Path) -> None:
    """PSNR over bytes on the first test pictures, a panel for each data set; the same bytes for the same figures."""
    from matplotlib.figure import Figure  # by itself, without pyplot, which would look for a screen

    figure = Figure(figsize=(6 * len(contests), 5.5), layout="constrained")
    panels = figure.subplots(1, len(contests), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, contests, strict=True):
        test = one.test.few
        curves = {
            rival.name: [at_quality(bench, rival, quality, test) for quality in CURVE if quality in rival.qualities]
            for rival in RIVALS
        }
        curves["principal components"] = [linear(bench, fitted, test) for fitted in one.components.values()]
        for name, points in curves.items():
            places = sorted((point["bytes"], point["psnr"]) for point in points)
            axes.plot(*zip(*places, strict=True), ".-", color=COLOURS[name], linewidth=1, label=name)
        for rival in RIVALS:
            if rival.exact:  # its PSNR has no place: an arrow at the upper edge
                size = at_quality(bench, rival, None, test)["bytes"]
                axes.plot(
                    [size], [1], "^", color=COLOURS[rival.name], transform=axes.get_xaxis_transform(), clip_on=False
                )
        for number, codec in enumerate(one.codecs):
            for effort, marker in zip(usual(codec), "ovs", strict=False):
                reached = ours(bench, codec, effort, test)["psnr"]
                colour = f"C{3 + number}"
                axes.plot(
                    [BYTES], [reached], marker, color=colour, markersize=7, label=with_effort(codec, effort), zorder=3
                )
        axes.axvline(BYTES, color="black", linewidth=0.5)
        axes.set_xlim(80, 500)
        axes.set_ylim(15, 50)
        axes.set_title(f"{test.name}, {len(test):,} test pictures")
        axes.set_xlabel("bytes a picture (mean); triangles above: lossless")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small", frameon=False)
    panels[0].set_ylabel("PSNR pooled, dB")
    with atomic.file(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
