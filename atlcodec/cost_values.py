"""What the rules of costs speak of: the shape of a tensor, and a node with its inputs.

Small tensors of whole numbers are followed by value, because shapes are made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

FEW = 256  # elements of a tensor whose values are followed

Shape = tuple[int, ...]
Given = tuple[list[Shape], int]  # what a node gives, and its multiply-adds beyond one for each element


class Unfit(Exception):
    """Why a node is refused: the end of a sentence."""

    def __init__(self, why: str = "has inputs that do not fit") -> None:
        super().__init__(why)


@dataclass(frozen=True)
class Value:
    """A tensor: its shape, and its elements if they are few and known."""

    shape: Shape
    known: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """A node with its inputs; None for one that is left out."""

    operator: str
    inputs: list[Value | None]
    integers: dict[str, list[int]]
    texts: dict[str, str]
    outputs: int
    constant: Value | None

    def value(self, at: int) -> Value:
        found = self.inputs[at] if at < len(self.inputs) else None
        if found is None:
            raise Unfit("lacks an input")
        return found

    def given(self, at: int) -> bool:
        return at < len(self.inputs) and self.inputs[at] is not None

    def integer(self, name: str, default: int) -> int:
        (found,) = self.integers.get(name) or [default]
        return found

    def sizes(self, at: int, name: str = "") -> list[int] | None:
        """A list of whole numbers that an input or, in older operator sets, an attribute gives; None without one."""
        if not self.given(at):
            return self.integers.get(name) or None
        known = self.value(at).known
        if known is None or known.dtype.kind != "i":
            raise Unfit("takes a size from what it computes; a size must stand in the file")
        if name in self.integers:
            raise Unfit("has a size twice")
        return [int(number) for number in known.reshape(-1)]


def axis_of(axis: int, rank: int) -> int:
    """An axis as a number from 0 on."""
    if not -rank <= axis < rank:
        raise Unfit
    return axis % rank


def span(start: int, end: int, step: int, side: int) -> tuple[int, int | None, int]:
    """A slice in Python's terms. Raises `Unfit` for a step of 0."""
    if not step:
        raise Unfit
    if step < 0 and end < -side:
        return start, None, step
    return start, end, step
