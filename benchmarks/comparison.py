"""What quality.py measures: sizes, errors, speed and labels of records and of their rivals."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import inputs
import numpy as np
import pixel_classifiers
import timing
from baselines import Components, ImageCodec
from inputs import Codec, Images, LabelledSet, Split

from atlcodec import atomic, evaluation, metrics, record, refine, zoo
from atlcodec.training.data import split_validation

BYTES = record.RECORD_BYTES
HARDEST = len(refine.EVALUATIONS) - 1
FEW = 1000  # images for the highest effort, which takes long
WINDOW = 7  # side of SSIM's window
QUICK, SLOW, SLOWEST = 1024, 256, 128  # images in a turn, by how long one takes
Figures = dict[str, Any]
Timed = dict[str, tuple[int, Callable[[], object]]]  # calls, and how many images each takes
T = TypeVar("T")


class Known:
    """Figures by a key that says what they are of, kept in a file, so that a stopped run goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._figures: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def find(self, key: str, measure: Callable[[], T]) -> T:
        if key not in self._figures:
            print(key, file=sys.stderr, flush=True)
            self._figures[key] = measure()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.file(self._path) as file:
                file.write(json.dumps(self._figures, indent=1).encode())
        found: T = self._figures[key]
        return found


@dataclass(frozen=True)
class Contestant:
    """A codec for images, uint8 (N, 28, 28): `encode` gives bytes, or an array of bytes, for each."""

    name: str
    encode: Callable[[Images], Any]
    decode: Callable[[Any], Images]
    turn: int = SLOW  # images in a turn when its speed is measured
    version: str = ""  # of what it is made of


def records(codec: Codec, effort: int) -> Contestant:
    turn = QUICK if effort == 0 else SLOW if effort <= codec.model.card.effort else SLOWEST
    encode = partial(codec.encode, effort=effort)
    return Contestant(f"{codec.name}, effort {effort}", encode, codec.decode, turn, version([codec]))


def version(codecs: Sequence[Codec]) -> str:
    """Changes with the networks of the codecs and their bundled heads: their figures are then measured again."""
    files = [
        (codec.model.card.digests, each.head.card.digest) for codec in codecs for each in inputs.with_each_head(codec)
    ]
    return f" ({hashlib.sha256(repr(files).encode()).hexdigest()[:8]})"


def linear(components: Components) -> Contestant:
    name = f"principal components, {components.bits.sum():,} bits"
    return Contestant(name, components.encode, components.decode, QUICK)


def files(peer: ImageCodec, how: str, encode: Callable[[Images], bytes], turn: int = SLOW) -> Contestant:
    def decode(files: list[bytes]) -> Images:
        return np.stack([peer.decode(file) for file in files])

    return Contestant(f"{peer.name}, {how}", lambda images: [encode(image) for image in images], decode, turn)


def at_quality(peer: ImageCodec, quality: int | None) -> Contestant:
    how = "lossless" if quality is None else f"quality {quality}"
    return files(peer, how, partial(peer.encode, quality=quality))


def best_that_fits(peer: ImageCodec) -> Contestant:
    return files(peer, "the best that fits", partial(peer.best_that_fits, limit=BYTES), SLOWEST)


@dataclass(frozen=True)
class Bench:
    """A data set, and the figures that are known already."""

    known: Known
    data: LabelledSet

    @property
    def few(self) -> Bench:
        return replace(
            self, data=replace(self.data, test=self.data.test[:FEW], test_labels=self.data.test_labels[:FEW])
        )

    def find(self, what: str, measure: Callable[[], T]) -> T:
        images = f"{len(self.data.train)} + {len(self.data.test)} of {self.data.name}"
        return self.known.find(f"{what}: {images}", measure)

    def figures(self, contestant: Contestant) -> Figures:
        """The mean size, PSNR in dB, and SSIM in percent (the mean over the images)."""
        from skimage import metrics as skimage

        def measure() -> Figures:
            images = self.data.test
            made = contestant.encode(images)
            decoded = contestant.decode(made)
            errors, how = metrics.squared_error(images, decoded), {"channel_axis": 0, "data_range": 255}
            ssim: Any = partial(skimage.structural_similarity, win_size=WINDOW, **how)
            return {
                "bytes": float(np.mean([len(one) for one in made])),
                "psnr": metrics.psnr(float(np.maximum(errors, metrics.FLOOR).mean())),
                "psnr_mean": float(metrics.psnr_each(errors).mean()),
                "ssim": 100 * float(ssim(images, decoded)),
            }

        return self.find(contestant.name + contestant.version, measure)

    def labels(self, codec: Codec, effort: int) -> dict[str, float]:
        """The accuracy of each head, in percent, by its name."""

        def measure() -> dict[str, float]:
            made, found = codec.encode(self.data.test, effort=effort), {}
            for each in inputs.with_each_head(codec):
                found[each.head.name] = 100 * metrics.accuracy(each.classify(made), self.data.test_labels)
            return found

        return self.find(f"labels of {codec.name}, effort {effort}{version([codec])}", measure)

    def rates(self, what: str, prepare: Callable[[], Timed]) -> dict[str, float]:
        """Images per second with one thread, by the name of a call."""

        def measure() -> dict[str, float]:
            with timing.threads(1):
                calls = prepare()
                best = timing.best({name: call for name, (_, call) in calls.items()}, 3, 0.2)
            return {name: calls[name][0] / seconds for name, seconds in best.items()}

        return self.find(f"speed of {what}", measure)

    def speeds(self, contestants: Sequence[Contestant], of: str) -> dict[str, float]:
        """Encoded and decoded images per second, by name and verb. The codecs have the version `of`."""

        def prepare() -> Timed:
            calls: Timed = {}
            for one in contestants:
                images = np.resize(self.data.test, (one.turn, 28, 28))
                made = one.encode(images)
                many = np.resize(made, (QUICK, BYTES)) if isinstance(made, np.ndarray) else made
                calls[f"{one.name}, encode"] = len(images), partial(one.encode, images)
                calls[f"{one.name}, decode"] = len(many), partial(one.decode, many)
            return calls

        return self.rates(f"{len(contestants)} codecs{of}", prepare)

    def automatic(self) -> Figures:
        """As if each image were encoded alone at effort 0, by the codec that suits it best."""
        codecs, data = [Codec(model) for model in zoo.default()], self.data
        arguments = codecs, data.test, data.test_labels, data.classes
        key = f"model chosen for each picture{version(codecs)}"
        return self.find(key, lambda: evaluation.automatic(*arguments).summary())

    def average_quality(self, peer: ImageCodec) -> int | None:
        """The highest quality whose files have 200 bytes on average or less."""
        low, high = peer.qualities.start - 1, peer.qualities.stop
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.figures(at_quality(peer, middle))["bytes"] <= BYTES
            low, high = (middle, high) if fits else (low, middle)
        return low if low in peer.qualities else None

    def classifier(self, kind: str, net: Any, rate: float, share: float, held_out: int) -> list[float]:
        """The accuracies of a network of pixels, in percent: on the last training images, which it does not see, and on
        the test images."""
        learnt, held = split_validation(Split(self.data.train, self.data.train_labels), held_out)
        tests = held, Split(self.data.test, self.data.test_labels)

        def measure() -> list[float]:
            trained, changes = copy.deepcopy(net), pixel_classifiers.CHANGES[self.data.name]
            pixel_classifiers.train(trained, learnt, rate, *changes, share)
            return [pixel_classifiers.accuracy(trained, test) for test in tests]

        weights = sum(weight.numel() for weight in net.parameters())
        return self.find(f"{kind} of {weights} weights, rate {rate}, {share} changed", measure)
