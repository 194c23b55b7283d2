"""Which codec suits images best, where you name none: one for all of them, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec import zoo
from atlcodec.codec import UNSURE, Codec, Images
from atlcodec.errors import BadImage, UnknownModel
from atlcodec.reader import cached_codec
from atlcodec.record import Records
from atlcodec.shape import Shape


@dataclass(frozen=True)
class Suited:
    """What K codecs make of N images at effort 0."""

    codecs: list[Codec]
    records: list[Records]  # of each codec, uint8 (N, 200)
    scores: NDArray[np.float64]  # (K, N); the highest counts

    @property
    def whole(self) -> int:
        """The codec, by number, that suits all images together best: by the mean of its scores."""
        return int(self.scores.mean(axis=1).argmax())

    @property
    def each(self) -> NDArray[np.intp]:
        """The codec, by number, that suits each image best: (N,)."""
        return np.asarray(self.scores.argmax(axis=0))


def suited(images: Images, among: Sequence[Codec] | None = None) -> Suited:
    """How well codecs suit images, uint8 (N, *shape): those that you give, or the bundled ones of the default list that
    take images of this shape. Raises `UnknownModel` if there are no models, `BadImage` if none takes this shape."""
    codecs = list(among) if among else defaults(images.shape[1:])
    records = [codec.encode(images, effort=0) for codec in codecs]
    found = [codec.evidence(images, made) for codec, made in zip(codecs, records, strict=True)]
    return Suited(codecs, records, scores(codecs, np.stack(found)))


def scores(codecs: Sequence[Codec], evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of K codecs and N images, float64 (K, N), by the `Codec.evidence` of each, (K, 2, N).

    The codecs of the default list have a linear classifier that learned from their training images whose image it is
    (`models/choice.json`, made by `benchmarks/choice.py`). Where the codec that it names is unsure of its label, and
    for other codecs, what they reproduce counts."""
    psnr, doubt = evidence[:, 0], evidence[:, 1]
    known = zoo.choice()
    if known.heads != [head_digest(codec) for codec in codecs]:
        return np.asarray(psnr + UNSURE * doubt)
    odds = np.array(known.weights) @ features(evidence)
    first, all_of_them = odds.argmax(axis=0), np.arange(odds.shape[1])
    least = np.log([codec.head.card.unsure_below for codec in codecs])
    return np.asarray(np.where(doubt[first, all_of_them] < least[first], psnr, odds))


def features(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the linear classifier weighs: float64 (2K + 1, N)."""
    psnr, doubt = evidence[:, 0], evidence[:, 1]
    return np.concatenate([psnr, doubt, np.ones_like(psnr[:1])])


def head_digest(codec: Codec) -> str:
    """Changes with what a codec's evidence comes from; "" without a classifier."""
    return codec.head.card.digest[:16] if codec.model.card.default_head is not None else ""


def default_shape() -> Shape:
    """The shape of the images that a model is chosen for where nobody names one."""
    return zoo.default()[0].card.shape


def has_colours() -> bool:
    """Whether a bundled model of the default list takes images in colour."""
    return any(len(model.card.shape) == 3 for model in zoo.default())


def tile_codecs(*, colours: bool) -> list[Codec]:
    """The codecs of the default list for the tiles of an image in grey or in `colours`; without any, the others, which
    refuse colours or take grey as colour. They stay loaded. Raises `UnknownModel` if there are no models."""
    models = zoo.default()
    if not models:
        raise UnknownModel("no models are installed to choose from")
    found = [model for model in models if (len(model.card.shape) == 3) == colours]
    return [cached_codec(model) for model in found or models]


def grids_unasked() -> bool:
    """Whether an image of another shape becomes a grid where nobody asks for it: as soon as the bundled models have
    tiles for images of every kind."""
    return {"grey", "colour"} <= {model.name for model in zoo.default()}


def defaults(shape: tuple[int, ...]) -> list[Codec]:
    """The codecs of the default list that take images of this shape; they stay loaded."""
    models = zoo.default()
    if not models:
        raise UnknownModel("no models are installed to choose from")
    found = [cached_codec(model) for model in models if model.card.shape == shape]
    if not found:
        raise BadImage(f"no bundled model takes images of the shape {shape}; name a model for them")
    return found
