"""Whether exact networks give the same bits everywhere: versions of ONNX Runtime, processors, JavaScript, beside NumPy.

    python benchmarks/exactness.py [--records N] [--slow N] [--only TEXT] [--output DIR] [FILE.onnx ...]

Without a file, it takes all files of the bundled codecs that read records, and graphs of single products. Half of the
records are random, half of test images; before them come those that drive the sums of each layer to their extremes.
`backends.py` has the places; where one cannot be made, the result says why. What was measured is kept in
runs/exactness.json, and the records in runs/exactness, so that a stopped run goes on. Needs the extra `train`."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import backends
import exactness_worker
import extremes
import inputs
import numpy as np
import report
import torch
import unit_graphs
from backends import BackEnd, Missing
from numpy.typing import NDArray
from report import Cell, Known, Row, Table

from atlcodec import atomic, bounds, exact, graph, zoo

Records = NDArray[np.uint8]
Way = dict[str, Any]  # arguments of `exactness_worker.computed`

LEVELS = ("ORT_ENABLE_ALL", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_BASIC", "ORT_DISABLE_ALL")
BATCHES = (1, 2, 255, 256)
RECORDS, SLOW = 20_000, 500  # of native back ends, and of slow ones
FEW, TINY = 256, 24  # in all other ways
WRONG = "int8 weights, operands of 8 bits"
SATURATES = "Haswell (AVX2)"  # where those must differ


@dataclass(frozen=True)
class Job:
    """A file, its records and what they become. The first `extreme` records are those that were searched."""

    name: str
    file: bytes
    records: Records
    wanted: NDArray[Any]
    extreme: int

    def ways(self, kind: str, slow: int) -> list[Way]:
        """How a kind of back end computes it; the first way has the most records."""
        count, few = len(self.records) if kind == "native" else self.extreme + slow, self.extreme + FEW
        if kind == "native":
            others = [_way(level, batch=batch, count=few) for level, batch in itertools.product(LEVELS, BATCHES)]
            others += [_way(level, threads=2, batch=BATCHES[2], count=few) for level in LEVELS]
            others += [_way(level, packed=False, count=few) for level in LEVELS]
        else:
            others = [_way(level, batch=BATCHES[2], count=TINY) for level in LEVELS[1:]]
            others += [_way(LEVELS[0], batch=batch, count=TINY) for batch in BATCHES[:3]]
        return [_way(LEVELS[0], count=count), *others]

    @property
    def key(self) -> str:
        return hashlib.sha256(self.file + self.records.tobytes()).hexdigest()[:16]


def _way(level: str, threads: int = 1, packed: bool = True, batch: int = 256, count: int = 0) -> Way:
    return {"level": level, "threads": threads, "packed": packed, "batch": batch, "count": count}


# -- the files and their records ---------------------------------------------------------------------------------------


def job(name: str, file: bytes, records: Records, slow: int) -> Job:
    """NumPy says what is wanted of the records for slow back ends; ONNX Runtime without optimisation, of the others."""
    graph.check(file, name)
    print(f"{name}: {bounds.check(file, name)}", flush=True)
    source = Path(extremes.__file__).read_bytes()
    digest = hashlib.sha256(file + records.tobytes() + source + bytes(slow)).hexdigest()
    kept = backends.FOLDER / "jobs" / f"{digest[:16]}.npz"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        searched = extremes.records(file, name)
        first, rest = np.split(np.concatenate([searched, records]), [len(searched) + slow])
        wanted = exact.Network(file, name)(first)
        if len(rest):
            others = exactness_worker.computed(file, rest, **_way(LEVELS[-1], count=len(rest)))
            wanted = np.concatenate([wanted, others])
        with atomic.file(kept) as opened:
            np.savez(opened, searched=searched, wanted=wanted)
    with np.load(kept) as found:
        searched, wanted = found["searched"], found["wanted"]
    return Job(name, file, np.concatenate([searched, records]), wanted, len(searched))


def random_records(count: int) -> Records:
    records = np.random.default_rng(0).integers(0, 256, (count, 200)).astype(np.uint8)
    records[:2] = [[0], [255]][: len(records)]
    return records


def bundled(count: int, slow: int) -> list[Job]:
    """All files of the bundled codecs that read records; random records and real ones take turns."""
    made = list[Job]()
    for codec in inputs.bundled():
        images = inputs.labelled_set(codec.model.card.data[0]["name"], count // 2).test
        real = codec.encode(images, effort=0)
        records = np.stack([random_records(len(real)), real], axis=1).reshape(-1, 200)
        made.append(job(f"{codec.name}, decompressor", codec.model.file("decompressor"), records, slow))
        made += [job(f"{codec.name}, {name}", head.file(), records, slow) for name, head in _heads(codec)]
    return made


def _heads(codec: Any) -> list[tuple[str, Any]]:
    return list(zoo.heads(codec.model).items())


def products() -> list[Job]:
    made = list[Job]()
    for name, file, records in unit_graphs.all_products():
        bounds.check(file, name)
        made.append(Job(name, file, records, exact.Network(file, name)(records), len(records) - FEW))
    return made


def wrong() -> Job:
    file, records = unit_graphs.wrong_product()
    return Job(WRONG, file, records, exact.Network(file, WRONG)(records), len(records) - FEW)


# -- the places --------------------------------------------------------------------------------------------------------


def measured(place: BackEnd, command: list[str], job: Job, slow: int) -> dict[str, Any]:
    """What its worker says of a job."""
    with tempfile.TemporaryDirectory() as name:
        folder, ways = Path(name), job.ways(place.kind, slow)
        (folder / "file.onnx").write_bytes(job.file)
        (folder / "records").write_bytes(job.records.tobytes())
        (folder / "wanted").write_bytes(job.wanted.tobytes())
        about = {"length": job.records.shape[1], "shape": job.wanted.shape[1:], "type": job.wanted.dtype.name}
        (folder / "job.json").write_text(json.dumps({**about, "ways": ways}))
        done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{place.name}, {job.name}: {done.stderr.strip()[-500:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    first = job.wanted[: ways[0]["count"]]
    if not said["differ"] and said["sha256"] != hashlib.sha256(first.tobytes()).hexdigest():
        raise RuntimeError(f"{place.name}, {job.name}: no number differs, but the SHA-256 does")
    return said


def everywhere(jobs: list[Job], slow: int, only: str) -> tuple[dict[str, dict[str, Any]], list[Row], list[str]]:
    """What each place says of each job; a row for each place; and what is missing, and why."""
    found, rows, missing, known = dict[str, dict[str, Any]](), list[Row](), list[str](), Known("exactness")
    sources = b"".join(Path(each).read_bytes() for each in (backends.WORKER, backends.WORKER_JS))
    program = hashlib.sha256(sources).hexdigest()[:8]
    for place in backends.all_of_them():
        if only not in place.name:
            continue
        try:
            command = place.command()
        except Missing as error:
            missing.append(f"{place.name} is missing: {error}.")
            continue
        said = dict[str, Any]()
        for job in jobs:
            key = f"{place.name}, {job.name}, {job.key} {slow} {program}"
            said[job.name] = known.find(key, partial(measured, place, command, job, slow))
        found[place.name] = said
        rows.append(_place(place, [said[job.name] for job in jobs if job.name != WRONG]))
    return found, rows, missing


def _place(place: BackEnd, said: list[dict[str, Any]]) -> Row:
    return {
        "": place.name,
        "version": said[0]["version"],
        "machine": said[0]["machine"],
        "numbers": sum(each["compared"] for each in said),
        "differ": sum(each["differ"] for each in said),
    }


# -- what is published -------------------------------------------------------------------------------------------------


def row(job: Job, found: dict[str, dict[str, Any]]) -> Row:
    made: dict[str, Cell] = {"": job.name, "records": len(job.records)}
    made |= {place: said[job.name]["differ"] for place, said in found.items()}
    return {**made, "SHA-256": hashlib.sha256(job.wanted.tobytes()).hexdigest()[:16]}


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    records = random_records(options.records)
    files = [job(path.name, path.read_bytes(), records, options.slow) for path in options.files]
    files, units, bad = files or bundled(options.records, options.slow), products(), wrong()
    found, places, missing = everywhere([*files, *units, bad], options.slow, options.only)
    most, few = [row(each, found) for each in (*files, *units)], row(bad, found)
    notes = f"""Of each file, records that drive the sums of each layer to their extremes, and {options.records:,} more
        on native back ends, half of them random and half of test images, with each level of optimisation; with one and
        two threads, weights packed before or not and batches of {BATCHES}, {FEW} of them and all extreme ones. Emulated
        processors (qemu-user) and JavaScript compute {options.slow} and all extreme ones. What differs is counted over
        all ways."""
    tables = [
        Table("Back ends", places, *missing),
        Table("Numbers that differ from those of NumPy", most[: len(files)], notes),
        Table("Products of extremes: all weights are 127 or -127", most[len(files) :]),
        Table(
            "A graph that must differ, and that atlcodec refuses",
            [few],
            f"Under {SATURATES} two products are added in 16 bits: the check sees that.",
        ),
    ]
    if not options.files:
        report.publish("exactness", "The same bits everywhere", tables, options.output)
    else:
        print("\n".join(table.markdown() for table in tables))
    differ = any(each["differ"] for each in places)
    sys.exit(bool(differ or found.get(SATURATES, {WRONG: {"differ": 1}})[WRONG]["differ"] == 0))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--records", type=int, default=RECORDS, help="of each file, on native back ends")
    parser.add_argument("--slow", type=int, default=SLOW, help="of each file, on slow back ends")
    parser.add_argument("--only", default="", help="back ends whose names have this text")
    parser.add_argument("--output", type=Path, default=report.RESULTS, metavar="DIR")
    options = parser.parse_args()
    changed = (options.records, options.slow, options.only) != (RECORDS, SLOW, "")
    if changed and not options.files and options.output.resolve() == report.RESULTS.resolve():
        parser.error("a quick look does not replace the results: choose another folder with --output")
    return options


if __name__ == "__main__":
    main()
