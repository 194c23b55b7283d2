"""Ray Data beside a plain loop: the same images, from Parquet to Parquet, encoded and classified.

    ATLC_DATA=... python benchmarks/cluster.py

The loop is one process, with one thread and with all. Ray has one worker process and two, with one thread each, on a
cluster of this machine alone: this shows what Ray costs, not what more machines bring. All must make the same records.

It needs the extra `ray`, so `make benchmarks` does not run it."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere

import inputs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import report
from report import Row, Table

from atlcodec import arrow, cluster
from atlcodec.engine import threads
from atlcodec.record import Records

MODEL = "mnist-lenet"
FILES = 16
BATCH = 4096  # images that are encoded at a time
STORE = 300 << 20  # bytes of Ray's shared memory
BLOCK = 8 << 20  # bytes of images that a worker gets at a time; by default one worker would get nearly all


class EncodeAndClassify:
    """Both in one worker, so that nothing is sent between them."""

    def __init__(self) -> None:
        self.encode, self.classify = cluster.Encode(MODEL, effort=0), cluster.Classify(model=MODEL)

    def __call__(self, batch: pa.Table) -> pa.Table:
        made = self.classify(self.encode(batch))
        return made.append_column("done", pa.array(np.full(len(made), time.time())))


def main() -> None:
    options = report.arguments(__doc__, images=200_000)
    images, rows, made = inputs.digits(options.images), list[Row](), set[bytes]()
    with tempfile.TemporaryDirectory(prefix="atlc-") as name:
        source, start = Path(name, "images"), time.perf_counter()
        start_ray(Path(name, "ray"))
        seconds = time.perf_counter() - start
        source.mkdir()
        for index, part in enumerate(np.array_split(np.arange(len(images)), FILES)):
            column = pa.FixedShapeTensorArray.from_numpy_ndarray(images[part])
            pq.write_table(pa.table({"number": part, "image": column}), source / f"{index:02}.parquet")
        jobs = [(loop, "loop, {} thread", count) for count in sorted({1, threads()})]
        jobs += [(on_ray, "Ray Data, {} worker", count) for count in (1, 2)]
        for job, what, count in jobs:
            start, output = time.time(), Path(name, f"{job.__name__}-{count}")
            job(source, output, count)
            row, records = figures(output, len(images), start, time.time())
            rows.append({"": what.format(count) + "s" * (count > 1), **row})
            made.add(records.tobytes())
        ray.shutdown()
    if len(made) > 1:
        raise SystemExit("the records differ")
    table = Table(
        "Encode and classify, Parquet to Parquet",
        rows,
        f"{len(images):,} pictures in {FILES} files, {BATCH:,} at a time; all made the same records, bit for bit.",
        """In all: from the call to the end of the last file, with the start of Ray's workers. Afterwards: from the end
        of the first batch to that of the last.""",
        f"Starting the cluster took {seconds:.1f} s more. It also has processes that read and write Parquet.",
    )
    facts = {**report.versions("ray", "pyarrow"), "model": MODEL, "pictures": "test pictures of MNIST"}
    report.publish("cluster", "On a cluster of one machine", [table], options.output, facts)


def figures(output: Path, number: int, start: float, end: float) -> tuple[Row, Records]:
    """The figures of one job, and its records, in the images' order."""
    made = pq.read_table(output).sort_by("number")
    if made["number"].to_pylist() != list(range(number)) or made["problem"].null_count != number:
        raise SystemExit(f"{output.name}: {len(made)} records instead of {number}, or some with a problem")
    ends, sizes = np.unique(made["done"].to_numpy(), return_counts=True)
    row: Row = {
        "seconds in all": round(end - start, 2),
        "pictures per second in all": round(number / (end - start)),
        "seconds until the first batch": round(ends[0] - start, 2),
        "pictures per second afterwards": round((number - sizes[0]) / (ends[-1] - ends[0])) if len(ends) > 1 else None,
    }
    return row, arrow.records(made)


def loop(source: Path, output: Path, count: int) -> None:
    os.environ["ATLC_THREADS"] = str(count)
    work = EncodeAndClassify()
    output.mkdir()
    for file in sorted(source.iterdir()):
        made = [work(pa.Table.from_batches([rows])) for rows in pq.ParquetFile(file).iter_batches(BATCH)]
        pq.write_table(pa.concat_tables(made), output / file.name)


def start_ray(folder: Path) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    environment = {"env_vars": {"ATLC_THREADS": "1"}}
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, object_store_memory=STORE, _temp_dir=str(folder), runtime_env=environment, **quiet)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars, context.target_max_block_size = False, BLOCK


def on_ray(source: Path, output: Path, count: int) -> None:
    workers = {"compute": ray.data.ActorPoolStrategy(size=count), "num_cpus": 0.5}
    images = ray.data.read_parquet(str(source))
    made = images.map_batches(EncodeAndClassify, batch_format="pyarrow", batch_size=BATCH, **workers)
    made.write_parquet(str(output))


if __name__ == "__main__":
    main()
