"""What the commands say at the terminal: messages, and progress of long work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

T = TypeVar("T")
FEW = 20  # items: a progress bar for fewer would only flicker


def log(message: str) -> None:
    """A line for the user: on stderr, so that stdout has nothing but results."""
    click.echo(escape(message), err=True)


def escape(text: str) -> str:
    """Text from outside, safe for a terminal: control characters and undecodable bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class ErrorCount:
    """Reports bad inputs, so that the command can do the others, and sets the exit code at the end."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, message: object) -> None:
        self.count += 1
        log(f"atlc: {message}")

    def exit(self) -> None:
        if self.count:
            sys.exit(1)


def progress(items: Iterable[T], label: str, length: int) -> Iterator[T]:
    """The items; with a bar on a terminal if there are many."""
    if length < FEW or not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, length, label, file=sys.stderr, show_pos=True) as bar:
        yield from bar


@contextmanager
def meter(label: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many items are done, and of how many. On a terminal it draws a bar with the rate and
    the time left, if there are many."""
    bar: Any = None
    begun, first = 0.0, 0

    def show(done: int, length: int) -> None:
        nonlocal bar, begun, first
        if bar is None and length >= FEW and sys.stderr.isatty():
            begun, first = time.monotonic(), done
            bar = click.progressbar(
                length=length, label=label, file=sys.stderr, show_pos=True, item_show_func=lambda rate: rate
            ).__enter__()
        if bar is not None:
            rate = (done - first) / max(time.monotonic() - begun, 1e-3)
            bar.update(done - bar.pos, f"{rate:,.0f}/s" if rate else "")

    try:
        yield show
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
