"""A classifier of one's own from records alone: another head for a codec there is (Section 4.2 of the paper).

No picture is decoded and no compressor runs: a record is unpacked to its 400 symbols, and these are all that the
classifier learns from. An epoch of 60,000 records takes a second."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from atlcodec import atomic, engine, files, metrics
from atlcodec.card import LONGEST_LABEL, MOST_LABELS, Model, write_head
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.record import Records
from atlcodec.training import export
from atlcodec.training.loop import cosine, unpack
from atlcodec.training.networks import CLASSIFIERS
from atlcodec.training.records import UNKNOWN, read_labels

FEWEST = 20  # labelled records


@dataclass(frozen=True)
class Settings:
    """Chosen on validation splits of the training sets' records, not on test sets."""

    architecture: str = "lenet"
    seed: int = 0
    batch: int = 512
    rate: float = 4e-3  # highest learning rate (Adam); falls to a fiftieth along a cosine
    epochs: int | None = None  # as many as give 2,000 mini-batches; at least 20, at most 200
    validation: int = 5000  # records that are kept out, any of them; or a tenth, where that is fewer
    device: str = "cpu"


@dataclass(frozen=True)
class Examples:
    """Labelled records of one codec: records uint8 (N, 200), labels int64 (N,), and what the labels stand for."""

    records: Records
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    describe: Mapping[str, object]  # what a card says of them

    def __len__(self) -> int:
        return len(self.records)


def load(path: Path, labels: Path, model: Model) -> Examples:
    """The labelled records of a file; those that the list gives no label are left out.

    Raises `NotARecord`, `DamagedRecord` if one of them is not the model's, `BadData` if the labels are not those of the
    file, or there are too few of them."""
    file = files.open(path)
    if file.torn:
        raise NotARecord(f"{path}: ends in a torn record of {file.torn} bytes; get another copy")
    digest, codec = hashlib.sha256(), Codec(model)
    for number, batch in enumerate(file.batches()):
        codec.check_numbered(batch, number * files.BATCH + np.arange(len(batch)), file.name)
        digest.update(batch.tobytes())
    numbers, classes = read_labels(labels, len(file))
    known = numbers != UNKNOWN
    if known.sum() < FEWEST:
        raise BadData(f"{labels}: {known.sum()} labelled records are too few to learn from; {FEWEST} is the least")
    if len(np.unique(numbers[known])) < 2:
        raise BadData(f"{labels}: all records have the same label; a classifier needs two or more")
    if len(classes) > MOST_LABELS or max(map(len, classes)) > LONGEST_LABEL:
        raise BadData(
            f"{labels}: a classifier has {MOST_LABELS} labels at most, none longer than {LONGEST_LABEL} characters"
        )
    described = {
        "name": path.name,
        "records": len(file),
        "labelled": int(known.sum()),
        "sha256": {path.name: digest.hexdigest(), labels.name: hashlib.sha256(labels.read_bytes()).hexdigest()},
    }
    return Examples(np.ascontiguousarray(file.array[known]), numbers[known], classes, described)


def split(examples: Examples, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which records to learn from, and which to measure on. Drawn by lot, since a set is often sorted by its labels."""
    order = np.random.default_rng(settings.seed).permutation(len(examples))
    kept = max(1, min(settings.validation, len(order) // 10))
    return order[kept:], order[:kept]


def train(
    examples: Examples, settings: Settings, folder: Path, say: Callable[[str], None] = lambda _: None
) -> tuple[nn.Sequential, list[dict[str, float]]]:
    """A new classifier, in evaluation mode, and its epochs: the mean loss, the accuracy (0..1) on the validation split,
    seconds.

    Every epoch ends with a checkpoint in the folder, from which the same call goes on. As for a codec's training, every
    epoch is seeded by the run's seed and its own number: a run that was stopped ends with the weights of an unbroken
    one."""
    try:
        device = torch.empty(0, device=settings.device).device
    except (RuntimeError, AssertionError) as error:
        raise AtlcError(f"device {settings.device!r} is not to be had here ({str(error).splitlines()[0]})") from error
    if settings.architecture not in CLASSIFIERS:
        raise AtlcError(
            f"no classifier of the architecture {settings.architecture!r}; there are: {', '.join(CLASSIFIERS)}"
        )
    torch.manual_seed(settings.seed)
    network = CLASSIFIERS[settings.architecture](len(examples.classes)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), settings.rate)
    learning, held_out = split(examples, settings)
    records, labels = (torch.from_numpy(array[learning]).to(device) for array in (examples.records, examples.labels))
    unseen, answers = torch.from_numpy(examples.records[held_out]).to(device), examples.labels[held_out]

    identity = {"settings": asdict(settings), "data": dict(examples.describe), "classes": list(examples.classes)}
    done = _resume(folder, identity, network, optimizer)
    if done:
        say(f"going on after {len(done)} epochs of {folder}")
    batches = -(-len(records) // settings.batch)
    epochs = settings.epochs or min(200, max(20, 2000 // batches))
    for epoch in range(len(done), epochs):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        torch.manual_seed(settings.seed * 1_000_003 + epoch)  # order and dropout
        network.train()
        for index, rows in enumerate(torch.split(torch.randperm(len(records)), settings.batch)):
            at = (epoch + index / batches) / epochs
            for group in optimizer.param_groups:
                group["lr"] = cosine(settings.rate, settings.rate / 50, at)
            rows = rows.to(device)
            loss = functional.cross_entropy(network(unpack(records.index_select(0, rows))), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(rows)
        if not math.isfinite(mean := float(total) / len(records)):
            raise AtlcError("the training diverged (the loss is no number any more); lower the learning rate")
        network.eval()
        with torch.no_grad():
            scores = np.concatenate(
                [network(unpack(chunk)).cpu().numpy() for chunk in torch.split(unseen, files.BATCH)]
            )
        accuracy, seconds = metrics.accuracy(scores, answers), time.perf_counter() - started
        done.append({"loss": mean, "accuracy": accuracy, "seconds": seconds})
        _checkpoint(folder, identity, network, optimizer, done)
        left = seconds * (epochs - epoch - 1)
        say(
            f"{epoch + 1:5d}/{epochs}  loss {mean:8.5f}  accuracy {accuracy:7.2%}  {seconds:6.1f} s   left: "
            f"{left:.0f} s"
        )
    return network.cpu().eval(), done


def _checkpoint(
    folder: Path,
    identity: Mapping[str, object],
    network: nn.Module,
    optimizer: torch.optim.Adam,
    done: list[dict[str, float]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {**identity, "network": network.state_dict(), "optimizer": optimizer.state_dict(), "epochs": done}
    with atomic.file(folder / "checkpoint.pt") as file:
        torch.save(state, file)
    with atomic.file(folder / "metrics.jsonl") as file:
        file.writelines(json.dumps(epoch).encode() + b"\n" for epoch in done)


def _resume(
    folder: Path, identity: Mapping[str, object], network: nn.Module, optimizer: torch.optim.Adam
) -> list[dict[str, float]]:
    """The epochs that an earlier run has done; its weights are taken over."""
    if not (folder / "checkpoint.pt").is_file():
        return []
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    if any(state.get(key) != value for key, value in identity.items()):
        raise BadData(
            f"{folder}: holds a run with other settings or data; take another folder, or delete it to start anew"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return list(state["epochs"])


def write(
    folder: Path, network: nn.Sequential, examples: Examples, settings: Settings, model: Model, card: Mapping[str, Any]
) -> float:
    """The folder of a head, as it lies in `models/NAME/heads/`, in place of one that may be there; whole or not at all.

    Returns the accuracy (0..1) on the validation split, of the file as it is written and as it will be run."""
    file = export.classifier(network, len(examples.classes))
    _, held_out = split(examples, settings)
    graph = engine.Graph(file, engine.classifier(len(examples.classes)), str(folder / "classifier.onnx"))
    scores = np.concatenate(
        [graph(examples.records[rows]) for rows in np.array_split(held_out, -(-len(held_out) // 1024))]
    )
    accuracy = metrics.accuracy(scores, examples.labels[held_out])
    figures = {
        "measured on": f"{examples.describe['name']}, validation",
        "records": len(held_out),
        "accuracy": round(100 * accuracy, 2),
    }
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    write_head(part, file, {**card, "labels": list(examples.classes), "figures": figures}, model.sha256)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return accuracy
