"""What the numbers of labels stand for, from a file beside IDX files: `labels.txt` has a line for each label, from 0
on; EMNIST's `*-mapping.txt` is read, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.manifest import counted, is_label

LARGEST = 1 << 20  # bytes of the file
NO_LABEL = -1


def find(
    folder: Path, prefix: str, labels: list[NDArray[np.int64]]
) -> tuple[dict[int, str] | tuple[str, ...], Path | None, list[str]]:
    """What the labels stand for, from a file beside them; the file; and what the user must know. Raises `BadData`."""
    labels = [some for one in labels if len(some := one[one != NO_LABEL])]
    if not labels:
        return (), None, []
    lowest, highest = min(int(one.min()) for one in labels), max(int(one.max()) for one in labels)
    mapping = next((path for path in sorted(folder.glob("*mapping.txt")) if path.name.lower().startswith(prefix)), None)
    if mapping and prefix:
        return _mapped(mapping), mapping, []
    path = folder / "labels.txt"
    if not path.is_file():
        return (), None, []
    names = _names(path)
    if highest >= len(names):
        hint = "; name all, or rename the file to go on without names"
        hint = "; add a first line for label 0" if lowest == 1 and highest == len(names) else hint
        has = f"has {counted(len(names), 'name')}, for labels 0 to {len(names) - 1}"
        raise BadData(f"{path}: {has}; labels go to {highest}{hint}")
    if lowest > 0:
        said = f"labels are {lowest} to {highest}, and labels.txt counts from 0: label {lowest} is {names[lowest]!a}"
        return {n: names[n] for n in range(lowest, highest + 1)}, path, [said]
    return tuple(names[: highest + 1]), path, []


def _mapped(path: Path) -> dict[int, str]:
    """EMNIST's names: a line has a label, and the code of its character; maybe that of its small letter, too."""
    try:
        rows = [line.split() for line in _lines(path)]
        return {int(row[0]): chr(int(row[1])) for row in rows if row}
    except (ValueError, IndexError, OverflowError) as error:
        raise BadData(f"{path}: is not a mapping of EMNIST; rename it, to go on without it") from error


def _names(path: Path) -> list[str]:
    """The names in labels.txt, which must differ: two labels of one name would become one."""
    names, seen = _lines(path), dict[str, int]()
    if names == [""]:
        raise BadData(f"{path}: is empty; write a name for each label into it, or remove it")
    for line, name in enumerate(names, 1):
        if not name.strip():
            raise BadData(f"{path}: line {line}: is empty; a line names a label, from 0 on")
        if not is_label(name):
            raise BadData(f"{path}: line {line}: {name[:100]!a} is not a label: too long, or with control characters")
        first = seen.setdefault(name, line)
        if first != line:
            raise BadData(f"{path}: line {line}: names {name!a} again, as line {first}; two labels need two names")
    return names


def _lines(path: Path) -> list[str]:
    """The lines, without a byte order mark and without empty ones at the end."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadData(f"{path}: is larger than {LARGEST} bytes")
        return path.read_text("utf-8-sig").rstrip("\r\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error
