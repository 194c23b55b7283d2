"""CIFAR-10 in its binary version, from a folder of yours: rows of one byte for the label, then 1,024 bytes each of red,
green and blue.

    data_batch_1.bin ... data_batch_5.bin, test_batch.bin       10,000 rows in each
    batches.meta.txt                                            the names of the labels"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.shape import Shape

NAME, SOURCE = "CIFAR10", "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
SHAPE: Shape = (32, 32, 3)
PIXELS = 3 * 32 * 32
BELOW = "cifar-10-batches-bin"  # the folder that its archive holds
TRAIN, TEST, META = tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LARGEST = 256 << 20  # bytes of one file
# The official training batches, SHA-256. That of the official test batch is not known here, so it may be any.
DIGESTS = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
)


@dataclass(frozen=True)
class Cifar:
    """Training and test images, uint8 (N, 32, 32, 3), with labels int64 (N,); the names of the labels, the SHA-256 of
    each file, and whether the training batches are the official ones."""

    train: tuple[NDArray[np.uint8], NDArray[np.int64]]
    test: tuple[NDArray[np.uint8], NDArray[np.int64]] | None
    classes: tuple[str, ...]
    digests: dict[str, str]
    official: bool


def find(folder: Path) -> Path | None:
    """The folder with the batches: this one, or the one in it that the archive makes. Raises `BadData` for the version
    for Python, whose files are pickles: reading one can run any program."""
    for place in (folder, folder / BELOW):
        if (place / TRAIN[0]).is_file():
            return place
    for place in (folder, folder / "cifar-10-batches-py"):
        if (place / "data_batch_1").is_file():
            raise BadData(
                f"{place}: is CIFAR-10 for Python, whose files are not safe to read; get the binary version "
                "(cifar-10-binary.tar.gz)"
            )
    return None


def read(folder: Path) -> Cifar:
    """The batches in a folder; some may be missing, but not the first. Raises `BadData`."""
    digests: dict[str, str] = {}
    train = [_batch(folder / name, digests) for name in TRAIN if (folder / name).is_file()]
    test = _batch(folder / TEST, digests) if (folder / TEST).is_file() else None
    classes = _classes(folder / META)
    for images, labels in [*train, *([test] if test else [])]:
        if len(images) and labels.max() >= len(classes):
            raise BadData(f"{folder}: has the label {labels.max()}, but {len(classes)} names of labels")
    joined = np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train])
    official = tuple(digests.get(name) for name in TRAIN) == DIGESTS
    return Cifar(joined, test, classes, digests, official)


def _batch(path: Path, digests: dict[str, str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(raw) > LARGEST or not raw or len(raw) % (1 + PIXELS):
        raise BadData(f"{path}: is not a batch of CIFAR-10: {len(raw)} bytes, not a multiple of {1 + PIXELS}")
    digests[path.name] = hashlib.sha256(raw).hexdigest()
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 1 + PIXELS)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int64)


def _classes(path: Path) -> tuple[str, ...]:
    """The lines of batches.meta.txt; without that file, the official names."""
    try:
        names = tuple(filter(None, map(str.strip, path.read_text("utf-8").splitlines()))) if path.is_file() else CLASSES
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cannot be read as UTF-8 text") from error
    return names
