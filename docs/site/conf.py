"""The site of documentation: `make docs`. The whole repository is its source, so that links between pages work as they
do on a hosting site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import atlcodec

ROOT = Path(__file__).parents[2]

project = "atlcodec"
author = "the atlcodec developers"
copyright = author
release = atlcodec.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/**", "web/README.md", "benchmarks/results/*.md"]
exclude_patterns = ["build", ".*", "docs/*.py", "docs/site/*.py"]
myst_heading_anchors = 4  # as hosting sites make them
html_theme = "alabaster"
html_theme_options = {  # room for 100 columns of code
    "page_width": "1200px",
    "body_max_width": "930px",
    "sidebar_width": "230px",
    "code_font_size": "0.85em",
}
smartquotes = False  # it makes a dash of the two in --json
html_static_path = ["static"]
html_show_sourcelink = False
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "Bytes", "Images", "Records", "Scores", "Shape")}
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_use_legacy_class_based = False


def readable(text: str) -> str:
    """A paragraph of a docstring, which is plain text, as reStructuredText."""
    parts = re.split(r"(`[^`]+`)", text)
    for number, part in enumerate(parts):
        if number % 2:
            after = "\\ " if re.match(r"\w", parts[number + 1]) else ""  # `name`s: markup needs an end
            parts[number] = f"`{part}`{after}"
        else:
            parts[number] = re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part)
    return "".join(parts)


def convert(lines: list[str]) -> list[str]:
    """The lines of a docstring: paragraphs, and indented ones, which are shown as they are."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    found: list[str] = []
    for paragraph in paragraphs:
        rows = paragraph.split("\n")
        if found_items := items(rows):
            found += [f"* ``{name}``: {readable(text)}" for name, text in found_items] + [""]
        elif any(row.startswith(("  ", ">>>")) for row in rows):
            code = ".. code-block:: " + ("python" if is_python(rows) else "text")
            found += [code, "", *("    " + row for row in rows), ""]
        else:
            found += [*readable(paragraph).split("\n"), ""]
    return found


def items(rows: list[str]) -> list[tuple[str, str]]:
    """The names and texts of a table, whose texts may go on below; [] for others."""
    found: list[tuple[str, str]] = []
    for row in rows:
        if match := re.fullmatch(r" *(\w+) {2,}(\w.*)", row):
            found.append((match[1], match[2]))
        elif found and row.startswith(" " * 8):
            found[-1] = found[-1][0], f"{found[-1][1]} {row.strip()}"
        else:
            return []
    return found


def is_python(rows: list[str]) -> bool:
    """Whether it is an example, not a table."""
    return any(re.search(r"^\s*(>>>|with |for |import )|\w\(|\w = ", row) for row in rows)


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = convert(lines)


def short_types(text: str) -> str:
    """Types as they stand in the code, not as Python shows them."""
    text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    text = re.sub(r"~?\b(?:\w+\.)+(?=\w+)", "", text)  # modules
    text = re.sub(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]", r"NDArray[\1]", text)
    return re.sub(r"<(function|object)[^,)]*>", "...", text)


def shorten(app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None) -> Any:
    return signature and short_types(signature), returns and short_types(returns)


def without_missing_pictures(app: Any, docname: str, content: list[str]) -> None:
    """A page of measurements may link to pictures that its program has not drawn here: their names stay."""
    folder = ROOT / Path(docname).parent

    def linked(match: re.Match[str]) -> str:
        return match[0] if (folder / match[2]).exists() else match[1]

    if docname.startswith("benchmarks/"):
        content[0] = re.sub(r"\[([^]]+)\]\(([\w.-]+\.png)\)", linked, content[0])


def setup(app: Any) -> None:
    app.connect("source-read", without_missing_pictures)
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", shorten)
