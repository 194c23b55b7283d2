"""The site of documentation: `make docs`. The whole repository is its source, so that links between pages work as they
do on a hosting site."""

from __future__ import annotations

import re
from typing import Any

import atlcodec

project = "atlcodec"
author = "the atlcodec developers"
copyright = author
release = atlcodec.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/**", "benchmarks/results/*.md"]
exclude_patterns = ["build", ".*", "docs/*.py", "docs/site/*.py"]
myst_heading_anchors = 4  # as hosting sites make them
html_theme = "alabaster"
html_show_sourcelink = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_use_legacy_class_based = False


def readable(text: str) -> str:
    """A paragraph of a docstring, which is plain text, as reStructuredText."""
    parts = re.split(r"(`[^`]+`)", text)
    plain = [re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    found = [None] * len(parts)
    found[::2], found[1::2] = plain, code  # type: ignore[assignment]
    joined = "".join(map(str, found))
    return re.sub(r"``([^`]+)``(?=\w)", r"``\1``\\ ", joined)


def convert(lines: list[str]) -> list[str]:
    """The lines of a docstring: paragraphs, and indented ones, which are shown as they are."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    found: list[str] = []
    for paragraph in paragraphs:
        rows = paragraph.split("\n")
        if any(row.startswith(("  ", ">>>")) for row in rows):
            found += ["::", "", *("    " + row for row in rows), ""]
        else:
            found += [*readable(paragraph).split("\n"), ""]
    return found


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = convert(lines)


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", process)
