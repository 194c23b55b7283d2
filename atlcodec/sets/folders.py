"""Folders of image files, and the one rule that gives their splits and labels:

    LABEL/*                                     a label is the name of a folder, and may have folders below it
    train/LABEL/*, val/LABEL/*, test/LABEL/*    below the names of splits (`splits`), in any case and combination
    digits_train/LABEL/*, digits_test/LABEL/*   or below folders that differ in the name of the split alone

All of that may lie in a folder of its own, also with others beside it that have no images: `archive/train/LABEL/*`
beside `annotations/*.xml`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlcodec.sets.image_files import is_image
from atlcodec.sets.splits import found_in, split_of, words

Entries = list[os.DirEntry[str]]
# What systems put beside the user's files: copies for previews, waste, what macOS keeps of each file in an archive.
OF_SYSTEMS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"))


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

    def deeper(self, path: str) -> str:
        """The folder of a file, from that of its label on, if it is below that one; else ""."""
        prefix = next((prefix for prefix, _ in self.branches if path.startswith(prefix)), "")
        parts = path[len(prefix) :].split("/")[:-1]
        return "/".join(parts) if len(parts) > 1 else ""


def layout(folder: str) -> Layout:
    """The layout of a folder, from the names of its folders. Raises `OSError` if it cannot be listed."""
    prefix = ""
    while True:
        entries = _listed(os.path.join(folder, prefix))
        names = [entry.name for entry in entries if is_folder(entry) and not _of_system(entry)]
        if len(names) > 1:
            names = [name for name in names if has_images(os.path.join(folder, prefix, name))] or names
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
    """The folders of splits among these, with their splits; {} without any."""
    exact = {name: split for name in names if (split := split_of(name))}
    numbered = {name: split for name in names if (split := split_of(name.rstrip("0123456789")))}
    if len(set(numbered.values())) > 1:  # `train` and `test1`
        return numbered
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
    names = [entry.name for entry in entries if is_folder(entry)]
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
    return any(map(is_folder, entries)) and not any(map(is_image, entries))


def innermost(folder: Path) -> Path:
    """The folder itself, or the one in it, as long as that is all it has: archives have such wrappers."""
    seen = {_place(folder)}
    while True:
        entries = [entry for entry in _listed(str(folder)) if not _of_system(entry)]
        if len(entries) != 1 or not is_folder(entries[0]) or _place(entries[0].path) in seen:
            return folder
        folder = folder / entries[0].name
        seen.add(_place(folder))


def has_images(folder: str) -> bool:
    """Whether there is an image at any depth. True if the folder cannot be read: there may be."""
    try:
        return any(isinstance(entry, OSError) or is_image(entry) for _, entry in walk(folder))
    except OSError:
        return True


def walk(folder: str) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Everything below a folder that is neither hidden nor a folder, with its relative path, in the order of the paths'
    parts. A folder that cannot be read gives its error. Links to folders are followed, but for one that leads to a
    folder above it, which is given as it is; so are folders of systems, and, with a slash, empty ones."""
    around = {_place(path) for path in (Path(folder).resolve(), *Path(folder).resolve().parents)}
    stack = [("", iter(_listed(folder)), _place(folder))]
    while stack:
        prefix, entries, _ = stack[-1]
        for entry in entries:
            path = prefix + entry.name
            if not is_folder(entry):
                yield path, entry
                continue
            try:
                place = _place(entry.path)
                if place in around or any(place == other for _, _, other in stack):
                    yield path, entry
                    continue
                below = _listed(entry.path) if not _of_system(entry) else []
                if not below:
                    yield f"{path}/", entry
                    continue
                stack.append((f"{path}/", iter(below), place))
            except OSError as error:
                yield path, error
                continue
            break
        else:
            stack.pop()


def _place(path: str | Path) -> tuple[int, int]:
    """The same for all ways that lead to a folder."""
    info = os.stat(path)
    return info.st_dev, info.st_ino


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _of_system(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower() in OF_SYSTEMS


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def unused(folder: Path, used: Collection[Path]) -> tuple[str, ...]:
    """What lies in the folder of a set and is not used by it, relative; a folder in which nothing is used counts as
    one. Hidden files do not count."""
    found, kept = list[str](), {path.absolute() for path in used}

    def look(place: Path) -> None:
        for entry in _listed(str(place)):
            path = Path(entry.path)
            if path.absolute() in kept:
                continue
            if is_folder(entry) and any(path.absolute() in one.parents for one in kept):
                look(path)
            else:
                found.append(f"{path.relative_to(folder).as_posix()}{'/' if is_folder(entry) else ''}")

    look(folder)
    return tuple(found)


def _listed(folder: str) -> Entries:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
