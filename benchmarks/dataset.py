"""A folder of PNG images into one file: where the time goes, and the rate beside `Codec.encode` of an array.

The images are drawn into a temporary folder, ten labels with as many each. First each step of `atlc encode DIR -o
set.atlc` alone; then reading alone, by threads and by processes; then the whole command, with its start."""

from __future__ import annotations

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
from report import Row, Table
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
COMMAND = "from atlcodec import sets; sets.encode_folder('images', {!r}, model={!r}, effort=0, overwrite=True, jobs={})"


def main() -> None:
    options = report.arguments(__doc__, 16_384, model="mnist-lenet", rounds=2)
    codec = Codec.load(options.model)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        drawn = np.concatenate(list(images.moving_digits(options.images)))
        for number, image in enumerate(drawn):
            path = Path(f"images/{number * 10 // len(drawn)}/{number:07d}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.png(image))
        codec.encode(drawn[:1000], effort=EFFORT)  # loads the network
        tables = [steps(codec, options.rounds), reading(options.rounds), commands(codec, drawn, options.rounds)]
    facts = {"model": inputs.listed([codec]), "pictures": options.images, "threads": threads()}
    report.publish("dataset", "A folder of pictures into one file", tables, options.output, facts)


def steps(codec: Codec, rounds: int) -> Table:
    """Seconds of each step alone: the best of the rounds."""
    taken = defaultdict[str, list[float]](list)
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
            journal.resume({}, codec.id, iter(()))
            with clocks["write: records, list and log of each batch"]():
                for batch, part, records in zip(batches, loaded, packed, strict=True):
                    journal.add(batch, part, records, Quality())
            with clocks["put in place: copy, check the list, wait for the disk"]():
                sinks.of("set.atlc").put(journal, Existing())
            journal.remove()
        check(np.concatenate(packed))
        for step, clock in clocks.items():
            taken[step].append(clock.seconds)
    best = {step: min(seconds) for step, seconds in taken.items()}
    best["all"] = sum(best.values())
    rows: list[Row] = []
    for step, seconds in best.items():
        row: Row = {"": step, "seconds": round(seconds, 3)}
        row["microseconds a picture"] = round(seconds / len(source) * 1e6, 1)
        rows.append({**row, "%": round(100 * seconds / best["all"], 1)})
    note = f"Each step over all {len(source):,} pictures, {sources.BATCH:,} at a time, one step after the other."
    return Table.of("Where the time goes", rows, note)


def check(records: record.Records) -> None:
    if not np.array_equal(atlcodec.open("set.atlc").array, records):
        raise SystemExit("the file does not hold what was encoded")


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
    return Table.of("Reading alone", rates(best, len(source), "in one thread"))


def rates(best: dict[str, float], count: int, reference: str) -> list[Row]:
    """Rates, and their ratio to the first, which `reference` names."""
    rows, first = list[Row](), next(iter(best.values()))
    for name, seconds in best.items():
        row: Row = {"": name, "seconds": round(seconds, 2), "pictures per second": round(count / seconds)}
        rows.append({**row, f"of the rate {reference}": round(first / seconds, 3)})
    return rows


def commands(codec: Codec, images: Images, rounds: int) -> Table:
    """The whole command beside the library on an array."""
    calls: Calls = {"Codec.encode, of an array in memory": lambda: codec.encode(images, effort=EFFORT)}
    for output, jobs in (("set.atlc", 1), ("set.atlc", 2), ("set.parquet", 2)):
        command = COMMAND.format(output, str(codec.model.folder), jobs)
        run = partial(subprocess.run, [sys.executable, "-c", command], check=True, capture_output=True)
        calls[f"atlc encode DIR -o {output} -j {jobs}"] = run
    best = timing.best(calls, rounds)
    check(codec.encode(images, effort=EFFORT))
    return Table.of(
        "The whole command",
        rates(best, len(images), "in memory"),
        f"The encoder's effort is {EFFORT}. -j is the number of processes that read while others encode.",
        "Processes help only where cores are free: compare the load above with the number of cores.",
        "The command's time includes its start and the check of a sample. Its records are those of Codec.encode.",
    )


if __name__ == "__main__":
    main()
