"""IDX files: images and labels in the format of MNIST, gzip-compressed or not.

    0  0  8  rank | rank times a size, 32 bits big-endian | bytes: uint8 images (N, rows, columns), or labels (N,)

A folder has the files of `FILES`; the test files and the labels may be missing. `labels.txt` may name the labels."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.shape import SIDES, Shape

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
LARGEST = 1 << 30  # bytes of one decompressed file: a gzip bomb stops here
LARGEST_NAMES = 1 << 20  # bytes of labels.txt
_START = 16  # of the pixels: after the header of images


@dataclass(frozen=True)
class Part:
    """The training or the test images of a folder, not yet read: they may need more memory than there is."""

    name: str  # "train" or "test"
    path: Path  # of the images
    count: int
    shape: tuple[int, ...]  # of an image: rows, columns
    labels: NDArray[np.uint8] | None  # uint8 (count,)
    labels_digest: str  # SHA-256 of the decompressed labels; "" without labels

    def images(self, size: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The images from number `start` on, uint8 (up to `size`, *shape) at a time. Raises `BadData` if the file has
        fewer or more images than its header says."""
        pixels = math.prod(self.shape)
        with _opened(self.path) as file:
            file.seek(_START + start * pixels)
            for first in range(start, self.count, size):
                wanted = min(size, self.count - first) * pixels
                chunk = file.read(wanted)
                if len(chunk) != wanted:
                    raise BadData(f"{self.path}: is cut off: its header says {self.count} images, it has fewer")
                yield np.frombuffer(chunk, np.uint8).reshape(-1, *self.shape)
            if file.read(1):  # this also checks the checksum at the end of a compressed file
                raise BadData(f"{self.path}: is too long: its header says {self.count} images, it has more")


def find(folder: Path, name: str) -> Path | None:
    """The file of this name in a folder, compressed or not."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def read(path: Path) -> tuple[NDArray[np.uint8], str]:
    """A whole IDX file of bytes: the array, and the SHA-256 of the decompressed file. Raises `BadData`."""
    with _opened(path) as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BadData(f"{path}: larger than {LARGEST} bytes")
    shape, start = _header(raw, path)
    if len(raw) - start != math.prod(shape):
        says = " x ".join(map(str, shape))
        raise BadData(f"{path}: is cut off or too long: its header says {says} bytes, it has {len(raw) - start}")
    return np.frombuffer(raw, np.uint8, -1, start).reshape(shape), hashlib.sha256(raw).hexdigest()


def parts(folder: Path, wanted: Shape | None = None) -> list[Part]:
    """The training and the test images of a folder, those that exist. Their headers and labels are checked, and that
    all images have the shape that is wanted, or that of the first ones.

    Raises `BadData`."""
    found = []
    for name, images_name, labels_name in (("train", *FILES[:2]), ("test", *FILES[2:])):
        path, labels_path = find(folder, images_name), find(folder, labels_name)
        if path is None:
            continue
        with _opened(path) as file:
            (count, *shape), _ = _header(file.read(_START), path)
        if len(shape) != 2 or not all(side in SIDES for side in shape):
            raise BadData(
                f"{path}: has images of the shape {tuple(shape)}; atlcodec takes {SIDES[0]} to {SIDES[-1]} rows and "
                "columns"
            )
        wanted = wanted or tuple(shape)
        if tuple(shape) != wanted:
            raise BadData(f"{path}: has images of the shape {tuple(shape)}, not {wanted}")
        labels, digest = read(labels_path) if labels_path else (None, "")
        if labels is not None and labels.shape != (count,):
            raise BadData(f"{folder}: {count} images but {labels.shape} labels in {labels_name}")
        found.append(Part(name, path, count, tuple(shape), labels, digest))
    return found


def label_names(folder: Path, parts: Sequence[Part], names: Sequence[str] = ()) -> tuple[str, ...]:
    """What the labels stand for: the `names` that you give, or else the lines of labels.txt, or else the numbers.

    Raises `BadData` if a label has no name, or labels.txt cannot be read."""
    highest = max((int(part.labels.max()) for part in parts if part.labels is not None and part.count), default=-1)
    path = folder / "labels.txt"
    if not names and path.is_file() and highest >= 0:
        names = _lines(path)[: highest + 1]
    elif not names:
        names = [str(number) for number in range(highest + 1)]
    if highest >= len(names):
        raise BadData(f"{folder}: has the label {highest}, but labels.txt has only {len(names)} names")
    return tuple(names)


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST_NAMES:
            raise BadData(f"{path}: larger than {LARGEST_NAMES} bytes")
        return path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error


def _header(raw: bytes, path: Path) -> tuple[tuple[int, ...], int]:
    """The shape of the array, and where it starts."""
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or not 1 <= raw[3] <= 4 or len(raw) < 4 + 4 * raw[3]:
        raise BadData(f"{path}: not an IDX file of bytes")
    return tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4)), 4 + 4 * raw[3]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path}: cannot be read ({error}); fetch it again") from error
