"""Folders of image files, and the one rule that gives their splits and labels:

    LABEL/*                                     a label is the name of a folder, and may have folders below it
    train/LABEL/*, val/LABEL/*, test/LABEL/*    below the names of splits (`splits`), in any case and combination
    digits_train/LABEL/*, digits_test/LABEL/*   or below folders that differ in the name of the split alone

All of that may lie in a folder of its own: `archive/train/LABEL/*`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlcodec.sets.image_files import is_image
from atlcodec.sets.splits import found_in, split_of, words

Entries = list[os.DirEntry[str]]


@dataclass(frozen=True)
class Layout:
    """Where a folder has its labels: below these folders, each with its split. A folder is "" or ends with a slash."""

    branches: tuple[tuple[str, str], ...]

    def place(self, path: str) -> tuple[str, str | None]:
        """The split and the label of a file by its path, relative, with / between its folders. The label is None if
        the file is in no folder of a label."""
        for prefix, split in self.branches:
            if path.startswith(prefix):
                label, below, _ = path[len(prefix) :].partition("/")
                return split, label if below else None
        return "", None


def layout(folder: str) -> Layout:
    """The layout of a folder, from the names of its folders. Raises `OSError` if it cannot be listed."""
    prefix = ""
    while True:
        entries = _listed(os.path.join(folder, prefix))
        names = [entry.name for entry in entries if _is_folder(entry)]
        splits = _splits(os.path.join(folder, prefix), names)
        if splits:
            return Layout(tuple((_inner(folder, f"{prefix}{name}/"), split) for name, split in splits.items()))
        if len(names) != 1 or not _only_folders(os.path.join(folder, prefix), entries):
            return Layout(((prefix, ""),))
        below = f"{prefix}{names[0]}/"
        if not _only_folders(os.path.join(folder, below)):
            return Layout(((prefix, ""),))
        prefix = below


def _splits(folder: str, names: Sequence[str]) -> dict[str, str]:
    """The folders of splits among these, with their splits; {} if there are none."""
    exact = {name: split for name in names if (split := split_of(name))}
    if exact and (len(exact) == len(names) or len(set(exact.values())) > 1):
        return exact
    # A folder "train" beside "plane" and "car" is a label, unless it has labels itself.
    if exact and all(_only_folders(os.path.join(folder, name)) for name in exact):
        return exact
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        if split := found_in(name):
            alike.setdefault(tuple(word for word in words(name) if not split_of(word)), {})[name] = split
    return next((group for group in alike.values() if len(set(group.values())) > 1), {})


def _inner(folder: str, prefix: str) -> str:
    """A split's folder, or the one in it that has its name again: `train/train/`."""
    entries = _listed(os.path.join(folder, prefix))
    names = [entry.name for entry in entries if _is_folder(entry)]
    own = prefix.split("/")[-2]
    if len(names) == 1 and (names[0] == own or split_of(names[0])):
        return f"{prefix}{names[0]}/"
    return prefix


def _only_folders(folder: str, entries: Entries | None = None) -> bool:
    """Whether a folder has folders, and no images beside them."""
    try:
        entries = _listed(folder) if entries is None else entries
    except OSError:
        return False
    return any(map(_is_folder, entries)) and not any(map(is_image, entries))


def walk(folder: str) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Everything below a folder that is neither hidden nor a folder, with its relative path, in the order of the paths'
    parts. A folder that cannot be read gives its error. Links to folders are followed, but for one that leads to a
    folder above it, which is given as it is."""
    above = os.stat(folder)
    stack = [("", iter(_listed(folder)), (above.st_dev, above.st_ino))]
    while stack:
        prefix, entries, _ = stack[-1]
        for entry in entries:
            path = prefix + entry.name
            if not _is_folder(entry):
                yield path, entry
                continue
            try:
                info = os.stat(entry.path)
                place = info.st_dev, info.st_ino
                if any(place == other for _, _, other in stack):
                    yield path, entry
                    continue
                stack.append((f"{path}/", iter(_listed(entry.path)), place))
            except OSError as error:
                yield path, error
                continue
            break
        else:
            stack.pop()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _listed(folder: str) -> Entries:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
