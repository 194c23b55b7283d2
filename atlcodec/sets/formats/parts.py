"""A data set before its images are read: what each reader of a format gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atlcodec.sets.official import Known

# An image as the file has it: an array (rows, columns) or (rows, columns, 1 to 4) of numbers, or the bytes of an image
# file.
Raw = NDArray[Any] | bytes
Batch = Sequence[Raw] | NDArray[Any]  # of images


class Part(Protocol):
    """The images of one split, in bounded memory."""

    @property
    def split(self) -> str:
        """ "train", "validation" or "test"; "" if the set says nothing."""
        ...

    @property
    def path(self) -> Path:
        """The file that has the images."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """(N,), numbers of `Found.classes`; -1 for an image without a label. None if no image has one."""
        ...

    def __len__(self) -> int: ...

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        """The images from number `start` on, `size` at a time, the last ones fewer: a list, or an array (`size`, ...).
        Raises `BadData` if the file has fewer or more than it promised."""
        ...


@dataclass(frozen=True)
class Found:
    """The parts of a set, in the order of their splits, what their labels stand for, and what the user must know:
    "y_val has 90 labels for 100 images, so they are not used"."""

    parts: tuple[Part, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  # names of arrays or columns that are not used, in a folder also those of files
    files: tuple[Path, ...] = ()  # that are used
    known: Known | None = None  # which published set it is
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 by name of file, as far as they were read
