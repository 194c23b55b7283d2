"""Quality at 200 bytes: records beside WebP, JPEG XL, JPEG and principal components, and labels beside those of pixels.

All figures are of the official test images of each data set. A stopped run goes on; to measure everything again, delete
the file of the known figures. Needs the extras `train` and `dev`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import baselines
import comparison
import gemm
import images
import inputs
import pca
import pixel_classifiers
import plots
import report
from baselines import IMAGE_CODECS
from comparison import BUDGETS, BYTES, EPOCHS, FEW, HARDEST, NETWORKS, QUICK, WINDOW, Bench, Contestant, Figures, Known
from inputs import Codec, LabelledSet, Split
from matplotlib.figure import Figure
from report import Cell, Row, Table

from atlcodec import refine, zoo
from atlcodec.engine import threads

# Table 5 of the paper: PSNR pooled, accuracy. Its KMNIST is the whole test set.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST-part": (17.6, 85.5)}
RUNS = Path(__file__).parents[1] / "runs" / "quality"
DEFAULT = refine.DEFAULT_EFFORT
COLOURS = {"WebP": "C0", "principal components": "C1", "JPEG XL": "C2", "JPEG": "black"}
CURVE = range(0, 100, 5)  # qualities of the image codecs in the plot


class Comparison:
    """A data set, the codecs that were trained on it, and what they are compared with."""

    def __init__(self, known: Known, data: LabelledSet) -> None:
        self.bench = Bench(known, data.name, data.test, data.test_labels, data.classes)
        self.train, self.codecs = Split(data.train, data.train_labels), inputs.trained_on(data.name)
        self.components = {bits: pca.fit(data.train, bits) for bits in BUDGETS}
        self.qualities = {peer: self.bench.average_quality(peer) for peer in IMAGE_CODECS}
        self.peers: list[Contestant] = []
        for peer, quality in self.qualities.items():
            self.peers.append(comparison.best_that_fits(peer))
            self.peers += [comparison.at_quality(peer, quality)] if quality is not None else []
            self.peers += [comparison.at_quality(peer, None)] if peer.lossless else []
        self.peers += [comparison.linear(self.components[8 * BYTES]), comparison.zipped()]
        records = [comparison.records(codec, effort) for codec in self.codecs for effort in range(HARDEST + 1)]
        self.rates = self.bench.rates([*records, *self.peers])

    def usual(self, codec: Codec) -> Iterator[tuple[int, str, Bench]]:
        """The efforts to show, the name of each, and its images: the highest effort is slow and gets few."""
        for effort in (0, DEFAULT, HARDEST):
            few = effort == HARDEST and len(self.bench.images) > FEW
            name = f"{codec.name}, effort {effort}" + (f" (the first {FEW:,} pictures)" if few else "")
            yield effort, name, self.bench.few if few else self.bench


def main() -> None:
    options = report.arguments(__doc__, processes=threads(), runs=str(RUNS))
    baselines.prepare()
    models = inputs.bundled()
    known = Known(Path(options.runs, "-".join(f"{codec.id:08x}" for codec in models) + ".json"))
    ones = [Comparison(known, data) for data in inputs.labelled_sets(options.data, options.images)]
    # New processes: a forked one would share the threads of ONNX Runtime.
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        labels = label_table(ones, pool)
    tables = [*map(quality_table, ones), labels, other_table(known, ones, options.images or FEW), effort_table(ones)]
    plot(ones, options.output / "quality.png")
    facts = {**report.versions("pillow-jxl-plugin", "scikit-image", "torch"), "models": inputs.listed(models)}
    facts["picture"] = "[quality.png](quality.png), PSNR over bytes"
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


def quality_table(one: Comparison) -> Table:
    """Images of one data set: error, size and speed."""
    bench, rows = one.bench, list[Row]()
    webp = one.rates.get(f"WebP, one quality ({one.qualities[baselines.WEBP]})")

    def add(name: str, figures: Figures, measured: str = "") -> None:
        row: Row = {"": name, "bytes a picture": figures["bytes"], "PSNR pooled, dB": figures.get("psnr")}
        row |= {"PSNR mean per picture, dB": figures.get("psnr_mean"), "SSIM, %": figures.get("ssim")}
        rates = one.rates.get(measured, [])
        row |= {f"{verb}, pictures/s": rate for verb, rate in zip(("encode", "decode"), rates, strict=False)}
        for verb, rate, peer in zip(("encode", "decode"), rates, webp or [], strict=False):
            row[f"{verb}, of WebP's rate"] = round(rate / peer, 3)
        rows.append(row)

    for codec in one.codecs:
        for effort, name, part in one.usual(codec):
            contestant = comparison.records(codec, effort)
            add(f"atlcodec, {name}", part.figures(contestant), contestant.name)
    add(f"atlcodec, model chosen for each picture, effort {DEFAULT}", {**bench.automatic(), "bytes": float(BYTES)})
    for peer in one.peers:
        figures = bench.figures(peer)
        smallest = ", or the smallest" if figures["large"] and peer.name.endswith("fits") else ""
        add(peer.name + smallest, figures, peer.name)
    given = {"bytes": float(BYTES), "psnr": PAPER[bench.name][0]}
    add("ATL in the paper, its Table 5 (given, not measured here)", given)
    return Table.of(f"{bench.name}, {len(bench.images):,} test pictures", rows, *quality_notes(one))


def quality_notes(one: Comparison) -> Iterator[str]:
    costs = []
    for codec in one.codecs:
        f = one.bench.sealed(codec, 0)
        lost = f["accuracy_unsealed"] - f["accuracy"]
        costs.append(f"""{codec.name} {f["psnr_unsealed"] - f["psnr"]:.3f} dB and {lost:.2f} points of accuracy
            (standard error {f["accuracy_seal_error"]:.2f})""")
    yield f"What the seal costs, at effort 0: {'; '.join(costs)}."
    for peer in one.qualities:
        f = one.bench.figures(comparison.best_that_fits(peer))
        yield f"""{peer.name}: {f["large"]:,} pictures need more than {BYTES} bytes even at the lowest quality and count
            with that file; {f["exact"]:,} come back exactly."""
    yield f"""WebP uses its slowest method, JPEG XL effort 7, JPEG optimised Huffman tables. The best that fits: without
        loss if that fits {BYTES} bytes, else the quality that fits and loses least, near the result of a bisection;
        its speed includes this search. One quality: the highest with {BYTES} bytes on average or less."""
    yield f"""An error of zero counts as 68 dB. SSIM: scikit-image's, windows of {WINDOW} x {WINDOW} pixels. On black it
        punishes noise of a few grey levels, which PSNR hardly does."""
    yield f"""Pictures per second: the best of three turns. atlcodec ({threads()} threads) and principal components take
        up to {QUICK:,} pictures at once, the others one after another. WebP's rate is that at one quality."""
    bits = one.components[8 * BYTES].bits
    yield f"Principal components: {len(bits)}, with 1 to {bits.max()} bits each, uniformly quantised."


def label_table(ones: list[Comparison], pool: ProcessPoolExecutor) -> Table:
    """Accuracy of labels from records, and of networks of the same size on pixels."""
    rows, epochs = list[Row](), []

    def add(name: str, size: Cell, multiplications: int | None, accuracy: float) -> None:
        row: Row = {"": name, "bytes a picture": size, "multiplications": multiplications}
        rows.append({**row, "accuracy, %": accuracy})

    for one in ones:
        data = one.bench.name
        sizes = {codec: gemm.multiplications(codec.head.file()) for codec in one.codecs}
        for codec, size in sizes.items():
            for effort, name, part in one.usual(codec):
                add(f"{data}: records of {name}", BYTES, size, part.sealed(codec, effort)["accuracy"])
        accuracy = one.bench.automatic()["accuracy"]
        add(f"{data}: records, model chosen for each picture, effort {DEFAULT}", BYTES, None, accuracy)
        found = comparison.pixel_figures(one.bench, one.train, max(sizes.values()), pool)
        for (network, pixels), f in zip(NETWORKS, found, strict=True):
            bytes_ = 784 if pixels == "raw" else f"at most {BYTES}"
            add(f"{data}: {network}, {pixels} pixels", bytes_, f["multiplications"], f["accuracy"])
            augmented = "augmented" if f["augmented"] else "not augmented"
            epochs.append(f"{data}, {network}, {pixels}: {f['epoch']}, {augmented}")
        add(f"{data}: ATL in the paper, its Table 5 (given)", BYTES, None, PAPER[data][1])
    p, epochs_text = pixel_classifiers, ", ".join(f"{name} {count}" for name, count in EPOCHS.items())
    return Table.of(
        "Labels, read off records and off pixels",
        rows,
        "Multiplications of one picture in dense and convolution layers, without compressor and WebP's decoder.",
        f"""MLP and CNN get as many multiplications as the largest classifier of records; LeNet-5 has its own size. They
        are trained on raw pixels, or on pixels from WebP files of at most {BYTES} bytes: Adam, a rate of {p.RATE} that
        falls along a cosine, batches of {p.BATCH}, label smoothing {p.SMOOTHING}; epochs: {epochs_text}. Each is
        trained twice, once with augmented pictures; a validation split chooses one of the two and its epoch.""",
        f"Epochs that count: {'; '.join(epochs)}.",
    )


def other_table(known: Known, ones: list[Comparison], count: int) -> Table:
    """Images that a model was not trained on."""
    codecs, default = inputs.bundled(), sorted(model.name for model in zoo.default())
    tests = [one.bench for one in ones] + [Bench(known, name, drawn) for name, drawn in images.others(count).items()]
    rows = []
    for test in tests:
        psnr = {codec.name: test.figures(comparison.records(codec, DEFAULT))["psnr"] for codec in codecs}
        best = max(psnr[name] for name in default)
        rows.append({"PSNR pooled, dB": f"{test.name} ({len(test.images):,})", **psnr, "the best": best})
    trained = [f"{codec.name} {' and '.join(part['name'] for part in codec.model.card.data)}" for codec in codecs]
    return Table.of(
        "Other scripts and objects",
        rows,
        f"Effort {DEFAULT}. The best: of {', '.join(default)}, one for all pictures of a row.",
        f"Trained on: {'; '.join(trained)}.",
        """Letters: from the fonts of Matplotlib and Pillow that have them, 16 to 22 pixels long, turned and moved a
        little. Photographs: scikit-image's, grey, a quarter of their size; no model is made for these.""",
    )


def effort_table(ones: list[Comparison]) -> Table:
    """What a longer search buys."""
    rows, default = list[Row](), {model.id for model in zoo.default()}
    for one in ones:
        for codec in (codec for codec in one.codecs if codec.id in default):
            for effort in range(HARDEST + 1):
                name, figures = f"{codec.name}, effort {effort}", one.bench.few.sealed(codec, effort)
                row: Row = {"": name + (" (the default)" if effort == DEFAULT else "")}
                row |= {"evaluations": refine.EVALUATIONS[effort], "PSNR pooled, dB": figures["psnr"]}
                rows.append({**row, "accuracy, %": figures["accuracy"], "encode, pictures/s": one.rates[name][0]})
    note = f"The first {FEW:,} test pictures of each data set; pictures per second with {threads()} threads."
    return Table.of("What effort buys", rows, note)


def plot(ones: Sequence[Comparison], path: Path) -> None:
    """PSNR over bytes on the first test images, a panel for each data set."""
    figure = Figure(figsize=(6 * len(ones), 5.5), layout="constrained")
    panels = figure.subplots(1, len(ones), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, ones, strict=True):
        few, curves = one.bench.few, {"principal components": list(map(comparison.linear, one.components.values()))}
        for peer in IMAGE_CODECS:
            curves[peer.name] = [comparison.at_quality(peer, quality) for quality in CURVE if quality in peer.qualities]
        for name, contestants in curves.items():
            places = sorted((f["bytes"], f["psnr"]) for f in map(few.figures, contestants))
            axes.plot(*zip(*places, strict=True), ".-", color=COLOURS[name], linewidth=1, label=name)
        for peer in (peer for peer in IMAGE_CODECS if peer.lossless):  # its PSNR is infinite: a mark at the upper edge
            size, top = few.figures(comparison.at_quality(peer, None))["bytes"], axes.get_xaxis_transform()
            axes.plot([size], [1], "^", color=COLOURS[peer.name], transform=top, clip_on=False)
        for number, codec in enumerate(one.codecs):
            for (effort, _, _), marker in zip(one.usual(codec), "ovs", strict=True):
                records = comparison.records(codec, effort)
                style = {"color": f"C{3 + number}", "label": records.name, "markersize": 7, "zorder": 3}
                axes.plot([BYTES], [few.figures(records)["psnr"]], marker, **style)
        axes.axvline(BYTES, color="black", linewidth=0.5)
        axes.set(xlim=(80, 500), ylim=(15, 50), title=f"{few.name}, {len(few.images):,} test images")
        axes.set_xlabel("bytes per image (mean); triangles at the top: lossless")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small", frameon=False)
    panels[0].set_ylabel("PSNR pooled, dB")
    plots.save(figure, path, dpi=100)


if __name__ == "__main__":
    main()
