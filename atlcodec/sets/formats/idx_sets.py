"""The IDX files of a set, found by their names, and what their labels stand for.

    [emnist-letters-](train|t10k|test|val)-(images|labels)[-.]idx3-ubyte[.gz]

in any case, in a folder or up to two levels below it, and in a folder that is named like the file. `label_names` reads
what names their labels."""

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
from atlcodec.sets import kinds, official
from atlcodec.sets.folders import is_file, is_folder
from atlcodec.sets.formats import idx, label_names
from atlcodec.sets.formats.idx import IdxPart
from atlcodec.sets.formats.label_names import NO_LABEL
from atlcodec.sets.formats.parts import Found
from atlcodec.sets.splits import SPLITS, TEST, TRAIN, split_of

EXPECTED = "train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-... for the test, with or without .gz"
LEVELS = 2  # below the folder, where files are looked for
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
    """The set in a folder, or the one that a file belongs to; None without any. Raises `BadData`."""
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
    return _found(path / place, prefix, files)


def _of_file(path: Path) -> Found | None:
    with idx.opened(path) as file:
        if not idx.is_idx(file.read(4)):
            return None
    own = _parsed(path, "")
    if own is None:
        return _found(path.parent, "", {("", "images"): path})
    if own.kind == "labels":
        raise BadData(f"{path}: holds labels; name the file of the images")
    files = {
        (one.split, one.kind): one.path
        for one in sorted(_named(path.parent, levels=0), key=_preference, reverse=True)
        if one.prefix == own.prefix
    }
    return _found(path.parent, own.prefix, {**files, (own.split, "images"): path})


def _named(folder: Path, place: str = "", levels: int = LEVELS) -> Iterator[_Named]:
    """The files with such names in a folder and below it."""
    try:
        entries = sorted((entry for entry in os.scandir(folder / place) if entry.name[0] != "."), key=lambda e: e.name)
    except OSError:  # what can be read will do
        return
    for entry in entries:
        if levels and is_folder(entry):
            yield from _named(folder, f"{place}{entry.name}/", levels - 1)
        elif is_file(entry) and (found := _parsed(Path(entry.path), place)):
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


def _found(folder: Path, prefix: str, files: dict[tuple[str, str], Path]) -> Found:
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
    names: dict[int, str] | tuple[str, ...]
    if known:
        names, used, said = known.labels, None, list[str]()
    else:
        names, used, said = label_names.find(folder, prefix, list(labelled.values()))
    classes, parts = _numbered(parts, names, used)
    if prefix.startswith("emnist"):
        said.append("EMNIST's images lie on their sides; --transpose (transpose=True) turns them")
    kept = {*files.values(), *([used] if used else [])}
    return Found(tuple(parts), classes, (*notes, *said), (), tuple(kept), known, digests)


def _checked(path: Path) -> idx.Header:
    if why := kinds.advice(path):
        raise BadData(f"{path}: {why}")
    header = idx.read_header(path)
    if header.dtype.itemsize != 1 or header.dtype.kind != "u":
        raise BadData(f"{path}: holds {header.dtype.newbyteorder('=')}; images must be bytes; save them as uint8")
    if len(header.shape) == 1:
        raise BadData(f"{path}: holds {header.shape[0]} numbers, as labels are; name the files of images and labels so")
    if len(header.shape) not in (3, 4) or (len(header.shape) == 4 and header.shape[3] not in (1, 3, 4)):
        raise BadData(f"{path}: holds an array of {_sizes(header.shape)}; images are number x rows x columns")
    if not all(1 <= side <= LARGEST_SIDE for side in header.shape[1:]):
        few = f"they must have 1 to {LARGEST_SIDE} rows and columns"
        raise BadData(f"{path}: holds images of {_sizes(header.shape[1:])}; {few}")
    with path.open("rb") as file:
        most = (EXPANDS if file.read(2) == b"\x1f\x8b" else 1) * path.stat().st_size
    if math.prod(header.shape) > most:  # before anything is made of such a number
        raise BadData(f"{path}: is cut off: its header says {header.shape[0]} images, it has fewer; get another copy")
    return header


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _labels(path: Path, count: int, images: Path) -> tuple[NDArray[np.int64], str]:
    array, digest = idx.read(path)
    if array.ndim == 2:  # QMNIST: the first column is the label, the others tell who wrote it
        array = array[:, 0]
    if array.ndim > 1:
        raise BadData(f"{path}: holds an array of {_sizes(array.shape)}; labels are one number for each image")
    if array.shape != (count,):
        get = "get the two files that belong together"
        raise BadData(f"{path}: has {len(array)} labels, but {images.name} has {count} images; {get}")
    if not np.isfinite(array).all() or not np.array_equal(array, np.trunc(array)):
        raise BadData(f"{path}: holds {array.dtype}, and not only whole numbers; labels must be whole numbers")
    whole: NDArray[np.int64] = array.astype(np.int64)
    if whole.min(initial=0) < NO_LABEL:
        raise BadData(f"{path}: has the label {whole.min()}; labels begin at 0; only {NO_LABEL} stands for no label")
    return whole, digest


def _digest_name(split: str, kind: str) -> str:
    """The name of a file in a card, for any name of its own: that of MNIST's."""
    official_names = {
        (TRAIN, "images"): idx.FILES[0],
        (TRAIN, "labels"): idx.FILES[1],
        (TEST, "images"): idx.FILES[2],
        (TEST, "labels"): idx.FILES[3],
    }
    return official_names.get((split, kind), f"{split or 'all'}-{kind}")


def _numbered(
    parts: list[IdxPart], names: dict[int, str] | tuple[str, ...], file: Path | None
) -> tuple[tuple[str, ...], list[IdxPart]]:
    """The names of the labels that occur, or of all that are known by name; and the parts with labels that count
    them."""
    every = {int(n) for part in parts if part.labels is not None for n in np.unique(part.labels)}
    occurring = sorted(every - {NO_LABEL})
    if isinstance(names, tuple):
        names = dict(enumerate(names))
    if missing := [number for number in occurring if names and number not in names]:
        raise BadData(f"{file}: does not name the label {missing[0]}; add it, or rename the file to do without")
    numbers = sorted(names) if names else occurring
    renumbered = [
        part
        if part.labels is None
        else IdxPart(
            part.split,
            part.path,
            part.header,
            np.where(part.labels == NO_LABEL, NO_LABEL, np.searchsorted(np.array(numbers), part.labels)),
            part.digest_name,
            part.digests,
        )
        for part in parts
    ]
    return tuple(names[number] if names else str(number) for number in numbers), renumbered


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
