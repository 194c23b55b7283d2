"""What the commands share at the terminal: messages, progress, standard input and output, and the rules for outputs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import numpy as np

from atlcodec import atomic
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.paths import refuse_existing
from atlcodec.sets.record_set import RecordSet, open_with

T = TypeVar("T")
STANDARD = "-"  # standard input or output
FEW = 20  # items: a progress bar for fewer would only flicker


# -- messages ----------------------------------------------------------------------------------------------------------


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


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise AtlcError("standard input: is closed")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise AtlcError("standard output: is closed")
    if sys.stdout.isatty():
        raise AtlcError("standard output: is a terminal; name a file with -o, or use a pipe")
    return sys.stdout.buffer


def open_set(name: str, reader: Reader) -> RecordSet:
    """The records of a file or of standard input, and their list if there is one."""
    if name == STANDARD:
        data = standard_input().read()
        if 0 < len(data) < RECORD_BYTES:
            raise NotARecord(f"standard input: {len(data)} bytes, but a record has {RECORD_BYTES}")
        records = RecordSet(RecordFile(np.frombuffer(data, np.uint8), "standard input"), reader)
    else:
        records = open_with(reader, name)
    if not len(records) and not records.file.torn:
        log(f"{records.name}: is empty (no records)")
    return records


def refuse_twice(names: Sequence[str]) -> None:
    if names.count(STANDARD) > 1:
        raise click.UsageError("standard input can be read only once")


def is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def refuse_collisions(pairs: Iterable[tuple[str, str]], inputs: Iterable[str]) -> None:
    """Refuse two inputs with the same output, and an output that is an input, before any work."""
    taken: dict[Path, str] = {}
    sources = {Path(name).resolve() for name in inputs if name != STANDARD}
    for name, target in pairs:
        if target == STANDARD:
            continue
        place = Path(target).resolve()
        if place in taken:
            raise click.UsageError(
                f"{escape(taken[place])} and {escape(name)} would both be written to {escape(target)}"
            )
        if place in sources:
            raise click.UsageError(f"{escape(target)} is an input and would be overwritten")
        taken[place] = name


def make_folder(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AtlcError(f"{folder}: cannot create the folder ({error.strerror or error})") from error


def save(target: Path | str, data: bytes, overwrite: bool, inputs: Iterable[str] = (), *, sync: bool = True) -> None:
    """Write a file, whole or not at all; `-` is standard output. An input is never overwritten."""
    if target == STANDARD:
        output = standard_output()
        output.write(data)
        output.flush()
        return
    path = Path(target)
    refuse_existing(path, overwrite)
    if path.is_file() and path.resolve() in {Path(name).resolve() for name in inputs if name != STANDARD}:
        raise AtlcError(f"{path}: is an input and would be overwritten")
    with atomic.file(path, sync=sync) as file:
        file.write(data)
