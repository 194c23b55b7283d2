"""Ray Data beside a plain loop: the same pictures, from Parquet to Parquet, encoded and classified.

The loop is one process, with one thread and with all; Ray has one worker process and two, with one thread each, on a
cluster that is this machine alone. So this shows what Ray costs, not what more machines would bring. The records must
be the same, bit for bit.

It needs the extra `ray`, and is therefore none of those that `make benchmarks` runs.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
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

from atlcodec import arrow, cluster
from atlcodec.engine import threads

FILES = 16
STORE = 300 << 20  # bytes of Ray's shared memory
BLOCK = (
    8 << 20
)  # bytes of pictures that a worker is given at a time; by default Ray would give one worker nearly all there are here


class EncodeAndClassify:
    """Both at once: one worker does them one after another, and nothing is sent between."""

    def __init__(self, model: str) -> None:
        self.encode, self.classify = cluster.Encode(model, effort=0), cluster.Classify(model=model)

    def __call__(self, batch: pa.Table) -> pa.Table:
        made = self.classify(self.encode(batch))
        return made.append_column("done", pa.array(np.full(len(made), time.time())))


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-n", "--number", type=int, default=200_000, help="pictures")
    parser.add_argument("--batch", type=int, default=4096, help="pictures at a time")
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    parser.add_argument("--data", metavar="DIR|NAME", help="data set [$ATLC_DATA/MNIST if there, else drawn digits]")
    options = parser.parse_args()
    busy = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else None

    with tempfile.TemporaryDirectory(prefix="atlc-") as folder:
        pictures, records = Path(folder, "pictures"), Path(folder, "records")
        what = write_pictures(pictures, options.data, options.number)
        how = (pictures, records, options.model, options.batch)
        jobs = {f"loop, {_many(count, 'thread')}": partial(loop, *how, count) for count in sorted({1, threads()})}
        jobs |= {f"Ray Data, {_many(count, 'worker')}": partial(on_ray, *how, count) for count in (1, 2)}
        begin = time.perf_counter()
        start_ray(Path(folder, "ray"))
        starting = time.perf_counter() - begin
        rows: list[list[report.Cell]] = []
        wanted: NDArray[np.uint8] | None = None
        for name, job in jobs.items():
            row, made = measure(job, records, options.number)
            wanted = made if wanted is None else wanted
            if not np.array_equal(made, wanted):
                raise SystemExit(f"{name}: not the records that the loop made")
            rows.append([name, *row])
            shutil.rmtree(records)
        ray.shutdown()
    notes = [
        f"{options.number:,} pictures in {FILES} files, {options.batch:,} at a time; the records of all are the "
        "same, bit for bit.",
        "In all: from the call until the last file is written. Ray starts its workers within it; afterwards: from "
        "the first batch "
        "that was done to the last.",
        f"Starting the cluster took {starting:.1f} s more. Beside the workers it has processes that read and write "
        "Parquet.",
    ]
    columns = [
        "",
        "seconds in all",
        "pictures per second in all",
        "seconds until the first batch",
        "pictures per second afterwards",
    ]
    facts = {
        "ray": version("ray"),
        "pyarrow": version("pyarrow"),
        "model": options.model,
        "pictures": what,
        "load average before": busy,
    }
    table = report.Table("Encode and classify, Parquet to Parquet", columns, rows, notes)
    report.publish("cluster", "On a cluster of one machine", [table], options.output, facts)


def write_pictures(folder: Path, data: str | None, number: int) -> str:
    """So many pictures in Parquet files, and what they are."""
    images, what = inputs.pictures(data, number)
    folder.mkdir()
    for index, rows in enumerate(np.array_split(np.arange(number), FILES)):
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(images[rows])
        pq.write_table(pa.table({"number": rows, "image": column}), folder / f"{index:02}.parquet")
    return what


def measure(job: Callable[[], object], records: Path, number: int) -> tuple[list[report.Cell], NDArray[np.uint8]]:
    """The figures of one job, and the records that it left in the folder, in order."""
    start, begin = time.time(), time.perf_counter()
    job()
    seconds = time.perf_counter() - begin
    made = pq.read_table(records).sort_by("number")
    if made["number"].to_pylist() != list(range(number)):
        raise SystemExit(f"{len(made)} records instead of {number}, or some twice")
    if made["problem"].null_count != number:
        raise SystemExit("some pictures could not be done")
    ends, sizes = np.unique(made["done"].to_numpy(), return_counts=True)
    rate = (number - sizes[0]) / (ends[-1] - ends[0]) if len(ends) > 1 else None
    figures: list[report.Cell] = [
        round(seconds, 2),
        round(number / seconds),
        round(ends[0] - start, 2),
        rate and round(rate),
    ]
    return figures, arrow.records(made)


def loop(pictures: Path, records: Path, model: str, batch: int, count: int) -> None:
    os.environ["ATLC_THREADS"] = str(count)
    work = EncodeAndClassify(model)
    records.mkdir()
    for file in sorted(pictures.iterdir()):
        made = [work(pa.Table.from_batches([rows])) for rows in pq.ParquetFile(file).iter_batches(batch)]
        pq.write_table(pa.concat_tables(made), records / file.name)


def start_ray(folder: Path) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=STORE,
        _temp_dir=str(folder),
        runtime_env={"env_vars": {"ATLC_THREADS": "1"}},
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK


def on_ray(pictures: Path, records: Path, model: str, batch: int, count: int) -> None:
    ray.data.read_parquet(str(pictures)).map_batches(
        EncodeAndClassify,
        fn_constructor_args=[model],
        batch_format="pyarrow",
        batch_size=batch,
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=0.5,
    ).write_parquet(str(records))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


if __name__ == "__main__":
    main()
