"""What `--help` prints: a sentence and two examples first, then the options in groups. And what a shell completes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])
OTHERS = "Other options"


def group(title: str) -> Callable[[F], F]:
    """Put the options that stand below this line, up to the next group, under a title of the help."""

    def decorate(function: F) -> F:
        for option in getattr(function, "__click_params__", []):
            if isinstance(option, click.Option) and not hasattr(option, "group"):
                option.group = title  # type: ignore[attr-defined]
        return function

    return decorate


class Command(click.Command):
    """A command whose help has examples and groups of options."""

    def __init__(self, *arguments: Any, examples: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence, the examples, and then the rest."""
        first, _, rest = (self.help or "").partition("\n\n")
        click.Command.format_help_text(click.Command(None, help=first), ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        if rest.strip():
            click.Command.format_help_text(click.Command(None, help=rest), ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
        for title, records in sorted(groups.items(), key=lambda item: item[0] == OTHERS):
            with formatter.section("Options" if len(groups) == 1 else title):
                formatter.write_dl(records)


class Group(Command, click.Group):
    """A command with commands below it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class Effort(click.IntRange):
    """A number from 0 to 9."""

    name = "effort"

    def __init__(self) -> None:
        super().__init__(0, 9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).lstrip("-").isdecimal():
            self.fail(f"{value!r} is not a number from 0 (fast) to 9 (best)", param, ctx)
        return super().convert(value, param, ctx)


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The installed models whose names begin so; paths for what has a separator."""
    from atlcodec import zoo

    if "/" in incomplete or incomplete.startswith("."):
        return [CompletionItem(incomplete, type="dir")]
    names = [model.name for model in zoo.models().values()]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and folders. Without it, a shell that completes `atlc` would complete no names of files."""
    return [CompletionItem(incomplete, type="file")]


NAMES_DATA: dict[str, Any] = {"metavar": "DIR|NAME", "shell_complete": complete_files}


def model_option(
    help: str = "Read only records of this model: name, id or path. [default: any model]",
) -> Callable[[F], F]:
    """The option -m."""
    return click.option("-m", "--model", metavar="MODEL", shell_complete=complete_models, help=help)
