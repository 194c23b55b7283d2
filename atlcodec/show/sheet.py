"""A contact sheet: images in rows, their labels below them, and a table of confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atlcodec.errors import BadData
from atlcodec.picture import encoded
from atlcodec.show.captions import caption, figures, visible
from atlcodec.show.items import Item, Pixels, Tally
from atlcodec.show.panels import panels, smaller

WIDTH, MARGIN, GAP = 1000, 16, 10  # pixels
LETTERS, LINE = 13, 17  # height of letters, of a line
LEAST, MOST = 72, 480  # width of an image with its caption
LARGE = 84  # pixels that an image has at least, enlarged by a whole number
LARGEST = 100_000_000  # pixels of a sheet
WIDEST = 30  # labels of a table
PAPER, INK, FAINT, RED, RULE = (255, 255, 255), (24, 24, 27), (104, 104, 112), (190, 18, 30), (216, 216, 222)


class _Cell:
    """An image as it is drawn, and what is known of it."""

    def __init__(self, item: Item, image: Pixels | None, scale: int | None) -> None:
        self.item = item
        self.image = None if image is None else _scaled(item, image, scale)
        self.width = max(LEAST, 0 if self.image is None else self.image.shape[1])
        self.height = 0 if self.image is None else self.image.shape[0]


def check(items: Sequence[Item], title: str, scale: int | None) -> None:
    """Raise `BadData` if a sheet would be too large, before anything is decoded."""
    area = 0
    for item in items:
        height, width = item.grid.description.shape[:2] if item.grid else item.codec.shape[:2]
        larger = scale or max(1, LARGE // max(height, width))
        wide = min(MOST, width * larger * (1 if item.original is None else 3))
        area += (max(LEAST, wide) + GAP) * (height * larger + 2 * LINE + GAP)
    if area > LARGEST:
        raise BadData(f"{title}: a sheet of {len(items)} images is too large; give --limit, or write a page.html")


def draw(items: Sequence[Item], images: Sequence[Pixels | None], title: str, tally: Tally, scale: int | None) -> bytes:
    """The PNG file of a sheet of items that `check` accepted, and their pixels."""
    pen = _Pen()
    rows = _rows(_Cell(*both, scale) for both in zip(items, images, strict=True))
    heights = [_height(row) for row in rows]
    table = _Table(tally.pairs, pen)
    wide = max(sum(cell.width + GAP for cell in row) for row in rows) - GAP
    width = max(wide, table.width, min(WIDTH - 2 * MARGIN, pen.width(title))) + 2 * MARGIN
    height = 2 * MARGIN + LINE + GAP + sum(heights) + (table.height + 2 * GAP if table.labels else 0)
    page = Image.new("RGB", (width, height), PAPER)
    pen.on(page)
    pen.text((MARGIN, MARGIN), title, width - 2 * MARGIN)
    top = MARGIN + LINE + GAP
    for row, tall in zip(rows, heights, strict=True):
        left = MARGIN
        for cell in row:
            _draw(page, pen, cell, left, top)
            left += cell.width + GAP
        top += tall
    if table.labels:
        table.draw(pen, MARGIN, top + GAP)
    return encoded(np.asarray(page), "PNG", optimize=True)


def _scaled(item: Item, image: Pixels, scale: int | None) -> Pixels:
    made = panels(item, image)
    return smaller(made, MOST, scale or max(1, LARGE // max(image.shape[:2])))


def _rows(cells: Iterable[_Cell]) -> list[list[_Cell]]:
    """As many beside each other as fit."""
    rows: list[list[_Cell]] = [[]]
    left = WIDTH - 2 * MARGIN
    for cell in cells:
        if rows[-1] and cell.width > left:
            rows.append([])
            left = WIDTH - 2 * MARGIN
        rows[-1].append(cell)
        left -= cell.width + GAP
    return rows


def _height(row: list[_Cell]) -> int:
    """Of a row, with captions."""
    figured = any(figures(cell.item) for cell in row)
    return max(cell.height for cell in row) + 4 + (1 + figured) * LINE + GAP


def _draw(page: Image.Image, pen: _Pen, cell: _Cell, left: int, top: int) -> None:
    """One image and its caption. A wrong label has a red frame, too: not everyone sees colours."""
    item, below = cell.item, top + cell.height + 4
    if cell.image is not None:
        page.paste(Image.fromarray(cell.image), (left, top))
        if item.wrong:
            box = (left - 3, top - 3, left + cell.image.shape[1] + 2, top + cell.height + 2)
            pen.pen.rectangle(box, outline=RED, width=3)
    pen.text((left, below), caption(item), cell.width, RED if item.wrong else INK)
    pen.text((left, below + LINE), figures(item), cell.width, FAINT)


class _Pen:
    """Writes text that fits a width, in letters that the font has."""

    def __init__(self) -> None:
        self._font = ImageFont.load_default(LETTERS)
        self._missing = self._look("\uffff")
        self._known: dict[str, bool] = {}
        self.on(Image.new("RGB", (1, 1)))

    def on(self, page: Image.Image) -> None:
        self.pen = ImageDraw.Draw(page)

    def width(self, text: str) -> int:
        return int(self._font.getlength(self._shown(text))) + 1

    def text(self, at: tuple[int, int], text: str, width: int, colour: tuple[int, int, int] = INK) -> None:
        shown = self._shown(text)
        while shown and self._font.getlength(shown) > width:
            shown = shown.removesuffix("...")[:-1] + "..."
            if shown == "...":
                break
        self.pen.text(at, shown, fill=colour, font=self._font)

    def _shown(self, text: str) -> str:
        """Letters that the font lacks by their numbers: a row of equal boxes would say nothing."""
        return "".join(c if self._has(c) else f"\\u{ord(c):04x}" for c in visible(text))

    def _has(self, character: str) -> bool:
        if character not in self._known:
            self._known[character] = character == " " or self._look(character) != self._missing
        return self._known[character]

    def _look(self, character: str) -> bytes:
        mask = self._font.getmask(character)
        return bytes(mask) + repr(mask.size).encode()


class _Table:
    """Which true label was taken for which."""

    def __init__(self, pairs: Counter[tuple[str, str]], pen: _Pen) -> None:
        self._pairs = pairs
        self.labels = sorted({label for pair in pairs for label in pair})
        self._rows = sorted({true for true, _ in pairs})
        if len(self.labels) > WIDEST or all(true == label for true, label in pairs):
            self.labels = []
        texts = [*self.labels, *map(str, pairs.values())]
        self._cell = min(LEAST, max([24, *(pen.width(text) + 10 for text in texts)]))
        self._first = min(2 * LEAST, max([pen.width("true"), *map(pen.width, self.labels)]) + GAP)
        self.width = self._first + len(self.labels) * self._cell if self.labels else 0
        self.height = (len(self._rows) + 2) * LINE if self.labels else 0

    def draw(self, pen: _Pen, left: int, top: int) -> None:
        pen.text((left, top), "Rows: true labels. Columns: what the classifier says.", max(self.width, WIDTH), FAINT)
        top += LINE
        most = max(self._pairs.values())
        for column, label in enumerate(self.labels):
            pen.text((left + self._first + column * self._cell + 5, top), label, self._cell - 6, FAINT)
        for row, true in enumerate(self._rows, 1):
            pen.text((left, top + row * LINE), true, self._first - 6, FAINT)
            for column, label in enumerate(self.labels):
                count, x, y = self._pairs[true, label], left + self._first + column * self._cell, top + row * LINE
                shade = 0.08 + 0.5 * count / most if count else 0.0
                tint = (22, 120, 60) if true == label else RED
                fill = tuple(round(255 + (part - 255) * shade) for part in tint)
                pen.pen.rectangle((x, y, x + self._cell, y + LINE), fill=fill, outline=RULE)
                pen.text((x + 5, y + 1), str(count) if count else "", self._cell - 6)
