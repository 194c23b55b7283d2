"""What quality.py measures: sizes, errors, speed and labels of records, image codecs, principal components, and
classifiers of pixels."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import gemm
import numpy as np
import pca
import pixel_classifiers
import timing
from baselines import WEBP, ImageCodec
from inputs import Codec, Images, Labels, Split

from atlcodec import atomic, evaluation, metrics, record, refine, zoo

BYTES = record.RECORD_BYTES
HARDEST = len(refine.EVALUATIONS) - 1
FEW = 1000  # images for what takes long: the highest effort, all efforts, the curves
WINDOW = 7  # side of SSIM's window
QUICK, SLOW, SLOWEST = 1024, 256, 128  # images in a turn, by how long one takes
EPOCHS = {"MNIST": 12, "FashionMNIST": 12, "KMNIST-part": 60}  # of the classifiers of pixels
AUGMENT = {"MNIST": "affine", "FashionMNIST": "affine+mirror", "KMNIST-part": "affine"}
NETWORKS = [("MLP", "raw"), ("MLP", "WebP's"), ("CNN", "raw"), ("CNN", "WebP's"), ("LeNet-5", "raw")]  # and pixels
BUDGETS = (400, 800, 1200, 1600, 2400, 3200)  # bits of the principal components
Figures = dict[str, Any]
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


def records(codec: Codec, effort: int) -> Contestant:
    turn = QUICK if effort == 0 else SLOW if effort <= refine.DEFAULT_EFFORT else SLOWEST
    return Contestant(f"{codec.name}, effort {effort}", partial(codec.encode, effort=effort), codec.decode, turn)


def linear(fitted: pca.Pca) -> Contestant:
    return Contestant(f"principal components, {fitted.bits.sum():,} bits", fitted.encode, fitted.decode, QUICK)


def zipped() -> Contestant:
    def decode(files: list[bytes]) -> Images:
        return np.frombuffer(b"".join(map(zlib.decompress, files)), np.uint8).reshape(-1, 28, 28)

    return Contestant("zlib of the pixels, lossless", lambda images: [zlib.compress(one, 9) for one in images], decode)


def files(peer: ImageCodec, how: str, encode: Callable[[Images], bytes], turn: int = SLOW) -> Contestant:
    def decode(files: list[bytes]) -> Images:
        return np.stack([peer.decode(file) for file in files])

    return Contestant(f"{peer.name}, {how}", lambda images: [encode(image) for image in images], decode, turn)


def at_quality(peer: ImageCodec, quality: int | None) -> Contestant:
    how = "lossless" if quality is None else f"one quality ({quality})"
    return files(peer, how, partial(peer.encode, quality=quality))


def best_that_fits(peer: ImageCodec) -> Contestant:
    return files(peer, "the best that fits", partial(peer.best_that_fits, limit=BYTES), SLOWEST)


@dataclass(frozen=True)
class Bench:
    """Images uint8 (N, 28, 28), perhaps with labels, and the figures that are known already."""

    known: Known
    name: str
    images: Images
    labels: Labels | None = None
    classes: tuple[str, ...] = ()

    @property
    def few(self) -> Bench:
        return replace(self, images=self.images[:FEW], labels=None if self.labels is None else self.labels[:FEW])

    def find(self, what: str, measure: Callable[[], T]) -> T:
        return self.known.find(f"{what}: {len(self.images)} of {self.name}", measure)

    def sealed(self, codec: Codec, effort: int) -> Figures:
        """PSNR and accuracy of sealed records, and both without the seal."""
        arguments = codec, self.images, self.labels, self.classes, effort
        return self.find(f"seal of {codec.name}, effort {effort}", lambda: evaluation.measure(*arguments).summary())

    def automatic(self) -> Figures:
        """As if each image were encoded alone, by the codec that suits it best."""
        codecs = [Codec(model) for model in zoo.default()]
        arguments = codecs, self.images, self.labels, self.classes, refine.DEFAULT_EFFORT
        return self.find("model chosen for each image", lambda: evaluation.automatic(*arguments).summary())

    def figures(self, contestant: Contestant) -> Figures:
        """The mean size, PSNR in dB, SSIM in percent (the mean over the images), and how many images come back exactly
        or need more than 200 bytes."""
        from skimage import metrics as skimage

        def measure() -> Figures:
            made = contestant.encode(self.images)
            decoded, sizes = contestant.decode(made), [len(one) for one in made]
            errors, how = metrics.squared_error(self.images, decoded), {"channel_axis": 0, "data_range": 255}
            ssim: Any = partial(skimage.structural_similarity, win_size=WINDOW, **how)
            return {
                "bytes": float(np.mean(sizes)),
                "psnr": metrics.psnr(float(np.maximum(errors, metrics.FLOOR).mean())),
                "psnr_mean": float(metrics.psnr_each(errors).mean()),
                "ssim": 100 * float(ssim(self.images, decoded)),
                "exact": int((decoded == self.images).all(axis=(1, 2)).sum()),
                "large": sum(size > BYTES for size in sizes),
            }

        return self.find(contestant.name, measure)

    def rates(self, contestants: Sequence[Contestant]) -> dict[str, list[float]]:
        """Images per second, encode and decode, by name."""

        def measure() -> dict[str, list[float]]:
            calls = {}
            for one in contestants:
                images = np.resize(self.images, (one.turn, 28, 28))
                made = one.encode(images)
                many = np.resize(made, (QUICK, BYTES)) if isinstance(made, np.ndarray) else made
                calls[one.name, len(images)] = partial(one.encode, images)
                calls[one.name + " decode", len(many)] = partial(one.decode, many)
            best = {name: count / taken for (name, count), taken in timing.best(calls, 3, 0.2).items()}
            return {one.name: [best[one.name], best[f"{one.name} decode"]] for one in contestants}

        return self.find("speed", measure)

    def average_quality(self, peer: ImageCodec) -> int | None:
        """The highest quality whose files have 200 bytes on average or less."""
        low, high = peer.qualities.start - 1, peer.qualities.stop
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.figures(at_quality(peer, middle))["bytes"] <= BYTES
            low, high = (middle, high) if fits else (low, middle)
        return low if low in peer.qualities else None


def pixel_figures(bench: Bench, train: Split, budget: int, pool: ProcessPoolExecutor) -> list[Figures]:
    """Of each of NETWORKS. Each is trained with and without augmentation, and validation chooses."""

    def measure() -> list[Figures]:
        raw, jobs = [train, Split(bench.images, bench.labels)], []
        webp = [Split(np.stack([*pool.map(through_webp, one.images, chunksize=100)]), one.labels) for one in raw]
        splits = {"raw": raw, "WebP's": webp}
        for (name, kind), change in product(NETWORKS, ("", AUGMENT[bench.name])):
            net = pixel_classifiers.network(name, budget, len(bench.classes))
            size = gemm.multiplications(pixel_classifiers.onnx_file(net))
            jobs.append((size, pool.submit(pixel_classifiers.train, net, splits[kind], change, EPOCHS[bench.name])))
        return [{**job.result(), "multiplications": size} for size, job in jobs]

    found = bench.find(f"classifiers of pixels with {budget} multiplications", measure)
    return [max(pair, key=lambda each: each["validation"]) for pair in zip(found[::2], found[1::2], strict=True)]


def through_webp(image: Images) -> Images:
    """An image after the WebP file of the highest quality that fits, or of the lowest."""
    encode = partial(WEBP.encode, image)
    return WEBP.decode(encode(WEBP.highest_that_fits(encode, BYTES)))
