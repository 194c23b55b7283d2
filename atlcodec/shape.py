"""The shape of a codec's images: (rows, columns) for grey, or (rows, columns, 3) for red, green and blue."""

from __future__ import annotations

Shape = tuple[int, ...]
SIDES = range(8, 257)  # rows and columns that the images of a codec may have
MEANING = f"[rows, columns], or [rows, columns, 3] for colours, with {SIDES[0]} to {SIDES[-1]} rows and columns"


def of_list(value: object) -> Shape | None:
    """The shape that a list in a card means; None if it means no shape."""
    if not isinstance(value, list) or len(value) < 2 or not all(type(side) is int for side in value):
        return None
    return tuple(value) if all(side in SIDES for side in value[:2]) and value[2:] in ([], [3]) else None
