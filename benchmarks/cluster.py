"""Ray Data beside a plain loop: the same images, from Parquet to Parquet, encoded and classified.

The loop is one process, with one thread and with all. Ray has one worker process and two, with one thread each, on a
cluster of this machine alone: this shows what Ray costs, not what more machines bring. All must make the same records.

It needs the extra `ray`, so `make benchmarks` does not run it."""

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
import timing
from inputs import Images
from numpy.typing import NDArray
from report import Cell, Row, Table

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
    parser = report.parser(__doc__)
    parser.add_argument("--batch", type=int, default=4096, help="images at a time")
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    inputs.add_set(parser)
    options = report.arguments(parser, 200_000)
    load = timing.load_average()
    images, what = inputs.some_images(options.data, options.images)

    rows: list[Row] = []
    wanted: NDArray[np.uint8] | None = None
    with tempfile.TemporaryDirectory(prefix="atlc-") as folder:
        source, records = Path(folder, "images"), Path(folder, "records")
        write(images, source)
        how = (source, records, options.model, options.batch)
        jobs = {f"loop, {_many(count, 'thread')}": partial(loop, *how, count) for count in sorted({1, threads()})}
        jobs |= {f"Ray Data, {_many(count, 'worker')}": partial(on_ray, *how, count) for count in (1, 2)}
        clock = timing.Stopwatch()
        with clock():
            start_ray(Path(folder, "ray"))
        for name, job in jobs.items():
            row, made = measure(job, records, len(images))
            rows.append({"": name, **row})
            wanted = made if wanted is None else wanted
            if not np.array_equal(made, wanted):
                raise SystemExit(f"{name}: the records differ from those of the loop")
            shutil.rmtree(records)
        ray.shutdown()
    table = Table.of(
        "Encode and classify, Parquet to Parquet",
        rows,
        f"""{len(images):,} pictures in {FILES} files, {options.batch:,} at a time; all made the same records, bit for
        bit.""",
        """In all: from the call to the end of the last file, which includes the start of Ray's workers. Afterwards:
        from the end of the first batch to that of the last.""",
        f"""Starting the cluster took {clock.seconds:.1f} s more. Beside the workers it has processes that read and
        write Parquet.""",
    )
    facts: dict[str, Cell] = {package: version(package) for package in ("ray", "pyarrow")}
    facts |= {"model": options.model, "pictures": what, "load average before": load}
    report.publish("cluster", "On a cluster of one machine", [table], options.output, facts)


def write(images: Images, folder: Path) -> None:
    """The images as Parquet files."""
    folder.mkdir()
    for index, rows in enumerate(np.array_split(np.arange(len(images)), FILES)):
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(images[rows])
        pq.write_table(pa.table({"number": rows, "image": column}), folder / f"{index:02}.parquet")


def measure(job: Callable[[], object], records: Path, number: int) -> tuple[Row, NDArray[np.uint8]]:
    """The figures of one job, and its records, in the images' order."""
    start, clock = time.time(), timing.Stopwatch()
    with clock():
        job()
    made = pq.read_table(records).sort_by("number")
    if made["number"].to_pylist() != list(range(number)):
        raise SystemExit(f"{len(made)} records instead of {number}, or some twice")
    if made["problem"].null_count != number:
        raise SystemExit("some images could not be encoded or classified")
    ends, sizes = np.unique(made["done"].to_numpy(), return_counts=True)
    row: Row = {
        "seconds in all": round(clock.seconds, 2),
        "pictures per second in all": round(number / clock.seconds),
        "seconds until the first batch": round(ends[0] - start, 2),
        "pictures per second afterwards": None,
    }
    if len(ends) > 1:
        row["pictures per second afterwards"] = round((number - sizes[0]) / (ends[-1] - ends[0]))
    return row, arrow.records(made)


def loop(source: Path, records: Path, model: str, batch: int, count: int) -> None:
    os.environ["ATLC_THREADS"] = str(count)
    work = EncodeAndClassify(model)
    records.mkdir()
    for file in sorted(source.iterdir()):
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


def on_ray(source: Path, records: Path, model: str, batch: int, count: int) -> None:
    ray.data.read_parquet(str(source)).map_batches(
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
