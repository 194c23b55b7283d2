"""Options made from dataclasses of parameters, which hold their names, types, ranges, defaults and help."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])


def options(classes: Mapping[type[Any], str]) -> Callable[[F], F]:
    """An option for each field of the classes. A class comes with the text that says in the help what takes its
    fields. A field of several classes is one option."""
    found: dict[str, list[tuple[type[Any], Field[Any]]]] = {}
    for one in classes:
        for field in fields(one):
            found.setdefault(field.name, []).append((one, field))

    def decorate(command: F) -> F:
        for name, uses in reversed(found.items()):  # decorators apply from the last to the first
            cls, field = uses[0]
            assert all(other.default == field.default for _, other in uses), name
            by_help: dict[str, list[str]] = {}
            for one, use in uses:
                by_help.setdefault(use.metadata["help"], []).append(classes[one])
            text = " ".join(
                ", ".join(filter(None, users)) + ": " * any(users) + help for help, users in by_help.items()
            )
            command = click.option(
                "--" + name.replace("_", "-"),
                type=_type(get_type_hints(cls)[name], field),
                is_flag=isinstance(field.default, bool),
                default=field.default,
                show_default=True,
                help=text,
            )(command)
        return command

    return decorate


def output_options(command: F) -> F:
    """The options of a command that trains something: where it goes, and what its card says beside the recipe."""
    path = click.Path(path_type=Path)
    run_help = "Folder of checkpoint, metrics and curves. [default: OUTPUT.run]"
    licence_help = "Licence of the weights, for the card."
    for option in (
        click.option("-f", "--force", is_flag=True, help="Replace OUTPUT if it exists."),
        click.option("--licence", default="not stated", show_default=True, help=licence_help),
        click.option("--run", type=path, help=run_help),
        click.option("--name", help="Name, for the card. [default: the name of the folder]"),
        click.option("-o", "--output", required=True, type=path, help="Folder to write."),
    ):
        command = option(command)
    return command


def _type(annotation: type[Any], field: Field[Any]) -> Any:
    choices, least, most, above = (field.metadata[key] for key in ("choices", "least", "most", "above"))
    if choices:
        return click.Choice(choices)
    if annotation is int and (least, most) != (None, None):
        return click.IntRange(least, most)
    if annotation is float:
        return click.FloatRange(above if least is None else least, most, min_open=above is not None)
    return annotation


def asked(ctx: click.Context) -> dict[str, Any]:
    """The parameters that the user gave, without those that have their defaults."""
    return {
        name: value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def filled(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """The dataclass with those of the values that are its fields."""
    return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


def command_line(
    ctx: click.Context, paths: Collection[str], *, also: Collection[str] = (), without: Collection[str] = ()
) -> str:
    """The command for the card: what the user gave, with the `paths` by name alone; also these parameters, and without
    those."""
    words, given = [ctx.command_path], asked(ctx) | {name: ctx.params[name] for name in also}
    for parameter in ctx.command.params:
        name = str(parameter.name)
        if name not in given or name in ("force", "run", *without) or _is_short(parameter):
            continue
        for value in given[name] if parameter.multiple else [given[name]]:
            words += [parameter.opts[-1], *map(shlex.quote, _words(parameter, value, name in paths))]
    return " ".join(words)


def _words(parameter: click.Parameter, value: Any, is_path: bool) -> list[str]:
    """The value of an option, as you would type it."""
    if value is True:
        return []
    if isinstance(value, tuple):  # several numbers, or a shape
        return [str(each) for each in value] if parameter.nargs > 1 else ["x".join(map(str, value))]
    return [Path(value).resolve().name if is_path else str(value)]


def _is_short(parameter: click.Parameter) -> bool:
    """Whether it is short for a value of another option, which the card names instead."""
    return isinstance(parameter, click.Option) and parameter.is_flag and isinstance(parameter.flag_value, str)
