"""The curves of a run: losses and measurements over the steps, as `curves.png` beside its metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atlcodec import atomic
from atlcodec.errors import AtlcError
from atlcodec.training.checkpoint import Step
from atlcodec.training.trainer import Trainer

NAME = "curves.png"
PAUSE = 30.0  # seconds between two drawings; one takes about a second
MEASURED = {"psnr": ("PSNR, dB", 1), "accuracy": ("accuracy, %", 100)}  # panel, factor
STYLES = ("-", "--", ":", "-.")
LOSS = "loss"  # squared error of pixels in 0..1, or cross-entropy


@dataclass
class Curve:
    """Values of one name and domain, with the numbers of their steps: 1 is the first line of metrics.jsonl."""

    panel: str
    name: str
    domain: int
    steps: list[int]
    values: list[float]


def curves(steps: Sequence[Step]) -> list[Curve]:
    """The steps of a run as curves, in the order in which they begin; PSNR in dB, accuracy in percent."""
    found: dict[tuple[str, int], Curve] = {}
    for number, step in enumerate(steps, start=1):
        what = step.name.removeprefix("test ")
        panel, factor = MEASURED.get(what, (LOSS, 1))
        if (step.name, step.domain) not in found:
            name = step.name.removeprefix("train ") if panel == LOSS else "validation" if what == step.name else "test"
            found[step.name, step.domain] = Curve(panel, name, step.domain, [], [])
        curve = found[step.name, step.domain]
        curve.steps.append(number)
        curve.values.append(step.value * factor)
    return list(found.values())


def draw(steps: Sequence[Step], domains: Sequence[str], file: BinaryIO) -> None:
    """The curves as a PNG, the same bytes for the same steps: one panel below another, the losses on a logarithmic
    scale, a colour for each name, and for each of several domains a line style.

    Raises `AtlcError` without matplotlib."""
    try:
        from matplotlib.figure import Figure  # pyplot would look for a screen
    except ModuleNotFoundError as error:
        raise AtlcError("matplotlib is not installed: pip install 'atlcodec[train]'") from error

    drawn = curves(steps)
    panels = [
        panel for panel in (LOSS, *(panel for panel, _ in MEASURED.values())) if any(c.panel == panel for c in drawn)
    ]
    figure = Figure(figsize=(10, 1 + 2.5 * len(panels)), layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0], panels, strict=True):
        shown = [c for c in drawn if c.panel == panel]
        names = list(dict.fromkeys(c.name for c in shown))
        for curve in shown:
            label = curve.name if len(domains) == 1 else f"{curve.name}, {domains[curve.domain]}"
            colour, style = f"C{names.index(curve.name)}", STYLES[curve.domain % len(STYLES)]
            axes.plot(
                curve.steps, curve.values, style, color=colour, marker=".", markersize=4, linewidth=1, label=label
            )
        axes.set_ylabel(panel)
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
        if panel == LOSS:
            axes.set_yscale("log")
    axes.set_xlabel("steps: lines of metrics.jsonl")
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


class Curves:
    """Keeps the curves of runs up to date. As the `watch` of a `Trainer` it draws from time to time, and `finish` draws
    the rest. If drawing fails, it says so once, and training continues."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._logged: set[str] = set()
        self._due = time.monotonic() + PAUSE
        self._waiting: dict[Path, Trainer] = {}  # runs with new steps

    def __call__(self, trainer: Trainer) -> None:
        self._waiting[trainer.folder] = trainer
        if time.monotonic() >= self._due:
            self.finish()

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, *error: object) -> None:  # the end of a run, an error, or Ctrl-C
        self.finish()

    def finish(self) -> None:
        """Draw the curves of all runs with new steps."""
        while self._waiting:
            folder, trainer = self._waiting.popitem()
            try:
                with atomic.file(folder / NAME) as file:
                    draw(trainer.steps, [domain.name for domain in trainer.domains], file)
            except Exception as error:  # a drawing error must not stop training
                message = f"{folder / NAME}: not drawn ({error})"
                if message not in self._logged:
                    self._log(message)
                self._logged.add(message)
        self._due = time.monotonic() + PAUSE
