"""Who takes part in quality.py, and what is measured of each: sizes, errors, labels, speed.

What is found is kept in a file under a name that says what it is of, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pca
import report
import rivals
from heads import codecs_of
from numpy.typing import NDArray
from rivals import JXL, RIVALS, WEBP, Course, Images, Rival

from atlcodec import atomic, evaluation, metrics, record, refine, sets, zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.engine import threads
from atlcodec.sets.dataset import Split

BYTES, BITS = record.RECORD_BYTES, 8 * record.RECORD_BYTES
HARDEST = len(refine.EVALUATIONS) - 1
FEW = 1000  # pictures for what takes long: the highest effort, all efforts, the curves
PART = 100  # pictures for a process at a time
WINDOW = 7  # of the SSIM
QUICK, SLOW, SLOWEST = 1024, 256, 128  # pictures in a turn, by how long one takes
EPOCHS = {"MNIST": 12, "FashionMNIST": 12, "KMNIST-part": 60}  # of the classifiers of pixels
AUGMENT = {"MNIST": "bend", "FashionMNIST": "bend+mirror", "KMNIST-part": "bend"}
NOTHING_LOST = 0.01  # squared error that no error at all counts as: 68 dB
BUDGETS = (400, 800, 1200, 1600, 2400, 3200)  # bits of the principal components
Figures = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Test:
    """Pictures to measure with."""

    name: str
    split: Split
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.split)

    @property
    def images(self) -> Images:
        return self.split.images

    @property
    def few(self) -> Test:
        return Test(self.name, self.split[:FEW], self.classes) if len(self) > FEW else self

    @cached_property
    def key(self) -> str:
        return f"{len(self)} of {self.name} {digest(np.ascontiguousarray(self.images).tobytes())}"


@dataclass(frozen=True)
class Contest:
    """A data set, and who takes part."""

    folder: Path
    test: Test
    codecs: list[Codec]
    components: dict[int, pca.Pca]  # by bits
    qualities: dict[Rival, int | None]  # at which files have 200 bytes on average
    rates: dict[str, float]  # pictures per second, by "encode " or "decode " and who does it


class Bench:
    """Figures by the names of what they are of, and processes to find more with."""

    def __init__(self, folder: Path, pool: ProcessPoolExecutor, *, full: bool) -> None:
        self.pool, self.full = pool, full
        self._file = folder / "figures.json"
        self._known: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else {}

    def known(self, key: Sequence[object], find: Callable[[], T]) -> T:
        """What `find` gives, which must fit into JSON; kept, so that it is asked but once."""
        name = named(key)
        if name not in self._known:
            print(name, file=sys.stderr, flush=True)
            self._keep(name, find())
        found: T = self._known[name]
        return found

    def all_known(
        self, keys: Sequence[Sequence[object]], find: Callable[[Any], T], arguments: Sequence[Any]
    ) -> list[T]:
        """The same for one argument each, side by side in the processes."""
        names = [named(key) for key in keys]
        asked = {name: argument for name, argument in zip(names, arguments, strict=True) if name not in self._known}
        running = {self.pool.submit(find, argument): name for name, argument in asked.items()}
        for done in as_completed(running):
            print(running[done], file=sys.stderr, flush=True)
            self._keep(running[done], done.result())
        return [self._known[name] for name in names]

    def knows(self, keys: Sequence[Sequence[object]]) -> bool:
        return all(named(key) in self._known for key in keys)

    def _keep(self, name: str, value: object) -> None:
        self._known[name] = value
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(self._file) as file:
            file.write(json.dumps(self._known, indent=1).encode())

    def spread(
        self, function: Callable[..., Any], rival: Rival, images: Images, *arguments: object
    ) -> list[NDArray[Any]]:
        """A function of `rivals` over all pictures, part by part in the processes; what it gives, joined."""
        parts = [images[start : start + PART] for start in range(0, len(images), PART)]
        running = [self.pool.submit(function, rival, part, *arguments) for part in parts]
        return [np.concatenate(column) for column in zip(*(done.result() for done in running), strict=True)]

    def figures(
        self, images: Images, decoded: Images, sizes: float | NDArray[Any], accuracy: float | None = None
    ) -> Figures:
        errors = np.maximum(metrics.squared_error(images, decoded), NOTHING_LOST)
        starts = range(0, len(images), 10 * PART)
        parts = [[pictures[start : start + 10 * PART] for start in starts] for pictures in (images, decoded)]
        return {
            "bytes": float(np.mean(sizes)),
            "psnr": metrics.psnr(float(errors.mean())),
            "psnr_mean": float(np.mean([metrics.psnr(float(error)) for error in errors])),
            "ssim": float(np.mean([value for part in self.pool.map(similarity, *parts) for value in part])),
            "accuracy": accuracy,
        }


def named(key: Sequence[object]) -> str:
    return " | ".join(map(str, key))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def similarity(images: Images, decoded: Images) -> list[float]:
    from skimage.metrics import structural_similarity

    pairs = zip(images, decoded, strict=True)
    return [float(structural_similarity(one, other, data_range=255, win_size=WINDOW)) for one, other in pairs]  # type: ignore[no-untyped-call]


def contest(bench: Bench, folder: Path, limit: int | None) -> Contest:
    data = sets.load(folder)
    if data.test is None or data.test.labels is None:
        raise SystemExit(f"{folder}: has no labelled test pictures")
    test, codecs = Test(data.name, data.test[:limit], data.classes), codecs_of(data.name)
    print(f"principal components of {data.name}", file=sys.stderr, flush=True)
    components = pca.fit(data.train.images, BUDGETS)
    qualities = {rival: free_quality(bench, rival, test) for rival in RIVALS}
    rates = race(bench, codecs, test, components[BITS], qualities)
    return Contest(folder, test, codecs, components, qualities, rates)


# -- ours --------------------------------------------------------------------------------------------------------------


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.installed() if isinstance(model, Model) and model.bundled]


def default() -> list[Codec]:
    """Those that `encode` chooses from."""
    return [Codec(model) for model in zoo.default()]


def reads(codec: Codec) -> bool:
    """Whether it has a classifier."""
    return codec.model.card.default_head is not None


def usual(codec: Codec) -> list[int]:
    """The efforts to show; without a refiner there is but one."""
    return [0, refine.DEFAULT_EFFORT, HARDEST] if codec.model.refines else [0]


def every(codec: Codec) -> list[int]:
    return [*range(HARDEST + 1)] if codec.model.refines else [0]


def with_effort(codec: Codec, effort: int) -> str:
    return f"{codec.name}, effort {effort}"


def identity(codec: Codec) -> str:
    """A name of all that a codec's figures depend on: its files, and how it searches and seals."""
    hashes = [*codec.model.card.digests.values(), codec.head.card.digest if reads(codec) else ""]
    programs = [Path(module.__file__ or "").read_bytes() for module in (record, refine)]
    return f"{codec.name} {codec.id:08x} {digest(' '.join(hashes).encode() + b''.join(programs))}"


def ours(bench: Bench, codec: Codec, effort: int, test: Test) -> Figures:
    def find() -> Figures:
        records = codec.encode(test.images, effort)
        accuracy = None
        if reads(codec) and set(test.classes) & set(codec.labels):
            accuracy = 100 * float(right(codec, records, test).mean())
        return bench.figures(test.images, codec.decode(records), BYTES, accuracy)

    return bench.known(["atlcodec", identity(codec), f"effort {effort}", test.key], find)


def right(codec: Codec, records: NDArray[np.uint8], test: Test) -> NDArray[np.bool_]:
    """Whose label its classifier reads; by name, since its classes need not be numbered as the data set's are."""
    read = np.array(codec.labels)[codec.classify(records).argmax(axis=1)]
    return np.asarray(read == np.array(test.classes)[test.split.labels])


def chosen(bench: Bench, test: Test) -> Figures:
    """As `encode` does without a model, for each picture by itself: the codec that suits it best. A label counts as
    right only if that codec gives it."""
    codecs = default()

    def find() -> Figures:
        best = evaluation.chosen(codecs, test.images)
        decoded, correct = np.empty_like(test.images), np.zeros(len(test), np.bool_)
        assert test.split.labels is not None
        for index, codec in enumerate(codecs):
            rows = np.nonzero(best == index)[0]
            part = Test(test.name, Split(test.images[rows], test.split.labels[rows]), test.classes)
            records = codec.encode(part.images)
            decoded[rows] = codec.decode(records)
            correct[rows] = right(codec, records, part) if reads(codec) else False
        return bench.figures(test.images, decoded, BYTES, 100 * float(correct.mean()))

    return bench.known(["atlcodec, chosen", refine.DEFAULT_EFFORT, *map(identity, codecs), test.key], find)


def hard(bench: Bench, test: Test, effort: int) -> tuple[Test, str]:
    """The pictures for an effort, and how to say which."""
    if effort < HARDEST or bench.full or len(test) <= FEW:
        return test, ""
    return test.few, f" (the first {FEW:,} pictures)"


def seals(bench: Bench, codecs: list[Codec], test: Test) -> str:
    """What the same symbols would give without a seal, less what they give with it."""
    costs = []
    for codec in codecs:
        find = partial(evaluation.measure, codec, test.split.images, test.split.labels, test.classes)
        f = bench.known(["seal", identity(codec), test.key], lambda find=find: find().summary())  # type: ignore[misc]
        costs.append(f"{codec.name} {f['psnr_unsealed'] - f['psnr']:.3f} dB")
        if "accuracy" in f:
            lost, error = f["accuracy_unsealed"] - f["accuracy"], f["accuracy_seal_error"]
            costs[-1] += f" and {lost:.2f} points of accuracy (standard error {error:.2f})"
    return f"What the seal costs, at effort 0: {'; '.join(costs)}."


# -- the others --------------------------------------------------------------------------------------------------------


def described(rival: Rival) -> tuple[str, ...]:
    plugin = [version("pillow-jxl-plugin")] if rival is JXL else []
    return (" ".join([rival.name, version("pillow"), *plugin]), digest(repr(rival).encode()))


def best_that_fits(bench: Bench, rival: Rival, test: Test) -> Figures:
    def find() -> Figures:
        decoded, sizes, exact = bench.spread(rivals.squeezed, rival, test.images, BYTES, True)
        return {
            **bench.figures(test.images, decoded, sizes),
            "exact": int(exact.sum()),
            "large": int((sizes > BYTES).sum()),
        }

    return bench.known([*described(rival), f"at most {BYTES} bytes", test.key], find)


def at_quality(bench: Bench, rival: Rival, quality: int | None, test: Test) -> Figures:
    def find() -> Figures:
        decoded, sizes = bench.spread(rivals.saved, rival, test.images, quality)
        return bench.figures(test.images, decoded, sizes)

    return bench.known([*described(rival), "lossless" if quality is None else f"quality {quality}", test.key], find)


def free_quality(bench: Bench, rival: Rival, test: Test) -> int | None:
    """The highest quality at which files have 200 bytes on average, or less; None if there is none. Found on the first
    pictures, then made sure on all."""

    def fits(quality: int, test: Test) -> bool:
        return quality in rival.qualities and bool(at_quality(bench, rival, quality, test)["bytes"] <= BYTES)

    low, high = rival.qualities.start, rival.qualities.stop
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle, test.few) else (low, middle)
    while low in rival.qualities and not fits(low, test):
        low -= 1
    while fits(low + 1, test):
        low += 1
    return low if low in rival.qualities else None


def linear(bench: Bench, fitted: pca.Pca, test: Test) -> Figures:
    packed = fitted.encode(test.images)
    key = ["principal components", digest(Path(pca.__file__).read_bytes() + packed.tobytes()), test.key]
    return bench.known(key, lambda: bench.figures(test.images, fitted.decode(packed), packed.shape[1]))


# -- speed -------------------------------------------------------------------------------------------------------------


def race(
    bench: Bench, codecs: list[Codec], test: Test, fitted: pca.Pca, qualities: Mapping[Rival, int | None]
) -> dict[str, float]:
    """Pictures per second of everyone, in turns in this process."""
    contestants: dict[str, tuple[int, Callable[[], object]]] = {}
    quick, slow, slowest = (test.images[:count] for count in (QUICK, SLOW, SLOWEST))

    def add_codec(codec: Codec) -> None:
        listed = codec.id in {model.id for model in zoo.default()}
        for effort in every(codec) if listed else usual(codec):
            images = quick if effort == 0 else slow if effort <= refine.DEFAULT_EFFORT else slowest
            contestants[f"encode {with_effort(codec, effort)}"] = len(images), partial(codec.encode, images, effort)
        contestants[f"decode {codec.name}"] = len(quick), partial(codec.decode, codec.encode(quick, 0))

    def add_rival(rival: Rival) -> None:
        add_pillow(rival, f"{rival.name}, fits", slowest, lambda image: rival.fitted(image, BYTES)[0])
        quality = qualities[rival]
        if quality is not None:
            add_pillow(rival, f"{rival.name}, free", slow, partial(rival.encode, quality=quality))
        if rival.exact:
            add_pillow(rival, f"{rival.name}, lossless", slow, partial(rival.encode, quality=None))

    def add_pillow(rival: Rival, name: str, images: Images, encode: Callable[[Images], bytes]) -> None:
        made = [encode(image) for image in images]
        contestants[f"encode {name}"] = len(images), lambda: [encode(image) for image in images]
        contestants[f"decode {name}"] = len(images), lambda: [rival.decode(file) for file in made]

    def find() -> dict[str, float]:
        for codec in codecs:
            add_codec(codec)
        for rival in RIVALS:
            add_rival(rival)
        contestants["encode PCA"] = len(quick), partial(fitted.encode, quick)
        contestants["decode PCA"] = len(quick), partial(fitted.decode, fitted.encode(quick))
        best = report.race({name: call for name, (_, call) in contestants.items()}, 3, 0.2)
        return {name: contestants[name][0] / seconds for name, seconds in best.items()}

    listed = [model.name for model in zoo.default()]
    who = [
        *map(identity, codecs),
        *listed,
        *map(described, RIVALS),
        *qualities.values(),
        fitted.bits.tolist(),
        QUICK,
        SLOW,
        SLOWEST,
    ]
    return bench.known(["speed", digest(named(who).encode()), f"{threads()} threads", test.key], find)


# -- classifiers of pixels ---------------------------------------------------------------------------------------------


def glance(limit: int) -> int:
    """How many training pictures go with so many test pictures in a quick look."""
    return max(1000, 10 * limit)


def lessons(bench: Bench, one: Contest, budget: int, limit: int | None) -> dict[tuple[str, str], Figures]:
    """Classifiers of raw pixels and of WebP's; of each, the figures with the augmentation that was better in
    validation."""
    wanted = [("MLP", "raw"), ("MLP", "WebP's"), ("CNN", "raw"), ("CNN", "WebP's"), ("LeNet-5", "raw")]
    test, augment, epochs = one.test, AUGMENT[one.test.name], EPOCHS[one.test.name]
    train = sets.load(one.folder).train.images[: limit and glance(limit)]
    about = [
        "classifier of pixels",
        digest(Path(rivals.__file__).read_bytes()),
        version("torch"),
        len(train),
        test.key,
        budget,
    ]
    squeezed = Path(
        tempfile.gettempdir(),
        "atlcodec-quality",
        f"{digest(named([*described(WEBP), len(train), test.key]).encode())}.npz",
    )
    cases = [(network, pixels, kinds) for network, pixels in wanted for kinds in ("", augment)]
    keys = [[*about, *case, epochs] for case in cases]
    courses = [
        Course(network, budget, one.folder, None if pixels == "raw" else squeezed, len(train), len(test), kinds, epochs)
        for network, pixels, kinds in cases
    ]
    if not bench.knows(keys) and not squeezed.is_file():
        print(f"WebP of the training pictures of {test.name}", file=sys.stderr, flush=True)
        decoded = [bench.spread(rivals.squeezed, WEBP, images, BYTES, False)[0] for images in (train, test.images)]
        squeezed.parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(squeezed) as file:
            np.savez(file, train=decoded[0], test=decoded[1])
    best: dict[tuple[str, str], Figures] = {}
    for (network, pixels, kinds), found in zip(cases, bench.all_known(keys, rivals.learn, courses), strict=True):
        if (network, pixels) not in best or found["validation"] > best[network, pixels]["validation"]:
            best[network, pixels] = {**found, "augment": kinds}
    return best
