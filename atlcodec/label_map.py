"""A map of labels: the labels of the tiles of an image, drawn over it in colours, with a legend below."""

from __future__ import annotations

import colorsys
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atlcodec.description import Description
from atlcodec.picture import encoded

Pixels = NDArray[np.uint8]

STRENGTH = 0.45  # of a label's colour over the image
FADED = 0.15  # for labels that are unsure
SIDE = 14  # pixels of a square of the legend, and the size of its letters
GAP = 6
LEAST = 160  # columns that the legend has at least
GOLDEN = 0.618034  # the hue goes on by this part of a turn, so that neighbours in the list differ


def draw(
    image: Pixels, described: Description, indices: NDArray[np.intp], sure: NDArray[np.bool_], labels: list[str]
) -> bytes:
    """A PNG file: the image with the colour of each tile's label over it, and a legend of the labels that it has, the
    most frequent first. A tile with the index -1 has no colour."""
    colours = np.array([_colour(number) for number in range(len(labels))], np.float32)
    grid = indices.reshape(described.rows, described.columns)
    strength = np.where(sure, STRENGTH, FADED).reshape(grid.shape)
    (down, across), made = described.steps, np.empty((*image.shape[:2], 3), np.uint8)
    for row in range(described.rows):
        top = row * down
        bottom = top + down if row < described.rows - 1 else described.height
        strip = image[top:bottom]
        part = np.repeat(strip[:, :, None], 3, axis=2) if strip.ndim == 2 else strip
        columns = np.minimum(np.arange(described.width) // across, described.columns - 1)
        known = (grid[row] >= 0)[columns]
        over = np.where(known, strength[row][columns], 0)[:, None]
        made[top:bottom] = np.rint(part * (1 - over) + colours[grid[row]][columns] * over)
    counts = Counter(index for index in indices.tolist() if index >= 0)
    return _with_legend(made, [(labels[k], _colour(k), count) for k, count in counts.most_common()])


def _colour(number: int) -> tuple[int, ...]:
    """The colour of the label with this number."""
    parts = colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.9 if number % 2 else 0.65, 0.95)
    return tuple(round(255 * part) for part in parts)


def _with_legend(image: Pixels, entries: list[tuple[str, tuple[int, ...], int]]) -> bytes:
    """The image, and below it a square and a line for each label, in as many columns as fit."""
    font = ImageFont.load_default(SIDE)
    lines = [f"{label} ({count})" for label, _, count in entries]
    room = max([LEAST, *(SIDE + 3 * GAP + int(font.getlength(line)) + 1 for line in lines)])
    width = max(image.shape[1], room)
    per_row = max(1, width // room)
    height = -(-len(lines) // per_row) * (SIDE + GAP) + GAP
    page = Image.new("RGB", (width, image.shape[0] + height), (255, 255, 255))
    page.paste(Image.fromarray(image), (0, 0))
    pen = ImageDraw.Draw(page)
    for number, (line, (_, colour, _)) in enumerate(zip(lines, entries, strict=True)):
        row, column = divmod(number, per_row)
        left, top = GAP + column * room, image.shape[0] + GAP + row * (SIDE + GAP)
        pen.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), fill=colour, outline=(0, 0, 0))
        pen.text((left + SIDE + GAP, top - 1), line, fill=(0, 0, 0), font=font)
    return encoded(np.asarray(page), "PNG")
