"""A folder of PNG images into one file: where the time goes, and the rate beside `Codec.encode` of an array.

The images are drawn into a temporary folder, ten labels with as many each. First each step of `atlc encode DIR -o
set.atlc` alone, one after the other; then reading alone, by threads and by processes; then the whole command, with its
start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from functools import partial
from pathlib import Path

import images
import inputs
import numpy as np
import report
import timing
from inputs import Codec, Images
from report import Cell, Row, Table
from timing import Calls, Stopwatch

import atlcodec
from atlcodec import picture, record
from atlcodec.engine import threads
from atlcodec.sets import sinks, sources
from atlcodec.sets.encoder import Quality
from atlcodec.sets.journal import Journal
from atlcodec.sets.paths import OutputPaths
from atlcodec.sets.sinks import Existing

EFFORT = 0  # throughput.py measures the search for better symbols
COMMAND = """
import json, sys
from atlcodec import sets
folder, output, model, jobs, effort = json.loads(sys.argv[1])
sets.encode_folder(folder, output, model=model, effort=effort, overwrite=True, jobs=jobs)
"""


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument("-m", "--model", default="mnist-lenet", help="name, id or path")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each contestant, of which the best counts")
    options = report.arguments(parser, 16_384)
    output = options.output.resolve()
    codec, load = Codec.load(options.model), timing.load_average()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        drawn = draw(options.images)
        codec.encode(drawn[:1000], effort=EFFORT)  # loads the network
        tables = [steps(codec, options.rounds), reading(options.rounds), commands(codec, drawn, options.rounds)]
    facts: dict[str, Cell] = {
        "model": inputs.listed([codec]),
        "pictures": options.images,
        "threads": threads(),
        "load before": load,  # processes help only where a core is free
    }
    report.publish("dataset", "A folder of pictures into one file", tables, output, facts)


def draw(count: int) -> Images:
    """Draw the images into the folder -> uint8 (count, 28, 28), in the order of their paths."""
    drawn = np.concatenate(list(images.moving_digits(count)))
    for number, image in enumerate(drawn):
        path = Path(f"images/{number * 10 // count}/{number:07d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png(image))
    return drawn


def steps(codec: Codec, rounds: int) -> Table:
    """Seconds of each step alone: the best of the rounds."""
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        clocks = defaultdict[str, Stopwatch](Stopwatch)
        with clocks["find the pictures: list, check and sort their paths"]():
            source = sources.find("images", OutputPaths())
            batches = list(source.batches())
        with clocks["read them: PNG to array, with Pillow"]():
            loaded = [part for _, part in source.load(iter(batches), 1)]
        with clocks["networks: the compressor"]():
            latents = [codec.latents(part.images) for part in loaded]
        with clocks["quantise, seal, pack"]():
            packed = [record.pack(record.seal(*record.quantise(part), codec.id)) for part in latents]
        with Journal("set.atlc") as journal:
            journal.begin({}, codec.id, iter(()))
            with clocks["write: records, list and log of each batch"]():
                for batch, part, records in zip(batches, loaded, packed, strict=True):
                    journal.add(batch, part, records, Quality())
            with clocks["put in place: copy, check the list, wait for the disk"]():
                sinks.of("set.atlc").put(journal, Existing())
            journal.remove()
        if not np.array_equal(atlcodec.open("set.atlc").array, np.concatenate(packed)):
            raise SystemExit("the file does not hold what was encoded")
        for step, clock in clocks.items():
            taken.setdefault(step, []).append(clock.seconds)
    best = {step: min(seconds) for step, seconds in taken.items()}
    total, count = sum(best.values()), len(source)
    rows: list[Row] = [
        {
            "": step,
            "seconds": round(seconds, 3),
            "microseconds a picture": round(seconds / count * 1e6, 1),
            "%": round(100 * seconds / total, 1),
        }
        for step, seconds in [*best.items(), ("all", total)]
    ]
    note = f"Each step over all {count:,} pictures, {sources.BATCH:,} at a time, one step after the other."
    return Table.of("Where the time goes", rows, note)


def reading(rounds: int) -> Table:
    """Why processes read the images: threads wait for each other."""
    source = sources.find("images", OutputPaths())
    batches = list(source.batches())

    def by_threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda batch: list(source.load(iter([batch]), 1)), batches))

    calls: Calls = {
        "in one thread": lambda: list(source.load(iter(batches), 1)),
        "in two threads": by_threads,
        "in two processes, with their start": lambda: list(source.load(iter(batches), 2)),
    }
    sources.PER_PROCESS = 1  # start two processes for few images, too
    best = timing.best(calls, rounds)
    rows: list[Row] = []
    for name, seconds in best.items():
        row: Row = {"": name, "pictures per second": round(len(source) / seconds)}
        rows.append({**row, "of the rate in one thread": round(best["in one thread"] / seconds, 2)})
    return Table.of("Reading alone", rows)


def commands(codec: Codec, images: Images, rounds: int) -> Table:
    """The whole command beside the library on an array."""
    memory = "Codec.encode, of an array in memory"
    calls: Calls = {memory: lambda: codec.encode(images, effort=EFFORT)}
    for output, jobs in (("set.atlc", 1), ("set.atlc", 2), ("set.parquet", 2)):
        arguments = json.dumps(["images", output, str(codec.model.folder), jobs, EFFORT])
        run = partial(subprocess.run, [sys.executable, "-c", COMMAND, arguments], check=True, capture_output=True)
        calls[f"atlc encode DIR -o {output} -j {jobs}"] = run
    best = timing.best(calls, rounds)
    if not np.array_equal(atlcodec.open("set.atlc").array, codec.encode(images, effort=EFFORT)):
        raise SystemExit("the command does not give what the library gives")
    rows: list[Row] = []
    for name, seconds in best.items():
        row: Row = {"": name, "seconds": round(seconds, 2), "pictures per second": round(len(images) / seconds)}
        rows.append({**row, "of the rate in memory": round(best[memory] / seconds, 3)})
    return Table.of(
        "The whole command",
        rows,
        f"The encoder's effort is {EFFORT}. -j is the number of processes that read while others encode.",
        "Processes help only where cores are free: compare the load above with the number of cores.",
        """The command's time includes its start and the check of a sample. Its records are those of Codec.encode, bit
        for bit.""",
    )


if __name__ == "__main__":
    main()
