"""What the benchmarks share: contestants timed in turns, and tables that say how they were made."""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

RESULTS = Path(__file__).parent / "results"
K = TypeVar("K", bound=Hashable)
Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        lines = [
            f"## {self.title}",
            "",
            "| " + " | ".join(self.columns) + " |",
            "|---" + "|---:" * (len(self.columns) - 1) + "|",
        ]
        lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes), *([""] if self.notes else [])])


def race(contestants: Mapping[K, Callable[[], object]], rounds: int, seconds: float) -> dict[K, float]:
    """Seconds per call of each contestant: the mean over one turn, and the best of its turns.

    All take a turn of `seconds` in every round, so that a slow spell of the computer does not fall on one of them
    alone, and every other round goes backwards, so that none always follows the same neighbour."""
    best = dict.fromkeys(contestants, math.inf)
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            call = contestants[name]
            call()  # not timed: the caches fill, and the threads of the one before come to rest
            calls, start = 0, time.perf_counter()
            while (taken := time.perf_counter() - start) < seconds or not calls:
                call()
                calls += 1
            best[name] = min(best[name], taken / calls)
    return best


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A command line with what every benchmark takes."""
    made = argparse.ArgumentParser(
        description=(doc or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    return made


def publish(
    name: str, title: str, tables: Sequence[Table], output: Path, facts: Mapping[str, Cell] | None = None
) -> None:
    """Write the tables to NAME.md and NAME.json, and print them."""
    made = {**provenance(), **(facts or {})}
    text = "\n".join(
        [
            f"# {title}",
            "",
            *(f"- {key}: {value}" for key, value in made.items()),
            "",
            *(table.markdown() for table in tables),
        ]
    )
    content = [
        {
            "title": table.title,
            "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
            "notes": list(table.notes),
        }
        for table in tables
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.md").write_text(text.rstrip() + "\n", "utf-8")
    (output / f"{name}.json").write_text(
        json.dumps({**made, "tables": content}, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    print(text)


def provenance() -> dict[str, Cell]:
    """Which command made a result, when, and on what."""
    return {
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_without_folder, sys.argv[1:])]),
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **{package: version(package) for package in ("atlcodec", "numpy", "onnxruntime", "pillow")},
    }


def _without_folder(argument: str) -> str:
    """An argument without the folders of the computer that ran it."""
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{Path(value).name}" if Path(value).is_absolute() else argument


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "darwin":
        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return asked.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _text(cell: Cell) -> str:
    """Large numbers without decimals, the others with two."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
