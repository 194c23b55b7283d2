"""A codec's networks as PyTorch modules, to build upon. The weights are the initialisers of its ONNX files, bit for
bit."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from atlcodec import graph, zoo
from atlcodec.errors import BadModel
from atlcodec.training import export
from atlcodec.training.networks import CLASSIFIERS, COMPRESSORS, DECOMPRESSORS, quantise


class Modules(nn.Module):
    """One codec. Its parts are `nn.Sequential`s:

    compressor      images float32 (N, 1, 28, 28) in 0..255 -> latents float32 (N, 16, 5, 5), not clipped
    decompressor    symbols float32 (N, 16, 5, 5) in 0..15 -> images float32 (N, 1, 28, 28), neither rounded nor clipped
    classifier      symbols float32 (N, 16, 5, 5) in 0..15 -> logits float32 (N, classes); None without a classifier

    They come in evaluation mode, and with gradients. `labels` are the classes."""

    def __init__(
        self,
        compressor: nn.Sequential,
        decompressor: nn.Sequential,
        classifier: nn.Sequential | None,
        labels: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.compressor, self.decompressor, self.classifier, self.labels = compressor, decompressor, classifier, labels
        self.eval()

    @classmethod
    def load(cls, which: str | os.PathLike[str], head: str | None = None) -> Modules:
        """See `atlcodec.training.load`."""
        model = zoo.find(which)
        recipe, folder = model.card.recipe, model.folder
        compressor = _part(COMPRESSORS, recipe, recipe, model.file("compressor"), f"{folder}/compressor.onnx")
        decompressor = _part(DECOMPRESSORS, recipe, recipe, model.file("decompressor"), f"{folder}/decompressor.onnx")
        if head is None and model.card.default_head is None:
            return cls(compressor, decompressor, None, ())
        found = zoo.head(model, head)
        build = {name: functools.partial(make, len(found.labels)) for name, make in CLASSIFIERS.items()}
        classifier = _part(build, found.card.recipe, recipe, found.file(), f"{found.folder}/classifier.onnx")
        return cls(compressor, decompressor, classifier, found.labels)

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, 28, 28) in 0..255, of any type, to symbols float32 (N, 16, 5, 5) in 0..15: rounded, not sealed.
        Gradients go straight through the rounding (FSQ)."""
        return quantise(self.compressor(images.unsqueeze(1).float()))

    def decode(self, symbols: Tensor) -> Tensor:
        """Symbols float32 (N, 16, 5, 5) to images float32 (N, 28, 28), clipped to 0..255 and not rounded."""
        images: Tensor = self.decompressor(symbols).squeeze(1).clamp(0, 255)
        return images


def architecture(recipe: Mapping[str, Any]) -> str | None:
    """The architecture in a card's recipe, or None."""
    name = recipe.get("architecture")
    return name if isinstance(name, str) else None


def _part(
    known: Mapping[str, Callable[[], nn.Sequential]],
    recipe: Mapping[str, Any],
    codec: Mapping[str, Any],
    file: bytes,
    path: str,
) -> nn.Sequential:
    """The network of an ONNX file. Its architecture is in its recipe, or in its codec's; without either it is lenet."""
    name = architecture(recipe) or architecture(codec) or "lenet"
    if name not in known:
        raise BadModel(f"{path}: unknown architecture {name!r}; this version knows {', '.join(known)}")
    graph.check(file, path)
    network = known[name]()
    try:
        network.load_state_dict(export.weights(file))
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadModel(f"{path}: its weights do not fit the architecture {name!r}") from error
    return network
