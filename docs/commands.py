"""Prints the command reference of the site, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from atlcodec.cli import atlc

WIDTH = 84


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Of a command and of all below it."""
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from contexts(found, below, context)


def page() -> str:
    """What `--help` prints of each command."""
    parts = ["# Commands", "What `--help` prints. `python -m atlcodec` is the same as `atlc`."]
    for context in contexts(atlc, "atlc"):
        parts += [f"## {context.command_path}", f"```text\n{context.get_help()}\n```"]
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(page())
