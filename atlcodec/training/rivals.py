"""A new codec beside what else could keep the same images in 200 bytes: the bundled codecs, WebP, JPEG, and the linear
path that training began with; and beside a classifier that learns from a bundled codec's records alone."""

from __future__ import annotations

import math
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlcodec import evaluation, metrics, picture, zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError
from atlcodec.record import RECORD_BYTES
from atlcodec.sets.dataset import Dataset, Images, Split
from atlcodec.training import heads, measure, start
from atlcodec.training.settings import HeadSettings
from atlcodec.training.start import Start
from atlcodec.training.trainer import Trainer

MOST, FEWEST = 500, 50  # test images that are compared
VALUES = 1_200_000  # of all of them; so there are fewer large ones
LEARNT = 5_000  # training images from whose records a classifier is trained
HEAD_EPOCHS = 20
NEAR = range(-2, 4)  # qualities to try around that of a bisection: neither size nor loss is monotone in the quality
WEBP_LOSSLESS = {"lossless": True, "quality": 100, "method": 4}


@dataclass(frozen=True)
class Rival:
    """One row: PSNR in dB at the codec's default effort, accuracy in percent, and what else there is to say."""

    name: str
    psnr: float | None
    accuracy: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """What was compared on so many images, the new codec first; and in one line what to use."""

    images: int
    rows: list[Rival]
    advice: str

    def lines(self) -> list[str]:
        """The table as text."""
        width = max(len(row.name) for row in self.rows)
        found = [f"{self.images} images, 200 bytes each".ljust(width) + "  PSNR, dB  accuracy, %"]
        width = max(width, len(found[0]) - len("  PSNR, dB  accuracy, %"))
        for row in self.rows:
            psnr, accuracy = ("-" if value is None else f"{value:.2f}" for value in (row.psnr, row.accuracy))
            found.append(f"{row.name:{width}}  {psnr:>8}  {accuracy:>11}  {row.note}".rstrip())
        return [*found, self.advice]

    def describe(self) -> dict[str, object]:
        return asdict(self)


def compare(
    codec: Codec,
    data: Dataset,
    held_out: Split,
    where: str,
    fitted: Start | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """A new codec in the folder `where` beside its rivals, on labelled test images or, without these, on the
    validation split that is held out. `fitted` is the start of its training, if that is one of these images."""
    split = held_out if data.test is None or data.test.labels is None else data.test
    values = math.prod(data.shape)
    test = split[: max(FEWEST, min(MOST, VALUES // values))]
    log(f"comparing with others on {len(test)} images")
    mine = _codec("yours", codec, test, data.classes)
    bundled = [
        model for model in zoo.default() if model.card.shape == data.shape and model.sha256 != codec.model.sha256
    ]
    others = [_codec(model.name, Codec(model), test, data.classes) for model in bundled]
    learnt = replace(data, train=data.train[: -len(held_out)])
    begun = _linear(learnt, fitted)
    files = [_files("WebP", "WEBP", test.images, WEBP_LOSSLESS), _files("JPEG", "JPEG", test.images)]
    rows = [mine, *others, Rival("PCA", _psnr(test.images, linear(begun, test.images))), *files]
    best = _best(others, bundled)
    head = _head(best, learnt, test) if best is not None and test.labels is not None else None
    if head is not None:
        rows.insert(1 + len(others), head)
    return Comparison(len(test), rows, _advice(rows, best, head, where))


def _codec(name: str, codec: Codec, test: Split, classes: Sequence[str]) -> Rival:
    effort = codec.model.card.effort if codec.model.refines else 0
    try:
        found = evaluation.measure(codec, test.images, test.labels, classes, effort)
    except AtlcError as error:  # a bundled model without its files
        return Rival(name, None, note=str(error))
    accuracy = None if found.right is None else 100 * float(found.right.mean())
    return Rival(name, _rounded(float(found.errors.mean())), None if accuracy is None else round(accuracy, 2))


def _rounded(error: float) -> float:
    return round(metrics.psnr(max(error, metrics.FLOOR)), 2)


def _psnr(images: Images, decoded: Images) -> float:
    return _rounded(float(metrics.squared_error(images, decoded).mean()))


# -- files of other formats --------------------------------------------------------------------------------------------


def _files(name: str, format: str, images: Images, lossless: Mapping[str, object] | None = None) -> Rival:
    """Each image as the best file of at most 200 bytes, or if none is, as the smallest."""
    files = [best_that_fits(image, format, RECORD_BYTES, lossless) for image in images]
    decoded = np.stack([picture.decoded(file, format, image.shape) for file, image in zip(files, images, strict=True)])
    sizes = np.array([len(file) for file in files])
    missed = int((sizes > RECORD_BYTES).sum())
    note = f"{missed} of {len(files)} do not fit; {sizes.mean():.0f} bytes on average" if missed else ""
    return Rival(name, _psnr(images, decoded), note=note)


def best_that_fits(
    image: NDArray[np.uint8], format: str, limit: int, lossless: Mapping[str, object] | None = None
) -> bytes:
    """The lossless file if it has at most `limit` bytes; else, of the qualities near that of a bisection, the file that
    fits and loses least; else the file of the lowest quality."""
    if lossless and len(file := picture.encoded(image, format, **lossless)) <= limit:
        return file

    def loss(file: bytes) -> float:
        return float(metrics.squared_error(image[None], picture.decoded(file, format, image.shape)[None])[0])

    return best_quality(partial(_encoded, image, format), loss, range(101 if format == "WEBP" else 96), limit, NEAR)


def best_quality(
    encode: Callable[[int], bytes],
    loss: Callable[[bytes], float],
    qualities: range,
    limit: int,
    near: range,
    size: Callable[[bytes], int] = len,
) -> bytes:
    """Of the qualities `near` that of a bisection, the file that fits and loses least; else that of the lowest
    quality."""
    encode = cache(encode)
    middle = max(0, bisect_right(qualities, limit, key=lambda quality: size(encode(quality))) - 1)
    files = [encode(qualities[middle + step]) for step in near if 0 <= middle + step < len(qualities)]
    fitting = [file for file in files if size(file) <= limit]
    return min(fitting, key=loss) if fitting else encode(qualities[0])


def _encoded(image: NDArray[np.uint8], format: str, quality: int) -> bytes:
    more = {"method": 4} if format == "WEBP" else {"optimize": True}
    return picture.encoded(image, format, quality=quality, **more)


# -- the linear path alone ---------------------------------------------------------------------------------------------


def _linear(data: Dataset, fitted: Start | None) -> Start:
    return fitted if fitted is not None and fitted.fitted and fitted.components.any() else start.fit(data.train.images)


def linear(fitted: Start, images: Images) -> Images:
    """What principal components give back of images with as many bits as a record has: uint8 (N, *shape) twice."""
    from torch import from_numpy, no_grad
    from torch.nn import Sequential

    from atlcodec.training.layout import pictures
    from atlcodec.training.pca import linear_path

    rows = (fitted.components / fitted.steps).T
    flat = start.small(images, np.arange(len(images))).reshape(len(images), -1)
    latents = np.clip(np.rint((flat - fitted.mean) @ rows.T + fitted.middle), 0, fitted.packing.top)
    with no_grad():
        found = pictures(Sequential(*linear_path(fitted))(from_numpy(latents.astype(np.float32))))
    return found.clamp(0, 255).round().numpy().astype(np.uint8)


# -- a classifier of a bundled codec's records ------------------------------------------------------------------------


def _best(others: Sequence[Rival], models: Sequence[Model]) -> Model | None:
    """The bundled codec that reproduces the images best."""
    pairs = [(rival.psnr, model) for rival, model in zip(others, models, strict=True) if rival.psnr is not None]
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else None


def _head(model: Model, data: Dataset, test: Split) -> Rival | None:
    """What a classifier is right about that learned from records of some training images; None if there are too few."""
    if min(len(data.train), LEARNT) < heads.FEWEST:
        return None
    settings = HeadSettings(epochs=HEAD_EPOCHS)
    examples = heads.encode(data.limited(LEARNT), model, settings)
    with tempfile.TemporaryDirectory() as folder:
        trainer: Trainer = heads.train(examples, settings, Path(folder))
    records = Codec(model).encode(test.images)
    right = measure.accuracy(trainer.nets, Split(records, test.labels))
    return Rival(f"{model.name} + new head", None, round(100 * right, 2), f"{HEAD_EPOCHS} epochs on its records")


# -- what to use -------------------------------------------------------------------------------------------------------


def _advice(rows: Sequence[Rival], best: Model | None, head: Rival | None, where: str) -> str:
    """What to use: of the codecs; and if files of WebP are better than all of them, that, too."""
    webp = next(row for row in rows if row.name == "WebP")
    reached = [row.psnr for row in rows if row.psnr is not None and row is not webp]
    codec = _codec_to_use(rows, best, head, where)
    if webp.psnr is not None and webp.psnr > max(reached) and not webp.note:
        return f"WebP reproduces these images best; for labels and search from the bytes: {codec}"
    return codec


def _codec_to_use(rows: Sequence[Rival], best: Model | None, head: Rival | None, where: str) -> str:
    mine, pca = rows[0], next(row for row in rows if row.name == "PCA")
    assert mine.psnr is not None
    other = next((row for row in rows if best is not None and row.name == best.name), None)
    if other is not None and other.psnr is not None and other.psnr > mine.psnr:
        names = f"{other.name} reproduces these images better ({other.psnr:.1f} dB, yours {mine.psnr:.1f})"
        known = max((row.accuracy or 0 for row in (other, head) if row is not None), default=0)
        if (mine.accuracy or 0) > known:
            return (
                f"{names}, and yours knows their labels better: -m {other.name} for the images, -m {where} for labels; "
                f"--start {other.name} may give you both"
            )
        if head is not None and (head.accuracy or 0) > (other.accuracy or 0):
            return f"{names}: atlc encode -m {other.name}; for the labels: atlc train-head -m {other.name} --data ..."
        return f"{names}: atlc encode -m {other.name}"
    if pca.psnr is not None and pca.psnr > mine.psnr:
        return "principal components alone reproduce these images better: train longer, or with more images"
    return f"yours is the best of these codecs: atlc encode -m {where}"
