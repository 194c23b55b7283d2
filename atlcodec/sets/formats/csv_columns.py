"""What the columns of a table of pixels mean, told from its first lines: which has the label, which have the pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from atlcodec.shape import SIDES

LABELS = ("label", "class", "target", "y", "digit", "letter", "emotion", "category")
USAGES = ("usage", "split")  # columns that name the split of a row
PIXELS = "pixels"  # the column that has all of them, with spaces between
EXPECTED = "a table of pixels has k*k or 3*k*k columns of them, with a label or not: label,pixel0,...,pixel783"
LOOKED_AT = 256  # rows
MOST_COLUMNS = 1 << 20
SHOWN = 60  # characters of a header in a message


@dataclass(frozen=True)
class Columns:
    """The columns of a table, counted from 0."""

    delimiter: str
    width: int
    header: bool
    pixels: tuple[int, ...]  # in the order of the image
    shape: tuple[int, ...]  # of an image
    label: int | None
    usage: int | None = None
    inner: bool = False  # the pixels are in one column, with spaces between
    left_out: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Pixels of an image, each colour counted."""
        return math.prod(self.shape)

    @property
    def between(self) -> str:
        """What divides the pixels."""
        return " " if self.inner else self.delimiter

    @property
    def run(self) -> bool:
        """Whether the pixels follow each other, so that the others can be cut off at both sides."""
        return self.pixels == tuple(range(self.pixels[0], self.pixels[0] + len(self.pixels)))


def of(text: bytes) -> Columns | str | None:
    """The columns of the table that begins with this text, some whole lines; or why it is not a table of pixels; or
    None, if it is not even text with columns."""
    if b"\0" in text:
        return None
    try:
        lines = [line.decode() for line in text.split(b"\n", LOOKED_AT + 1)[: LOOKED_AT + 1] if line.strip()]
    except UnicodeDecodeError:
        return None
    if not lines or not lines[0].replace("\t", " ").isprintable():
        return None
    delimiter = max(",;\t", key=lines[0].count)
    if delimiter not in lines[0]:
        return _spaced([PIXELS], lines, delimiter) if lines[0].strip().strip('"').lower() == PIXELS else None
    if lines[0].count(delimiter) >= MOST_COLUMNS:
        return f"has more than {MOST_COLUMNS} columns; {EXPECTED}"
    rows = [fields(line, delimiter) for line in lines]
    names = [name.strip() for name in rows[0]]
    low = [name.lower() for name in names]
    if PIXELS in low:
        return _spaced(names, lines, delimiter)
    if _is_header(low):
        return _named(names, delimiter, several=len(lines) > 1)
    return _unnamed(rows, delimiter)


def fields(line: str, delimiter: str) -> list[str]:
    """The columns of a line, without their quotes."""
    if '"' not in line:
        return line.split(delimiter)
    pieces = line.split('"')  # every second one is within quotes
    for at in range(0, len(pieces), 2):
        doubled = not pieces[at] and 0 < at < len(pieces) - 1
        pieces[at] = '"' if doubled else pieces[at].replace(delimiter, "\0")
    return "".join(pieces).split("\0")


def shape_of(count: int) -> tuple[int, ...] | None:
    """The shape of an image with so many values: (k, k) or (k, k, 3); None if there is no such k."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count and side >= SIDES[0]:
            return (side, side) if channels == 1 else (side, side, 3)
    return None


def _is_header(low: Sequence[str]) -> bool:
    """Whether the first row has names: one that we know, or texts, or the numbers of the pixels."""
    if any(name in (*LABELS, *USAGES) for name in low):
        return True
    numbers = [text for text in low if is_number(text)]
    texts = len(low) - len(numbers)
    if texts == 1 and (is_number(low[0]) != is_number(low[-1])):
        low = low[1:] if is_number(low[-1]) else low[:-1]  # it may be a label
    elif texts:
        return True
    return list(low) in ([f"{n}" for n in range(len(low))], [f"{n}" for n in range(1, len(low) + 1)])


def _named(names: list[str], delimiter: str, *, several: bool) -> Columns | str:
    """The columns by their names."""
    low = [name.lower() for name in names]
    label = next((low.index(name) for name in LABELS if name in low), None)
    usage = next((low.index(name) for name in USAGES if name in low), None)
    groups: dict[str, list[int]] = {}  # by what is left of their names without numbers
    for number, name in enumerate(low):
        if number not in (label, usage) and re.search(r"\d", name):
            groups.setdefault(re.sub(r"\d+", "#", name), []).append(number)
    pixels = max(groups.values(), key=len, default=[])
    shape = shape_of(len(pixels))
    if shape is None:
        return f"has {_counted(names)}; {EXPECTED}"
    if not several:
        return "has names of columns, but no rows below them"
    pixels.sort(key=lambda number: [int(digits) for digits in re.findall(r"\d+", low[number])])
    used = {*pixels, label, usage}
    left_out = tuple(f"column {name or number}" for number, name in enumerate(names) if number not in used)
    return Columns(delimiter, len(names), True, tuple(pixels), shape, label, usage, left_out=left_out)


def _unnamed(rows: list[list[str]], delimiter: str) -> Columns | str:
    """The columns by their number and what is in them."""
    width = len(rows[0])
    shape = shape_of(width)
    if shape is not None:
        return Columns(delimiter, width, False, tuple(range(width)), shape, None)
    shape = shape_of(width - 1)
    if shape is None:
        return f"has {_counted(rows[0])}; {EXPECTED}"
    last = _label_is_last([row for row in rows if len(row) == width])
    pixels = range(width - 1) if last else range(1, width)
    return Columns(delimiter, width, False, tuple(pixels), shape, width - 1 if last else 0)


def _label_is_last(rows: list[list[str]]) -> bool:
    """Whether the first column cannot be the label: the last one is text, or only the first one has fractions."""
    first, last = ([row[at].strip() for row in rows] for at in (0, -1))
    if not all(is_number(text) for text in last):
        return True
    if not all(is_number(text) for text in first):
        return False
    fractions = [any(float(text) % 1 for text in texts) for texts in (first, last)]
    return fractions[0] and not fractions[1]


def _spaced(names: list[str], lines: list[str], delimiter: str) -> Columns | str:
    """A table with one column of pixels, as FER2013 is."""
    low = [name.lower() for name in names]
    at = low.index(PIXELS)
    if len(lines) < 2:
        return "has names of columns, but no rows below them"
    row = fields(lines[1], delimiter)
    count = len(row[at].split()) if len(row) == len(names) else 0
    shape = shape_of(count)
    if shape is None:
        return f"line 2: its column {names[at]} has {count} values; {EXPECTED.replace('columns', 'values')}"
    label = next((low.index(name) for name in LABELS if name in low), None)
    usage = next((low.index(name) for name in USAGES if name in low), None)
    left_out = tuple(f"column {name or n}" for n, name in enumerate(names) if n not in (at, label, usage))
    return Columns(delimiter, len(names), True, (at,), shape, label, usage, True, left_out)


def _counted(names: list[str]) -> str:
    shown = ", ".join(name.strip() for name in names)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    return f"{len(names)} columns ({shown.encode('unicode_escape').decode()})"


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
