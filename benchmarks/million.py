"""A million pictures into one file and out of it again, in bounded memory.

Three processes, one for each job: encode pictures into a file, decode the file, classify it. Each works in batches and
reports its rate and the most memory it held."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
from numpy.typing import NDArray

import atlcodec
from atlcodec import metrics

BOUND = 500  # MB that each job may take
JOBS = ("encode", "decode", "classify")


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-n", "--number", type=int, default=1_000_000, help="pictures")
    parser.add_argument("--batch", type=int, default=16384, help="pictures at a time")
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    parser.add_argument(
        "--folder", type=Path, help="where the file is made for the time of the run [the system's temporary folder]"
    )
    parser.add_argument("--job", choices=JOBS, help="do this one job on --file, and print its figures as JSON")
    parser.add_argument("--file", type=Path, help="see --job")
    options = parser.parse_args()
    if options.job:
        print(json.dumps(do(options.job, options.file, options.number, options.batch, options.model)))
        return

    results = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder, "million.atlc")
        shared = ["-n", str(options.number), "--batch", str(options.batch), "-m", options.model, "--file", str(file)]
        for job in JOBS:
            done = subprocess.run([sys.executable, __file__, "--job", job, *shared], stdout=subprocess.PIPE, check=True)
            results.append(json.loads(done.stdout))
        size = file.stat().st_size
    rows: list[list[report.Cell]] = [
        [job, round(result["seconds"], 2), round(options.number / result["seconds"]), round(result["peak"] / 1e6)]
        for job, result in zip(JOBS, results, strict=True)
    ]
    within = max(result["peak"] for result in results) < BOUND * 1e6
    notes = [
        f"{options.number:,} pictures, {options.batch:,} at a time; the file has {size:,} bytes.",
        f"The decoded pictures are {results[1]['psnr']:.2f} dB from those that went in.",
        "The pictures are digits drawn by a program and moved about; the time in which they are made does not count.",
        "The memory is the peak of the whole process as the system counts it: pages of the mapped file are in it "
        "while there is "
        "no other use for them.",
        f"Under {BOUND} MB: {'yes' if within else 'NO'}.",
    ]
    table = report.Table("One file", ["", "seconds", "pictures per second", "peak memory, MB"], rows, notes)
    report.publish("million", "Many pictures in bounded memory", [table], options.output, {"model": options.model})
    if not within:
        sys.exit(1)


def do(job: str, file: Path, number: int, batch: int, model: str) -> dict[str, Any]:
    """One job: the seconds it took, the most memory of this process in bytes, and for `decode` the PSNR."""
    codec = atlcodec.Codec.load(model)
    seconds, error, done = 0.0, 0.0, 0
    if job == "encode":
        file.touch()
        for images in stream(number, batch):
            start = time.perf_counter()
            atlcodec.write(file, codec.encode(images, effort=0), append=True)
            seconds += time.perf_counter() - start
            done += len(images)
    else:
        records = atlcodec.open(file)
        originals = stream(number, batch) if job == "decode" else None
        for part in records.batches(batch):
            start = time.perf_counter()
            result = codec.decode(part) if job == "decode" else codec.classify(part)
            seconds += time.perf_counter() - start
            done += len(result)
            if originals is not None:
                error += float(metrics.squared_error(next(originals), result.astype(np.uint8, copy=False)).sum())
    if done != number:
        raise SystemExit(f"{job}: {done} pictures instead of {number}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "peak": peak, **({"psnr": metrics.psnr(error / number)} if job == "decode" else {})}


def stream(number: int, batch: int) -> Iterator[NDArray[np.uint8]]:
    """So many pictures, a batch at a time, the same ones every time."""
    some, rng = inputs.drawn(2000), np.random.default_rng(1)
    for start in range(0, number, batch):
        chosen = some[rng.integers(len(some), size=min(batch, number - start))]
        yield np.roll(chosen, rng.integers(-3, 4, 2), axis=(1, 2))


if __name__ == "__main__":
    main()
