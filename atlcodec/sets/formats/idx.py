"""IDX files: images and labels in the format of MNIST, gzip-compressed or not, which the first two bytes tell.

    0  0  type  rank | rank times a size, 32 bits big-endian | values: bytes for images (N, rows, columns); labels (N,)

`idx_sets` finds the files of a set."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData, MissingFile

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # by the third byte
LARGEST = 1 << 30  # bytes of one decompressed file that is read whole: a gzip bomb stops here


class Header(NamedTuple):
    """The type of the values, the sizes of the array, and the bytes of the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class IdxPart:
    """The images of one split (`parts.Part`)."""

    split: str
    path: Path
    header: Header
    labels: NDArray[np.int64] | None
    digest_name: str  # under which the SHA-256 of the decompressed file goes into `digests`, once it was read whole
    digests: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.header.shape[0]

    def images(self, size: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """As in `parts.Part`: uint8 (up to `size`, rows, columns)."""
        shape, count, digest = self.header.shape[1:], len(self), hashlib.sha256()
        pixels = math.prod(shape)
        with opened(self.path) as file:
            digest.update(file.read(self.header.length))
            file.seek(self.header.length + start * pixels)
            for first in range(start, count, size):
                wanted = min(size, count - first) * pixels
                chunk = file.read(wanted)
                if len(chunk) != wanted:
                    raise BadData(f"{self.path}: is cut off: its header says {count} images, it has fewer")
                digest.update(chunk)
                yield np.frombuffer(chunk, np.uint8).reshape(-1, *shape)
            if file.read(1):  # this also checks the checksum at the end of a compressed file
                raise BadData(f"{self.path}: is too long: its header says {count} images, it has more")
        if not start:
            self.digests[self.digest_name] = digest.hexdigest()


def read(path: Path) -> tuple[NDArray[Any], str]:
    """A whole IDX file: the array, of any type, and the SHA-256 of the decompressed file. Raises `BadData`."""
    with opened(path) as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BadData(f"{path}: is larger than {LARGEST} bytes")
    dtype, shape, start = header(raw, path)
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) - start != expected:
        says = " x ".join(map(str, shape))
        raise BadData(
            f"{path}: is cut off or too long: its header says {says} values of {dtype.itemsize} bytes, it has "
            f"{len(raw) - start} bytes"
        )
    array = np.frombuffer(raw, dtype, -1, start).reshape(shape)
    return array.astype(dtype.newbyteorder("=")), hashlib.sha256(raw).hexdigest()


def read_header(path: Path) -> Header:
    """That of a file. Raises `BadData`."""
    with opened(path) as file:
        return header(file.read(4 + 4 * 255), path)


def is_idx(raw: bytes) -> bool:
    """Whether a file that begins like this, decompressed, is an IDX file."""
    return len(raw) >= 4 and raw[:2] == b"\0\0" and raw[2] in TYPES and 1 <= raw[3] <= 8


def header(raw: bytes, path: Path) -> Header:
    """The header of a file that begins like this. Raises `BadData`."""
    if not raw:
        raise BadData(f"{path}: is empty; get another copy")
    if not is_idx(raw) or len(raw) < 4 + 4 * raw[3]:
        raise BadData(f"{path}: is not an IDX file")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4))
    return Header(np.dtype(TYPES[raw[2]]), shape, 4 + 4 * raw[3])


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, decompressed if it is compressed with gzip. Raises `BadData` for what goes wrong here and while it is
    read."""
    try:
        with path.open("rb") as plain:
            compressed = plain.read(2) == b"\x1f\x8b"
        with cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise MissingFile(path) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadData(f"{path}: is cut off or damaged ({error}); get another copy") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error
