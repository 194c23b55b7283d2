"""CIFAR-10 in its binary version, from a folder of yours: rows of one byte for the label, then 1,024 bytes each of red,
green and blue.

    data_batch_1.bin ... data_batch_5.bin, test_batch.bin       10,000 rows in each
    batches.meta.txt                                            the names of the labels"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets import splits
from atlcodec.sets.formats.joined import rebatched
from atlcodec.sets.formats.parts import Batch, Found
from atlcodec.sets.locate import CIFAR, CIFAR_FOLDER
from atlcodec.sets.official import Known

SOURCE = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
ROW = 1 + 3 * 32 * 32  # bytes
TRAIN, TEST, META = tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# The official training batches, SHA-256. That of the official test batch is not known here, so it may be any.
DIGESTS = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
)


@dataclass(frozen=True)
class Batches:
    """The images of one split (`parts.Part`), in one or more files of rows."""

    split: str
    path: Path
    files: tuple[Path, ...]
    counts: tuple[int, ...]  # rows of each
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return sum(self.counts)

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        """As in `parts.Part`: uint8 (up to `size`, 32, 32, 3)."""
        return rebatched(self._chunks(size, start), size)

    def _chunks(self, size: int, start: int) -> Iterator[Batch]:
        for file, count in zip(self.files, self.counts, strict=True):
            for row in range(start, count, size):
                yield _images(file, row, min(size, count - row))
            start = max(0, start - count)


def find(folder: Path) -> Found | None:
    """The batches in this folder, or in the one in it that the archive makes; some may be missing.

    Raises `BadData` for the version for Python, whose files are pickles: reading one can run any program."""
    for place in (folder, folder / CIFAR_FOLDER):
        if any((place / name).is_file() for name in (*TRAIN, TEST)):
            return _found(place)
    for place in (folder, folder / "cifar-10-batches-py"):
        if (place / "data_batch_1").is_file():
            raise BadData(
                f"{place}: is CIFAR-10 for Python, whose files are not safe to read; get the binary version "
                "(cifar-10-binary.tar.gz)"
            )
    return None


def _found(folder: Path) -> Found:
    digests: dict[str, str] = {}
    classes, parts = _classes(folder / META), list[Batches]()
    for split, names in ((splits.TRAIN, TRAIN), (splits.TEST, (TEST,))):
        files = tuple(folder / name for name in names if (folder / name).is_file())
        if files:
            labels = [_labels(file, digests) for file in files]
            parts.append(Batches(split, files[0], files, tuple(map(len, labels)), np.concatenate(labels)))
    for part in parts:
        if part.labels.max(initial=-1) >= len(classes):
            raise BadData(f"{folder}: has the label {part.labels.max()}, but {len(classes)} names of labels")
    used = tuple(folder / name for name in (*TRAIN, TEST, META, "readme.html"))
    missing = [name for name in (*TRAIN, TEST) if not (folder / name).is_file()]
    notes = (f"without {', '.join(missing)}, which the published set has",) if missing else ()
    official = tuple(digests.get(name) for name in TRAIN) == DIGESTS
    known = Known(CIFAR, SOURCE, "not stated", classes) if official else None
    return Found(tuple(parts), classes, notes, (), used, known, digests)


def _labels(path: Path, digests: dict[str, str]) -> NDArray[np.int64]:
    """The first byte of each row. The digest of the whole file is kept."""
    found, digest, size = list[NDArray[np.uint8]](), hashlib.sha256(), 0
    with _reported(path), path.open("rb") as file:
        while chunk := file.read(1000 * ROW):
            digest.update(chunk)
            size += len(chunk)
            found.append(np.frombuffer(chunk, np.uint8)[::ROW].copy())
    if not size or size % ROW:
        raise BadData(f"{path}: is not a batch of CIFAR-10: {size} bytes, not a multiple of {ROW}")
    digests[path.name] = digest.hexdigest()
    return np.concatenate(found).astype(np.int64)


def _images(path: Path, start: int, count: int) -> NDArray[np.uint8]:
    with _reported(path), path.open("rb") as file:
        file.seek(start * ROW)
        raw = file.read(count * ROW)
    if len(raw) != count * ROW:
        raise BadData(f"{path}: became shorter while it was read")
    images = np.frombuffer(raw, np.uint8).reshape(-1, ROW)[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error


def _classes(path: Path) -> tuple[str, ...]:
    """The lines of batches.meta.txt; without that file, the official names."""
    try:
        names = tuple(filter(None, map(str.strip, path.read_text("utf-8").splitlines()))) if path.is_file() else CLASSES
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cannot be read as UTF-8 text") from error
    return names
