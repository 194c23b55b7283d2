"""What the commands share: messages, inputs, outputs, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from atlcodec import atomic, files, record
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from atlcodec.record import Records

T = TypeVar("T")
STANDARD = "-"  # standard input or output
SAMPLE = 1000  # pictures, spread over all, by which the model for many is chosen


def say(message: str) -> None:
    """A line for the person at the terminal: to stderr, so that stdout holds nothing but results."""
    click.echo(clean(message), err=True)


def clean(text: str) -> str:
    """Text from outside, safe for a terminal: control characters and undecodable bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class Tally:
    """Bad inputs are reported and the others go on; the exit code tells at the end."""

    def __init__(self) -> None:
        self.failures = 0

    def fail(self, message: object) -> None:
        self.failures += 1
        say(f"atlc: {message}")

    def exit(self) -> None:
        if self.failures:
            sys.exit(1)


def progress(items: Iterable[T], label: str, length: int) -> Iterator[T]:
    """The items, with a bar on a terminal if there are many, and none in a pipe."""
    if length < 20 or not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, length, label, file=sys.stderr, show_pos=True) as bar:
        yield from bar


@contextmanager
def meter(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A function to be told how many more are done: on a terminal a bar with the rate and the time left, if there are
    many."""
    if length < 20 or not sys.stderr.isatty():
        yield lambda count: None
        return
    begun = time.monotonic()

    def rate(done: int | None) -> str:
        return f"{done / max(time.monotonic() - begun, 1e-3):,.0f}/s" if done else ""

    bar: Any
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True, item_show_func=rate) as bar:
        yield lambda count: bar.update(count, bar.pos + count)


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise AtlcError("standard input: is closed")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise AtlcError("standard output: is closed")
    if sys.stdout.isatty():
        raise AtlcError("standard output: is a terminal; name a file with -o, or send it into a pipe")
    return sys.stdout.buffer


def refuse_twice(names: Sequence[str]) -> None:
    if names.count(STANDARD) > 1:
        raise click.UsageError("standard input can be read only once")


def is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def refuse_collisions(pairs: Iterable[tuple[str, str]], inputs: Iterable[str]) -> None:
    """Two inputs that want the same output, or an output that is an input, are refused before any work."""
    taken: dict[Path, str] = {}
    sources = {Path(name).resolve() for name in inputs if name != STANDARD}
    for name, target in pairs:
        if target == STANDARD:
            continue
        place = Path(target).resolve()
        if place in taken:
            raise click.UsageError(f"{clean(taken[place])} and {clean(name)} would both be written to {clean(target)}")
        if place in sources:
            raise click.UsageError(f"{clean(target)} is an input and would be overwritten")
        taken[place] = name


def refuse_existing(target: Path, force: bool, inputs: Iterable[str] = ()) -> None:
    """No file is overwritten without `force`, and no input in any case. Writing to a device or a pipe overwrites
    nothing."""
    if target.is_dir():
        raise AtlcError(f"{target}: is a folder")
    if not (target.is_file() or (target.is_symlink() and not target.exists())):
        return
    if not force:
        raise AtlcError(f"{target}: is there already; -f overwrites it")
    if target.resolve() in {Path(name).resolve() for name in inputs if name != STANDARD}:
        raise AtlcError(f"{target}: is an input and would be overwritten")


def make_folder(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AtlcError(f"{folder}: cannot be made a folder ({error.strerror or error})") from error


def save(target: Path | str, data: bytes, force: bool, inputs: Iterable[str] = (), *, sync: bool = True) -> None:
    """A whole file or none; `-` is standard output."""
    if target == STANDARD:
        output = standard_output()
        output.write(data)
        output.flush()
    else:
        refuse_existing(Path(target), force, inputs)
        with atomic.file(target, sync=sync) as file:
            file.write(data)


# -- records -----------------------------------------------------------------------------------------------------------


def open_records(name: str) -> RecordFile:
    if name.lower().endswith(".parquet"):
        from atlcodec import arrow

        return arrow.open(name)
    if name != STANDARD:
        return files.open(name)
    data = standard_input().read()
    if 0 < len(data) < record.RECORD_BYTES:
        raise NotARecord(f"standard input: {len(data)} bytes, but a record has {record.RECORD_BYTES}")
    return RecordFile(np.frombuffer(data, np.uint8), "standard input")


def results(
    reader: Reader, file: RecordFile, tally: Tally, function: Callable[[Codec, Records], NDArray[Any]]
) -> Iterator[tuple[list[tuple[int, Codec, NDArray[Any]]], bool]]:
    """`function` over the records of each codec: batches of record numbers, codecs and results, in the order of the
    records, and whether the numbers are certain. What cannot be read is reported, and the others go on."""
    batch: list[tuple[int, Codec, NDArray[Any]]] = []
    for part in reader.parts(file):
        if part.codec is None:
            tally.fail(f"{file.name}: {part.problem}")
            continue
        codec = part.codec
        try:
            made = function(codec, part.records)
            batch += [(n, codec, r) for n, r in zip(part.numbers.tolist(), made, strict=True)]
        except AtlcError as error:
            count = len(part.records)
            tally.fail(f"{file.name}: {count} record{'s' if count > 1 else ''} of {codec.name}: {error}")
        if not part.more:
            yield sorted(batch, key=lambda entry: entry[0]), part.in_step
            batch = []
