"""The command line: how long it takes to start and do one image, and the rate at which it encodes a folder.

    python benchmarks/startup.py

Each command is a new process, with its files in the disk's cache. The commands take turns."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import chdir
from functools import partial
from pathlib import Path

import inputs
import numpy as np
import report
import timing
from inputs import Codec
from report import Row, Table
from timing import Calls

import atlcodec
from atlcodec import picture
from atlcodec.sets import sources
from atlcodec.sets.paths import OutputPaths

REFERENCE = 'python -c "import numpy, onnxruntime"'
COMMANDS = (  # in an order in which each finds its input
    *('python -c "pass"', REFERENCE, 'python -c "import atlcodec"'),
    *("atlc encode x.png -f", "atlc encode x.png -f -m mnist-lenet", "atlc decode x.atlc -f", "atlc classify x.atlc"),
    *("cwebp -quiet x.png -o x.webp", "dwebp -quiet x.webp -o x.webp.png"),
)
FOLDER = "atlc encode images -o {} -f -m {} --effort 0 -j {}"


def main() -> None:
    options = report.arguments(__doc__, 16_384, model="mnist-lenet", rounds=30)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as atlcodec does, so that the import alone is as quick
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory() as path, chdir(path):
        tables = [one_image(options.rounds), folder(Codec.load(options.model), options.images)]
    facts = {"model of the folder": options.model}
    report.publish("startup", "The command line", tables, options.output, facts)


def runs(commands: Iterable[str]) -> Calls:
    """Each as a process."""
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {command: partial(run, shlex.split(command)) for command in commands}


def one_image(rounds: int) -> Table:
    Path("x.png").write_bytes(picture.png(inputs.digits(1)[0]))
    times = timing.turns(runs(command for command in COMMANDS if shutil.which(command.split()[0])), rounds)
    reference, rows = statistics.median(times[REFERENCE]), list[Row]()
    for command, taken in times.items():
        median = statistics.median(taken)
        row: Row = {"": f"`{command}`", "median, ms": round(1000 * median, 1), "least, ms": round(1000 * min(taken), 1)}
        rows.append({**row, "of the import": round(median / reference, 3)})
    note = f"{rounds} runs of each, in turns. The last column compares medians."
    return Table.of("Wall time of one process", rows, note)


def folder(codec: Codec, count: int) -> Table:
    """A folder of PNG images into one file, beside `Codec.encode` of an array."""
    drawn = np.concatenate(list(inputs.moving_digits(count)))
    for number, image in enumerate(drawn):  # ten labels with as many each
        path = Path(f"images/{number * 10 // len(drawn)}/{number:07d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png(image))
    source = sources.find("images", OutputPaths(), codec.shape)
    batches = list(source.batches())
    calls: Calls = {"Codec.encode, of an array in memory": lambda: codec.encode(drawn, effort=0)}
    calls["reading the pictures alone, with Pillow in one process"] = lambda: list(source.load(iter(batches), 1))
    outputs = ("set.atlc", 1), ("set.atlc", 2), ("set.parquet", 2)
    calls |= runs(FOLDER.format(output, codec.name, jobs) for output, jobs in outputs)
    best, rows = timing.best(calls, 2), list[Row]()
    if not np.array_equal(atlcodec.open("set.atlc").array, codec.encode(drawn, effort=0)):
        raise SystemExit("the file does not hold what was encoded")
    for name, seconds in best.items():
        row: Row = {"": name, "seconds": round(seconds, 2), "pictures per second": round(count / seconds)}
        rows.append({**row, "of the rate in memory": round(next(iter(best.values())) / seconds, 3)})
    return Table.of(
        f"A folder of {count:,} pictures into one file",
        rows,
        "-j is the number of processes that read while others encode. They help only where cores are free.",
        "The command's time includes its start and the check of a sample. Its records are those of Codec.encode.",
    )


if __name__ == "__main__":
    main()
