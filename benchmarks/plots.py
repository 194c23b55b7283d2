"""The plots beside the tables: courses of training, confusion matrices, and images beside their decoded records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from atlcodec import atomic

LINES = {"paper": ("ours, the paper's training", "C0"), "better": ("ours, better training", "C1")}  # by column
GAP, SCALE, GREY = 2, 3, 96  # of a grid: pixels between images, size of a pixel, brightness between images


@dataclass(frozen=True)
class Course:
    """PSNR in dB and accuracy in percent of a run of ATL on the validation split, by set; the last ones are after
    fine-tuning."""

    data: str
    column: str
    psnr: Sequence[float]
    accuracy: Sequence[float]


def rise(courses: Sequence[Course], paper: Mapping[str, tuple[float, float]], path: Path) -> None:
    """The courses over the sets, a column of panels for each data set; `paper` has its PSNR and accuracy on the test
    set."""
    names = [name for name in paper if name in {course.data for course in courses}]
    if not names:
        return
    figure = Figure(figsize=(1 + 4.5 * len(names), 7), layout="constrained")
    panels = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for (psnr, accuracy), name in zip(panels.T, names, strict=True):
        for course in (each for each in courses if each.data == name):
            label, colour = LINES[course.column]
            for panel, values in ((psnr, course.psnr), (accuracy, course.accuracy)):
                sets = range(1, len(values) + 1)
                panel.plot(sets, values, color=colour, marker=".", linewidth=1, label=label)
                panel.plot(sets[-1], values[-1], color=colour, marker="o", markersize=7)
        for panel, value in zip((psnr, accuracy), paper[name], strict=True):
            panel.axhline(value, color="black", linestyle=":", linewidth=1, label="the paper's end, on the test set")
            panel.grid(alpha=0.3)
        psnr.set_title(name)
        accuracy.set_xlabel("set; the last point is after fine-tuning")
    panels[0, 0].set_ylabel("PSNR on the validation split, dB")
    panels[1, 0].set_ylabel("accuracy on the validation split, %")
    handles = {
        label: line for panel in panels.flat for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    save(figure, path)


@dataclass(frozen=True)
class Confusion:
    """How often each label (rows) was read as each label (columns)."""

    title: str
    labels: Sequence[str]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, title: str, labels: Sequence[str], truth: NDArray[np.int64], answers: NDArray[np.int64]) -> Confusion:
        counts = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(counts, (truth, answers), 1)
        return cls(title, labels, counts)


def confusions(matrices: Sequence[Confusion], path: Path) -> None:
    """The matrices, three in a row: counts on the colour of their share of the row."""
    columns, rows = min(3, len(matrices)), -(-len(matrices) // 3)
    figure = Figure(figsize=(6.5 * columns, 6.5 * rows), layout="constrained")
    for number, matrix in enumerate(matrices):
        axes = figure.add_subplot(rows, columns, number + 1)
        shares = matrix.counts / np.maximum(1, matrix.counts.sum(axis=1, keepdims=True))
        axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))  # shows one error in a hundred
        for (row, column), count in np.ndenumerate(matrix.counts):
            colour = "white" if shares[row, column] > 0.4 else "black"
            if count:
                axes.text(column, row, str(count), ha="center", va="center", fontsize="small", color=colour)
        ticks = range(len(matrix.labels))
        axes.set_xticks(ticks, matrix.labels, rotation=45 if max(map(len, matrix.labels)) > 3 else 0, ha="center")
        axes.set_yticks(ticks, matrix.labels)
        axes.set_title(matrix.title)
        axes.set_xlabel("read off the record")
        axes.set_ylabel("label")
    save(figure, path)


def save(figure: Figure, path: Path, dpi: int = 80) -> None:
    """A PNG that is the same for the same figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})


def grid(originals: NDArray[np.uint8], decoded: NDArray[np.uint8], path: Path) -> None:
    """Images uint8 (N, 28, 28) in a row, above the decoded ones."""
    rows = [np.pad(images, ((0, 0), (GAP, 0), (GAP, 0)), constant_values=GREY) for images in (originals, decoded)]
    sheet = np.pad(np.vstack([np.hstack(list(row)) for row in rows]), ((0, GAP), (0, GAP)), constant_values=GREY)
    enlarged = sheet.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        Image.fromarray(enlarged).save(file, "PNG")
