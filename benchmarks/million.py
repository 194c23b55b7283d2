"""A million images into one file and out of it again, in bounded memory.

    ATLC_DATA=... python benchmarks/million.py

Encoding, decoding and classifying have a process each, which tells its rate and its peak memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import inputs
import numpy as np
import report
from inputs import Images
from report import Row, Table

import atlcodec
from atlcodec import metrics
from atlcodec.codec import Codec

BOUND = 500  # MB that each job may take
BATCH, MODEL = 16_384, "mnist-lenet"


def main() -> None:
    options = report.arguments(__doc__, images=1_000_000)
    number, digits, rows = options.images, inputs.digits(BATCH), list[Row]()
    spawn, peaks, psnr = multiprocessing.get_context("spawn"), list[float](), 0.0
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        file = Path(folder, "million.atlc")
        for job in ("encode", "decode", "classify"):
            seconds, peak, error = pool.submit(do, job, file, digits, number).result()
            row: Row = {"": job, "seconds": round(seconds, 2), "pictures per second": round(number / seconds)}
            rows.append({**row, "peak memory, MB": round(peak)})
            peaks.append(peak)
            psnr = metrics.psnr(error / number) if error else psnr
        size = file.stat().st_size
    within = max(peaks) < BOUND
    table = Table(
        "One file",
        rows,
        f"{number:,} test pictures of MNIST, moved about, {BATCH:,} at a time; the file has {size:,} bytes.",
        f"The decoded pictures are {psnr:.2f} dB from the originals.",
        "The memory is the peak of the whole process, with pages of the mapped file that nothing else needs.",
        f"Under {BOUND} MB: {'yes' if within else 'NO'}.",
    )
    report.publish("million", "Many pictures in bounded memory", [table], options.output, {"model": MODEL})
    sys.exit(not within)


def do(job: str, file: Path, digits: Images, number: int) -> tuple[float, float, float]:
    """One job: its seconds, its peak memory in MB, and the sum of the squared errors if it decodes."""
    codec, rng, seconds, error = Codec.load(MODEL), np.random.default_rng(1), 0.0, 0.0
    for start in range(0, number, BATCH):
        images = np.roll(digits[: number - start], rng.integers(-3, 4, 2), axis=(1, 2))
        begun = time.perf_counter()
        if job == "encode":
            atlcodec.write(file, codec.encode(images, effort=0), append=start > 0)
        else:
            records = atlcodec.open(file)[start : start + BATCH]
            made = codec.decode(records) if job == "decode" else codec.classify(records)
        seconds += time.perf_counter() - begun
        if job == "decode":
            error += float(metrics.squared_error(images, made.astype(np.uint8)).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, peak / 1e6, error


if __name__ == "__main__":
    main()
