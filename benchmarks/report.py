"""The command line, tables and result files that all benchmarks share."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from atlcodec import atomic

RESULTS = Path(__file__).parent / "results"
LOAD = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
T = TypeVar("T")
Cell = str | int | float | None
Row = dict[str, Cell]  # by column


class Table:
    """Rows by column; a cell may be missing. Notes may be wrapped over several lines."""

    def __init__(self, title: str, rows: Iterable[Mapping[str, Cell]], *notes: str) -> None:
        given = list(rows)
        columns = list(dict.fromkeys(column for row in given for column in row))
        self.title, self.notes = title, [" ".join(note.split()) for note in notes]
        self.rows: list[Row] = [{column: row.get(column) for column in columns} for row in given]

    def markdown(self) -> str:
        columns = list(self.rows[0])
        heading, *lines = (
            f"| {' | '.join(row)} |" for row in (columns, *(map(_text, row.values()) for row in self.rows))
        )
        rule = "|---" + "|---:" * (len(columns) - 1) + "|"
        notes = [*(f"- {note}" for note in self.notes), ""] if self.notes else []
        return "\n".join([f"## {self.title}", "", heading, rule, *lines, "", *notes])


def _text(cell: Cell) -> str:
    """Large numbers without decimals, the others with two."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
    return "-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|")


def arguments(doc: str | None, choices: Mapping[str, Any] = {}, **amounts: int) -> argparse.Namespace:
    """Parse the options of a benchmark, by their defaults. The results have the default `amounts`, as of images; less
    is a quick look."""
    description, how = (doc or "").split("\n\n")[0], argparse.ArgumentDefaultsHelpFormatter
    made = argparse.ArgumentParser(description=description, formatter_class=how)
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    for name, default in {**choices, **amounts}.items():
        told = "fewer for a quick look" if name in amounts else "see the program's first lines"
        made.add_argument(f"--{name}", type=type(default), default=default, help=told)
    options = made.parse_args()
    options.output = options.output.resolve()
    if options.output == RESULTS.resolve() and any(getattr(options, name) != amounts[name] for name in amounts):
        made.error("a quick look does not replace the results: choose another folder with --output")
    return options


def publish(
    name: str,
    title: str,
    tables: Sequence[Table],
    output: Path,
    facts: Mapping[str, Cell] = {},
    raw: Mapping[str, object] = {},
) -> None:
    """Write the tables to NAME.md and NAME.json, and print them. `raw` results go into NAME.json alone."""
    made = {**provenance(), **facts}
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in made.items()), ""]
    text = "\n".join([*lines, *(table.markdown() for table in tables)]).rstrip() + "\n"
    content = {**made, "tables": [vars(table) for table in tables], **raw}
    output.mkdir(parents=True, exist_ok=True)
    for kind, written in (("md", text), ("json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")):
        with atomic.file(output / f"{name}.{kind}") as file:
            file.write(written.encode())
    print(text)


class Known:
    """Figures by a key that says what they are of, kept in runs/NAME.json, so that a stopped run goes on."""

    def __init__(self, name: str) -> None:
        self._path = Path(__file__).parents[1] / "runs" / f"{name}.json"
        self._figures: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.is_file() else {}

    def find(self, key: str, measure: Callable[[], T]) -> T:
        if key not in self._figures:
            print(key, file=sys.stderr, flush=True)
            self._figures[key] = measure()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.file(self._path) as file:
                file.write(json.dumps(self._figures, indent=1).encode())
        found: T = self._figures[key]
        return found


def versions(*packages: str) -> dict[str, Cell]:
    return {package: version(package) for package in packages}


def provenance() -> dict[str, Cell]:
    """The command that made a result, its date and its machine, without the folders of this machine."""
    arguments = [Path(each).name if each.startswith("/") else each for each in sys.argv[1:]]
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments]),
        "date": datetime.date.today().isoformat(),
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load average before": LOAD,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **versions("atlcodec", "numpy", "onnxruntime", "pillow"),
    }
