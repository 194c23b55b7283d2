"""Folders of image files, and the one rule that gives their labels: `LABEL/*`, or `train/LABEL/*` and `test/LABEL/*`,
where a label is the name of a folder and may have folders below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Layout:
    """Where a folder has its labels."""

    split: bool  # below `train` and `test`
    classes: tuple[str, ...]  # sorted: the folders below `train`, or below the folder itself
    fewest: int = 2  # folders: with fewer of them there are no labels

    def label(self, path: str) -> str | None:
        """The label of a file by its path, relative, with / between its folders. None if it is in no folder of a label,
        or if there are fewer than `fewest` labels."""
        return self.top(path) if len(self.classes) >= self.fewest else None

    def top(self, path: str) -> str | None:
        """The name of the folder of a file, which would be its label. None if it is in no such folder."""
        folders = path.split("/")[:-1]
        if self.split:
            folders = folders[1:] if folders[:1] and folders[0] in SPLITS else []
        return folders[0] if folders else None


def layout(folder: str, *, links: bool = False, fewest: int = 2) -> Layout:
    """The layout of a folder. `links=True` counts links to folders, too."""
    split = os.path.isdir(os.path.join(folder, SPLITS[0]))
    entries = _listed(os.path.join(folder, SPLITS[0]) if split else folder)
    return Layout(split, tuple(entry.name for entry in entries if entry.is_dir(follow_symlinks=links)), fewest)


def walk(folder: str, *, links: int = 0) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Everything below a folder that is neither hidden nor a folder, with its relative path, in the order of the paths'
    parts. A folder that cannot be read gives its error.

    Links to folders are followed in the first `links` levels; deeper ones are files of an unknown kind."""
    stack = [("", iter(_listed(folder)))]
    while stack:
        above, entries = stack[-1]
        for entry in entries:
            path = above + entry.name
            if not entry.is_dir(follow_symlinks=len(stack) <= links):
                yield path, entry
                continue
            try:
                stack.append((f"{path}/", iter(_listed(entry.path))))
            except OSError as error:
                yield path, error
                continue
            break
        else:
            stack.pop()


def _listed(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
