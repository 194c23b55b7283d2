"""Folders of images, and sets of records with a list, for the tests. The fixtures are those of every room."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlcodec
from atlcodec.codec import Codec
from atlcodec.sets import manifest, sources
from drawings import Pixels
from kit import MNIST, put

Draw = Callable[[float], Pixels]
ORDER = ["1/b.png", "1/deep/er/c.png", "1/z.png", "10/a.png", "2/x.png", "2-x/a.png", "flat.png"]  # that of their parts


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
