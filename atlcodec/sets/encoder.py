"""The three steps that encode images, from a folder, a pipe or a few files: `choose` the codec, encode and measure in
an `Encoder`, and warn if the images do not suit the codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import api, metrics, zoo
from atlcodec.codec import Codec, Images
from atlcodec.record import Records
from atlcodec.sets.sources import Source

SAMPLE = 1000  # images, spread over all, that choose the codec of a set and measure its quality
POOR = 0.05  # share of poor images at which a set is of another kind; 0.001 is usual


class Quality(NamedTuple):
    """Of some of the images, spread over all: the sum of their mean squared errors, how many, and how many are poor."""

    error: float = 0.0
    measured: int = 0
    poor: int = 0


def choose(source: Source) -> Codec:
    """The codec that suits a sample of the images best; the first default one if no image can be read."""
    sample = source.sample(SAMPLE)
    return api.choose(sample, effort=0)[0] if len(sample) else Codec(zoo.default()[0])


@dataclass
class Encoder:
    """Encodes images with one codec, and measures every `step`-th of them."""

    codec: Codec
    effort: int | None
    step: int = 1
    quality: Quality = field(default_factory=Quality)

    def encode(self, images: Images) -> tuple[Records, NDArray[np.float64]]:
        """Images, uint8 (N, *shape) -> records, uint8 (N, 200), and mean squared errors of the measured ones, float64
        (M,)."""
        records = self.codec.encode(images, self.effort)
        errors = metrics.squared_error(images[:: self.step], self.codec.decode(records[:: self.step]))
        poor = sum(self.is_poor(error) for error in errors)
        before = self.quality
        self.quality = Quality(before.error + float(errors.sum()), before.measured + len(errors), before.poor + poor)
        return records, errors

    def is_poor(self, error: float) -> bool:
        """Whether an image with this mean squared error is worse than nearly every image of the codec's kind."""
        low = self.codec.model.psnr_low
        return low is not None and metrics.psnr(error) < low

    def warning(self, name: str) -> str:
        """A warning if too many of the measured images are poor."""
        poor, measured = self.quality.poor, self.quality.measured
        if poor <= POOR * measured:
            return ""
        what = f"{poor} of {measured} measured images are poor"
        return self._warn(name, what, "are they dark on white (invert them), or images of another kind?")

    def warn(self, name: str, error: float) -> str:
        """A warning about one image that `is_poor`, from its mean squared error."""
        what = f"{metrics.psnr(error):.1f} dB is poor"
        return self._warn(name, what, "is it dark on white (invert it), or another kind of image?")

    def _warn(self, name: str, what: str, question: str) -> str:
        low, kind = self.codec.model.psnr_low, self.codec.name
        return f"atlc: warning: {name}: {what}: images like those of {kind} reach {low:.1f} dB; {question}"
