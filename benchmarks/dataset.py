"""A folder of PNG pictures into one file: where the time goes, and the rate beside `Codec.encode` of arrays in memory.

The pictures are drawn by a program into a temporary folder, ten labels with as many each. First each step of `atlc
encode DIR -o set.atlc` by itself, one after the other; then reading alone, by threads and by processes; then the whole
command, with its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from pathlib import Path

import inputs
import numpy as np
import report
from numpy.typing import NDArray

import atlcodec
from atlcodec import picture, record
from atlcodec.codec import Codec
from atlcodec.engine import threads
from atlcodec.sets import sinks, sources
from atlcodec.sets.journal import Journal, Quality
from atlcodec.sets.paths import OutputPaths
from atlcodec.sets.sinks import Existing

EFFORT = 0  # of the encoder: a search for better symbols is measured in throughput.py
COMMAND = """
import json, sys
from atlcodec import sets
folder, output, model, jobs, effort = json.loads(sys.argv[1])
sets.encode_folder(folder, output, model=model, effort=effort, overwrite=True, jobs=jobs)
"""


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-n", "--number", type=int, default=16_384, help="pictures")
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each contestant, of which the best counts")
    options = parser.parse_args()
    output = options.output.resolve()

    codec, load = Codec.load(options.model), os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        images = draw(options.number)
        codec.encode(images[:1000], effort=EFFORT)  # loads the network
        tables = [steps(codec, options.rounds), reading(options.rounds), commands(codec, images, options.rounds)]
    facts: dict[str, report.Cell] = {
        "model": f"{codec.name} {codec.id:08x}",
        "pictures": options.number,
        "threads": threads(),
        "load before": round(load, 1),  # what else the computer was doing: processes help only where a core is free
    }
    report.publish("dataset", "A folder of pictures into one file", tables, output, facts)


def draw(count: int) -> NDArray[np.uint8]:
    """The pictures in the folder, in the order of their paths, uint8 (count, 28, 28)."""
    some, rng = inputs.drawn(1000), np.random.default_rng(1)
    images = np.stack([np.roll(some[n % 1000], rng.integers(-3, 4, 2), axis=(0, 1)) for n in range(count)])
    for number, image in enumerate(images):
        path = Path(f"pictures/{number * 10 // count}/{number:07d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png(image))
    return images


def steps(codec: Codec, rounds: int) -> report.Table:
    """Seconds of each step by itself: the best of the rounds."""
    best: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        best[step] = min(best.get(step, np.inf), time.perf_counter() - start)

    for _ in range(rounds):
        with timed("find the pictures: list, check and sort their paths"):
            source = sources.find("pictures", OutputPaths())
            batches = list(source.batches())
        with timed("read them: PNG to array, with Pillow"):
            loaded = [part for _, part in source.load(iter(batches), 1)]
        with timed("networks: the compressor"):
            latents = [codec.latents(part.images) for part in loaded]
        with timed("quantise, seal, pack"):
            packed = [record.pack(record.seal(*record.quantise(part), codec.id)) for part in latents]
        with Journal("set.atlc") as work:
            work.begin({}, codec.id, iter(()))
            with timed("write: records, list and log of each batch"):
                for batch, part, records in zip(batches, loaded, packed, strict=True):
                    work.add(batch, part, records, Quality())
            with timed("put in place: copy, check the list, wait for the disk"):
                sinks.of("set.atlc").put(work, Existing())
            work.remove()
        if not np.array_equal(atlcodec.open("set.atlc").array, np.concatenate(packed)):
            raise SystemExit("the file does not hold what was encoded")
    total, count = sum(best.values()), len(source)
    rows: list[list[report.Cell]] = [
        [step, round(taken, 3), round(taken / count * 1e6, 1), round(100 * taken / total, 1)]
        for step, taken in best.items()
    ]
    rows.append(["all", round(total, 3), round(total / count * 1e6, 1), 100.0])
    notes = [f"Each step over all {count:,} pictures, {sources.BATCH:,} at a time, one step after the other."]
    return report.Table("Where the time goes", ["", "seconds", "microseconds a picture", "%"], rows, notes)


def reading(rounds: int) -> report.Table:
    """Why pictures are read by processes: threads wait for each other."""
    source = sources.find("pictures", OutputPaths())
    batches = list(source.batches())

    def by_threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda batch: list(source.load(iter([batch]), 1)), batches))

    contestants: dict[str, Callable[[], object]] = {
        "in one thread": lambda: list(source.load(iter(batches), 1)),
        "in two threads": by_threads,
        "in two processes, with their start": lambda: list(source.load(iter(batches), 2)),
    }
    sources.PER_PROCESS = 1  # of however few pictures, two processes are to read them
    best = timed_in_turns(contestants, rounds)
    rows: list[list[report.Cell]] = [
        [name, round(len(source) / seconds), round(best["in one thread"] / seconds, 2)]
        for name, seconds in best.items()
    ]
    return report.Table("Reading alone", ["", "pictures per second", "of the rate in one thread"], rows)


def commands(codec: Codec, images: NDArray[np.uint8], rounds: int) -> report.Table:
    """The whole command beside the library on an array."""

    def command(output: str, jobs: int) -> Callable[[], object]:
        arguments = json.dumps(["pictures", output, str(codec.model.folder), jobs, EFFORT])
        return lambda: subprocess.run([sys.executable, "-c", COMMAND, arguments], check=True, capture_output=True)

    memory = "Codec.encode, of an array in memory"
    contestants: dict[str, Callable[[], object]] = {memory: lambda: codec.encode(images, effort=EFFORT)}
    for output, jobs in (("set.atlc", 1), ("set.atlc", 2), ("set.parquet", 2)):
        contestants[f"atlc encode DIR -o {output} -j {jobs}"] = command(output, jobs)
    best = timed_in_turns(contestants, rounds)
    if not np.array_equal(atlcodec.open("set.atlc").array, codec.encode(images, effort=EFFORT)):
        raise SystemExit("the command does not give what the library gives")
    rows: list[list[report.Cell]] = [
        [name, round(seconds, 2), round(len(images) / seconds), round(best[memory] / seconds, 3)]
        for name, seconds in best.items()
    ]
    notes = [
        f"The encoder's effort is {EFFORT} for all. -j is the number of processes that read; what they read is "
        "encoded meanwhile.",
        "Processes help only where cores are free: compare the load above with the number of cores.",
        "The command's time holds its start, and the check of a sample. Its records are those of Codec.encode, bit "
        "for bit.",
    ]
    return report.Table(
        "The whole command", ["", "seconds", "pictures per second", "of the rate in memory"], rows, notes
    )


def timed_in_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the best turn of each; every other round goes backwards."""
    best = dict.fromkeys(contestants, np.inf)
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            contestants[name]()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
