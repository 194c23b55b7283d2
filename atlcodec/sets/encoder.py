"""The three steps that encode images, from a folder, a pipe or a few files: `choose` the codec, encode and measure in
an `Encoder`, and warn if the images do not suit the codec."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import metrics, zoo
from atlcodec.choice import suited
from atlcodec.codec import Codec, Images
from atlcodec.record import Records
from atlcodec.sets.sources import Loaded, Source

SAMPLE = 1000  # images, spread over all, that choose the codec of a set and measure its quality
POOR = 0.05  # share of poor images at which a set is of another kind; 0.001 is usual


class Quality(NamedTuple):
    """Of some of the images, spread over all: the sum of their mean squared errors, how many, and how many are poor."""

    error: float = 0.0
    measured: int = 0
    poor: int = 0


def choose(source: Source) -> tuple[Codec, str]:
    """The codec that suits a sample of the images best; the first default one if no image can be read. And a note, if
    more than one in twenty would rather have another codec; else ""."""
    sample = source.sample(SAMPLE)
    if not len(sample):
        return Codec(zoo.default()[0]), ""
    found = suited(sample)
    codec = found.codecs[found.whole]
    counts = Counter(found.codecs[number].name for number in found.each.tolist())
    others = {name: count for name, count in counts.most_common() if name != codec.name}
    if sum(others.values()) <= POOR * len(sample):
        return codec, ""
    some = ", ".join(f"{count} {name}" for name, count in others.items())
    what = "images" if len(sample) == len(source) else f"sampled images of {len(source)}"
    return codec, f"{codec.name} encodes them all, but of {len(sample)} {what} some suit another model: {some}"


def each_alone(loaded: Loaded, fixed: Codec | None, effort: int | None) -> list[tuple[Records, float, Encoder]]:
    """The record of each image, uint8 (1, 200), its mean squared error, and what encoded it: the codec that you fixed,
    or the one that suits the image best."""
    encoders, which = [Encoder(fixed, effort)] if fixed else [], np.zeros(len(loaded.images), np.intp)
    if not fixed:
        found = suited(loaded.images)
        encoders, which = [Encoder(codec, effort) for codec in found.codecs], found.each
    made: dict[int, tuple[Records, float, Encoder]] = {}
    for number, encoder in enumerate(encoders):
        rows = np.flatnonzero(which == number)
        for row, record, error in zip(rows.tolist(), *encoder.encode(loaded.images[rows]), strict=True):
            made[row] = record[None], float(error), encoder
    return [made[row] for row in sorted(made)]


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
        return self._warn(name, what, "are they dark on white (--invert), or images of another kind?")

    def warn(self, name: str, error: float) -> str:
        """A warning about one image that `is_poor`, from its mean squared error."""
        what = f"{metrics.psnr(error):.1f} dB is poor"
        return self._warn(name, what, "is it dark on white (--invert), or another kind of image?")

    def _warn(self, name: str, what: str, question: str) -> str:
        low, kind = self.codec.model.psnr_low, self.codec.name
        return f"atlc: warning: {name}: {what}: images like those of {kind} reach {low:.1f} dB; {question}"
