"""The three steps that encode images, from a folder, a pipe or a few files: `choose` the codec, encode and measure in
an `Encoder`, and warn if the images do not suit the codec."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlcodec import engine, metrics, refine, zoo
from atlcodec.choice import suited
from atlcodec.codec import Codec, Images
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.sets import sources
from atlcodec.sets.sources import Sampled

SAMPLE = 1000  # images, spread over all, that choose the codec of a set and measure its quality
A_SECOND = 2048  # images of the bundled shape that a thread encodes in about a second, at effort 0
LENGTH_OF_BUNDLED = 28 * 28  # values of such an image
NEVER_POOR = 40.0  # dB: a codec of few images may reach more, but nobody sees a difference
POOR = 0.05  # share of poor images at which a set is of another kind; 0.001 is usual


class Quality(NamedTuple):
    """Of some of the images, spread over all: the sum of their mean squared errors, how many, and how many are poor."""

    error: float = 0.0
    measured: int = 0
    poor: int = 0


class Encoded(NamedTuple):
    """The records of N images, uint8 (N, 200), the mean squared errors of the M measured ones, float64 (M,), and the
    number of the codec of each, int (N,)."""

    records: Records
    errors: NDArray[np.float64]
    which: NDArray[np.intp]


def choose(source: Sampled) -> tuple[Codec, str]:
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
    return codec, (
        f"{codec.name} encodes them all, but of {len(sample)} {what} some suit another model: {some}; "
        "--each (each=True) gives each image its own"
    )


def named(counts: dict[str, int]) -> str:
    """The models of a set, by how many records each has: the name of the only one, or "30 of mnist, 10 of fashion"."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} of {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item)))


def batch_size(codecs: Sequence[Codec], effort: int | None) -> int:
    """How many images are encoded before the journal keeps them, and before progress is told: about a second's work, so
    fewer where each takes long."""
    evaluations = max(refine.evaluations(codec.model.card.effort if effort is None else effort) for codec in codecs)
    pixels = max(math.prod(codec.shape) for codec in codecs)
    each = A_SECOND // (1 + evaluations) * LENGTH_OF_BUNDLED // max(LENGTH_OF_BUNDLED, pixels)
    return min(sources.BATCH, max(16, each) * engine.threads())


@dataclass
class Encoder:
    """Encodes images, and measures every `step`-th of them. With one codec it encodes them all, with several each image
    gets the one that suits it best."""

    codecs: Sequence[Codec]
    effort: int | None
    step: int = 1
    quality: Quality = field(default_factory=Quality)

    def encode(self, images: Images) -> Encoded:
        """Images, uint8 (N, *shape), to records."""
        which = np.zeros(len(images), np.intp)
        found = suited(images, self.codecs) if len(self.codecs) > 1 and len(images) else None
        if found:
            which = found.each
        records = np.empty((len(images), RECORD_BYTES), np.uint8)
        errors, poor = np.zeros(len(images)), 0
        for number, codec in enumerate(self.codecs):
            rows = np.flatnonzero(which == number)
            if found and (self.effort == 0 or not codec.model.refines):
                records[rows] = found.records[number][rows]
            else:
                records[rows] = codec.encode(images[rows], self.effort)
            rows = rows[rows % self.step == 0]
            errors[rows] = metrics.squared_error(images[rows], codec.decode(records[rows]))
            poor += sum(is_poor(codec, error) for error in errors[rows])
        measured = errors[:: self.step]
        before = self.quality
        self.quality = Quality(
            before.error + float(measured.sum()), before.measured + len(measured), before.poor + poor
        )
        return Encoded(records, measured, which)

    def warning(self, name: str) -> str:
        """A warning if too many of the measured images are poor."""
        poor, measured = self.quality.poor, self.quality.measured
        if poor <= POOR * measured:
            return ""
        what = f"{poor} of {measured} measured images are poor"
        question = "are they dark on white (--invert), or images of another kind?"
        if len(self.codecs) > 1:
            return f"{name}: {what}: images like those of their models reach more; {question}"
        return _warning(self.codecs[0], name, what, question)


def is_poor(codec: Codec, error: float) -> bool:
    """Whether an image with this mean squared error is worse than nearly every image of the codec's kind."""
    low = codec.model.psnr_low
    return low is not None and metrics.psnr(error) < min(low, NEVER_POOR)


def poor_warning(codec: Codec, name: str, error: float) -> str:
    """A warning about one image that `is_poor`, from its mean squared error."""
    what = f"{metrics.psnr(error):.1f} dB is poor"
    return _warning(codec, name, what, "is it dark on white (--invert), or another kind of image?")


def _warning(codec: Codec, name: str, what: str, question: str) -> str:
    low = codec.model.psnr_low
    return f"{name}: {what}: images like those of {codec.name} reach {low:.1f} dB; {question}"
