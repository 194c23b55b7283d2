"""Ray Data beside a plain loop: the same images, from Parquet to Parquet, encoded and classified.

The loop is one process, with one thread and with all. Ray has one worker process and two, with one thread each, on a
cluster of this machine alone: this shows what Ray costs, not what more machines bring. All must make the same records.

It needs the extra `ray`, so `make benchmarks` does not run it."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere

import inputs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import report
from numpy.typing import NDArray
from report import Row, Table

from atlcodec import arrow, cluster
from atlcodec.engine import threads

FILES = 16
STORE = 300 << 20  # bytes of Ray's shared memory
BLOCK = 8 << 20  # bytes of images that a worker gets at a time; by default one worker would get nearly all


class EncodeAndClassify:
    """Both in one worker, so that nothing is sent between them."""

    def __init__(self, model: str) -> None:
        self.encode, self.classify = cluster.Encode(model, effort=0), cluster.Classify(model=model)

    def __call__(self, batch: pa.Table) -> pa.Table:
        made = self.classify(self.encode(batch))
        return made.append_column("done", pa.array(np.full(len(made), time.time())))


def main() -> None:
    options = report.arguments(__doc__, 200_000, batch=4096, model="mnist-lenet")
    images, what = inputs.some_images(options.data, options.images)
    number, batch, model = len(images), options.batch, options.model
    rows, made = list[Row](), dict[str, NDArray[np.uint8]]()
    with tempfile.TemporaryDirectory(prefix="atlc-") as folder:
        source = Path(folder, "images")
        source.mkdir()
        for index, part in enumerate(np.array_split(np.arange(number), FILES)):
            column = pa.FixedShapeTensorArray.from_numpy_ndarray(images[part])
            pq.write_table(pa.table({"number": part, "image": column}), source / f"{index:02}.parquet")
        start = time.perf_counter()
        start_ray(Path(folder, "ray"))
        seconds = time.perf_counter() - start
        jobs: dict[str, Callable[[Path], None]] = {}
        for count in sorted({1, threads()}):
            jobs[f"loop, {count} thread{'s' if count > 1 else ''}"] = partial(loop, source, model, batch, count)
        for count in (1, 2):
            jobs[f"Ray Data, {count} worker{'s' if count > 1 else ''}"] = partial(on_ray, source, model, batch, count)
        for name, job in jobs.items():
            row, made[name] = measure(job, Path(folder, name), number)
            rows.append({"": name, **row})
        ray.shutdown()
    if len({records.tobytes() for records in made.values()}) > 1:
        raise SystemExit("the records differ")
    table = Table.of(
        "Encode and classify, Parquet to Parquet",
        rows,
        f"{number:,} pictures in {FILES} files, {batch:,} at a time; all made the same records, bit for bit.",
        """In all: from the call to the end of the last file, with the start of Ray's workers. Afterwards: from the end
        of the first batch to that of the last.""",
        f"Starting the cluster took {seconds:.1f} s more. It also has processes that read and write Parquet.",
    )
    facts = {**report.versions("ray", "pyarrow"), "model": model, "pictures": what}
    report.publish("cluster", "On a cluster of one machine", [table], options.output, facts)


def measure(job: Callable[[Path], None], output: Path, number: int) -> tuple[Row, NDArray[np.uint8]]:
    """The figures of one job, and its records, in the images' order."""
    start = time.time()
    job(output)
    seconds = time.time() - start
    made = pq.read_table(output).sort_by("number")
    if made["number"].to_pylist() != list(range(number)) or made["problem"].null_count != number:
        raise SystemExit(f"{output.name}: {len(made)} records instead of {number}, or some with a problem")
    ends, sizes = np.unique(made["done"].to_numpy(), return_counts=True)
    row: Row = {"seconds in all": round(seconds, 2), "pictures per second in all": round(number / seconds)}
    row["seconds until the first batch"] = round(ends[0] - start, 2)
    rate = round((number - sizes[0]) / (ends[-1] - ends[0])) if len(ends) > 1 else None
    return {**row, "pictures per second afterwards": rate}, arrow.records(made)


def loop(source: Path, model: str, batch: int, count: int, output: Path) -> None:
    os.environ["ATLC_THREADS"] = str(count)
    work = EncodeAndClassify(model)
    output.mkdir()
    for file in sorted(source.iterdir()):
        made = [work(pa.Table.from_batches([rows])) for rows in pq.ParquetFile(file).iter_batches(batch)]
        pq.write_table(pa.concat_tables(made), output / file.name)


def start_ray(folder: Path) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    environment = {"env_vars": {"ATLC_THREADS": "1"}}
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, object_store_memory=STORE, _temp_dir=str(folder), runtime_env=environment, **quiet)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars, context.target_max_block_size = False, BLOCK


def on_ray(source: Path, model: str, batch: int, count: int, output: Path) -> None:
    workers = {"compute": ray.data.ActorPoolStrategy(size=count), "fn_constructor_args": [model], "num_cpus": 0.5}
    images = ray.data.read_parquet(str(source))
    made = images.map_batches(EncodeAndClassify, batch_format="pyarrow", batch_size=batch, **workers)
    made.write_parquet(str(output))


if __name__ == "__main__":
    main()
