"""The rows of a table of pixels: a block of lines to an array of numbers, and the texts of its other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.formats.csv_columns import Columns, fields, is_number
from atlcodec.sets.formats.csv_lines import Block

KINDS = (np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.float32))  # of the numbers of a table; each holds more


class Rows(NamedTuple):
    """The rows of a block: numbers (N, pixels), and the labels and splits as they are written there."""

    values: NDArray[Any]
    labels: list[str]
    usages: list[str]


def of(block: Block, columns: Columns, name: str) -> Rows:
    """The rows of a block. Raises `BadData` with the number of a wrong line."""
    text, line = block.text, block.line
    if columns.header and not block.offset:
        _, _, text = text.partition(b"\n")
        line += 1
    lines = text[:-1].split(b"\n") if text else []
    values: NDArray[Any] | None
    try:
        labels, usages, pixels = _cut(lines, columns)
        values = _digits(b"\n".join(pixels) + b"\n", columns) if pixels else None
    except (IndexError, UnicodeDecodeError):
        values = None
    if values is None:  # blank lines, quotes, signs, fractions, or something wrong
        labels, usages, values = _slowly(lines, columns, line, name)
    return Rows(values, labels, usages)


def kind_of(values: NDArray[Any]) -> int:
    """Which of `KINDS` these numbers need."""
    if not len(values):
        return 0
    if values.dtype == np.uint16:
        return int(values.max() > 255)
    low, high = float(values.min()), float(values.max())
    if low < -(2**31) or high >= 2**31 or not np.array_equal(values, np.rint(values)):
        return 2
    return int(low < 0 or high > 255)


def _cut(lines: Sequence[bytes], columns: Columns) -> tuple[list[str], list[str], list[bytes]]:
    """Labels, splits and pixels of lines whose pixels follow each other. Raises `IndexError` for others.

    What divides columns must not be within quotes: that, and their number, is not checked where `_digits` does it."""
    delimiter = columns.delimiter.encode()
    before, after = columns.pixels[0], columns.width - 1 - columns.pixels[-1]
    if not columns.run:
        raise IndexError
    if columns.inner and any(line.count(delimiter) != columns.width - 1 for line in lines):
        raise IndexError
    left = [line.split(delimiter, before) for line in lines]
    right = [row[before].rsplit(delimiter, after) for row in left]
    pixels = [row[0].strip().strip(b'"').strip() if columns.inner else row[0] for row in right]

    def texts(at: int | None) -> list[str]:
        if at is None:
            return []
        rows, place = (left, at) if at < before else (right, at - columns.width)
        found = [row[place].decode().strip().removeprefix('"').removesuffix('"') for row in rows]
        if any('"' in text for text in found):
            raise IndexError
        return found

    return texts(columns.label), texts(columns.usage), pixels


def _digits(text: bytes, columns: Columns) -> NDArray[np.uint16] | None:
    """Numbers of one to three digits, in quotes or not, and nothing else between them than what divides them; None for
    other text. It takes a fifth of the time of NumPy's parsers."""
    rows, data = text.count(b"\n"), np.frombuffer(text.replace(b'"', b""), np.uint8)
    digits = data - np.uint8(ord("0"))
    ends = np.flatnonzero(digits > 9)
    if len(ends) != rows * columns.count:
        return None
    between = data[ends].reshape(rows, columns.count)
    if not ((between[:, -1] == ord("\n")).all() and (between[:, :-1] == ord(columns.between)).all()):
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() < 1 or lengths.max() > 3:
        return None
    values = digits[ends - 1].astype(np.uint16)
    for length, worth in ((2, 10), (3, 100)):
        some = np.flatnonzero(lengths >= length)
        values[some] += digits[ends[some] - length] * np.uint16(worth)
    return values.reshape(rows, columns.count)


def _slowly(
    lines: Sequence[bytes], columns: Columns, line: int, name: str
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """The same for all lines, and what is wrong with them."""
    labels, usages, pixels, numbers = list[str](), list[str](), list[str](), list[int]()
    for number, raw in enumerate(lines, line):
        if not raw.strip():
            continue
        try:
            row = fields(raw.decode(), columns.delimiter)
        except UnicodeDecodeError as error:
            raise BadData(f"{name}: line {number}: is not UTF-8 text") from error
        if len(row) != columns.width:
            raise BadData(f"{name}: line {number}: has {len(row)} values, not {columns.width}")
        values = row[columns.pixels[0]].split() if columns.inner else [row[at] for at in columns.pixels]
        if len(values) != columns.count:
            raise BadData(f"{name}: line {number}: has {len(values)} pixels, not {columns.count}")
        numbers.append(number)
        pixels.append(columns.between.join(values))
        labels += [row[columns.label]] if columns.label is not None else []
        usages += [row[columns.usage]] if columns.usage is not None else []
    if not pixels:
        return labels, usages, np.empty((0, columns.count))
    try:
        found = np.loadtxt(pixels, np.float64, comments=None, delimiter=columns.between, ndmin=2)
    except ValueError:
        found = np.full((1, 1), np.nan)
    if not np.isfinite(found).all():
        raise _wrong(pixels, columns, numbers, name)
    return labels, usages, found


def _wrong(pixels: Sequence[str], columns: Columns, numbers: Sequence[int], name: str) -> BadData:
    """Which value is not a number."""
    for number, text in zip(numbers, pixels, strict=True):
        for at, value in enumerate(text.split(columns.between)):
            if not is_number(value):
                which = f"pixel {at}" if columns.inner else f"column {columns.pixels[at] + 1}"
                return BadData(f"{name}: line {number}: {which} is {value[:50]!a}, not a number")
    return BadData(f"{name}: line {numbers[0]}: has something else than numbers")
