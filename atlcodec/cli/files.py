"""Inputs and outputs of the commands: standard input and output, names of outputs, and what is never overwritten."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import numpy as np

from atlcodec import atomic
from atlcodec.cli.common import escape, log
from atlcodec.cli.help import complete_files
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import PARQUET, RecordFile, read_stream
from atlcodec.reader import Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.paths import is_device, refuse_existing
from atlcodec.sets.record_set import RecordSet, open_with
from atlcodec.stream import RecordStream

F = TypeVar("F", bound=Callable[..., Any])
STANDARD = "-"  # standard input or output


# -- inputs ------------------------------------------------------------------------------------------------------------


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise AtlcError("standard input: is closed")
    return sys.stdin.buffer


def open_set(name: str, reader: Reader, *, whole: bool = False) -> RecordSet:
    """The records of a file, of a folder of Parquet files, or of standard input, and their list if there is one. Those
    of a pipe or a device come as they arrive, unless the `whole` of them is needed at once."""
    if name != STANDARD and not is_device(name):
        records = open_with(reader, name)
        if records.note:
            log(f"atlc: warning: {records.note}")
        if not len(records) and not records.file.torn:
            log(f"{name}: is empty (no records)")
        return records
    shown = "standard input" if name == STANDARD else name
    try:
        stream = standard_input() if name == STANDARD else io.FileIO(name)
    except OSError as error:
        raise NotARecord(f"{name}: {error.strerror or error}") from error
    if not whole:
        return RecordSet(RecordStream(stream, shown, close=name != STANDARD), reader)
    try:
        data = read_stream(stream, shown)
    finally:
        if name != STANDARD:
            stream.close()
    if data[:4] == PARQUET:
        raise NotARecord(f"{shown}: is a Parquet file; save it as a file, and name that")
    if 0 < len(data) < RECORD_BYTES:
        raise NotARecord(f"{shown}: {len(data)} bytes, but a record has {RECORD_BYTES}")
    return RecordSet(RecordFile(np.frombuffer(data, np.uint8), shown), reader)


def after_reading(records: RecordSet) -> None:
    """What is known of a stream only when it has ended."""
    if isinstance(records.file, RecordStream) and not records.file.size:
        log(f"{records.name}: is empty (no records)")


files_from_option = click.option(
    "--files-from",
    metavar="FILE|-",
    shell_complete=complete_files,
    help="Read more names from a file, one a line, or divided by zero bytes, as find -print0 does it.",
)


def all_names(names: tuple[str, ...], files_from: str | None, metavar: str = "FILE...") -> tuple[str, ...]:
    """The names that were given, and those in a file. Raises a usage error without any, and for an empty one."""
    if "" in names:
        raise click.UsageError("an empty name is given where a file is expected")
    if files_from is not None:
        names = *names, *_listed_names(files_from)
        if not names:
            raise AtlcError(f"{'standard input' if files_from == STANDARD else files_from}: names no files")
        if files_from == STANDARD and STANDARD in names:
            raise click.UsageError("standard input has the names (--files-from -), so no file can come from it, too")
    if not names:
        raise click.UsageError(f"Missing argument '{metavar}'.")
    return names


def _listed_names(file: str) -> list[str]:
    try:
        data = standard_input().read() if file == STANDARD else Path(file).read_bytes()
    except OSError as error:
        raise AtlcError(f"{file}: {error.strerror or error}") from error
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(line) for line in lines if line]


def refuse_twice(names: Sequence[str]) -> None:
    if names.count(STANDARD) > 1:
        raise click.UsageError("standard input can be read only once")


# -- outputs -----------------------------------------------------------------------------------------------------------


def standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise AtlcError("standard output: is closed")
    if sys.stdout.isatty():
        raise AtlcError("cannot write binary data to a terminal; name a file with -o")
    return sys.stdout.buffer


def shown(target: str) -> str:
    return "standard output" if target == STANDARD else target


def not_empty(ctx: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """The name of an output; an empty one is a mistake of a script."""
    if output == "":
        raise click.BadParameter("is empty; name a file or a folder", ctx, parameter)
    return output


def output_option(metavar: str, help: str) -> Callable[[F], F]:
    """The option -o."""
    return click.option("-o", "--output", metavar=metavar, callback=not_empty, shell_complete=complete_files, help=help)


def is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def check_ending(output: str, endings: tuple[str, ...], *, many: bool) -> None:
    """Raise a usage error for the name of one output file that promises something else than records."""
    suffix = Path(output).suffix.lower()
    if output == STANDARD or is_device(output) or suffix in endings:
        return
    if suffix or len(endings) > 1:
        raise click.UsageError(
            f"{escape(output)}: encode writes records; name a file that ends in {' or '.join(endings)}"
        )
    if many:
        raise click.UsageError(f"{escape(output)}: end it in / for a folder, or in .atlc for one file")


def check_output(output: str | None, endings: tuple[str, ...], what: str) -> str:
    """The ending of an output that is one file; "" without one. Raises a usage error for another ending."""
    if output is None:
        return ""
    ending = Path(output).suffix.lower()
    if ending not in endings:
        raise click.UsageError(f"{escape(output)}: {what}; name a file that ends in {' or '.join(endings)}")
    return ending


def refuse_collisions(pairs: Iterable[tuple[str, str]], inputs: Iterable[str]) -> None:
    """Refuse two inputs with the same output, and an output that is an input, before any work."""
    taken: dict[Path, str] = {}
    sources = {_resolved(name) for name in inputs if name != STANDARD}
    for name, target in pairs:
        if target == STANDARD:
            continue
        place = _resolved(target)
        if place in taken:
            first = taken[place]
            if _resolved(first) == _resolved(name):
                raise click.UsageError(f"{escape(name)} is given twice")
            raise click.UsageError(f"{escape(first)} and {escape(name)} would both be written to {escape(target)}")
        if place in sources:
            raise click.UsageError(f"{escape(target)} is an input and would be overwritten")
        taken[place] = name


def exists(target: str) -> bool:
    """Whether there is a file, or a link to one."""
    try:
        return os.path.isfile(target)
    except ValueError:
        return False


def _resolved(name: str | Path) -> Path:
    """Without links; a loop of links, which leads nowhere, stays."""
    return Path(os.path.realpath(name))


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
    if path.is_file() and _resolved(path) in {_resolved(name) for name in inputs if name != STANDARD}:
        raise AtlcError(f"{path}: is an input and would be overwritten")
    with atomic.file(path, sync=sync) as file:
        file.write(data)
