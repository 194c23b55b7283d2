"""Ranges of the values in an exact network, and what its operators make of them: see `bounds.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import exact
from atlcodec.nodes import Node

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, multiples of `unit`, each of the shape of one row. `kind` is that of bytes, uint8 or int8;
    None for numbers.

    Numbers that were bytes know them: `raw` is the largest size of each byte and its kind, and `scale` is what it was
    multiplied with. Of weights, which are `constant`, `rows` tells whether each row has a scale. `rounded` is the value
    that a byte was rounded from, if that is always inside the range of bytes, with the scale and the zero."""

    low: Floats
    high: Floats
    unit: Floats
    kind: np.dtype[Any] | None = None
    raw: tuple[Floats, np.dtype[Any]] | None = None
    scale: Floats | None = None
    constant: bool = False
    rows: bool = False
    rounded: tuple[str, float, int] | None = None

    @property
    def largest(self) -> Floats:
        return np.maximum(np.abs(self.low), np.abs(self.high))


def product(a: Range, b: Range) -> tuple[Floats, Floats]:
    """The least and the largest product of two matrices; one is constant."""
    if a.constant:
        up, down = np.maximum(a.low, 0), np.minimum(a.low, 0)
        return up @ b.low + down @ b.high, up @ b.high + down @ b.low
    up, down = np.maximum(b.low, 0), np.minimum(b.low, 0)
    return a.low @ up + a.high @ down, a.high @ up + a.low @ down


def moved(x: Range, move: Callable[[Any], Any]) -> Range:
    """The same values elsewhere."""
    raw = None if x.raw is None else (move(x.raw[0]), x.raw[1])
    scale = None if x.scale is None else move(x.scale)
    return replace(x, low=move(x.low), high=move(x.high), unit=move(x.unit), raw=raw, scale=scale, rounded=None)


def total(a: Range, b: Range) -> Range:
    """Of two sums of numbers."""
    if a.low.shape != b.low.shape:
        raise ValueError("numbers of different shapes are added")
    return Range(a.low + b.low, a.high + b.high, np.minimum(a.unit, b.unit))


def plain(node: Node, x: Range, *more: Any) -> Range:
    """The operators without bounds of their own."""
    match node.operator:
        case "BitShift" | "BitwiseAnd" if np.broadcast_shapes(x.low.shape, more[0].shape) != x.low.shape:
            raise ValueError(f"{node.operator} changes the shape of a value")
        case "BitShift" if (more[0] > 7).any():
            raise ValueError("a shift by more than 7 bits")
        case "BitShift":
            return replace(x, low=x.low // (1 << more[0]), high=x.high // (1 << more[0]), rounded=None)
        case "BitwiseAnd":
            return replace(x, low=0 * x.low, high=np.minimum(x.high, more[0]), rounded=None)
        case "Add":
            return total(x, *more)
        case "Relu":
            return Range(np.maximum(x.low, 0), np.maximum(x.high, 0), x.unit)
        case "Round":
            return Range(np.rint(x.low), np.rint(x.high), np.maximum(x.unit, 1))
        case "Clip":
            least, most = (float(each) for each in more)
            if not least.is_integer() or not most.is_integer() or least > most:
                raise ValueError("the limits of a Clip are not whole numbers in order")
            low, high = np.clip(x.low, least, most), np.clip(x.high, least, most)
            return Range(low, high, np.minimum(x.unit, 1), x.kind)
        case "Concat":
            parts = [x, *more]
            low, high, unit = (
                np.concatenate([getattr(part, key) for part in parts], axis=node.integer("axis", 0))
                for key in ("low", "high", "unit")
            )
            return Range(low, high, unit, x.kind)
    return moved(x, lambda each: exact.MOVES[node.operator](node, each, *more))
