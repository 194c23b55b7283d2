"""The options of `atlc encode`, `train` and `evaluate` for images of other sizes and kinds: the fields of `Fit`, and a
shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from atlcodec import shape
from atlcodec.fit import HOWS, Fit


class _Frame(click.ParamType):  # type: ignore[type-arg]
    """A number from 0, or all."""

    name = "frame"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "all" or value is None:
            return value
        if not str(value).lstrip("-").isdecimal():
            self.fail(f"{value!r} is neither a number nor all", param, ctx)
        return click.IntRange(0).convert(value, param, ctx)


OPTIONS = (
    click.option(
        "--fit",
        type=click.Choice(HOWS),
        help="For images of another size. contain: scale, with bars beside it; cover: cut off what is too much; "
        "stretch: change the shape.",
    ),
    click.option("--resize", "fit", flag_value="contain", help="The same as --fit contain."),
    click.option(
        "--gray", "--grey", is_flag=True, help="Convert colours to luminance, transparency to black, 16 bits to 8."
    ),
    click.option("--background", metavar="COLOUR", help="Behind transparent parts: black, white, #rrggbb, or auto."),
    click.option("--invert", is_flag=True, help="Make black white: for dark drawings on white."),
    click.option("--transpose", is_flag=True, help="Swap rows and columns, as EMNIST needs it."),
    click.option(
        "--range",
        type=(float, float),
        metavar="LOW HIGH",
        help="Of 16-bit and floating-point images: which value becomes black, and which white.",
    ),
    click.option(
        "--frame",
        type=_Frame(),
        metavar="N|all",
        help="Of an animation, take this frame, from 0; or all: each frame becomes a record.",
    ),
)


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def grid_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for images that are cut into tiles."""
    command = click.option(
        "--overlap",
        type=click.IntRange(0, 128),
        metavar="N",
        help="Pixels that neighbours in a grid share, which are blended. [default: 0 or 4, as the model needs it]",
    )(command)
    return click.option(
        "--grid", is_flag=True, help="Cut an image of any size into tiles: decode gives the same size back."
    )(command)


def fit_of(values: dict[str, Any]) -> Fit:
    """The `Fit` that the options ask for."""
    try:
        return Fit(**{field.name: values[field.name] for field in dataclasses.fields(Fit)})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


class ShapeType(click.ParamType[shape.Shape]):
    """HxW for grey, or HxWx3 for colours."""

    name = "shape"

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> shape.Shape:
        if isinstance(value, tuple):
            return value
        sides = [int(side) if side.isdecimal() else 0 for side in str(value).lower().split("x")]
        found = shape.of_list(sides)
        if found is None:
            least, most = shape.SIDES[0], shape.SIDES[-1]
            self.fail(f"{value!r} is not ROWSxCOLUMNS, or ROWSxCOLUMNSx3 for colours, with {least} to {most} of each")
        return found
