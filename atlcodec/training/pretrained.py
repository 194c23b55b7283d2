"""A codec's networks as PyTorch modules, to build upon. The weights are the initialisers of its ONNX files, bit for
bit."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from atlcodec import graph, zoo
from atlcodec.card import Head, Model
from atlcodec.errors import BadModel
from atlcodec.training import exact_floats, export
from atlcodec.training.layers import BatchNorm, Standardise
from atlcodec.training.layout import pictures, planes
from atlcodec.training.networks import CLASSIFIERS, COMPRESSORS, DECOMPRESSORS, Networks, quantise
from atlcodec.training.settings import SIZES
from atlcodec.training.start import Start, blank


class Modules(nn.Module):
    """One codec. Its parts are `nn.Sequential`s:

    compressor      images float32 (N, C, H, W) in 0..255 -> latents float32 (N, 16, 5, 5), not clipped
    decompressor    symbols float32 (N, 16, 5, 5) in 0..15 -> images float32 (N, C, H, W), neither rounded nor clipped
    classifier      symbols float32 (N, 16, 5, 5) in 0..15 -> logits float32 (N, classes); None without a classifier

    Where latents have several widths (the architecture pca), they are float32 (N, M) in 0..`top` in place of symbols.

    They come in evaluation mode, and with gradients. `labels` are the classes."""

    top: Tensor

    def __init__(
        self,
        compressor: nn.Sequential,
        decompressor: nn.Sequential,
        classifier: nn.Sequential | None,
        labels: tuple[str, ...],
        top: Tensor,
    ) -> None:
        super().__init__()
        self.register_buffer("top", top, persistent=False)
        self.compressor, self.decompressor, self.classifier, self.labels = compressor, decompressor, classifier, labels
        self.eval()

    @classmethod
    def load(cls, which: str | os.PathLike[str], head: str | None = None) -> Modules:
        """See `atlcodec.training.load`."""
        model = zoo.find(which)
        recipe, folder = model.card.recipe, model.folder
        start = blank(model.card.packing, model.card.shape, size(recipe))
        top = torch.from_numpy(start.packing.top.reshape(start.packing.shape))
        part = functools.partial(_part, start=start, codec=recipe)
        compressor = part(COMPRESSORS, recipe, model.file("compressor"), f"{folder}/compressor.onnx")
        floats = "refiner" if model.card.exact else "decompressor"
        decompressor = part(DECOMPRESSORS, recipe, decompressor_file(model), f"{folder}/{floats}.onnx")
        if head is None and model.card.default_head is None:
            return cls(compressor, decompressor, None, (), top)
        found = zoo.head(model, head)
        path, classes = f"{found.folder}/classifier.onnx", len(found.labels)
        if found.card.exact:
            classifier = _network(CLASSIFIERS, found.card.recipe, path, recipe, start, classes=classes)
            _load_exact(classifier, found, model)
        else:
            classifier = part(CLASSIFIERS, found.card.recipe, found.file(), path, classes=classes)
        return cls(compressor, decompressor, classifier, found.labels, top)

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, *shape) in 0..255, of any type, to symbols float32 (N, 16, 5, 5) in 0..15: rounded, not sealed.
        Gradients go straight through the rounding (FSQ)."""
        return quantise(self.compressor(planes(images)), self.top)

    def decode(self, symbols: Tensor) -> Tensor:
        """Symbols float32 (N, 16, 5, 5) to images float32 (N, *shape), clipped to 0..255 and not rounded."""
        return pictures(self.decompressor(symbols)).clamp(0, 255)


def architecture(recipe: Mapping[str, Any]) -> str | None:
    """The architecture in a card's recipe, or None."""
    name = recipe.get("architecture")
    return name if isinstance(name, str) else None


def size(recipe: Mapping[str, Any]) -> str:
    """The size of the networks in a card's recipe (`pca.SIZES`)."""
    name = recipe.get("size")
    return name if name in SIZES else "small"


def decompressor_file(model: Model) -> bytes:
    """The file that holds the weights of a decompressor in floats. For an exact one, whose own file has whole numbers
    alone, it is the refiner. Raises `BadModel` if there is no refiner."""
    if not model.card.exact:
        return model.file("decompressor")
    if not model.refines:
        raise BadModel(
            f"{model.folder}: has no refiner.onnx, which holds the weights of an exact decompressor in floats"
        )
    return model.file("refiner")


def decompressor_weights(model: Model) -> dict[str, Tensor]:
    """The weights of a decompressor in floats, for `load_state_dict`. Raises `BadModel`."""
    return export.weights(decompressor_file(model), model.card.packing)


def load_pictures(nets: Networks, model: Model) -> None:
    """Give networks of the architecture pca the pictures of a codec: its decompressor, and all of its compressor but
    the path for labels. Raises `BadModel` if it is of another architecture."""
    packing = model.card.packing
    weights = export.weights(model.file("compressor"), packing)
    try:
        pictures = {name: value for name, value in weights.items() if name.startswith("0.first.")}
        found = nets.compressor.load_state_dict(pictures, strict=False)
        nets.part("decompressor").load_state_dict(decompressor_weights(model))
    except RuntimeError as error:
        raise BadModel(f"{model.folder}: its weights do not fit the architecture pca of this version") from error
    if any(not name.startswith("0.second.") for name in found.missing_keys):
        raise BadModel(f"{model.folder}: its compressor lacks weights of the architecture pca")


@torch.no_grad()
def load_whole(nets: Networks, model: Model, classes: Sequence[Sequence[str]], images: Tensor) -> list[bool]:
    """Give networks of the architecture pca all that a codec has, to train them further: compressor and decompressor,
    and for each domain with the labels of its classifier that one, too. Returns for which. `images`, uint8 (N, *shape),
    are some of those to come. Raises `BadModel` if it is of another architecture."""
    packing = model.card.packing
    try:
        nets.compressor.load_state_dict(export.weights(model.file("compressor"), packing))
        for domain in range(len(classes)):
            nets.part("decompressor", domain).load_state_dict(decompressor_weights(model))
    except RuntimeError as error:
        raise BadModel(f"{model.folder}: its weights do not fit the architecture pca of this version") from error
    _normalise(nets, images)
    return [_load_head(nets.part("classifier", domain), model, names) for domain, names in enumerate(classes)]


def _load_head(classifier: nn.Module, model: Model, classes: Sequence[str]) -> bool:
    if model.card.default_head is None:
        return False
    head = zoo.head(model)
    if tuple(head.labels) != tuple(classes):
        return False
    if head.card.exact:
        try:
            _load_exact(classifier, head, model)
        except BadModel:  # of another architecture
            return False
        return True
    try:
        classifier.load_state_dict(export.weights(head.file(), model.card.packing))
    except RuntimeError:  # of another architecture
        return False
    for layer in classifier.modules():
        if isinstance(layer, Standardise):  # the weights contain it
            layer.mean.zero_()
            layer.factor.fill_(1)
    return True


def _load_exact(classifier: nn.Module, head: Head, model: Model) -> None:
    """See `exact_floats.load_classifier`. Raises `BadModel`."""
    assert isinstance(classifier, nn.Sequential)
    path = f"{head.folder}/classifier.onnx"
    graph.check(head.file(), path)
    linear = decompressor_weights(model)
    exact_floats.load_classifier(classifier, head.file(), path, model.card.packing, head.card.scale, linear)


def _normalise(nets: Networks, images: Tensor) -> None:
    """Give the batch normalisations of a loaded path for labels the statistics of some images. Exported weights contain
    them; without them the path would compute something else as soon as it learns."""

    def adopt(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)

    path = nets.part("labels").eval()
    hooks = [layer.register_forward_pre_hook(adopt) for layer in path.modules() if isinstance(layer, BatchNorm)]
    path(planes(images))
    for hook in hooks:
        hook.remove()


def _part(
    known: Mapping[str, Callable[..., nn.Sequential]],
    recipe: Mapping[str, Any],
    file: bytes,
    path: str,
    *,
    codec: Mapping[str, Any],
    start: Start,
    **more: int,
) -> nn.Sequential:
    """The network of an ONNX file. Its architecture is in its recipe, or in its codec's; without either it is lenet."""
    network = _network(known, recipe, path, codec, start, **more)
    graph.check(file, path)
    try:
        network.load_state_dict(export.weights(file, start.packing))
    except (RuntimeError, ValueError, TypeError) as error:
        name = architecture(recipe) or architecture(codec) or "lenet"
        raise BadModel(f"{path}: its weights do not fit the architecture {name!r}") from error
    return network


def _network(
    known: Mapping[str, Callable[..., nn.Sequential]],
    recipe: Mapping[str, Any],
    path: str,
    codec: Mapping[str, Any],
    start: Start,
    **more: int,
) -> nn.Sequential:
    """A new network of the architecture that the recipe names, or that of its codec."""
    name = architecture(recipe) or architecture(codec) or "lenet"
    if name not in known:
        raise BadModel(f"{path}: unknown architecture {name!r}; this version knows {', '.join(known)}")
    return known[name](start, **more)
