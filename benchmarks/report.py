"""The command line, tables and result files that all benchmarks share."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
HELP = {
    "rounds": "turns of each contestant",
    "model": "names, ids or paths",
    "batch": "images at a time",
    "pixels": "yes or no",
}
LOAD = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
Cell = str | int | float | None
Row = dict[str, Cell]  # by column


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, title: str, rows: Sequence[Mapping[str, Cell]], *notes: str) -> Table:
        """From rows whose keys are the columns; a cell may be missing. Notes may be wrapped over several lines."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        cells = [[row.get(column) for column in columns] for row in rows]
        return cls(title, columns, cells, [" ".join(note.split()) for note in notes])

    def markdown(self) -> str:
        rows = [self.columns, *(map(_text, row) for row in self.rows)]
        heading, *lines = (f"| {' | '.join(row)} |" for row in rows)
        rule = "|---" + "|---:" * (len(self.columns) - 1) + "|"
        notes = [*(f"- {note}" for note in self.notes), ""] if self.notes else []
        return "\n".join([f"## {self.title}", "", heading, rule, *lines, "", *notes])

    def content(self) -> dict[str, object]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


def _text(cell: Cell) -> str:
    """Large numbers without decimals, the others with two."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
    return "-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A command line with the folder of the results."""
    made = argparse.ArgumentParser(
        description=(doc or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    return made


def arguments(doc: str | None, images: int | None = None, **defaults: object) -> argparse.Namespace:
    """Parse the options of a benchmark: the number of images, the folder of a data set, and more with defaults.

    By default there are as many images as the results have."""
    made = parser(doc)
    made.add_argument("--data", metavar="DIR", help="data set, or the folder of all of them [$ATLC_DATA]")
    made.add_argument("-n", "--images", type=int, default=images, help="number of images")
    for name, default in defaults.items():
        many = isinstance(default, list)
        kind = type(default[0]) if isinstance(default, list) else type(default)
        made.add_argument(f"--{name}", type=kind, nargs="+" if many else None, default=default, help=HELP.get(name))
    options = made.parse_args()
    if options.images != images and options.output == RESULTS:
        made.error("a quick look does not replace the results: choose another folder with --output")
    options.output = options.output.resolve()
    return options


def publish(name: str, title: str, tables: Sequence[Table], output: Path, facts: Mapping[str, Cell] = {}) -> None:
    """Write the tables to NAME.md and NAME.json, and print them."""
    made = {**provenance(), **facts}
    facts_text = [f"- {key}: {value}" for key, value in made.items()]
    text = "\n".join([f"# {title}", "", *facts_text, "", *(table.markdown() for table in tables)])
    results = json.dumps({**made, "tables": [table.content() for table in tables]}, indent=1, ensure_ascii=False)
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.md").write_text(text.rstrip() + "\n", "utf-8")
    (output / f"{name}.json").write_text(results + "\n", "utf-8")
    print(text)


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
