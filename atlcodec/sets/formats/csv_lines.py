"""The lines of a text file, gzip-compressed or not, in blocks of bounded size."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from atlcodec.errors import BadData
from atlcodec.sets.manifest import BOM

STEP = 1 << 20  # bytes read at a time
LONGEST_LINE = 16 << 20  # bytes: reading a line without an end stops here
GZIP = b"\x1f\x8b"  # the first bytes of a compressed file


class Block(NamedTuple):
    """Whole lines that follow each other, each with its line feed at the end; without carriage returns."""

    line: int  # the number of the first one, from 1 on
    offset: int  # of its first byte in the file
    text: bytes


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, decompressed if its first bytes say so. Raises `BadData`, also for errors inside the `with` block."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with cast(BinaryIO, gzip.GzipFile(fileobj=file)) as unpacked:
                yield unpacked
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadData(f"{path}: is cut off or damaged ({error}); get another copy") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error


def blocks(file: BinaryIO, path: Path, line: int = 1, offset: int = 0, step: int | None = None) -> Iterator[Block]:
    """The lines from this one on, which begins at this byte. Raises `BadData` if a line is too long."""
    file.seek(offset)
    pieces: list[bytes] = []  # of the line that has not ended yet
    waiting = 0
    while part := file.read(step or STEP):
        whole, end, rest = part.rpartition(b"\n")
        if end:
            text = b"".join((*pieces, whole, end))
            yield Block(line, offset, _plain(text, first=not offset))
            line, offset = line + text.count(b"\n"), offset + len(text)
            pieces, waiting = [], 0
        pieces.append(rest)
        waiting += len(rest)
        if waiting > LONGEST_LINE:
            raise BadData(f"{path}: line {line}: is longer than {LONGEST_LINE} bytes; is it a table?")
    if waiting:
        yield Block(line, offset, _plain(b"".join((*pieces, b"\n")), first=not offset))


def _plain(text: bytes, *, first: bool) -> bytes:
    if first:
        text = text.removeprefix(BOM)
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text
