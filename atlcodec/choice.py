"""Which codec suits images best, where you name none: one for all of them, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec import zoo
from atlcodec.codec import Codec, Images
from atlcodec.errors import BadImage, UnknownModel
from atlcodec.reader import cached_codec
from atlcodec.record import Records
from atlcodec.shape import Shape


@dataclass(frozen=True)
class Suited:
    """What K codecs make of N images at effort 0."""

    codecs: list[Codec]
    records: list[Records]  # of each codec, uint8 (N, 200)
    scores: NDArray[np.float64]  # (K, N), `Codec.suitability` in dB

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
    scores = [codec.suitability(images, made) for codec, made in zip(codecs, records, strict=True)]
    return Suited(codecs, records, np.stack(scores))


def default_shape() -> Shape:
    """The shape of the images that a model is chosen for where nobody names one."""
    return zoo.default()[0].card.shape


def defaults(shape: tuple[int, ...]) -> list[Codec]:
    """The codecs of the default list that take images of this shape; they stay loaded."""
    models = zoo.default()
    if not models:
        raise UnknownModel("no models are installed to choose from")
    found = [cached_codec(model) for model in models if model.card.shape == shape]
    if not found:
        raise BadImage(f"no bundled model takes images of the shape {shape}; name a model for them")
    return found
