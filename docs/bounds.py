"""Prints the lower bounds of the core's and the bridges' dependencies as pip takes them: `python docs/bounds.py`."""

from __future__ import annotations

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def bounds() -> list[str]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    return [each.replace(">=", "==") for each in (*project["dependencies"], *extras["arrow"], *extras["zarr"])]


if __name__ == "__main__":
    print(*bounds())
