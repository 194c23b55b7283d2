"""A head from records alone: another classifier for an existing codec (Section 4.2 of the paper).

No image is decoded and no compressor runs: a record is unpacked to its 400 symbols, and the classifier learns from
these. An epoch of 60,000 records takes a second."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from atlcodec import files
from atlcodec.card import LONGEST_LABEL, MOST_LABELS, Model
from atlcodec.codec import Codec
from atlcodec.errors import BadData, NotARecord
from atlcodec.record import Records
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.training import pretrained, teacher
from atlcodec.training.atl import classifier
from atlcodec.training.augment import augment
from atlcodec.training.data import Domain, apart, torch_device
from atlcodec.training.layout import GREY, chunks, planes, sizes
from atlcodec.training.networks import CLASSIFIERS
from atlcodec.training.records import UNKNOWN, read_labels, tile_rows
from atlcodec.training.settings import HeadSettings, Settings
from atlcodec.training.trainer import Trainer

FEWEST = 20  # labelled records


@dataclass(frozen=True)
class Examples:
    """Labelled records of one codec: records uint8 (N, 200), labels int64 (N,), and the names of the labels."""

    model: Model
    records: Records
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    describe: Mapping[str, object]  # for the card
    held_out: Split | None = None  # records for validation; None: some of the others, chosen at random
    said: NDArray[np.float32] | None = None  # (N, classes), what a teacher says of the images

    def __len__(self) -> int:
        return len(self.records)


def load(path: Path, labels: Path, model: Model, *, tiles: bool = False) -> Examples:
    """The labelled records of a file. Records without a label are left out. Of images in tiles, which need `tiles`,
    each tile has the label of its image.

    Raises `NotARecord`, `DamagedRecord` if a record was not written by the model, `BadData` if the labels do not fit
    the file or are too few."""
    file = files.open(path)
    if file.torn:
        raise NotARecord(f"{path}: the last record is cut off ({file.torn} of 200 bytes); get another copy")
    digest, codec = hashlib.sha256(), Codec(model)
    rows = tile_rows(file, tiles=tiles)
    taken = np.ones(len(file), bool) if rows is None else np.isin(np.arange(len(file)), rows)
    for number, batch in enumerate(file.batches()):
        some = np.flatnonzero(taken[number * files.BATCH :][: len(batch)])
        codec.check_numbered(batch[some], number * files.BATCH + some, file.name)
        digest.update(batch.tobytes())
    numbers, classes = read_labels(labels, len(file))
    known = (numbers != UNKNOWN) & taken
    if known.sum() < FEWEST:
        raise BadData(
            f"{labels}: {known.sum()} labelled records are too few to learn from; at least {FEWEST} are needed"
        )
    if len(np.unique(numbers[known])) < 2:
        raise BadData(f"{labels}: all records have the same label; a classifier needs two or more")
    if len(classes) > MOST_LABELS or max(map(len, classes)) > LONGEST_LABEL:
        raise BadData(
            f"{labels}: too many or too long labels; a classifier has at most {MOST_LABELS} labels of at most "
            f"{LONGEST_LABEL} characters"
        )
    described = {
        "name": path.name,
        "records": len(file),
        "labelled": int(known.sum()),
        "sha256": {path.name: digest.hexdigest(), labels.name: hashlib.sha256(labels.read_bytes()).hexdigest()},
    }
    return Examples(model, np.ascontiguousarray(file.array[known]), numbers[known], classes, described)


def encode(
    data: Dataset,
    model: Model,
    settings: HeadSettings,
    log: Callable[[str], None] = lambda _: None,
    taught_by: Path | None = None,
) -> Examples:
    """Records of labelled training images and of changed copies of them. Validation takes the last images, unchanged.
    With the folder of a run of the recipe "labels", its teacher says of each image what its label may be.

    Raises `BadData` if there are no labels, or no such teacher."""
    codec = Codec(model)
    if data.train.labels is None:
        raise BadData(f"{data.name}: no labels to train a classifier on")
    learnt, held_out = apart(data, settings.validation)
    assert learnt.labels is not None
    network = None
    if taught_by is not None:
        network = teacher.load(taught_by, len(data.classes), sizes(data.shape)[0]).to(torch_device(settings.device))
    images, generator = torch.from_numpy(learnt.images.copy()), torch.Generator().manual_seed(settings.seed)
    records = [codec.encode(learnt.images, effort=0)]
    said = [_said(network, images, settings.precision)] if network else []
    for copy in range(settings.copies):
        log(f"encoding copy {copy + 1} of {settings.copies}")
        changed = augment(images, settings.augment, generator, share=1, strength=settings.augment_strength)
        records.append(codec.encode(changed.numpy(), effort=0))
        if network:
            said.append(_said(network, changed, settings.precision))
    return Examples(
        model,
        np.concatenate(records),
        np.tile(learnt.labels, 1 + settings.copies),
        data.classes,
        data.describe(),
        Split(codec.encode(held_out.images, effort=0), held_out.labels),
        np.concatenate(said) if network else None,
    )


def _said(network: nn.Module, images: Tensor, precision: str) -> NDArray[np.float32]:
    """What a teacher says of images uint8 (N, *shape)."""
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        parts = [teacher.probabilities(network, planes(chunk.to(device))).cpu().numpy() for chunk in chunks(images)]
    return np.concatenate(parts)


def split(examples: Examples, settings: HeadSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows for training and those for validation, chosen at random, since many sets are sorted by label."""
    order = np.random.default_rng(settings.seed).permutation(len(examples))
    kept = max(1, min(settings.validation, len(order) // 10))
    return order[kept:], order[:kept]


def train(
    examples: Examples,
    settings: HeadSettings,
    folder: Path,
    log: Callable[[str], None] = lambda _: None,
    watch: Callable[[Trainer], None] = lambda _: None,
) -> Trainer:
    """Train a new classifier for the codec of the examples. Its network is `nets.part("classifier")` of the result.

    The folder holds the run, as for a codec. The same call resumes a stopped run."""
    device = torch_device(settings.device)
    held_out = examples.held_out
    if held_out is None:
        learning, rest = split(examples, settings)
        held_out = Split(examples.records[rest], examples.labels[rest])
    else:
        learning = np.arange(len(examples))
    domain = Domain(
        str(examples.describe["name"]),
        len(examples.classes),
        torch.from_numpy(examples.labels[learning]).to(device),
        held_out,
        records=torch.from_numpy(examples.records[learning]).to(device),
        said=None if examples.said is None else torch.from_numpy(examples.said[learning]).to(device),
        packing=examples.model.card.packing,
        linear=linear_path(examples.model) if settings.architecture == "conv" else None,
    )
    changes = settings.copies, settings.augment, settings.augment_strength
    taught = () if examples.said is None else (hashlib.sha256(examples.said.tobytes()).hexdigest(),)
    more = (*changes, *taught) if examples.held_out else ()
    identity = (settings.epochs, dict(examples.describe), examples.classes, *more)
    trainer = Trainer(
        trainer_settings(settings, examples.model),
        domain,
        folder,
        fingerprint=hashlib.sha256(repr(identity).encode()).hexdigest(),
        log=log,
        watch=watch,
    )
    batches = -(-len(learning) // settings.batch_size)
    epochs = settings.epochs or min(200, max(20, 2000 // batches))
    trainer.plan({classifier(): epochs})
    trainer.train_measured(classifier(), epochs, "classifier")
    return trainer


def linear_path(model: Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights and biases of the linear path that a `pca` decompressor begins with. Raises `BadData` for others."""
    if pretrained.architecture(model.card.recipe) != "pca":
        raise BadData(f"{model.name}: a conv classifier needs a codec of the architecture pca")
    if model.card.shape != GREY:
        raise BadData(f"{model.name}: a conv classifier needs a codec of 28 x 28 grey images")
    weights = pretrained.decompressor_weights(model)
    return weights["0.weight"].numpy(), weights["0.bias"].numpy()


def trainer_settings(settings: HeadSettings, model: Model) -> Settings:
    """The same settings for the training loop, with the codec's architecture in place of "codec"."""
    own = pretrained.architecture(model.card.recipe)
    architecture = settings.architecture
    if architecture == "codec":
        architecture = "dense" if own == "pca" else own if own in CLASSIFIERS else "lenet"
    return Settings(
        architecture=architecture,
        seed=settings.seed,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        validation=settings.validation,
        label_smoothing=settings.label_smoothing,
        precision=settings.precision,
        device=settings.device,
        floats=settings.floats,
    )
