"""The last step of training: the networks that read records become exact ones, and learn to live with their rounding,
behind frozen records. What cannot be made exact says so, and stays in floats."""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec import metrics
from atlcodec.card import Model
from atlcodec.errors import BadModel
from atlcodec.sets.dataset import Images
from atlcodec.training import exact_codec, export, tuning
from atlcodec.training.data import Domain, compress
from atlcodec.training.exact_codec import Classifier, Decompressor
from atlcodec.training.halves import halved
from atlcodec.training.layout import chunks, pictures
from atlcodec.training.loop import taught_targets
from atlcodec.training.measure import symbols
from atlcodec.training.networks import Networks
from atlcodec.training.settings import Settings
from atlcodec.training.trainer import Trainer
from atlcodec.training.tuning import Tuning

CALIBRATED = 4000  # records whose values choose the steps
MEASURED = 1000  # images for validation
BATCHES = 3  # mini-batches that are timed


About = dict[str, bool | float]  # what a card says of an exact file


class Finished(NamedTuple):
    """The ONNX files of a model folder by name, and what the cards of the codec and of its head say of them."""

    files: dict[str, bytes]
    about: About
    about_head: About


def codec(
    trainer: Trainer, epochs: int, taken: Collection[int], domain: int = 0, base: Model | None = None
) -> Finished:
    """The files of the codec of one domain, whose id differs from the `taken` ones, with a decompressor and a
    classifier that are tuned for so many epochs each; or with the decompressor of `base`. A stopped run resumes from
    the folder of the trainer."""
    nets, data = trainer.nets, trainer.domains[domain]
    about, about_head = About(), About()
    exact = dict[str, bytes]()
    if not trainer.settings.floats:
        latents = _latents(nets, data, trainer.settings)
        if base is None and (made := _decompressor(trainer, domain, epochs, latents)):
            exact["decompressor.onnx"], about = exact_codec.file(made, taken), {"exact": True}
        if found := _classifier(trainer, domain, epochs, latents):
            exact["classifier.onnx"], about_head = found
    if base is not None:
        exact |= {f"{part}.onnx": base.file(part) for part in ("decompressor", "refiner")}
        about = {"exact": True} if base.card.exact else {}
    files = export.files(nets, taken, domain) | exact
    return Finished({name: _small(name, file) for name, file in files.items()}, about, about_head)


def _small(name: str, file: bytes) -> bytes:
    """Files of the encoder's networks have half the size."""
    return halved(file) if name in ("compressor.onnx", "refiner.onnx") else file


def head(trainer: Trainer, epochs: int) -> tuple[bytes, About]:
    """The file of a classifier that was trained alone, tuned for so many epochs, and what its card says of it. A
    stopped run resumes."""
    nets, (data,) = trainer.nets.cpu().eval(), trainer.domains
    assert data.records is not None
    if not trainer.settings.floats:
        latents = _unpacked(nets, data.records.cpu())
        if found := _classifier(trainer, 0, epochs, latents):
            return found
    return export.classifier(nets.part("classifier"), nets.classes[0], nets.packing), {}


def seconds(trainer: Trainer, nets: Networks) -> float:
    """What an epoch of tuning takes, tried on copies of the networks."""
    data = trainer.domains[0]
    assert data.images is not None
    rows = BATCHES * trainer.settings.batch_size
    images = data.images[:rows].cpu()
    few = Domain(data.name, data.classes, data.labels[:rows], data.held_out, images=data.images[:rows])
    latents = _latents(nets, few, trainer.settings)
    losses = list[tuning.Loss]()
    if made := _exact(nets, 0, latents):
        losses.append(tuning.decompressor_loss(made, latents, images))
    with contextlib.suppress(BadModel, ValueError):  # which stays in floats
        losses.append(_head_loss(_exact_classifier(nets, 0, latents), nets, 0, latents, few.labels.cpu()))
    order = torch.split(torch.arange(len(few.labels)), trainer.settings.batch_size)
    started = time.perf_counter()
    for chosen, loss in itertools.product(order, losses):
        loss(chosen).backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter() - started) * len(data.images) / len(few.labels)


def _decompressor(trainer: Trainer, domain: int, epochs: int, latents: Tensor) -> Decompressor | None:
    """Made exact and tuned. Its weights go back into the network in floats, from which the refiner is made."""
    nets, data = trainer.nets, trainer.domains[domain]
    made = _exact(nets, domain, latents[:CALIBRATED])
    if made is None:
        trainer.log(f"the decompressor stays in floats: {nets.architecture} cannot be made exact")
        return None
    assert data.images is not None
    network, held_out = nets.part("decompressor", domain), data.held_out.images[:MEASURED]
    seen = torch.cat(list(symbols(nets, held_out)))
    was = _psnr(network, seen, held_out)
    reached = _tuned(
        trainer,
        made,
        tuning.decompressor_loss(made, latents, data.images.cpu()),
        len(latents),
        lambda: _psnr(made, seen, held_out),
        epochs,
        f"exact-{domain}-{epochs}",
        lambda text: trainer.log(f"exact decompressor, {text} dB"),
    )
    exact_codec.give_back(made, network)
    trainer.log(f"exact decompressor: {reached:.2f} dB on validation; in floats {was:.2f} dB")
    return made


def _tuned(
    trainer: Trainer,
    made: nn.Module,
    loss: tuning.Loss,
    rows: int,
    measure: Callable[[], float],
    epochs: int,
    folder: str,
    log: Callable[[str], None],
) -> float:
    """Tune an exact network, in a folder of the run. Returns what `measure` says of it in the end; it stays as it was
    if that would be less."""
    before = copy.deepcopy(made.state_dict())
    settings = Tuning(epochs=epochs, seed=trainer.settings.seed)
    told = tuning.tune(made, loss, rows, measure, settings, trainer.folder / folder, log)
    if told[-1] < told[0]:  # few images: what they taught is of no use for others
        made.load_state_dict(before)
    return max(told[0], told[-1])


def _exact(nets: Networks, domain: int, latents: Tensor) -> Decompressor | None:
    network = nets.part("decompressor", domain)
    assert isinstance(network, nn.Sequential)
    try:
        made = exact_codec.decompressor(network, nets.packing, latents.float().view(-1, *nets.packing.shape))
        return made.requires_grad_()  # some have the weights of the network, which may have been frozen
    except (BadModel, ValueError):  # another architecture, or weights that are too large
        return None


def _classifier(trainer: Trainer, domain: int, epochs: int, latents: Tensor) -> tuple[bytes, About] | None:
    """Made exact and tuned by latents uint8 (N, M), the labelled ones first."""
    nets, data = trainer.nets, trainer.domains[domain]
    try:
        made = _exact_classifier(nets, domain, latents[:CALIBRATED])
    except (BadModel, ValueError) as error:
        trainer.log(f"the classifier stays in floats: {error}")
        return None
    if epochs and data.held_out.labels is not None:
        _tune_classifier(trainer, made, domain, epochs, latents)
    return exact_codec.file(made), {"exact": True, "scale": made.step}


def _exact_classifier(nets: Networks, domain: int, latents: Tensor) -> Classifier:
    network = nets.part("classifier", domain)
    assert isinstance(network, nn.Sequential)
    shaped = latents.float().view(-1, *nets.packing.shape)
    return exact_codec.classifier(network, nets.packing, shaped, nets.shape).requires_grad_()


def _head_loss(made: Classifier, nets: Networks, domain: int, latents: Tensor, labels: Tensor) -> tuning.Loss:
    """By the labels of the first latents, and by what the classifier says in floats: it stays as sure as it was."""
    network, shape = nets.part("classifier", domain), nets.packing.shape
    latents = latents[: len(labels)]
    with torch.no_grad():
        said = torch.cat([network(chunk.float().view(-1, *shape)).softmax(1) for chunk in chunks(latents)])
    return tuning.head_loss(made, latents, taught_targets(said, functional.one_hot(labels, said.shape[1]).float()))


def _tune_classifier(trainer: Trainer, made: Classifier, domain: int, epochs: int, latents: Tensor) -> None:
    data, nets = trainer.domains[domain], trainer.nets
    truth = data.held_out.labels
    assert truth is not None
    held_out = torch.cat(list(symbols(nets, data.held_out.images))).flatten(1)

    def accuracy() -> float:
        return metrics.accuracy(torch.cat([made(chunk) for chunk in chunks(held_out)]).numpy(), truth)

    reached = _tuned(
        trainer,
        made,
        _head_loss(made, nets, domain, latents, data.labels.cpu()),
        len(data.labels),
        accuracy,
        epochs,
        f"exact-classifier-{domain}-{epochs}",
        lambda text: trainer.log(f"exact classifier, accuracy {text}"),
    )
    trainer.log(f"exact classifier: {reached:.2%} accuracy on validation")


@torch.no_grad()
def _latents(nets: Networks, data: Domain, settings: Settings) -> Tensor:
    """The latents of all training images, uint8 (N, M). The networks come back on the CPU, where exact ones learn."""
    assert data.images is not None
    records = compress(nets.to(data.images.device).eval(), data.images, settings).cpu()
    return _unpacked(nets.cpu(), records)


def _unpacked(nets: Networks, records: Tensor) -> Tensor:
    """The latents of records uint8 (N, 200), uint8 (N, M)."""
    return torch.cat([nets.unpack(chunk).flatten(1).to(torch.uint8) for chunk in chunks(records)])


@torch.no_grad()
def _psnr(network: nn.Module, latents: Tensor, images: Images) -> float:
    decoded = pictures(network(latents).clamp(0, 255).round().to(torch.uint8)).numpy()
    return metrics.psnr(float(metrics.squared_error(images, decoded).mean()))
