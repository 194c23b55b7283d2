"""A million images into one file and out of it again, in bounded memory.

    python benchmarks/million.py

Encoding, decoding and classifying have a process each, which tells its rate and its peak memory."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import report
import timing
from inputs import Codec
from report import Row, Table

import atlcodec
from atlcodec import metrics

BOUND = 500  # MB that each job may take


def main() -> None:
    options = report.arguments(__doc__, 1_000_000, batch=16384, model="mnist-lenet")
    spawn, results = multiprocessing.get_context("spawn"), {}
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        file = Path(folder, "million.atlc")
        for job in ("encode", "decode", "classify"):
            results[job] = pool.submit(do, job, file, options.images, options.batch, options.model).result()
        size = file.stat().st_size
    rows: list[Row] = []
    for job, result in results.items():
        rate, peak = round(options.images / result["seconds"]), round(result["peak"] / 1e6)
        seconds = round(result["seconds"], 2)
        rows.append({"": job, "seconds": seconds, "pictures per second": rate, "peak memory, MB": peak})
    within = all(result["peak"] < BOUND * 1e6 for result in results.values())
    table = Table.of(
        "One file",
        rows,
        f"{options.images:,} drawn digits, moved about, {options.batch:,} at a time; the file has {size:,} bytes.",
        f"The decoded pictures are {results['decode']['psnr']:.2f} dB from the originals.",
        "The memory is the peak of the whole process, with pages of the mapped file that nothing else needs.",
        f"Under {BOUND} MB: {'yes' if within else 'NO'}.",
    )
    report.publish("million", "Many pictures in bounded memory", [table], options.output, {"model": options.model})
    sys.exit(not within)


def do(job: str, file: Path, number: int, batch: int, model: str) -> dict[str, Any]:
    """One job: its seconds, its peak memory in bytes, and for `decode` the PSNR."""
    codec, clock, done, error = Codec.load(model), timing.Stopwatch(), 0, 0.0
    if job == "encode":
        file.touch()
    originals = inputs.moving_digits(number, batch)
    for given in originals if job == "encode" else atlcodec.open(file).batches(batch):
        with clock():
            if job == "encode":
                atlcodec.write(file, codec.encode(given, effort=0), append=True)
            else:
                result = codec.decode(given) if job == "decode" else codec.classify(given)
        done += len(given)
        if job == "decode":
            error += float(metrics.squared_error(next(originals), result.astype(np.uint8)).sum())
    if done != number:
        raise SystemExit(f"{job}: {done} images instead of {number}")
    psnr = metrics.psnr(error / number) if error else None
    return {"seconds": clock.seconds, "peak": timing.peak_memory(), "psnr": psnr}


if __name__ == "__main__":
    main()
