"""How long the command line takes to start and do one picture, beside the import of the libraries it stands on.

Each command is a new process, with the files in the disk's cache; the commands take turns.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import inputs
import report
from PIL import Image

REFERENCE = 'python -c "import numpy, onnxruntime"'


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-m", "--model", default="mnist-lenet", help="for the encoder that need not choose")
    parser.add_argument("--rounds", type=int, default=30, help="runs of each command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(inputs.drawn(1)[0]).save(Path(folder, "x.png"))
        times = measure(commands(options.model), Path(folder), options.rounds)

    reference = statistics.median(times[REFERENCE])
    rows: list[list[report.Cell]] = []
    for name, taken in times.items():
        median = statistics.median(taken)
        rows.append([f"`{name}`", round(1000 * median, 1), round(1000 * min(taken), 1), round(median / reference, 3)])
    notes = [f"{options.rounds} runs of each, in turns. The last column compares medians."]
    absent = [tool for tool in ("cwebp", "dwebp") if not shutil.which(tool)]
    if absent:
        notes.append(f"Not installed, so not measured: {', '.join(absent)}.")
    table = report.Table("Wall time of one process", ["", "median, ms", "least, ms", "of the import"], rows, notes)
    report.publish("startup", "Start of the command line", [table], options.output)


def commands(model: str) -> dict[str, list[str]]:
    """The contestants, in an order in which each finds its input."""
    beside = Path(sys.executable).with_name("atlc")
    atlc = str(beside) if beside.is_file() else shutil.which("atlc")
    if atlc is None:
        raise SystemExit("atlc is not installed: pip install -e .")
    found = {
        'python -c "pass"': [sys.executable, "-c", "pass"],
        REFERENCE: [sys.executable, "-c", "import numpy, onnxruntime"],
        'python -c "import atlcodec"': [sys.executable, "-c", "import atlcodec"],
    }
    for arguments in ("encode x.png -f", f"encode x.png -f -m {model}", "decode x.atlc -f", "classify x.atlc"):
        found[f"atlc {arguments}"] = [atlc, *arguments.split()]
    for tool, arguments in (("cwebp", "-quiet x.png -o x.webp"), ("dwebp", "-quiet x.webp -o x.webp.png")):
        path = shutil.which(tool)
        if path:
            found[f"{tool} {arguments}"] = [path, *arguments.split()]
    return found


def measure(commands: dict[str, list[str]], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each run of each command, in the folder."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            taken = time.perf_counter() - start
            if done.returncode:
                raise SystemExit(f"{name}: exit code {done.returncode}: {done.stderr.strip()}")
            if number:  # the first run of each fills the disk's cache
                times[name].append(taken)
    return times


if __name__ == "__main__":
    main()
