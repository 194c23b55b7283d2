"""Images in a terminal: each character is a half block, two pixels above each other in 24-bit colour."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from atlcodec.show.captions import caption, visible
from atlcodec.show.items import Item, Pixels
from atlcodec.show.panels import panels, smaller

HALF, GAP = "\u2580", 2  # upper half block; columns between two images
RESET, RED, FAINT = "\x1b[0m", "\x1b[1;31m", "\x1b[2m"
LEAST = 12  # columns of a caption


def lines(items: Sequence[Item], images: Sequence[Pixels | None], width: int, scale: int) -> Iterator[str]:
    """The lines of a sheet that is at most `width` columns wide. An image that is wider becomes smaller."""
    row: list[tuple[list[str], int]] = []
    for item, image in zip(items, images, strict=True):
        cell = _cell(item, image, width, scale)
        if row and sum(wide + GAP for _, wide in row) + cell[1] > width:
            yield from _row(row)
            row = []
        row.append(cell)
    yield from _row(row)


def _row(cells: list[tuple[list[str], int]]) -> Iterator[str]:
    """Cells beside each other, their captions in one line."""
    height = max((len(lines) for lines, _ in cells), default=0)
    for at in range(height):
        yield (" " * GAP).join(_line(lines, wide, at - height) for lines, wide in cells).rstrip(" ")


def _line(lines: list[str], wide: int, at: int) -> str:
    """A line of a cell, counted from its end."""
    return lines[at] if -at <= len(lines) else " " * wide


def _cell(item: Item, image: Pixels | None, width: int, scale: int) -> tuple[list[str], int]:
    """The lines of one image and its caption, and how many columns they take."""
    made = [] if image is None else halves(smaller(panels(item, image), width, scale))
    wide = min(width, max(LEAST, 0 if image is None else min(width, panels(item, image).shape[1] * scale)))
    text = fitted(visible(caption(item)), wide)
    padding = " " * (wide - columns(text))
    colour = RED if item.wrong else FAINT if item.unsure else ""
    inner = min(wide, 0 if image is None else panels(item, image).shape[1] * scale)
    made = [line + " " * (wide - inner) for line in made]
    return [*made, f"{colour}{text}{RESET if colour else ''}{padding}"], wide


def halves(image: Pixels) -> list[str]:
    """The lines of an image in colour, (rows, columns, 3). A last odd row has nothing below it."""
    made = []
    for top in range(0, len(image), 2):
        last: tuple[object, ...] = ()
        line = ""
        below: NDArray[np.uint8] | None = image[top + 1] if top + 1 < len(image) else None
        for column, upper in enumerate(image[top].tolist()):
            lower = None if below is None else below[column].tolist()
            if (upper, lower) != last:
                line += f"\x1b[38;2;{upper[0]};{upper[1]};{upper[2]}"
                line += ";49m" if lower is None else f";48;2;{lower[0]};{lower[1]};{lower[2]}m"
                last = (upper, lower)
            line += HALF
        made.append(line + RESET)
    return made


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """The text, cut to so many columns."""
    if columns(text) <= width:
        return text
    kept, used = "", 1  # the ellipsis
    for character in text:
        used += _width(character)
        if used > width:
            break
        kept += character
    return f"{kept}…"
