"""What the commands say at the terminal: messages, and progress of long work."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from atlcodec.errors import AtlcError

T = TypeVar("T")
QUIET = "atlcodec.quiet"  # a key of click's context
FEW = 20  # items: a progress bar for fewer would only flicker
EVERY = 0.1  # seconds between two drawings of it
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # of disks
SURE = 0.5  # seconds after which its estimate is of use


def log(message: str) -> None:
    """A line for the user: on stderr, so that stdout has nothing but results."""
    for bar in _drawn:
        bar.clear()
    click.echo(escape(message), err=True)


def require_output() -> None:
    """Raise `AtlcError` if standard output is closed: what a command prints would be lost without a word."""
    if sys.stdout is None:
        raise AtlcError("standard output: is closed")


def quiet() -> bool:
    """Whether the user asked for errors and warnings alone (-q)."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def tell(message: str) -> None:
    """A line about work that went well, which -q leaves out."""
    if not quiet():
        log(message)


def _be_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[QUIET] = value


quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_be_quiet,
    help="Print no progress and no results on stderr, only warnings and errors.",
)


def escape(text: str) -> str:
    """Text from outside, safe for a terminal: control characters and undecodable bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class ErrorCount:
    """Reports bad inputs, so that the command can do the others, and sets the exit code at the end.

    A full disk ends the command at once."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, message: object) -> None:
        self.count += 1
        log(f"atlc: {message}")
        cause = message.__cause__ if isinstance(message, AtlcError) else None
        if isinstance(cause, OSError) and cause.errno in FULL:  # the other outputs would fail, too
            self.exit()

    def exit(self) -> None:
        if self.count:
            sys.exit(1)


def progress(items: Iterable[T], label: str, length: int) -> Iterator[T]:
    """The items; with a bar on a terminal if there are many."""
    with meter(label) as show:
        for done, item in enumerate(items):
            show(done, length)
            yield item
        show(length, length)


@contextmanager
def meter(label: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many items are done, and of how many. On a terminal it draws a bar with the rate and
    the time left, if there are many."""
    bar = _Bar(label)
    _drawn.append(bar)
    try:
        yield bar.show
    finally:
        _drawn.remove(bar)
        bar.clear()


class _Bar:
    """One line on stderr that is drawn again and again: `encoding  4096/60000  7 %  512/s  1:49 left`."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun: float | None = None  # when the first number came: from there on, work is timed
        self._first = 0
        self._drawn, self._width = 0.0, 0

    def show(self, done: int, length: int) -> None:
        if quiet() or length < FEW or not sys.stderr.isatty():
            return
        now = time.monotonic()
        if self._begun is None:
            self._begun, self._first = now, done
        elif now - self._drawn < EVERY and done < length:
            return
        self._drawn = now
        line = f"{self._label}  {done}/{length}  {100 * done // length} %"
        passed = now - self._begun
        if done > self._first and passed >= SURE:  # the first items also load the networks
            rate = (done - self._first) / passed
            left = round((length - done) / rate)
            line += f"  {rate:,.0f}/s" if rate >= 10 else f"  {rate:.1f}/s"
            line += f"  {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left" if left else ""
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def clear(self) -> None:
        """Remove the line, so that another can be printed."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


_drawn: list[_Bar] = []
