"""Many image files, read into one array."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atlcodec import picture
from atlcodec.codec import Images
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.sets.losses import Losses
from atlcodec.shape import Shape

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .gif .webp .avif .heic .heif .tif .tiff .bmp .dib .pbm .pgm .ppm .pnm".split()
)

Wanted = tuple[str, int | None]  # a path, and the number of a frame if the file is an animation


class Read(NamedTuple):
    """The images that could be read, uint8 (N, *shape), by number what is wrong with the others, and what was lost. Of
    parts of large images, how many each file gave."""

    images: Images
    problems: dict[int, str]
    losses: Losses
    counts: list[int] | None = None


def read_files(root: str, wanted: list[Wanted], *, shape: Shape, how: Fit) -> Read:
    """The images of files below `root`. Frames of one file that follow each other are read together."""
    images, problems, losses = list[Images](), dict[int, str](), Losses()
    for number, path, found in _each(root, wanted, shape, how):
        if isinstance(found, AtlcError):
            problems[number] = str(found)
        else:
            images.append(found.pixels)
            losses.note(path, found)
    return Read(stack(images, shape), problems, losses)


def read_crops(root: str, wanted: list[Wanted], counts: list[int], *, shape: Shape, how: Fit) -> Read:
    """The same for parts of images at random places and scales, so many of each; they are always the same of the same
    path."""
    images, problems, made = list[Images](), dict[int, str](), list[int]()
    for number, ((path, _), count) in enumerate(zip(wanted, counts, strict=True)):
        generator = np.random.default_rng(zlib.crc32(path.encode("utf-8", "surrogateescape")))
        try:
            images.append(picture.crops(os.path.join(root, path), how, shape, count, generator))
            made.append(len(images[-1]))
        except AtlcError as error:
            problems[number] = str(error)
    return Read(np.concatenate(images) if images else stack([], shape), problems, Losses(), made)


def _each(root: str, wanted: list[Wanted], shape: Shape, how: Fit) -> Iterator[tuple[int, str, Prepared | AtlcError]]:
    """The number of each image, its name for messages, and the image, or why it cannot be read."""

    def of_file(path: str, items: list[tuple[int, Wanted]]) -> list[tuple[int, str, Prepared | AtlcError]]:
        full = os.path.join(root, path)
        numbers = [frame for _, (_, frame) in items if frame is not None]
        found: list[Prepared | AtlcError]
        try:
            if numbers:
                found = picture.frames(full, how, shape=shape, numbers=numbers)
            else:
                found = [picture.prepare(full, how, shape=shape)]
        except AtlcError as error:
            found = [error] * len(items)
        names = [full if frame is None else f"{full}: frame {frame}" for _, (_, frame) in items]
        return [(number, name, one) for (number, _), name, one in zip(items, names, found, strict=True)]

    groups = itertools.groupby(enumerate(wanted), key=lambda item: item[1][0])
    return itertools.chain.from_iterable(of_file(path, list(items)) for path, items in groups)


def numbered(path: str, frame: int, count: int) -> str:
    """The path of one frame of an animation: `cat/fly.gif` gives `cat/fly-0000.gif` for the first."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}-{frame:0{max(4, len(str(count - 1)))}d}{suffix}"


def stack(images: list[Images], shape: Shape) -> Images:
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)


def is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file has an image's name. False for a pipe, a device or a link to a folder. True for a broken link:
    reading it will say what is wrong."""
    if os.path.splitext(entry.name)[1].lower() not in SUFFIXES:
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True  # reading it will say why that is impossible
