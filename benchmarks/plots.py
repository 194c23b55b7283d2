"""The plots beside the paper's tables: courses of training, and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from atlcodec import atomic

LINES = {"paper": ("ours, the paper's training", "C0"), "better": ("ours, better training", "C1")}  # by column
AXES = {"psnr": "PSNR on the validation split, dB", "accuracy": "accuracy on the validation split, %"}


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
        for panel, what, end in zip(column, AXES, paper[name], strict=True):
            for label, colour, values in ((*LINES[kind], course[what]) for data, kind, course in runs if data == name):
                panel.plot(range(1, len(values) + 1), values, color=colour, marker=".", linewidth=1, label=label)
                panel.plot(len(values), values[-1], color=colour, marker="o", markersize=7)
            panel.axhline(end, color="black", linestyle=":", linewidth=1, label="the paper's end, on the test set")
            panel.grid(alpha=0.3)
        column[0].set_title(name)
        column[1].set_xlabel("set; the last point is after fine-tuning")
    for panel, label in zip(panels[:, 0], AXES.values(), strict=True):
        panel.set_ylabel(label)
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


def save(figure: Figure, path: Path) -> None:
    """A PNG that is the same for the same figures."""
    with atomic.file(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={"Software": None})
