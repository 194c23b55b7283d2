"""The plots beside the tables: PSNR over bytes, courses of training, and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import comparison
import numpy as np
from baselines import IMAGE_CODECS
from comparison import BYTES
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atlcodec import atomic

if TYPE_CHECKING:
    from quality import Comparison

LINES = {"paper": ("ours, the paper's training", "C0"), "better": ("ours, better training", "C1")}  # by column
COLOURS = {"WebP": "C0", "principal components": "C1", "JPEG XL": "C2", "JPEG": "black"}
CURVE = range(0, 100, 5)  # qualities of the image codecs in the plot


def quality(ones: Sequence[Comparison], path: Path) -> None:
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
    save(figure, path, dpi=100)


def courses(
    runs: Sequence[tuple[str, str, Mapping[str, Sequence[float]]]], paper: Mapping[str, Sequence[float]], path: Path
) -> None:
    """PSNR and accuracy on the validation split over the sets of ATL, from runs: a data set, a column of the tables,
    and values. The last values are after fine-tuning. `paper` has its PSNR and accuracy on the test set."""
    names = [name for name in paper if name in {data for data, _, _ in runs}]
    if not names:
        return
    figure = Figure(figsize=(1 + 4.5 * len(names), 7), layout="constrained")
    panels = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for column, name in zip(panels.T, names, strict=True):
        for panel, what, end in zip(column, ("psnr", "accuracy"), paper[name], strict=True):
            for kind, values in ((kind, course[what]) for data, kind, course in runs if data == name):
                label, colour = LINES[kind]
                panel.plot(range(1, len(values) + 1), values, color=colour, marker=".", linewidth=1, label=label)
                panel.plot(len(values), values[-1], color=colour, marker="o", markersize=7)
            panel.axhline(end, color="black", linestyle=":", linewidth=1, label="the paper's end, on the test set")
            panel.grid(alpha=0.3)
        column[0].set_title(name)
        column[1].set_xlabel("set; the last point is after fine-tuning")
    panels[0, 0].set_ylabel("PSNR on the validation split, dB")
    panels[1, 0].set_ylabel("accuracy on the validation split, %")
    lines = {line.get_label(): line for panel in panels.flat for line in panel.get_legend_handles_labels()[0]}
    figure.legend(handles=lines.values(), loc="outside lower center", ncols=len(lines), frameon=False)
    save(figure, path)


def confusions(
    matrices: Sequence[tuple[str, Sequence[str], NDArray[np.integer], NDArray[np.integer]]], path: Path
) -> None:
    """Confusion matrices from a title, the names of the labels, the true labels and the answers: counts on the colour
    of their share of the row."""
    figure = Figure(figsize=(6.5 * len(matrices), 6.5), layout="constrained")
    for axes, (title, labels, truth, answers) in zip(figure.subplots(1, len(matrices)), matrices, strict=True):
        counts = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(counts, (truth, answers), 1)
        shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # shows one error in a hundred
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.4 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize="small", color=colour)
        axes.set_xticks(range(len(labels)), labels, rotation=45 if max(map(len, labels)) > 3 else 0, ha="center")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(title=title, xlabel="read off the record", ylabel="label")
    save(figure, path)


def save(figure: Figure, path: Path, dpi: int = 80) -> None:
    """A PNG that is the same for the same figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
