"""Records for PyTorch: a file of them as a data set, and its labels.

data = RecordDataset("set.atlc", labels="set.csv", yields="latents")
for latents, labels in DataLoader(data, batch_size=512, shuffle=True, num_workers=2): ...
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from atlcodec import description, files
from atlcodec.codec import Codec
from atlcodec.errors import BadData, NotARecord
from atlcodec.files import RecordSource
from atlcodec.reader import codec_of
from atlcodec.record import Records
from atlcodec.sets import manifest, official
from atlcodec.sets.formats import idx
from atlcodec.sets.labels import in_order

Yields = Literal["records", "latents", "images"]
UNKNOWN = -100  # the label of a record without one; `cross_entropy` ignores it by default


class RecordDataset(Dataset[Any]):
    """The records of a file, all written by one codec. A map-style data set: memory-mapped, and opened again in each
    worker of a DataLoader, however it starts its workers.

    `yields` chooses the items: records uint8 (200,), their latents float32 (16, 5, 5) in 0..15 (or (M,), if they have
    several widths), or their images uint8 (*shape), decoded when they are read. With labels, an item is a pair with its
    label, an int. `data[[3, 1, 4]]` gives a batch at once.

    `labels` are a list (`set.csv`), a file of labels in IDX format, or integers (N,); `classes` are then their names,
    if known. An empty label in a list is `UNKNOWN`. `model` is the codec, by name, id or path; without it, the first
    record decides. A file of images in tiles (grids) is taken only with `tiles=True`: each tile is an item, with the
    label of its image.

    Raises `NotARecord`, `UnknownModel`, `BadData`; and `DamagedRecord` when a damaged record is read."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: str | os.PathLike[str] | ArrayLike | None = None,
        yields: Yields = "records",
        model: str | os.PathLike[str] | None = None,
        tiles: bool = False,
    ) -> None:
        if yields not in ("records", "latents", "images"):
            raise ValueError(f"a RecordDataset yields records, latents or images, not {yields!r}")
        file = files.open(path)
        if file.torn:
            raise NotARecord(f"{path}: the last record is cut off ({file.torn} of 200 bytes); get another copy")
        self.path, self.yields = os.path.abspath(path), yields  # a worker may stand in another folder
        self.model = codec_of(file.array, file.name, model).model
        self._rows = tile_rows(file, tiles=tiles)
        self._count = len(file) if self._rows is None else len(self._rows)
        self.classes: tuple[str, ...] = ()
        self.labels: NDArray[np.int64] | None = None
        if isinstance(labels, str | os.PathLike):
            numbers, self.classes = read_labels(labels, len(file))
            self.labels = numbers if self._rows is None else numbers[self._rows]
        elif labels is not None:
            self.labels = np.asarray(labels)
            if self.labels.shape != (self._count,) or self.labels.dtype.kind not in "ui":
                raise BadData(
                    f"{path}: {self._count} records need as many integers for labels, not {self.labels.dtype} "
                    f"{self.labels.shape}"
                )
            self.labels = self.labels.astype(np.int64)
        self._opened: tuple[int, Records, Codec] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, which: int | Sequence[int]) -> Any:
        """An item, or with several numbers a batch: tensors whose first dimension counts the items."""
        if isinstance(which, int):
            return self.__getitems__([which])[0]
        rows = np.asarray(which, np.int64)
        batch = self._tensor(rows)
        return batch if self.labels is None else (batch, torch.from_numpy(self.labels[rows]))

    def __getitems__(self, which: Sequence[int]) -> list[Any]:
        """Several items at once: what a DataLoader asks for. They are read, checked and decoded together."""
        rows = np.asarray(which, np.int64)
        items = self._tensor(rows).unbind()
        return list(items) if self.labels is None else list(zip(items, self.labels[rows].tolist(), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}  # neither a mapped file nor a network moves to another process

    def _tensor(self, rows: NDArray[np.int64]) -> Tensor:
        if self._opened is None or self._opened[0] != os.getpid():  # not opened yet, or before a fork
            self._opened = os.getpid(), files.open(self.path).array, Codec(self.model)
        _, array, decoder = self._opened
        rows = rows if self._rows is None else self._rows[rows]
        records = array[rows]
        decoder.check_numbered(records, rows, self.path)
        if self.yields == "records":
            return torch.from_numpy(records)
        if self.yields == "latents":
            return torch.from_numpy(self.model.card.packing.read(records)).float()
        return torch.from_numpy(decoder.decode(records, verify=False))


def tile_rows(file: RecordSource, *, tiles: bool) -> NDArray[np.intp] | None:
    """The numbers of the records that are tiles or images of a file with grids; None for all. Raises `NotARecord` for
    such a file without `tiles`: looks for them among the first records, others show when they are read."""
    first = next(file.batches(), None)
    if not tiles:
        if first is not None and description.found(first).any():
            raise NotARecord(f"{file.name}: holds images in tiles (grids); tiles=True (--tiles) takes each tile")
        return None
    parts = [np.flatnonzero(~description.found(batch)) + at * files.BATCH for at, batch in enumerate(file.batches())]
    return np.concatenate([np.empty(0, np.intp), *parts])


def read_labels(path: str | os.PathLike[str], count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels of a file of `count` records, int64 (count,), and what they stand for. Tiles have that of their image.

    From a list as it lies beside the file (`set.csv`), where a label may be empty (`UNKNOWN`); or from a file of labels
    in IDX format (`train-labels-idx1-ubyte.gz`), which stand for names in the official sets, and for numbers in others.
    Raises `BadData`."""
    if Path(path).suffix.lower() != ".csv":
        array, digest = idx.read(Path(path))
        numbers = array.astype(np.int64)
        names = official.label_names(digest)
        classes = names or tuple(str(n) for n in range(int(numbers.max(initial=-1)) + 1))
    else:
        texts = [entry.label for entry in manifest.entries(path) for _ in range(entry.records)]
        classes = tuple(sorted({text for text in texts if text is not None}, key=in_order))
        index = {text: number for number, text in enumerate(classes)}
        numbers = np.array([UNKNOWN if text is None else index[text] for text in texts], np.int64)
    if numbers.shape != (count,):
        raise BadData(
            f"{path}: holds {len(numbers)} labels, and the file of records {count} records; they must be of the same "
            "set"
        )
    return numbers, classes
