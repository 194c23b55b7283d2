"""What quality.py measures: sizes, errors, labels and speed of records, image codecs, principal components and
classifiers of pixels. Figures are kept in a file under a name that says what they are of, so a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import gemm
import inputs
import numpy as np
import pca
import pixel_classifiers
import timing
from baselines import IMAGE_CODECS, JXL, WEBP, ImageCodec
from inputs import Codec, Images, LabelledSet, Labels, Split
from numpy.typing import NDArray
from pixel_classifiers import Training

from atlcodec import atomic, evaluation, metrics, record, refine
from atlcodec.engine import threads

BYTES = record.RECORD_BYTES
HARDEST = len(refine.EVALUATIONS) - 1
FEW = 1000  # images for what takes long: the highest effort, all efforts, the curves
PART = 100  # images that a process gets at a time
WINDOW = 7  # side of SSIM's window
QUICK, SLOW, SLOWEST = 1024, 256, 128  # images in a turn, by how long one takes
EPOCHS = {"MNIST": 12, "FashionMNIST": 12, "KMNIST-part": 60}  # of the classifiers of pixels
AUGMENT = {"MNIST": "affine", "FashionMNIST": "affine+mirror", "KMNIST-part": "affine"}
NETWORKS = (
    ("MLP", "raw"),
    ("MLP", "WebP's"),
    ("CNN", "raw"),
    ("CNN", "WebP's"),
    ("LeNet-5", "raw"),
)  # and their pixels
BUDGETS = (400, 800, 1200, 1600, 2400, 3200)  # bits of the principal components
Figures = dict[str, Any]
T = TypeVar("T")


class Bench:
    """The figures that are known, and processes to find more with."""

    def __init__(self, folder: Path, pool: ProcessPoolExecutor) -> None:
        self.pool, self._file = pool, folder / "figures.json"
        self._known: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else {}

    def knows(self, key: Sequence[object]) -> bool:
        return _name(key) in self._known

    def known(self, key: Sequence[object], find: Callable[[], T]) -> T:
        """The figures under a key; `find` gives new ones, as JSON can hold them."""
        name = _name(key)
        if name not in self._known:
            print(name, file=sys.stderr, flush=True)
            self._known[name] = find()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with atomic.file(self._file) as file:
                file.write(json.dumps(self._known, indent=1).encode())
        found: T = self._known[name]
        return found


def _name(key: Sequence[object]) -> str:
    return " | ".join(map(str, key))


def digest(*content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class TestSet:
    """Images uint8 (N, 28, 28), perhaps with labels, and what is measured on them."""

    bench: Bench
    name: str
    images: Images
    labels: Labels | None = None
    classes: tuple[str, ...] = ()

    @property
    def few(self) -> TestSet:
        return replace(self, images=self.images[:FEW], labels=None if self.labels is None else self.labels[:FEW])

    @cached_property
    def key(self) -> str:
        return f"{len(self.images)} of {self.name} {digest(self.images.tobytes())}"

    def records(self, codec: Codec, effort: int) -> Figures:
        def find() -> Figures:
            records = codec.encode(self.images, effort)
            right = self._right(codec, records)
            return figures(self.images, codec.decode(records), BYTES, right)

        return self.bench.known(["atlcodec", identity(codec), f"effort {effort}", self.key], find)

    def chosen(self) -> Figures:
        """As `encode` does for a single image without a model: by the codec that suits it best."""
        codecs = inputs.default()

        def find() -> Figures:
            best = evaluation.chosen(codecs, self.images)
            decoded, right = np.empty_like(self.images), np.zeros(len(self.images), np.bool_)
            assert self.labels is not None
            for index, codec in enumerate(codecs):
                rows = np.nonzero(best == index)[0]
                part = replace(self, images=self.images[rows], labels=self.labels[rows])
                records = codec.encode(part.images)
                decoded[rows] = codec.decode(records)
                read = part._right(codec, records)
                right[rows] = False if read is None else read  # only the chosen codec's own labels count
            return figures(self.images, decoded, BYTES, right)

        key = ["atlcodec, chosen", refine.DEFAULT_EFFORT, *map(identity, codecs), self.key]
        return self.bench.known(key, find)

    def _right(self, codec: Codec, records: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Whether each label is read right, by name: a codec may number its classes in another way."""
        if self.labels is None or not classifies(codec) or not set(self.classes) & set(codec.labels):
            return None
        read = np.array(codec.labels)[codec.classify(records).argmax(axis=1)]
        return np.asarray(read == np.array(self.classes)[self.labels])

    def seal(self, codec: Codec) -> dict[str, Any]:
        """The figures of sealed records and of the same symbols without a seal."""
        find = partial(evaluation.measure, codec, self.images, self.labels, self.classes)
        return self.bench.known(["seal", identity(codec), self.key], lambda: find().summary())

    def at_quality(self, peer: ImageCodec, quality: int | None) -> Figures:
        encode = partial(peer.encode, quality=quality)
        return self._with(peer, "lossless" if quality is None else f"quality {quality}", encode)

    def best_that_fits(self, peer: ImageCodec) -> Figures:
        return self._with(peer, f"at most {BYTES} bytes", partial(peer.best_that_fits, limit=BYTES))

    def average_quality(self, peer: ImageCodec) -> int | None:
        """The highest quality whose files have 200 bytes on average or less."""
        low, high = peer.qualities.start - 1, peer.qualities.stop
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.at_quality(peer, middle)["bytes"] <= BYTES
            low, high = (middle, high) if fits else (low, middle)
        return low if low in peer.qualities else None

    def _with(self, peer: ImageCodec, how: str, encode: Callable[[Images], bytes]) -> Figures:
        def find() -> Figures:
            files = list(self.bench.pool.map(encode, self.images, chunksize=PART))
            decoded, sizes = np.stack([peer.decode(file) for file in files]), [len(file) for file in files]
            return {
                **figures(self.images, decoded, sizes),
                "exact": int((decoded == self.images).all(axis=(1, 2)).sum()),
                "large": sum(size > BYTES for size in sizes),
            }

        return self.bench.known([*described(peer), how, self.key], find)

    def linear(self, fitted: pca.Pca) -> Figures:
        packed = fitted.encode(self.images)
        key = ["principal components", digest(Path(pca.__file__).read_bytes(), packed.tobytes()), self.key]
        return self.bench.known(key, lambda: figures(self.images, fitted.decode(packed), packed.shape[1]))


def figures(
    images: Images, decoded: Images, sizes: float | list[int], right: NDArray[np.bool_] | None = None
) -> Figures:
    """The mean size, PSNR in dB, SSIM (the mean over the images), and accuracy in percent."""
    from skimage.metrics import structural_similarity

    errors = metrics.squared_error(images, decoded)
    ssim = structural_similarity(images, decoded, channel_axis=0, data_range=255, win_size=WINDOW)  # type: ignore[no-untyped-call]
    return {
        "bytes": float(np.mean(sizes)),
        "psnr": metrics.psnr(float(np.maximum(errors, metrics.FLOOR).mean())),
        "psnr_mean": float(metrics.psnr_each(errors).mean()),
        "ssim": float(ssim),
        "accuracy": None if right is None else 100 * float(right.mean()),
    }


def classifies(codec: Codec) -> bool:
    return codec.model.card.default_head is not None


def identity(codec: Codec) -> str:
    """A name for all that a codec's figures depend on: its files, and the programs that search and seal."""
    hashes = [*codec.model.card.digests.values(), codec.head.card.digest if classifies(codec) else ""]
    programs = [Path(module.__file__ or "").read_bytes() for module in (record, refine)]
    return f"{codec.name} {codec.id:08x} {digest(hashes, programs)}"


def described(peer: ImageCodec) -> list[str]:
    plugin = [version("pillow-jxl-plugin")] if peer is JXL else []
    return [" ".join([peer.name, version("pillow"), *plugin]), digest(peer)]


class Comparison:
    """A data set, the codecs that were trained on it, and what they are compared with."""

    def __init__(self, bench: Bench, data: LabelledSet) -> None:
        self.data, self.codecs = data, inputs.trained_on(data.name)
        self.test = TestSet(bench, data.name, data.test, data.test_labels, data.classes)
        self.components = pca.fit(data.train, BUDGETS)  # by bits
        self.linear = self.components[8 * BYTES]
        self.qualities = {peer: self.test.average_quality(peer) for peer in IMAGE_CODECS}
        peers = [(described(peer), quality) for peer, quality in self.qualities.items()]
        about = digest(list(map(identity, self.codecs)), peers, self.linear.bits.tolist(), QUICK, SLOW, SLOWEST)
        # Images per second, by "encode " or "decode " and the name of the codec.
        self.rates = bench.known(["speed", about, f"{threads()} threads", self.test.key], self._measure_rates)

    def _measure_rates(self) -> dict[str, float]:
        calls: timing.Calls = {}
        counts: dict[str, int] = {}
        quick, slow, slowest = (self.test.images[:count] for count in (QUICK, SLOW, SLOWEST))

        def add(verb: str, name: str, count: int, call: Callable[[], object]) -> None:
            calls[f"{verb} {name}"], counts[f"{verb} {name}"] = call, count

        def add_peer(peer: ImageCodec, how: str, images: Images, encode: Callable[[Images], bytes]) -> None:
            files = [encode(image) for image in images]
            add("encode", f"{peer.name}, {how}", len(images), lambda: [encode(image) for image in images])
            add("decode", f"{peer.name}, {how}", len(images), lambda: [peer.decode(file) for file in files])

        for codec in self.codecs:
            for effort in range(HARDEST + 1) if codec.model.refines else [0]:
                images = quick if effort == 0 else slow if effort <= refine.DEFAULT_EFFORT else slowest
                add("encode", with_effort(codec, effort), len(images), partial(codec.encode, images, effort))
            add("decode", codec.name, len(quick), partial(codec.decode, codec.encode(quick, 0)))
        for peer, quality in self.qualities.items():
            add_peer(peer, "fits", slowest, partial(peer.best_that_fits, limit=BYTES))
            if quality is not None:
                add_peer(peer, "free", slow, partial(peer.encode, quality=quality))
            if peer.lossless:
                add_peer(peer, "lossless", slow, partial(peer.encode, quality=None))
        add("encode", "PCA", len(quick), partial(self.linear.encode, quick))
        add("decode", "PCA", len(quick), partial(self.linear.decode, self.linear.encode(quick)))
        return {name: counts[name] / seconds for name, seconds in timing.best(calls, 3, 0.2).items()}

    @property
    def budget(self) -> int:
        """Multiplications of the largest classifier of records."""
        return max((gemm.multiplications(codec.head.file()) for codec in self.codecs if classifies(codec)), default=0)

    def pixel_classifiers(self) -> dict[tuple[str, str], Figures]:
        """By network and kind of pixels. Each is trained with and without augmentation, and validation chooses."""
        bench, data, epochs = self.test.bench, self.data, EPOCHS[self.data.name]
        program = digest(Path(pixel_classifiers.__file__).read_bytes())
        about = [program, version("torch"), len(data.train), self.test.key, self.budget, epochs]
        augmentations = "", AUGMENT[data.name]
        keys = {case: ["classifier of pixels", *about, *case] for case in product(NETWORKS, augmentations)}
        unknown = [case for case in keys if not bench.knows(keys[case])]
        train, test = Split(data.train, data.train_labels), Split(data.test, data.test_labels)
        splits = {"raw": (train, test)}
        if any(kind != "raw" for (_, kind), _ in unknown):
            print(f"WebP of the images of {data.name}", file=sys.stderr, flush=True)
            splits["WebP's"] = self._webp(train), self._webp(test)
        jobs = {}
        for (network, kind), augment in unknown:
            training = Training(network, self.budget, len(data.classes), *splits[kind], augment, epochs)
            jobs[(network, kind), augment] = bench.pool.submit(training.run)
        best: dict[tuple[str, str], Figures] = {}
        for case, key in keys.items():
            found = bench.known(key, lambda case=case: jobs[case].result())  # type: ignore[misc]
            best[case[0]] = max(best.get(case[0], found), found, key=lambda figures: figures["validation"])
        return best

    def _webp(self, split: Split) -> Split:
        """The same images after WebP files of at most 200 bytes."""
        encode = partial(WEBP.highest_that_fits, limit=BYTES)
        files = self.test.bench.pool.map(encode, split.images, chunksize=PART)
        return Split(np.stack([WEBP.decode(file) for file in files]), split.labels)


def with_effort(codec: Codec, effort: int) -> str:
    return f"{codec.name}, effort {effort}"
