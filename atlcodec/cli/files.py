"""Inputs and outputs of the commands: standard input and output, names of outputs, and what is never overwritten."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import click
import numpy as np

from atlcodec import atomic
from atlcodec.cli.common import escape, log
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import RecordFile, read_stream
from atlcodec.reader import Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.paths import is_device, refuse_existing
from atlcodec.sets.record_set import RecordSet, open_with

STANDARD = "-"  # standard input or output


# -- inputs ------------------------------------------------------------------------------------------------------------


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise AtlcError("standard input: is closed")
    return sys.stdin.buffer


def open_set(name: str, reader: Reader) -> RecordSet:
    """The records of a file or of standard input, and their list if there is one."""
    if name == STANDARD:
        data = read_stream(standard_input(), "standard input")
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


# -- outputs -----------------------------------------------------------------------------------------------------------


def standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise AtlcError("standard output: is closed")
    if sys.stdout.isatty():
        raise AtlcError("cannot write binary data to a terminal; name a file with -o")
    return sys.stdout.buffer


def shown(target: str) -> str:
    return "standard output" if target == STANDARD else target


def is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def check_ending(output: str, endings: tuple[str, ...], *, many: bool) -> None:
    """Raise a usage error for the name of one output file that promises something else than records."""
    suffix = Path(output).suffix.lower()
    if output == STANDARD or is_device(output) or suffix in endings:
        return
    if suffix:
        raise click.UsageError(
            f"{escape(output)}: encode writes records; name a file that ends in {' or '.join(endings)}"
        )
    if many:
        raise click.UsageError(f"{escape(output)}: end it in / for a folder, or in .atlc for one file")


def refuse_collisions(pairs: Iterable[tuple[str, str]], inputs: Iterable[str]) -> None:
    """Refuse two inputs with the same output, and an output that is an input, before any work."""
    taken: dict[Path, str] = {}
    sources = {Path(name).resolve() for name in inputs if name != STANDARD}
    for name, target in pairs:
        if target == STANDARD:
            continue
        place = Path(target).resolve()
        if place in taken:
            first = taken[place]
            if Path(first).resolve() == Path(name).resolve():
                raise click.UsageError(f"{escape(name)} is given twice")
            raise click.UsageError(f"{escape(first)} and {escape(name)} would both be written to {escape(target)}")
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
