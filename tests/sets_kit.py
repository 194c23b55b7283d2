"""Folders of images, and sets of records with a list, for the tests. The fixtures are those of every room."""

from __future__ import annotations

import gzip
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlcodec
from atlcodec.codec import Codec
from atlcodec.sets import manifest, sources
from drawings import Pixels
from kit import MNIST, environment, put

Draw = Callable[[float], Pixels]
ORDER = ["1/b.png", "1/deep/er/c.png", "1/z.png", "10/a.png", "2/x.png", "2-x/a.png", "flat.png"]  # that of their parts

DIES = """
import os, signal
from pathlib import Path
from atlcodec import files
from atlcodec.sets import journal, sources
sources.BATCH = 2

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def nth(function, number, then=die):
    calls = iter(range(1000))
    def counted(*arguments, **options):
        if next(calls) == number:
            return then(*arguments, **options)
        return function(*arguments, **options)
    return counted

def torn(self, batch, loaded, records, quality):
    with self.records.open("ab") as file:
        file.write(records.tobytes()[:333])
    with self.list.open("ab") as file:
        file.write(b"4,half a li")
    with self._log.open("ab") as file:
        file.write(b'{"stamp": "')
    die()

{patch}
from atlcodec.cli import main
main()
"""
MOMENTS = {  # and how many images are not encoded again
    "journal.Journal.add = nth(journal.Journal.add, 0)": 0,
    "journal.Journal.add = nth(journal.Journal.add, 2)": 3,
    "journal.Journal.add = nth(journal.Journal.add, 2, torn)": 3,
    "os.replace = nth(os.replace, 2)": 7,  # the log and the job were put in place before; now the list would be
    "os.replace = nth(os.replace, 3)": 7,  # the list is there, the records not
    "journal.Journal.remove = die": 7,
}


@pytest.fixture
def batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BATCH", 2)


@pytest.fixture
def images(draw: Draw) -> dict[str, Pixels]:
    """Sevens that differ, by path."""
    return {path: draw(number - 3) for number, path in enumerate(ORDER)}


@pytest.fixture
def folder(workplace: Path, images: dict[str, Pixels]) -> Path:
    for path in reversed(ORDER):  # made in another order than they are to be found
        put(Path("in", path), images[path])
    return Path("in")


def idx(array: Pixels) -> bytes:
    """An array as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, *, train: int = 30, test: int = 6, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", np.arange(count, dtype=np.uint8) % 3),
        ):
            raw = idx(array)
            path = folder / f"{name}-{kind}-ubyte"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(raw))
            else:
                path.write_bytes(raw)


def encoded(images: Iterator[Pixels] | list[Pixels], model: str = MNIST) -> bytes:
    """What the library makes of them."""
    atlcodec.write("expected", Codec.load(model).encode(np.stack(list(images))))
    data = Path("expected").read_bytes()
    Path("expected").unlink()
    return data


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C would, after so many batches."""
    from atlcodec.sets.journal import Journal

    add, left = Journal.add, iter([True] * count)

    def stopping(self: Journal, *arguments: Any) -> None:
        if not next(left, False):
            raise KeyboardInterrupt
        add(self, *arguments)

    monkeypatch.setattr(Journal, "add", stopping)


@pytest.fixture
def packed(workplace: Path, draw: Draw) -> Callable[..., None]:
    """set.atlc, of as many records as paths are given, and set.csv with these, as they are."""

    def pack(*paths: str) -> None:
        atlcodec.write("set.atlc", Codec.load(MNIST).encode(np.stack([draw(n) for n in range(len(paths))])))
        lines = [manifest.HEADER, *(f'{n},"{path}",' for n, path in enumerate(paths))]
        Path("set.csv").write_text("\n".join(lines) + "\n", "utf-8")

    return pack


def killed(patch: str, *arguments: str | Path) -> None:
    """Run `atlc` with these arguments, and let the patch kill it."""
    ran = subprocess.run(
        [sys.executable, "-c", DIES.replace("{patch}", patch), *map(str, arguments)],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
