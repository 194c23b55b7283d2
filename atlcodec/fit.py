"""How an image of any kind becomes one of a codec's shape: the same names as command line options and as keyword
arguments of `atlcodec.encode` and others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypedDict

How = Literal["contain", "cover", "stretch"]
Frame = int | Literal["all"]
HOWS: tuple[How, ...] = ("contain", "cover", "stretch")


class LookOptions(TypedDict, total=False):
    """Those fields of `Fit` that leave an image its size, for functions that take them as keyword arguments."""

    gray: bool
    background: str | None
    invert: bool
    range: tuple[float, float] | None
    frame: Frame | None
    transpose: bool


class FitOptions(LookOptions, total=False):
    """All fields of `Fit`."""

    fit: How | None


@dataclass(frozen=True)
class Fit:
    """What may be done to an image. The defaults refuse an image that would lose something.

    fit         for images of another size. contain: scale it into the shape, and fill the rest; cover: fill the shape,
                and cut off the rest; stretch: change its aspect ratio
    gray        where grey is wanted, take the luminance of colours; round 16 bits to 8; transparent parts become black
    background  behind transparent parts, and beside an image that is contained: black, white, another colour (#ff8000),
                or auto: black behind bright parts, white behind dark ones
    invert      black becomes white
    range       of 16-bit and floating-point values: the one that becomes black, and the one that becomes white
    frame       which frame of an animation, from 0; or all, where each frame becomes a record
    transpose   rows become columns: for EMNIST, whose letters lie on their sides

    Raises `ValueError` for a value that is not one of these."""

    fit: How | None = None
    gray: bool = False
    background: str | None = None
    invert: bool = False
    range: tuple[float, float] | None = None
    frame: Frame | None = None
    transpose: bool = False

    def __post_init__(self) -> None:
        if self.fit not in (None, *HOWS):
            raise ValueError(f"fit must be {', '.join(HOWS)} or None, not {self.fit!r}")
        if self.range is not None and not self.range[0] != self.range[1]:
            raise ValueError(f"range must be two different numbers, not {self.range!r}")
        if isinstance(self.frame, str) and self.frame != "all":
            raise ValueError(f"frame must be a number from 0, all or None, not {self.frame!r}")

    def asked(self) -> dict[str, object]:
        """The fields that are not their defaults."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }


NOTHING = Fit()  # may be done
