"""The command line, tables and result files that all benchmarks share."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
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
        rows = [self.columns, *([_text(cell) for cell in row] for row in self.rows)]
        heading, *lines = (f"| {' | '.join(row)} |" for row in rows)
        rule = "|---" + "|---:" * (len(self.columns) - 1) + "|"
        notes = [*(f"- {note}" for note in self.notes), ""] if self.notes else []
        return "\n".join([f"## {self.title}", "", heading, rule, *lines, "", *notes])


def _text(cell: Cell) -> str:
    """Large numbers without decimals, the others with two."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A command line with the options of every benchmark."""
    made = argparse.ArgumentParser(
        description=(doc or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    return made


def arguments(parser: argparse.ArgumentParser, images: int | None = None) -> argparse.Namespace:
    """Parse the command line with one more option: the number of images, by default as many as the results have."""
    parser.add_argument("-n", "--images", type=int, default=images, help="number of images; fewer for a quick look")
    options = parser.parse_args()
    if options.images != images and options.output == RESULTS:
        parser.error("a quick look does not replace the results: choose another folder with --output")
    return options


def publish(
    name: str, title: str, tables: Sequence[Table], output: Path, facts: Mapping[str, Cell] | None = None
) -> None:
    """Write the tables to NAME.md and NAME.json, and print them."""
    made = {**provenance(), **(facts or {})}
    facts_text = [f"- {key}: {value}" for key, value in made.items()]
    text = "\n".join([f"# {title}", "", *facts_text, "", *(table.markdown() for table in tables)])
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
    results = json.dumps({**made, "tables": content}, indent=1, ensure_ascii=False)
    (output / f"{name}.json").write_text(results + "\n", "utf-8")
    print(text)


def provenance() -> dict[str, Cell]:
    """The command that made a result, its date and its machine."""
    return {
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_without_folder, sys.argv[1:])]),
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **{package: version(package) for package in ("atlcodec", "numpy", "onnxruntime", "pillow")},
    }


def _without_folder(argument: str) -> str:
    """An argument without the folders of this machine."""
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{Path(value).name}" if Path(value).is_absolute() else argument


def _processor() -> str:
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
