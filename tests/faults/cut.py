"""A power cut: run a command, and keep of its folder only what it had synced when the power went.

    python cut.py SCENE AT KEPT      in the folder to work in; AT counts the calls that change names or sync

What was synced last of each file and of each folder's names is kept in memory. At the cut it is written to KEPT in two
forms, as two kinds of disks would have it: "strict", with the names as they were synced last; and "names", with all
names as they are, but of each file only what was synced. A command that ends before the cut is cut then."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from faults_kit import SCENES, enter, run  # noqa: E402

Names = dict[str, int]  # inodes


class Disk:
    def __init__(self, top: str, at: int, kept: Path) -> None:
        self.top, self.at, self.kept = top, at, kept
        self.calls = 0
        self.root = os.stat(top).st_ino
        self.files: dict[int, bytes] = {}  # what is on the disk
        self.folders: dict[int, Names] = {}
        self.open: list[int] = []  # so that no inode is used twice
        self.sync_all()

    def sync_all(self) -> None:
        for folder, _, files in os.walk(self.top):
            self.sync(folder)
            for file in files:
                self.sync(os.path.join(folder, file))

    def sync(self, path: str) -> None:
        opened = os.open(path, os.O_RDONLY)
        self.open.append(opened)
        info = os.fstat(opened)
        if stat.S_ISDIR(info.st_mode):
            self.folders[info.st_ino] = names(path)
        else:
            self.files[info.st_ino] = Path(path).read_bytes()

    def cut(self) -> None:
        """Write what is left, and end this process."""
        self.restore(self.root, self.kept / "strict", self.folders)
        current = {os.stat(folder).st_ino: names(folder) for folder, _, _ in os.walk(self.top)}
        self.restore(self.root, self.kept / "names", current)
        (self.kept / "calls").write_text(str(self.calls))
        os.kill(os.getpid(), signal.SIGKILL)

    def restore(self, inode: int, path: Path, folders: dict[int, Names]) -> None:
        path.mkdir(parents=True)
        for name, inner in folders.get(inode, {}).items():
            if inner in folders or inner in self.folders:
                self.restore(inner, path / name, folders)
            else:
                (path / name).write_bytes(self.files.get(inner, b""))

    def watch(self, function: Callable[..., Any], after: Callable[..., None] | None = None) -> Callable[..., Any]:
        def both(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                self.cut()
            result = function(*arguments, **named)
            if after is not None:
                after(*arguments)
            return result

        return both

    def synced(self, opened: int) -> None:
        path = os.readlink(f"/proc/self/fd/{opened}")
        if path.startswith(self.top):
            self.sync(path)


def names(folder: str) -> Names:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}


def main(scene: str, at: str, kept: str) -> None:
    top = os.getcwd()
    enter(Path(top))
    disk = Disk(top, int(at), Path(kept))
    os.fsync = disk.watch(os.fsync, disk.synced)
    for name in ("replace", "rename", "unlink", "rmdir", "mkdir", "truncate"):
        setattr(os, name, disk.watch(getattr(os, name)))
    code = run(SCENES[scene].command)
    print("done", code, flush=True)
    disk.cut()


if __name__ == "__main__":
    main(*sys.argv[1:])
