"""Training data on the device: the images, labels and records of a data set, and its mini-batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlcodec import record
from atlcodec.errors import AtlcError, BadData
from atlcodec.latents import UNIFORM, Packing
from atlcodec.sets.dataset import Dataset, Images, Split
from atlcodec.training.layout import chunks, planes, same_shape
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings

# "joint" takes both losses at once; "interleaved" alternates between mini-batches of the autoencoder and of the
# classifier, the autoencoder first; "teacher" is a classifier of the images themselves.
Task = Literal["autoencoder", "classifier", "joint", "interleaved", "teacher"]


class Domain:
    """One data set on the device.

    images      uint8 (N, *shape), the labelled ones first; None if there are only records
    labels      int64 (L,), of the first L images
    held_out    the validation split: images, or records uint8 (V, 200), with labels
    outliers    uint8 (M, *shape), images of other kinds, or None
    records     uint8 (N, 200), what the frozen compressor makes of the images; None until they are needed
    said        float32 (L, classes), what a teacher says of them, or None
    packing     of the latents in these records, if there are no images
    linear      the linear path of their decompressor, weights float32 (D, M) and biases float32 (D,); or None"""

    def __init__(
        self,
        name: str,
        classes: int,
        labels: Tensor,
        held_out: Split,
        *,
        images: Tensor | None = None,
        outliers: Tensor | None = None,
        records: Tensor | None = None,
        said: Tensor | None = None,
        packing: Packing = UNIFORM,
        linear: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    ) -> None:
        self.name, self.classes, self.labels, self.held_out = name, classes, labels, held_out
        self.images, self.outliers = images, outliers
        self.records, self.said, self.packing, self.linear = records, said, packing, linear
        self.outlier_records: Tensor | None = None

    def __len__(self) -> int:
        rows = self.records if self.images is None else self.images
        assert rows is not None
        return len(rows)

    def drop_records(self) -> None:
        """The compressor is about to change, and its old records with it."""
        self.records = self.outlier_records = None


def domain(
    data: Dataset, unlabelled: Images | None, outliers: Images | None, validation: int, device: torch.device
) -> Domain:
    """A data set without its validation split, on the device. Raises `BadData`, also if not all images have the same
    shape."""
    if data.train.labels is None or len(data.classes) < 2:
        raise BadData(f"{data.name}: has no labels to train a classifier on; put the images in folders of their labels")
    if len(data.train) < 20:
        raise BadData(f"{data.name}: {len(data.train)} training images are too few; at least 20 are needed")
    labelled, held_out = apart(data, validation)
    assert labelled.labels is not None
    for kind, others in (("unlabelled images", unlabelled), ("outliers", outliers)):
        if others is not None:
            same_shape(kind, others.shape[1:], data.shape)
    images = labelled.images if unlabelled is None else np.concatenate([labelled.images, unlabelled])
    return Domain(
        data.name,
        len(data.classes),
        torch.from_numpy(labelled.labels.copy()).to(device),
        held_out,
        images=torch.from_numpy(images.copy()).to(device),
        outliers=None if outliers is None else torch.from_numpy(outliers.copy()).to(device),
    )


def apart(data: Dataset, wanted: int) -> tuple[Split, Split]:
    """The images to learn from, and those for validation: the set's own, or the last `wanted` of the others."""
    if data.validation is not None and len(data.validation):
        return data.train, data.validation
    return split_validation(data.train, wanted)


def split_validation(train: Split, wanted: int) -> tuple[Split, Split]:
    """The training images without the last ones, and the last `wanted` (a tenth at most)."""
    kept = max(1, min(wanted, len(train) // 10))
    return train[:-kept], train[-kept:]


def outlier_images(sets: Sequence[Dataset], validation: int) -> Images | None:
    """The training images of several data sets, without their validation splits; None without data sets. Raises
    `BadData` if their shapes differ."""
    for one in sets:
        same_shape(one.name, one.shape, sets[0].shape)
    images = [apart(one, validation)[0].images for one in sets]
    return np.concatenate(images) if images else None


def batches(data: Domain, task: Task, size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """The rows of an epoch's mini-batches, in random order. Each row comes once.

    The joint task with some images unlabelled is an exception: half of each batch is labelled and comes first, and the
    labelled rows repeat until every unlabelled one was seen."""
    labelled, everything, device = len(data.labels), len(data), data.labels.device
    if task != "joint" or labelled == everything:
        count = everything if task == "autoencoder" else labelled
        return torch.split(torch.randperm(count, generator=generator).to(device), size)
    unlabelled = torch.split(torch.randperm(everything - labelled, generator=generator) + labelled, size - size // 2)
    wanted = len(unlabelled) * (size // 2)
    repeats = [torch.randperm(labelled, generator=generator) for _ in range(-(-wanted // labelled))]
    halves = torch.split(torch.cat(repeats)[:wanted], size // 2)
    return [torch.cat(pair).to(device) for pair in zip(halves, unlabelled, strict=True)]


@torch.no_grad()
def compress(nets: Networks, images: Tensor, settings: Settings) -> Tensor:
    """Records uint8 (N, 200) of images uint8 (N, *shape). The seed serves as the id in their seals."""
    records = []
    for chunk in chunks(images):
        latents = nets.compressor(planes(chunk)).float()
        if settings.sealed:
            clipped = torch.minimum(latents.clamp(min=0), nets.top).cpu().numpy()
            symbols = record.seal(*nets.packing.nearest(clipped), id=settings.seed)
            records.append(torch.from_numpy(record.pack(symbols)).to(images.device))
        else:
            records.append(nets.pack(nets.quantise(latents)))
    return torch.cat(records)


def torch_device(name: str) -> torch.device:
    """The device of this name. Raises `AtlcError`."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise AtlcError(f"device {name!r} is not available ({str(error).splitlines()[0]})") from error
