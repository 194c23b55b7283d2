"""Quality at 200 bytes: records beside WebP, JPEG XL, JPEG and principal components, and labels beside those of pixels.

All figures are of the official test images of each data set. They are kept in runs/quality under a name that says what
they are of: a stopped run goes on, and a run with other models measures only what is new. Delete that folder to measure
everything again. Needs the extras `train` and `dev`."""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import baselines
import comparison
import gemm
import images
import inputs
import numpy as np
import pixel_classifiers
import plots
import report
import timing
from baselines import IMAGE_CODECS, JPEG, JXL, WEBP
from comparison import BYTES, EPOCHS, FEW, HARDEST, QUICK, WINDOW, Bench, Comparison, Figures, TestSet, with_effort
from inputs import Codec
from matplotlib.figure import Figure
from report import Cell, Row, Table

from atlcodec import refine
from atlcodec.engine import threads

RUNS = Path(__file__).parents[1] / "runs" / "quality"
# Table 5 of the paper: PSNR pooled, accuracy. Its KMNIST is the whole test set.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST-part": (17.6, 85.5)}
CURVE = range(0, 100, 5)  # qualities of the image codecs in the plot
COLOURS = {WEBP.name: "C0", "principal components": "C1", JXL.name: "C2", JPEG.name: "black"}
DEFAULT = refine.DEFAULT_EFFORT


def main() -> None:
    parser = report.parser(__doc__)
    inputs.add_sets(parser)
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="folder of the known figures")
    parser.add_argument("--processes", type=int, default=threads(), help="for the other codecs and for training")
    options = report.arguments(parser)
    count, load = options.images, timing.load_average()
    baselines.prepare()
    # New processes: a forked one would share the threads of ONNX Runtime.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn, baselines.prepare) as pool:
        bench = Bench(options.runs, pool)
        comparisons = [Comparison(bench, data) for data in inputs.labelled_sets(options.data, count)]
        tables = [quality_table(one) for one in comparisons]
        tables.append(label_table(comparisons))
        tables.append(other_table(bench, comparisons, count or FEW))
        tables.append(effort_table(comparisons))
        plot(comparisons, options.output / "quality.png")
    facts: dict[str, Cell] = {package: version(package) for package in ("pillow-jxl-plugin", "scikit-image", "torch")}
    facts["models"] = inputs.listed(inputs.bundled())
    facts["processes that were running already (load average)"] = load
    facts["picture"] = "[quality.png](quality.png), PSNR over bytes"
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


def usual(codec: Codec, test: TestSet) -> Iterator[tuple[int, str, TestSet]]:
    """The efforts to show, the name of each, and its test images: the highest effort is slow and gets few."""
    for effort in (0, DEFAULT, HARDEST) if codec.model.refines else (0,):
        if effort == HARDEST and len(test.images) > FEW:
            yield effort, f"{with_effort(codec, effort)} (the first {FEW:,} pictures)", test.few
        else:
            yield effort, with_effort(codec, effort), test


# -- the tables --------------------------------------------------------------------------------------------------------


def quality_table(one: Comparison) -> Table:
    """Images of one data set: error, size and speed."""
    test, rates, rows = one.test, one.rates, list[Row]()

    def add(name: str, figures: Figures, encoder: str = "", decoder: str = "") -> None:
        names = {"encode": f"encode {encoder}", "decode": f"decode {decoder or encoder}"}
        webp = {verb: rates.get(f"{verb} WebP, free") for verb in names}
        ssim = 100 * figures["ssim"] if "ssim" in figures else None
        row = {"": name, "bytes a picture": figures["bytes"], "PSNR pooled, dB": figures.get("psnr")}
        row |= {"PSNR mean per picture, dB": figures.get("psnr_mean"), "SSIM, %": ssim}
        row |= {f"{verb}, pictures/s": rates.get(mine) for verb, mine in names.items()}
        for verb, mine in names.items():
            peer = webp[verb]
            row[f"{verb}, of WebP's rate"] = round(rates[mine] / peer, 3) if peer and mine in rates else None
        rows.append(row)

    for codec in one.codecs:
        for effort, name, part in usual(codec, test):
            add(f"atlcodec, {name}", part.records(codec, effort), with_effort(codec, effort), codec.name)
    add(f"atlcodec, model chosen for each picture, effort {DEFAULT}", test.chosen())
    for peer, quality in one.qualities.items():
        figures = test.best_that_fits(peer)
        smallest = ", or the smallest" if figures["large"] else ""
        add(f"{peer.name}, the best that fits{smallest}", figures, f"{peer.name}, fits")
        if quality is not None:
            add(f"{peer.name}, one quality ({quality})", test.at_quality(peer, quality), f"{peer.name}, free")
        if peer.lossless:
            add(f"{peer.name}, lossless", test.at_quality(peer, None), f"{peer.name}, lossless")
    add(f"principal components, {8 * BYTES:,} bits", test.linear(one.linear), "PCA")
    zipped = float(np.mean([len(zlib.compress(image, 9)) for image in test.images]))
    add("zlib of the pixels, lossless", {"bytes": zipped})
    given = {"bytes": float(BYTES), "psnr": PAPER[test.name][0]}
    add("ATL in the paper, its Table 5 (given, not measured here)", given)
    return Table.of(f"{test.name}, {len(test.images):,} test pictures", rows, *quality_notes(one))


def quality_notes(one: Comparison) -> Iterator[str]:
    costs = []
    for codec in one.codecs:
        f = one.test.seal(codec)
        costs.append(f"{codec.name} {f['psnr_unsealed'] - f['psnr']:.3f} dB")
        if "accuracy" in f:
            lost, error = f["accuracy_unsealed"] - f["accuracy"], f["accuracy_seal_error"]
            costs[-1] += f" and {lost:.2f} points of accuracy (standard error {error:.2f})"
    if costs:
        yield f"What the seal costs, at effort 0: {'; '.join(costs)}."
    for peer, quality in one.qualities.items():
        f = one.test.best_that_fits(peer)
        exact = f"; {f['exact']:,} fit without loss" if peer.lossless else ""
        yield f"""{peer.name}: {f["large"]:,} of {len(one.test.images):,} pictures need more than {BYTES} bytes even at
            the lowest quality and count with that file{exact}.
            {"" if quality is not None else f"No quality gives {BYTES} bytes on average."}"""
    yield f"""WebP uses its slowest method, JPEG XL effort 7, JPEG optimised Huffman tables; sizes are of whole files as
        Pillow writes them. The best that fits: each picture without loss if that fits {BYTES} bytes, else at the
        quality that fits and loses least, among those near the result of a bisection. One quality: the highest whose
        files have {BYTES} bytes on average or less, the same for all pictures."""
    yield f"""An error of zero counts as 68 dB. SSIM: scikit-image's, windows of {WINDOW} x {WINDOW} pixels, data range
        255, mean over all pictures. On black it punishes noise of a few grey levels, which PSNR hardly does."""
    yield f"""Pictures per second: the best of three turns. atlcodec ({threads()} threads) and principal components take
        up to {QUICK:,} pictures at once; Pillow takes one after another in one thread. The best that fits includes its
        search. WebP's rate is that at one quality."""
    yield f"""Principal components: {len(one.linear.bits)}, fitted to the training pictures, with 1 to
        {one.linear.bits.max()} bits each, uniformly quantised."""
    if one.test.name == "KMNIST-part":
        yield "The paper's figures are of the whole KMNIST test set; this is a part of it."


def label_table(comparisons: list[Comparison]) -> Table:
    """Accuracy of labels from records, and of networks of the same size on pixels."""
    rows, epochs = list[Row](), []

    def add(name: str, size: Cell, multiplications: int | None, accuracy: float) -> None:
        row: Row = {"": name, "bytes a picture": size, "multiplications": multiplications}
        rows.append({**row, "accuracy, %": accuracy})

    for one in comparisons:
        data = one.test.name
        for codec in filter(comparison.classifies, one.codecs):
            size = gemm.multiplications(codec.head.file())
            for effort, name, part in usual(codec, one.test):
                add(f"{data}: records of {name}", BYTES, size, part.records(codec, effort)["accuracy"])
        accuracy = one.test.chosen()["accuracy"]
        add(f"{data}: records, model chosen for each picture, effort {DEFAULT}", BYTES, None, accuracy)
        for (network, pixels), found in (one.pixel_classifiers() if one.budget else {}).items():
            bytes_ = 784 if pixels == "raw" else f"at most {BYTES}"
            add(f"{data}: {network}, {pixels} pixels", bytes_, found["multiplications"], found["accuracy"])
            augmented = "augmented" if found["augmented"] else "not augmented"
            epochs.append(f"{data}, {network}, {pixels}: {found['epoch']}, {augmented}")
        add(f"{data}: ATL in the paper, its Table 5 (given)", BYTES, None, PAPER[data][1])
    return Table.of("Labels, read off records and off pixels", rows, *label_notes(epochs))


def label_notes(epochs: list[str]) -> list[str]:
    p = pixel_classifiers
    return [
        """Multiplications in dense and convolution layers, from the input to the scores of one picture. They do not
        include the compressor, which ran when the record was made, or the decoding of WebP.""",
        f"""MLP and CNN get as many multiplications as the largest classifier of records for the data set. MLP: pixels,
        a layer as wide as the budget allows, {p.SECOND}, classes. CNN: convolutions of 5 x 5 and 3 x 3 with stride 2, a
        dense layer, classes. LeNet-5 has its own size: convolutions of 5 x 5 with 6 and 16 channels and max-pooling,
        120, 84, classes. All use ReLU.""",
        f"""Each was trained and tested on raw pixels, or on pixels that came back from WebP files of at most {BYTES}
        bytes (the highest lossy quality that fits, by bisection, or the lowest): Adam, a rate of {p.RATE} that falls
        along a cosine, batches of {p.BATCH}, label smoothing {p.SMOOTHING}; epochs:
        {", ".join(f"{name} {count}" for name, count in EPOCHS.items())}. Each was trained twice, once with half of the
        pictures bent (turned, stretched, sheared, moved; those of FashionMNIST also mirrored) after WebP. The last
        training pictures (a tenth, 5,000 at most) were held out to choose one of the two and its epoch.""",
        f"Epochs that count: {'; '.join(epochs)}.",
    ]


def other_table(bench: Bench, comparisons: list[Comparison], count: int) -> Table:
    """Images that a model was not trained on."""
    codecs, default = inputs.bundled(), sorted(codec.name for codec in inputs.default())
    tests = [one.test for one in comparisons]
    tests += [TestSet(bench, name, drawn) for name, drawn in images.others(count).items()]
    rows = []
    for test in tests:
        row: Row = {"PSNR pooled, dB": f"{test.name} ({len(test.images):,})"}
        psnr = {codec.name: test.records(codec, DEFAULT if codec.model.refines else 0)["psnr"] for codec in codecs}
        rows.append({**row, **psnr, "the best": max(psnr[name] for name in default)})
    trained = [f"{codec.name} {' and '.join(part['name'] for part in codec.model.card.data)}" for codec in codecs]
    notes = [
        f"Effort {DEFAULT}. The best: of {', '.join(default)}, one for all pictures of a row.",
        f"Trained on: {'; '.join(trained)}.",
        """Letters: from the fonts of Matplotlib and Pillow that have them, 16 to 22 pixels long, turned (8 degrees
        standard deviation) and moved (1 pixel). Shapes: ellipses, rectangles, triangles and lines, filled or not, grey
        to white on black. Photographs: scikit-image's, grey, a quarter of their size; no model is made for these.""",
    ]
    return Table.of("Other scripts and objects", rows, *notes)


def effort_table(comparisons: list[Comparison]) -> Table:
    """What a longer search buys."""
    rows, default = list[Row](), {codec.id for codec in inputs.default()}
    for one in comparisons:
        for codec in (codec for codec in one.codecs if codec.id in default):
            for effort in range(HARDEST + 1) if codec.model.refines else [0]:
                name, figures = with_effort(codec, effort), one.test.few.records(codec, effort)
                row: Row = {"": name + (" (the default)" if effort == DEFAULT else "")}
                row |= {"evaluations": refine.EVALUATIONS[effort], "PSNR pooled, dB": figures["psnr"]}
                row |= {"accuracy, %": figures["accuracy"], "encode, pictures/s": one.rates[f"encode {name}"]}
                rows.append(row)
    note = (
        f"The first {FEW:,} test pictures of each model's own data set; pictures per second with {threads()} threads."
    )
    return Table.of("What effort buys", rows, note)


# -- the plot ----------------------------------------------------------------------------------------------------------


def plot(comparisons: list[Comparison], path: Path) -> None:
    """PSNR over bytes on the first test images, a panel for each data set."""
    figure = Figure(figsize=(6 * len(comparisons), 5.5), layout="constrained")
    panels = figure.subplots(1, len(comparisons), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, comparisons, strict=True):
        test = one.test.few
        curves = {
            peer.name: [test.at_quality(peer, quality) for quality in CURVE if quality in peer.qualities]
            for peer in IMAGE_CODECS
        }
        curves["principal components"] = [test.linear(fitted) for fitted in one.components.values()]
        for name, points in curves.items():
            places = sorted((point["bytes"], point["psnr"]) for point in points)
            axes.plot(*zip(*places, strict=True), ".-", color=COLOURS[name], linewidth=1, label=name)
        for peer in (peer for peer in IMAGE_CODECS if peer.lossless):  # its PSNR is infinite: a mark at the upper edge
            size, top = test.at_quality(peer, None)["bytes"], axes.get_xaxis_transform()
            axes.plot([size], [1], "^", color=COLOURS[peer.name], transform=top, clip_on=False)
        for number, codec in enumerate(one.codecs):
            for (effort, _, _), marker in zip(usual(codec, test), "ovs", strict=False):
                style = {"color": f"C{3 + number}", "label": with_effort(codec, effort), "markersize": 7, "zorder": 3}
                axes.plot([BYTES], [test.records(codec, effort)["psnr"]], marker, **style)
        axes.axvline(BYTES, color="black", linewidth=0.5)
        axes.set(xlim=(80, 500), ylim=(15, 50), title=f"{test.name}, {len(test.images):,} test images")
        axes.set_xlabel("bytes per image (mean); triangles at the top: lossless")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small", frameon=False)
    panels[0].set_ylabel("PSNR pooled, dB")
    plots.save(figure, path, dpi=100)


if __name__ == "__main__":
    main()
