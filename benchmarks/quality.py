"""What 200 bytes are worth: records beside WebP, JPEG XL, JPEG and principal components; their labels beside those of pixels.

On the official test pictures of each data set. What is measured is kept in runs/quality, under a name that says what it is of: a
run that was stopped goes on, and one with other models measures only what is new. Delete that folder to measure all again.
Needs the extras `train` and `dev`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import gemm
import numpy as np
import pca
import report
import rivals
from heads import codecs_of
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rivals import JPEG, JXL, RIVALS, WEBP, Course, Images, Rival

from atlcodec import datasets, evaluation, files, metrics, record, search, zoo
from atlcodec.codec import Codec
from atlcodec.datasets import Split
from atlcodec.engine import threads

ROOT = Path(__file__).parents[1]
SETS = ("MNIST", "FashionMNIST", "KMNIST-part")
# Table 5 of the paper: PSNR pooled, accuracy. Its KMNIST is the whole test set.
PAPER = {"MNIST": (22.8, 97.2), "FashionMNIST": (18.5, 85.2), "KMNIST-part": (17.6, 85.5)}
BYTES, BITS = record.RECORD, 8 * record.RECORD
HARDEST = len(search.EVALUATIONS) - 1
FEW = 1000  # pictures for what takes long: the highest effort, all efforts, the curves
PART = 100  # pictures for a process at a time
WINDOW = 7  # of the SSIM
QUICK, SLOW, SLOWEST = 1024, 256, 128  # pictures in a turn, by how long one takes
EPOCHS = {"MNIST": 12, "FashionMNIST": 12, "KMNIST-part": 60}  # of the classifiers of pixels
AUGMENT = {"MNIST": "bend", "FashionMNIST": "bend+mirror", "KMNIST-part": "bend"}
NOTHING_LOST = 0.01  # squared error that no error at all counts as: 68 dB
# In the picture: bits of the principal components, and qualities of the other codecs.
BUDGETS, CURVE = (400, 800, 1200, 1600, 2400, 3200), range(0, 100, 5)
COLOURS = {WEBP.name: "C0", "principal components": "C1", JXL.name: "C2", JPEG.name: "black"}
Figures = dict[str, Any]
T = TypeVar("T")


def main() -> None:
    options = arguments()
    found = [name for name in SETS if Path(options.data, name).is_dir()]
    if not found:
        raise SystemExit(f"{options.data}: holds none of {', '.join(SETS)}")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    rivals.prepare()
    # A fresh process each: one that was forked would share the threads of ONNX Runtime.
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn"), rivals.prepare) as pool:
        bench = Bench(options.runs, pool, full=options.full)
        contests = [contest(bench, Path(options.data, name), options.limit) for name in found]
        tables = [compare(bench, one) for one in contests]
        tables.append(labels(bench, contests, options.limit))
        tables.append(elsewhere(bench, contests, options.limit or FEW))
        tables.append(efforts(bench, contests))
        options.output.mkdir(parents=True, exist_ok=True)
        draw(bench, contests, options.output / "quality.png")
    facts: dict[str, report.Cell] = {package: version(package) for package in ("pillow-jxl-plugin", "scikit-image", "torch")}
    missing = [name for name in SETS if name not in found]
    if missing:
        facts["not at hand, so not measured"] = ", ".join(missing)
    facts["models"] = ", ".join(f"{codec.name} {codec.id:08x}" for codec in bundled())
    facts["processes that were running already (load average)"] = busy
    facts["picture"] = "[quality.png](quality.png), PSNR over bytes"
    report.publish("quality", f"Quality at {BYTES} bytes", tables, options.output, facts)


def arguments() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--data", default=os.environ.get("ATLC_DATA"), metavar="DIR", help=f"folder of {', '.join(SETS)}")
    parser.add_argument("--limit", type=int, help="a quick look: only the first so many test pictures, and little training")
    parser.add_argument("--full", action="store_true", help=f"effort {HARDEST} on all test pictures, not the first {FEW:,}")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "quality", metavar="DIR", help="what is known already")
    parser.add_argument("--processes", type=int, default=threads(), help="for the other codecs and for training")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the data sets with --data, or set ATLC_DATA")
    if options.limit and options.output == report.RESULTS:
        parser.error("a quick look is no result: name another folder with --output")
    return options


# -- what is measured, and what is known of it -------------------------------------------------------------------------------


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

    def all_known(self, keys: Sequence[Sequence[object]], find: Callable[[Any], T], arguments: Sequence[Any]) -> list[T]:
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
        with files.replacing(self._file) as file:
            file.write(json.dumps(self._known, indent=1).encode())

    def spread(self, function: Callable[..., Any], rival: Rival, images: Images, *arguments: object) -> list[NDArray[Any]]:
        """A function of `rivals` over all pictures, part by part in the processes; what it gives, joined."""
        parts = [images[start : start + PART] for start in range(0, len(images), PART)]
        running = [self.pool.submit(function, rival, part, *arguments) for part in parts]
        return [np.concatenate(column) for column in zip(*(done.result() for done in running), strict=True)]

    def figures(self, images: Images, decoded: Images, sizes: float | NDArray[Any], accuracy: float | None = None) -> Figures:
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
    data = datasets.load(folder)
    if data.test is None or data.test.labels is None:
        raise SystemExit(f"{folder}: has no labelled test pictures")
    test, codecs = Test(data.name, data.test[:limit], data.classes), codecs_of(data.name)
    print(f"principal components of {data.name}", file=sys.stderr, flush=True)
    components = pca.fit(data.train.images, BUDGETS)
    qualities = {rival: free_quality(bench, rival, test) for rival in RIVALS}
    rates = race(bench, codecs, test, components[BITS], qualities)
    return Contest(folder, test, codecs, components, qualities, rates)


# -- ours --------------------------------------------------------------------------------------------------------------------


def bundled() -> list[Codec]:
    return [Codec(model) for model in zoo.installed() if isinstance(model, zoo.Model) and model.bundled]


def default() -> list[Codec]:
    """Those that `encode` chooses from."""
    return [Codec(model) for model in zoo.default()]


def reads(codec: Codec) -> bool:
    """Whether it has a classifier."""
    return codec.model.card["default_head"] is not None


def usual(codec: Codec) -> list[int]:
    """The efforts to show; without a refiner there is but one."""
    return [0, search.DEFAULT, HARDEST] if codec.model.refines else [0]


def every(codec: Codec) -> list[int]:
    return [*range(HARDEST + 1)] if codec.model.refines else [0]


def with_effort(codec: Codec, effort: int) -> str:
    return f"{codec.name}, effort {effort}"


def identity(codec: Codec) -> str:
    """A name of all that a codec's figures depend on: its files, and how it searches and seals."""
    hashes = [*codec.model.card["sha256"].values(), codec.head.card["sha256"] if reads(codec) else ""]
    programs = [Path(module.__file__ or "").read_bytes() for module in (record, search)]
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
    """As `encode` does without a model, for each picture by itself: the codec that suits it best. A label counts as right only if
    that codec gives it."""
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

    return bench.known(["atlcodec, chosen", search.DEFAULT, *map(identity, codecs), test.key], find)


def hard(bench: Bench, test: Test, effort: int) -> tuple[Test, str]:
    """The pictures for an effort, and how to say which."""
    if effort < HARDEST or bench.full or len(test) <= FEW:
        return test, ""
    return test.few, f" (the first {FEW:,} pictures)"


def seals(bench: Bench, codecs: list[Codec], test: Test) -> str:
    """What the same symbols would give without a seal, less what they give with it."""
    costs = []
    for codec in codecs:
        find = partial(evaluation.measure, codec, test.split, test.classes)
        f = bench.known(["seal", identity(codec), test.key], lambda find=find: find().summary())  # type: ignore[misc]
        costs.append(f"{codec.name} {f['psnr_unsealed'] - f['psnr']:.3f} dB")
        if "accuracy" in f:
            lost, error = f["accuracy_unsealed"] - f["accuracy"], f["accuracy_seal_error"]
            costs[-1] += f" and {lost:.2f} points of accuracy (standard error {error:.2f})"
    return f"What the seal costs, at effort 0: {'; '.join(costs)}."


# -- the others --------------------------------------------------------------------------------------------------------------


def described(rival: Rival) -> tuple[str, ...]:
    plugin = [version("pillow-jxl-plugin")] if rival is JXL else []
    return (" ".join([rival.name, version("pillow"), *plugin]), digest(repr(rival).encode()))


def best_that_fits(bench: Bench, rival: Rival, test: Test) -> Figures:
    def find() -> Figures:
        decoded, sizes, exact = bench.spread(rivals.squeezed, rival, test.images, BYTES, True)
        return {**bench.figures(test.images, decoded, sizes), "exact": int(exact.sum()), "large": int((sizes > BYTES).sum())}

    return bench.known([*described(rival), f"at most {BYTES} bytes", test.key], find)


def at_quality(bench: Bench, rival: Rival, quality: int | None, test: Test) -> Figures:
    def find() -> Figures:
        decoded, sizes = bench.spread(rivals.saved, rival, test.images, quality)
        return bench.figures(test.images, decoded, sizes)

    return bench.known([*described(rival), "lossless" if quality is None else f"quality {quality}", test.key], find)


def free_quality(bench: Bench, rival: Rival, test: Test) -> int | None:
    """The highest quality at which files have 200 bytes on average, or less; None if there is none. Found on the first pictures,
    then made sure on all."""

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


# -- speed -------------------------------------------------------------------------------------------------------------------


def race(bench: Bench, codecs: list[Codec], test: Test, fitted: pca.Pca, qualities: Mapping[Rival, int | None]) -> dict[str, float]:
    """Pictures per second of everyone, in turns in this process."""
    contestants: dict[str, tuple[int, Callable[[], object]]] = {}
    quick, slow, slowest = (test.images[:count] for count in (QUICK, SLOW, SLOWEST))

    def add_codec(codec: Codec) -> None:
        listed = codec.id in {model.id for model in zoo.default()}
        for effort in every(codec) if listed else usual(codec):
            images = quick if effort == 0 else slow if effort <= search.DEFAULT else slowest
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


# -- the tables --------------------------------------------------------------------------------------------------------------


def compare(bench: Bench, one: Contest) -> report.Table:
    """Pictures of a data set: how near, how small, how fast."""
    rows: list[list[report.Cell]] = []
    test, rates = one.test, one.rates

    def add(name: str, figures: Figures, encoder: str = "", decoder: str = "") -> None:
        row: list[report.Cell] = [name, figures["bytes"], figures.get("psnr"), figures.get("psnr_mean")]
        row.append(100 * figures["ssim"] if "ssim" in figures else None)
        speeds = {f"encode {encoder}": "encode WebP, free", f"decode {decoder or encoder}": "decode WebP, free"}
        row += [rates.get(mine) for mine in speeds]
        row += [round(rates[mine] / rates[peer], 3) if mine in rates and peer in rates else None for mine, peer in speeds.items()]
        rows.append(row)

    for codec in one.codecs:
        for effort in usual(codec):
            pictures, which = hard(bench, test, effort)
            figures = ours(bench, codec, effort, pictures)
            add(f"atlcodec, {with_effort(codec, effort)}{which}", figures, with_effort(codec, effort), codec.name)
    add(f"atlcodec, model chosen for each picture, effort {search.DEFAULT}", chosen(bench, test))
    notes = [seals(bench, one.codecs, test)] if one.codecs else []
    for rival, quality in one.qualities.items():
        figures = best_that_fits(bench, rival, test)
        smallest = ", or the smallest" if figures["large"] else ""
        add(f"{rival.name}, the best that fits{smallest}", figures, f"{rival.name}, fits")
        if quality is not None:
            add(f"{rival.name}, one quality ({quality})", at_quality(bench, rival, quality, test), f"{rival.name}, free")
        if rival.exact:
            add(f"{rival.name}, lossless", at_quality(bench, rival, None, test), f"{rival.name}, lossless")
        large = f"{figures['large']:,} of {len(test):,} pictures need more than {BYTES} bytes even at its lowest quality"
        exact = f"; {figures['exact']:,} fit without loss" if rival.exact else ""
        notes.append(f"{rival.name}: {large} and are counted with that file{exact}.")
        if quality is None:
            notes[-1] += f" At no quality have its files {BYTES} bytes on average."
    fitted = one.components[BITS]
    add(f"principal components, {BITS:,} bits", linear(bench, fitted, test), "PCA")
    add("zlib of the pixels, lossless", {"bytes": float(np.mean([len(zlib.compress(image, 9)) for image in test.images]))})
    add("ATL in the paper, its Table 5 (given, not measured here)", {"bytes": float(BYTES), "psnr": PAPER[test.name][0]})
    notes += [
        "WebP with its slowest method, JPEG XL with effort 7, JPEG with Huffman tables of its own; files whole, as Pillow writes "
        f"them. The best that fits: for each picture lossless if that fits {BYTES} bytes, else the quality that loses least, of "
        "those that fit and are near the one that a bisection finds. One quality: the same for all pictures, the highest at "
        f"which the files have {BYTES} bytes on average or less.",
        f"PSNR of no error counts as 68 dB. SSIM: scikit-image's, in uniform windows of {WINDOW} x {WINDOW} pixels, with a data "
        "range of 255; the mean over all pictures. On black it counts noise of a few grey levels, which PSNR hardly does.",
        f"Pictures per second: the best of three turns. atlcodec and principal components take up to {QUICK:,} pictures at once "
        f"(atlcodec {threads()} threads), Pillow one after another in one thread; the best that fits includes its search. Of "
        "WebP's rate: of that at one quality.",
        f"Principal components: {len(fitted.bits)} of the training pictures', in 1 to {fitted.bits.max()} bits each, uniformly "
        "quantised.",
    ]
    if test.name == "KMNIST-part":
        notes.append("The paper's figures are of the whole KMNIST test set, of which this is a part.")
    columns = ["", "bytes a picture", "PSNR pooled, dB", "PSNR mean per picture, dB", "SSIM, %"]
    columns += ["encode, pictures/s", "decode, pictures/s", "encode, of WebP's rate", "decode, of WebP's rate"]
    return report.Table(f"{test.name}, {len(test):,} test pictures", columns, rows, notes)


def labels(bench: Bench, contests: list[Contest], limit: int | None) -> report.Table:
    """Accuracy on records, and of networks of the same size on pixels."""
    rows: list[list[report.Cell]] = []
    counted = []
    for one in contests:
        test, budget = one.test, 0
        for codec in filter(reads, one.codecs):
            multiplications = sum(p.rows * p.inner * p.columns for p in gemm.products(codec.head.file()))
            budget = max(budget, multiplications)
            for effort in usual(codec):
                pictures, which = hard(bench, test, effort)
                name = f"{test.name}: records of {with_effort(codec, effort)}{which}"
                rows.append([name, BYTES, multiplications, ours(bench, codec, effort, pictures)["accuracy"]])
        name = f"{test.name}: records, model chosen for each picture, effort {search.DEFAULT}"
        rows.append([name, BYTES, None, chosen(bench, test)["accuracy"]])
        for (network, pixels), lesson in (lessons(bench, one, budget, limit) if budget else {}).items():
            size = 784 if pixels == "raw" else f"at most {BYTES}"
            rows.append([f"{test.name}: {network}, {pixels} pixels", size, lesson["multiplications"], lesson["accuracy"]])
            augmented = "augmented" if lesson["augment"] else "not augmented"
            counted.append(f"{test.name}, {network}, {pixels}: {lesson['epoch']}, {augmented}")
        rows.append([f"{test.name}: ATL in the paper, its Table 5 (given)", BYTES, None, PAPER[test.name][1]])
    notes = [
        "Multiplications in dense and convolution layers, from what is read to the scores of one picture. What the compressor "
        "computed when a record was made is not among them, and neither is the decoding of WebP.",
        "The budget of MLP and CNN is that of the largest classifier of records for the data set. MLP: pixels, a layer as wide "
        f"as the budget allows, {rivals.SECOND}, classes. CNN: convolutions of 5 x 5 and 3 x 3 with stride 2, a dense layer, "
        "classes. LeNet-5, of its own size: convolutions of 5 x 5 with 6 and 16 channels and max-pooling, 120, 84, classes. All "
        "with ReLU.",
        f"They were trained for this table on raw pixels, or on pixels that came back from WebP files of at most {BYTES} bytes "
        "(the highest lossy quality that fits each picture, by bisection; its lowest where none does), and tested on the same "
        f"kind: Adam, a rate of {rivals.RATE} falling along a cosine, batches of {rivals.BATCH}, label smoothing "
        f"{rivals.SMOOTHING}; epochs: {', '.join(f'{name} {count}' for name, count in EPOCHS.items())}. Each was trained twice, "
        "once with half of the pictures bent (turned, stretched, sheared, moved; those of FashionMNIST also mirrored), after "
        "WebP. The last training pictures (a tenth, 5,000 at most) were held out to say which of the two counts, and after which "
        "epoch.",
        f"Epochs that count: {'; '.join(counted)}.",
    ]
    if limit:
        notes.append(f"A quick look: they were trained on the first {glance(limit):,} training pictures.")
    return report.Table(
        "Labels, read off records and off pixels", ["", "bytes a picture", "multiplications", "accuracy, %"], rows, notes
    )


def glance(limit: int) -> int:
    """How many training pictures go with so many test pictures in a quick look."""
    return max(1000, 10 * limit)


def lessons(bench: Bench, one: Contest, budget: int, limit: int | None) -> dict[tuple[str, str], Figures]:
    """Classifiers of raw pixels and of WebP's; of each, the figures with the augmentation that was better in validation."""
    wanted = [("MLP", "raw"), ("MLP", "WebP's"), ("CNN", "raw"), ("CNN", "WebP's"), ("LeNet-5", "raw")]
    test, augment, epochs = one.test, AUGMENT[one.test.name], EPOCHS[one.test.name]
    train = datasets.load(one.folder).train.images[: limit and glance(limit)]
    about = ["classifier of pixels", digest(Path(rivals.__file__).read_bytes()), version("torch"), len(train), test.key, budget]
    squeezed = Path(
        tempfile.gettempdir(), "atlcodec-quality", f"{digest(named([*described(WEBP), len(train), test.key]).encode())}.npz"
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
        with files.replacing(squeezed) as file:
            np.savez(file, train=decoded[0], test=decoded[1])
    best: dict[tuple[str, str], Figures] = {}
    for (network, pixels, kinds), found in zip(cases, bench.all_known(keys, rivals.learn, courses), strict=True):
        if (network, pixels) not in best or found["validation"] > best[network, pixels]["validation"]:
            best[network, pixels] = {**found, "augment": kinds}
    return best


def elsewhere(bench: Bench, contests: list[Contest], count: int) -> report.Table:
    """Pictures that a model was not trained on."""
    codecs, names = bundled(), {codec.name for codec in default()}
    tests = [one.test for one in contests]
    drawn = {name: letters(ranges, count) for name, ranges in SCRIPTS.items()}
    drawn |= {"shapes drawn by a program": shapes(count), "pieces of photographs": photographs(count)}
    tests += [Test(name, Split(images, None)) for name, images in drawn.items()]
    rows: list[list[report.Cell]] = []
    for test in tests:
        reached = {codec.name: ours(bench, codec, search.DEFAULT if codec.model.refines else 0, test)["psnr"] for codec in codecs}
        rows.append([f"{test.name} ({len(test):,})", *reached.values(), max(reached[name] for name in names)])
    trained = [f"{codec.name} {' and '.join(part['name'] for part in codec.model.card['data'])}" for codec in codecs]
    notes = [
        f"Effort {search.DEFAULT}. The best: of {', '.join(sorted(names))}, one for all pictures of a row.",
        f"Trained on: {'; '.join(trained)}.",
        "Letters: of the fonts that come with Matplotlib and Pillow which have them, 16 to 22 pixels long, turned (8 degrees "
        "standard deviation) and moved (1 pixel). Shapes: ellipses, rectangles, triangles and lines, filled or not, grey to "
        "white on black. Photographs: those of scikit-image, grey, at a quarter of their size; no model is made for these.",
    ]
    columns = ["PSNR pooled, dB", *(codec.name for codec in codecs), "the best"]
    return report.Table("Other scripts and objects", columns, rows, notes)


def efforts(bench: Bench, contests: list[Contest]) -> report.Table:
    """What a longer search buys."""
    rows: list[list[report.Cell]] = []
    listed = {codec.id for codec in default()}
    for one in contests:
        test = one.test.few
        for codec in (codec for codec in one.codecs if codec.id in listed):
            for effort in every(codec):
                figures, name = ours(bench, codec, effort, test), with_effort(codec, effort)
                rate = one.rates[f"encode {name}"]
                name += " (the default)" if effort == search.DEFAULT else ""
                rows.append([name, search.EVALUATIONS[effort], figures["psnr"], figures["accuracy"], rate])
    notes = [f"The first {FEW:,} test pictures of each model's own data set; pictures per second with {threads()} threads."]
    return report.Table(
        "What effort buys", ["", "evaluations", "PSNR pooled, dB", "accuracy, %", "encode, pictures/s"], rows, notes
    )


# -- pictures drawn for the third table --------------------------------------------------------------------------------------

SCRIPTS = {  # first and last code points
    "Latin letters": ((0x41, 0x5A), (0x61, 0x7A)),
    "Greek letters": ((0x391, 0x3A9), (0x3B1, 0x3C9)),
    "Cyrillic letters": ((0x410, 0x44F),),
    "Armenian, Georgian, Hebrew and Arabic letters": (
        (0x531, 0x556),
        (0x561, 0x586),
        (0x10D0, 0x10F0),
        (0x5D0, 0x5EA),
        (0x621, 0x63A),
    ),
}
SCALE = 8  # drawn so many times as large, then made small


def letters(ranges: Sequence[tuple[int, int]], count: int) -> Images:
    """Letters of some ranges of Unicode, in many fonts: uint8 (count, 28, 28), the same each time."""
    wanted = {chr(code) for first, last in ranges for code in range(first, last + 1)}
    pairs = [(font, letter) for font, known in fonts() for letter in sorted(wanted & known)]
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        font, letter = pairs[rng.integers(len(pairs))]
        canvas = Image.new("L", (60 * SCALE, 60 * SCALE))
        ImageDraw.Draw(canvas).text((30 * SCALE, 30 * SCALE), letter, fill=255, font=font, anchor="mm")
        canvas = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        glyph = canvas.crop(canvas.getbbox())
        scale = rng.uniform(16, 22) / max(glyph.size)
        width, height = (max(1, round(side * scale)) for side in glyph.size)
        small = Image.new("L", (28, 28))
        x, y = (int(np.clip(round((28 - side) / 2 + rng.normal()), 0, 28 - side)) for side in (width, height))
        small.paste(glyph.resize((width, height), Image.Resampling.BOX), (x, y))
        made[index] = np.asarray(small)
    return made


def fonts() -> list[tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, set[str]]]:
    """Those that come with Matplotlib and Pillow, and the characters that each has: the same on every machine."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    found: list[tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, set[str]]] = []
    for path in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")):
        if path.stem.startswith(("DejaVu", "STIXGeneral")):
            found.append((ImageFont.truetype(path, 30 * SCALE), set(map(chr, FT2Font(str(path)).get_charmap()))))
    found.append((ImageFont.load_default(30 * SCALE), set(map(chr, range(ord("A"), ord("z") + 1)))))
    return found


def shapes(count: int) -> Images:
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        canvas = Image.new("L", (28 * SCALE, 28 * SCALE))
        pen = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(1, 4)):
            (left, top), (right, bottom) = rng.uniform(2, 14, 2) * SCALE, rng.uniform(16, 26, 2) * SCALE
            grey, width = int(rng.integers(128, 256)), int(rng.uniform(1, 4) * SCALE)
            fill = grey if rng.random() < 0.5 else None
            kind = rng.integers(4)
            if kind == 0:
                pen.ellipse((left, top, right, bottom), fill, grey, width)
            elif kind == 1:
                pen.rectangle((left, top, right, bottom), fill, grey, width)
            elif kind == 2:
                pen.polygon([(left, bottom), (right, bottom), (rng.uniform(left, right), top)], fill, grey, width)
            else:
                pen.line((left, top, right, bottom), grey, width)
        made[index] = np.asarray(canvas.resize((28, 28), Image.Resampling.BOX))
    return made


def photographs(count: int) -> Images:
    from skimage import data

    taken: list[Images] = [data.camera(), data.astronaut(), data.chelsea(), data.coffee()]  # type: ignore[no-untyped-call]
    large = [Image.fromarray(photograph).convert("L") for photograph in taken]
    small = [np.asarray(picture.reduce(4)) for picture in large]
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        whole = small[index % len(small)]
        y, x = (rng.integers(side - 27) for side in whole.shape)
        made[index] = whole[y : y + 28, x : x + 28]
    return made


# -- the plot ----------------------------------------------------------------------------------------------------------------


def draw(bench: Bench, contests: list[Contest], path: Path) -> None:
    """PSNR over bytes on the first test pictures, a panel for each data set; the same bytes for the same figures."""
    from matplotlib.figure import Figure  # by itself, without pyplot, which would look for a screen

    figure = Figure(figsize=(6 * len(contests), 5.5), layout="constrained")
    panels = figure.subplots(1, len(contests), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, contests, strict=True):
        test = one.test.few
        curves = {
            rival.name: [at_quality(bench, rival, quality, test) for quality in CURVE if quality in rival.qualities]
            for rival in RIVALS
        }
        curves["principal components"] = [linear(bench, fitted, test) for fitted in one.components.values()]
        for name, points in curves.items():
            places = sorted((point["bytes"], point["psnr"]) for point in points)
            axes.plot(*zip(*places, strict=True), ".-", color=COLOURS[name], linewidth=1, label=name)
        for rival in RIVALS:
            if rival.exact:  # its PSNR has no place: an arrow at the upper edge
                size = at_quality(bench, rival, None, test)["bytes"]
                axes.plot([size], [1], "^", color=COLOURS[rival.name], transform=axes.get_xaxis_transform(), clip_on=False)
        for number, codec in enumerate(one.codecs):
            for effort, marker in zip(usual(codec), "ovs", strict=False):
                reached = ours(bench, codec, effort, test)["psnr"]
                colour = f"C{3 + number}"
                axes.plot([BYTES], [reached], marker, color=colour, markersize=7, label=with_effort(codec, effort), zorder=3)
        axes.axvline(BYTES, color="black", linewidth=0.5)
        axes.set_xlim(80, 500)
        axes.set_ylim(15, 50)
        axes.set_title(f"{test.name}, {len(test):,} test pictures")
        axes.set_xlabel("bytes a picture (mean); triangles above: lossless")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small", frameon=False)
    panels[0].set_ylabel("PSNR pooled, dB")
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
