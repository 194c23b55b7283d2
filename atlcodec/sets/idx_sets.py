"""The IDX files of a set, found by their names, and what their labels stand for.

    [emnist-letters-](train|t10k|test|val)-(images|labels)[-.]idx3-ubyte[.gz]

in any case, in a folder or up to two levels below it, and in a folder that is named like the file. `labels.txt` may
name the labels, a line for each from 0 on; EMNIST's `*-mapping.txt` is read, too."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets import idx, official
from atlcodec.sets.idx import IdxPart
from atlcodec.sets.parts import Found
from atlcodec.sets.splits import SPLITS, TEST, TRAIN, split_of

EXPECTED = "train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-... for the test, with or without .gz"
LEVELS = 2  # below the folder, where files are looked for
LARGEST_NAMES = 1 << 20  # bytes of labels.txt
LARGEST_SIDE = 4096  # of an image
EXPANDS = 1032  # what gzip makes of a byte at most
_NAME = re.compile(
    r"(?:(?P<prefix>.+)[-_.])?(?P<split>train|training|t10k|test|testing|val|valid|validation|dev)"
    r"[-_.](?P<kind>images?|labels?)[-_.]?idx\d[-_.](?:ubyte|u?byte|short|int|float|double)(?:\.gz)?",
    re.IGNORECASE,
)


class _Named(NamedTuple):
    """A file with such a name."""

    path: Path
    place: str  # the folder it is in, or the one that holds a folder named like it: relative, "" for the first
    prefix: str  # before the split, in lower case
    split: str
    kind: str  # "images" or "labels"


def find(path: Path) -> Found | None:
    """The set in a folder, or the one that a file belongs to; None if there is none. Raises `BadData`."""
    if not path.is_dir():
        return _of_file(path)
    named = sorted(_named(path), key=_preference)
    sets = {(one.place, one.prefix): None for one in named if one.kind == "images"}
    if len(sets) > 1:  # those in the folder itself come before those below it
        top = {key for key in sets if not key[0]}
        sets = {key: None for key in sets if not top or key in top}
    if len(sets) > 1:
        images = [str(one.path.relative_to(path)) for one in named if one.kind == "images"]
        raise BadData(f"{path}: holds {len(sets)} sets; name one of them by its file: {_some(images)}")
    if not sets:
        return None
    ((place, prefix),) = sets
    files: dict[tuple[str, str], Path] = {}
    for one in named:
        if (one.place, one.prefix) == (place, prefix):
            files.setdefault((one.split, one.kind), one.path)
    return _found(path, path / place, prefix, files)


def _of_file(path: Path) -> Found | None:
    with idx.opened(path) as file:
        if not idx.is_idx(file.read(4)):
            return None
    own = _parsed(path, "")
    if own is None:
        return _found(path, path.parent, "", {("", "images"): path})
    if own.kind == "labels":
        raise BadData(f"{path}: holds labels; name the file of the images")
    files = {
        (one.split, one.kind): one.path
        for one in sorted(_named(path.parent, levels=0), key=_preference, reverse=True)
        if one.prefix == own.prefix
    }
    return _found(path, path.parent, own.prefix, {**files, (own.split, "images"): path})


def _named(folder: Path, place: str = "", levels: int = LEVELS) -> Iterator[_Named]:
    """The files with such names in a folder and below it."""
    try:
        entries = sorted((entry for entry in os.scandir(folder / place) if entry.name[0] != "."), key=lambda e: e.name)
    except OSError:  # what can be read will do
        return
    for entry in entries:
        if entry.is_dir() and levels:
            yield from _named(folder, f"{place}{entry.name}/", levels - 1)
        elif entry.is_file() and (found := _parsed(Path(entry.path), place)):
            yield found


def _parsed(path: Path, place: str) -> _Named | None:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    above, _, folder = place.rstrip("/").rpartition("/")
    if _NAME.fullmatch(folder):  # a folder named like the file
        place = f"{above}/" if above else ""
    kind = "images" if found["kind"].lower().startswith("image") else "labels"
    return _Named(path, place, (found["prefix"] or "").lower(), split_of(found["split"]), kind)


def _preference(named: _Named) -> tuple[int, bool, str]:
    """The first of several files for the same images: the least deep, and rather not compressed."""
    return len(named.path.parts), named.path.suffix.lower() == ".gz", str(named.path)


def _found(given: Path, folder: Path, prefix: str, files: dict[tuple[str, str], Path]) -> Found:
    digests: dict[str, str] = {}
    parts, notes, labelled = list[IdxPart](), list[str](), dict[str, NDArray[np.int64]]()
    for split in (*SPLITS, ""):
        images, labels = files.get((split, "images")), files.get((split, "labels"))
        if images is None:
            continue
        header = _checked(images)
        if labels is None:
            wanted = images.name.replace("images", "labels").replace("idx3", "idx1")
            notes.append(f"no labels of {images.name}: {wanted} is missing" if split else f"no labels of {images.name}")
        else:
            labelled[split], digests[_digest_name(split, "labels")] = _labels(labels, header.shape[0], images)
        parts.append(IdxPart(split, images, header, labelled.get(split), _digest_name(split, "images"), digests))
    known = official.known(digests)
    names, used, said = (known.labels, None, []) if known else _label_names(folder, prefix, list(labelled.values()))
    classes, parts = _numbered(parts, names)
    if prefix.startswith("emnist"):
        said.append("EMNIST's images lie on their sides; --transpose (transpose=True) turns them")
    kept = {*files.values(), *([used] if used else [])}
    left_out = _left_out(given, kept) if given.is_dir() else ()
    return Found(tuple(parts), classes, (*notes, *said), left_out, known, digests)


def _checked(path: Path) -> idx.Header:
    header = idx.read_header(path)
    if header.dtype.itemsize != 1 or header.dtype.kind != "u":
        raise BadData(f"{path}: holds {header.dtype.newbyteorder('=')}; images must be bytes; save them as uint8")
    if len(header.shape) not in (3, 4) or (len(header.shape) == 4 and header.shape[3] not in (1, 3, 4)):
        sizes = " x ".join(map(str, header.shape))
        raise BadData(f"{path}: holds an array of {sizes}; images are number x rows x columns")
    if not all(1 <= side <= LARGEST_SIDE for side in header.shape[1:]):
        sizes = " x ".join(map(str, header.shape[1:]))
        raise BadData(f"{path}: holds images of {sizes}; they must have 1 to {LARGEST_SIDE} rows and columns")
    with path.open("rb") as file:
        most = (EXPANDS if file.read(2) == b"\x1f\x8b" else 1) * path.stat().st_size
    if math.prod(header.shape) > most:  # before anything is made of such a number
        raise BadData(f"{path}: is cut off: its header says {header.shape[0]} images, it has fewer")
    return header


def _labels(path: Path, count: int, images: Path) -> tuple[NDArray[np.int64], str]:
    array, digest = idx.read(path)
    if array.ndim == 2:  # QMNIST: the first column is the label, the others tell who wrote it
        array = array[:, 0]
    if array.dtype.kind not in "ui":
        raise BadData(f"{path}: holds {array.dtype}; labels must be integers")
    if array.shape != (count,):
        raise BadData(f"{path}: has {len(array)} labels, but {images.name} has {count} images")
    return array.astype(np.int64), digest


def _digest_name(split: str, kind: str) -> str:
    """The name of a file in a card, whatever its own is: that of MNIST's."""
    official_names = {
        (TRAIN, "images"): idx.FILES[0],
        (TRAIN, "labels"): idx.FILES[1],
        (TEST, "images"): idx.FILES[2],
        (TEST, "labels"): idx.FILES[3],
    }
    return official_names.get((split, kind), f"{split or 'all'}-{kind}")


def _numbered(parts: list[IdxPart], names: dict[int, str] | tuple[str, ...]) -> tuple[tuple[str, ...], list[IdxPart]]:
    """The names of the labels that occur, or of all that are known by name; and the parts with labels that count
    them."""
    occurring = sorted({int(n) for part in parts if part.labels is not None for n in np.unique(part.labels)})
    if isinstance(names, tuple):
        names = dict(enumerate(names))
    if missing := [number for number in occurring if names and number not in names]:
        raise BadData(f"{parts[0].path.parent}: has the label {missing[0]}, which labels.txt does not name")
    numbers = sorted(names) if names else occurring
    renumbered = [
        part
        if part.labels is None
        else IdxPart(
            part.split,
            part.path,
            part.header,
            np.searchsorted(np.array(numbers), part.labels).astype(np.int64),
            part.digest_name,
            part.digests,
        )
        for part in parts
    ]
    return tuple(names[number] if names else str(number) for number in numbers), renumbered


def _label_names(
    folder: Path, prefix: str, labels: list[NDArray[np.int64]]
) -> tuple[dict[int, str] | tuple[str, ...], Path | None, list[str]]:
    """What the labels stand for, from a file beside them; the file; and what the user must know."""
    if not labels:
        return (), None, []
    lowest, highest = min(int(one.min()) for one in labels), max(int(one.max()) for one in labels)
    mapping = next((path for path in sorted(folder.glob("*mapping.txt")) if path.name.lower().startswith(prefix)), None)
    if mapping and prefix:
        return _mapped(mapping), mapping, []
    path = folder / "labels.txt"
    if not path.is_file():
        return (), None, []
    names = _lines(path)
    if highest >= len(names):
        hint = "; add a first line for label 0" if lowest == 1 and highest == len(names) else ""
        raise BadData(f"{path}: has {len(names)} names, for labels 0 to {len(names) - 1}; labels go to {highest}{hint}")
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


def _lines(path: Path) -> list[str]:
    """The lines, without a byte order mark and without empty ones at the end."""
    try:
        if path.stat().st_size > LARGEST_NAMES:
            raise BadData(f"{path}: is larger than {LARGEST_NAMES} bytes")
        return path.read_text("utf-8-sig").rstrip("\r\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error


def _left_out(folder: Path, used: set[Path]) -> tuple[str, ...]:
    """What lies in the folder and is not used; a folder counts as one."""
    found = list[str]()

    def look(place: Path) -> None:
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            path = Path(entry.path)
            if path in used or entry.name[0] == ".":
                continue
            if entry.is_dir() and any(path in one.parents for one in used):
                look(path)
            else:
                found.append(f"{path.relative_to(folder)}{'/' if entry.is_dir() else ''}")

    look(folder)
    return tuple(found)


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
