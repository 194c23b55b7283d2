"""How long the command line takes to start and do one image, beside the import of its libraries.

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

import images
import report
import timing
from PIL import Image
from report import Row, Table

REFERENCE = 'python -c "import numpy, onnxruntime"'
COMMANDS = (  # in an order in which each finds its input
    *('python -c "pass"', REFERENCE, 'python -c "import atlcodec"'),
    *("atlc encode x.png -f", "atlc encode x.png -f -m {model}", "atlc decode x.atlc -f", "atlc classify x.atlc"),
    *("cwebp -quiet x.png -o x.webp", "dwebp -quiet x.webp -o x.webp.png"),
)


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-m", "--model", default="mnist-lenet", help="for the encoder that need not choose")
    parser.add_argument("--rounds", type=int, default=30, help="runs of each command")
    options = parser.parse_args()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as atlcodec does, so that the import alone is as quick
    output = options.output.resolve()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    calls, absent = {}, []
    for command in (command.format(model=options.model) for command in COMMANDS):
        name, *arguments = shlex.split(command)
        if program := shutil.which(name, path=path):
            calls[command] = partial(run, [program, *arguments])
        else:
            absent.append(name)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Image.fromarray(images.digits(1)[0]).save("x.png")
        times = timing.turns(calls, options.rounds)

    reference = statistics.median(times[REFERENCE])
    rows: list[Row] = []
    for command, taken in times.items():
        median = statistics.median(taken)
        row: Row = {"": f"`{command}`", "median, ms": round(1000 * median, 1), "least, ms": round(1000 * min(taken), 1)}
        rows.append({**row, "of the import": round(median / reference, 3)})
    notes = [f"{options.rounds} runs of each, in turns. The last column compares medians."]
    if absent:
        notes.append(f"Not installed, so not measured: {', '.join(dict.fromkeys(absent))}.")
    table = Table.of("Wall time of one process", rows, *notes)
    report.publish("startup", "Start of the command line", [table], output)


def run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
