"""The command line: how long it takes to start and do one image.

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
from contextlib import chdir
from functools import partial
from pathlib import Path

import report
import timing
from report import Row, Table

IMAGE = Path(__file__).parents[1] / "examples" / "digit.png"
REFERENCE = 'python -c "import numpy, onnxruntime"'
COMMANDS = (  # in an order in which each finds its input
    *('python -c "pass"', REFERENCE, 'python -c "import atlcodec"'),
    *("atlc encode x.png -f", "atlc encode x.png -f -m mnist-lenet", "atlc decode x.atlc -f", "atlc classify x.atlc"),
    *("cwebp -quiet x.png -o x.webp", "dwebp -quiet x.webp -o x.webp.png"),
)


def main() -> None:
    options = report.arguments(__doc__, rounds=30)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as atlcodec does, so that the import alone is as quick
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = [command for command in COMMANDS if shutil.which(command.split()[0])]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        shutil.copy(IMAGE, "x.png")
        times = timing.turns({command: partial(run, shlex.split(command)) for command in found}, options.rounds)
    reference, rows = statistics.median(times[REFERENCE]), list[Row]()
    for command, taken in times.items():
        median = statistics.median(taken)
        row: Row = {"": f"`{command}`", "median, ms": round(1000 * median, 1), "least, ms": round(1000 * min(taken), 1)}
        rows.append({**row, "of the import": round(median / reference, 3)})
    note = f"{options.rounds} runs of each, in turns. The last column compares medians."
    report.publish(
        "startup", "Start of the command line", [Table("Wall time of one process", rows, note)], options.output
    )


if __name__ == "__main__":
    main()
