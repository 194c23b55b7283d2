"""A codec of your own, made as the guide says: photographs of clothes, drawn signs and Georgian letters, which no
bundled codec knows.

    ATLC_DATA=... python benchmarks/own.py

Each time with 500 pictures and with all of them, six minutes of one thread. A stopped run goes on; to measure all of it
again, delete runs/own. Needs the extra `train`, and an hour."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawn
import report
from inputs import ATLC
from report import Row, Table

from atlcodec import zoo

MINUTES = 6
FEW = 500  # training pictures
RUNS = Path(__file__).parents[1] / "runs" / "own"


@dataclass(frozen=True)
class Road:
    """What a user does: which pictures she has, and the options that she gives."""

    kind: str
    pictures: int | None  # None: all
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        start = f"-{self.options[1]}" if "--start" in self.options else ""
        return f"{self.kind}-{self.pictures or 'all'}{start}"


def roads() -> Iterator[Road]:
    for pictures in (FEW, None):
        yield Road("clothing", pictures, ("--fit", "stretch", "--shape", "64x48x3"))
        yield Road("signs", pictures)
        yield Road("letters", pictures)
    yield Road("letters", FEW, ("--start", "kmnist"))
    installed = {model.name for model in zoo.models().values()}
    for kind, start in (("letters", "grey"), ("signs", "colour")):
        if start in installed:
            yield Road(kind, FEW, ("--start", start))


def main() -> None:
    options = report.arguments(__doc__, minutes=MINUTES)
    rows = [row for road in roads() for row in compared(road, options.minutes)]
    table = Table(
        "Codecs of one's own",
        rows,
        f"""`atlc train --minutes {options.minutes}`, one thread. The figures are those of its last lines, of at
        most 500 test pictures; PSNR is that of the codec's own effort.""",
        """WebP and JPEG: the file that fits 200 bytes and loses least; where none fits, the smallest. PCA: 1,600 bits.
        A head: a classifier that learned from records of a bundled codec of that shape.""",
        "Clothing is stretched to 48 x 64 pixels. Signs (30 labels) and letters (33) are drawn by benchmarks/drawn.py.",
    )
    report.publish("own", "Codecs of one's own, in minutes", [table], options.output, report.versions("torch"))


def compared(road: Road, minutes: int) -> Iterator[Row]:
    found = trained(road, minutes)
    for rival in found["rows"]:
        own = rival["name"] == "yours"
        yield {
            "": f"{road.name}: {rival['name']}",
            "PSNR, dB": rival["psnr"],
            "accuracy, %": rival["accuracy"],
            "minutes": found["minutes"] if own else None,
        }


def trained(road: Road, minutes: int) -> Any:
    """The comparison that `atlc train` ends with, and the minutes that all of it took."""
    result = RUNS / f"{road.name}-{minutes}.json"
    if not result.is_file():
        RUNS.mkdir(parents=True, exist_ok=True)
        source, model = pictures(road), RUNS / f"{road.name}-{minutes}"
        command = [*ATLC, "train", "--data", str(source), "-o", str(model), "-f", "--minutes", str(minutes)]
        started = time.perf_counter()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ATLC_THREADS": "1"}
        subprocess.run([*command, *road.options], check=True, env=environment)
        spent = round((time.perf_counter() - started) / 60, 1)
        found = json.loads((model.with_name(f"{model.name}.run") / "comparison.json").read_text("utf-8"))
        result.write_text(json.dumps({**found, "minutes": spent}), "utf-8")
    return json.loads(result.read_text("utf-8"))


def pictures(road: Road) -> Path:
    """The folder of the pictures, with `train/LABEL` and `test/LABEL`."""
    folder = RUNS / "pictures" / f"{road.kind}-{road.pictures or 'all'}"
    if folder.is_dir():
        return folder
    if road.kind in drawn.KINDS:
        drawn.write(road.kind, folder, {**drawn.SIZES, "train": road.pictures or drawn.SIZES["train"]})
        return folder
    whole = Path(os.environ["ATLC_DATA"], road.kind.capitalize()).resolve()
    for split in ("train", "test"):
        paths = sorted(whole.glob(f"{split}/*/*"))
        step = len(paths) / (road.pictures or len(paths)) if split == "train" else 1
        for path in (paths[int(index * step)] for index in range(int(len(paths) / step))):
            link = folder / path.relative_to(whole)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return folder


if __name__ == "__main__":
    main()
