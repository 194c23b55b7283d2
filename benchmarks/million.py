"""A million images into one file and out of it again, in bounded memory.

Encoding, decoding and classifying have a process each. It works in batches and tells its rate and its peak memory."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import images
import numpy as np
import report
import timing
from inputs import Codec
from report import Cell, Row, Table

import atlcodec
from atlcodec import metrics

BOUND = 500  # MB that each job may take
JOBS = ("encode", "decode", "classify")


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("--batch", type=int, default=16384, help="images at a time")
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    parser.add_argument("--folder", type=Path, help="folder of the file while the program runs [temporary]")
    options = report.arguments(parser, 1_000_000)
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool,
    ):
        file = Path(folder, "million.atlc")
        how = file, options.images, options.batch, options.model
        results = {job: pool.submit(do, job, *how).result() for job in JOBS}
        size = file.stat().st_size
    rows: list[Row] = []
    for job, result in results.items():
        rate, peak = round(options.images / result["seconds"]), round(result["peak"] / 1e6)
        row: Row = {"": job, "seconds": round(result["seconds"], 2)}
        rows.append({**row, "pictures per second": rate, "peak memory, MB": peak})
    within = all(result["peak"] < BOUND * 1e6 for result in results.values())
    table = Table.of(
        "One file",
        rows,
        f"{options.images:,} pictures, {options.batch:,} at a time; the file has {size:,} bytes.",
        f"The decoded pictures are {results['decode']['psnr']:.2f} dB from the originals.",
        "The pictures are drawn digits, moved about; the time to make them does not count.",
        """The memory is the peak of the whole process as the system counts it. It includes pages of the mapped file
        that nothing else needs.""",
        f"Under {BOUND} MB: {'yes' if within else 'NO'}.",
    )
    facts: dict[str, Cell] = {"model": options.model}
    report.publish("million", "Many pictures in bounded memory", [table], options.output, facts)
    if not within:
        sys.exit(1)


def do(job: str, file: Path, number: int, batch: int, model: str) -> dict[str, Any]:
    """One job: its seconds, its peak memory in bytes, and for `decode` the PSNR."""
    codec, clock, done, error = Codec.load(model), timing.Stopwatch(), 0, 0.0
    originals = images.moving_digits(number, batch)
    if job == "encode":
        file.touch()
        for batch_ in originals:
            with clock():
                atlcodec.write(file, codec.encode(batch_, effort=0), append=True)
            done += len(batch_)
    else:
        for records in atlcodec.open(file).batches(batch):
            with clock():
                result = codec.decode(records) if job == "decode" else codec.classify(records)
            done += len(result)
            if job == "decode":
                error += float(metrics.squared_error(next(originals), result.astype(np.uint8)).sum())
    if done != number:
        raise SystemExit(f"{job}: {done} images instead of {number}")
    psnr = {"psnr": metrics.psnr(error / number)} if job == "decode" else {}
    return {"seconds": clock.seconds, "peak": timing.peak_memory(), **psnr}


if __name__ == "__main__":
    main()
