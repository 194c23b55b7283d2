"""Codec: one model as three array functions. And `encode`, `decode`, `classify` for one picture or record at a time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import engine, metrics, record, refine, zoo
from atlcodec.errors import BadImage, BadModel, DamagedRecord, NotARecord, UnknownModel
from atlcodec.record import Records

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
Scores = NDArray[np.float32]

# Rows at a time: what is computed of them stays in the processor's cache, and memory bounded. A classifier has little
# to keep.
CHUNK = 256
CHUNK_OF_CLASSIFIER = 1024
CHUNK_OF_SEARCH = 128
DOUBT = (
    6.0  # dB for each factor of e in the probability of the label; by the accuracy on training images of all data sets
)


@dataclass(frozen=True)
class Prediction:
    """What a classifier makes of a record."""

    label: str
    index: int
    probability: float
    model: str
    head: str


class Codec:
    """One model. `Codec.load` finds it; the networks are loaded when first used."""

    def __init__(self, model: zoo.Model, head: str | None = None) -> None:
        self.model = model
        self.name = model.name
        self.id = model.id
        self._head_name = head

    @classmethod
    def load(cls, which: str | os.PathLike[str], head: str | None = None) -> Codec:
        """A codec by name, by id (eight hex digits) or by path, with its default classifier or the one named.

        Raises `UnknownModel`, or `BadModel` where its card or files are not in order."""
        codec = cls(zoo.find(which), head)
        if head is not None:
            _ = codec.head
        return codec

    def encode(self, images: ArrayLike, effort: int | None = None) -> Records:
        """Images, uint8 (N, 28, 28), to sealed records, uint8 (N, 200).

        `effort` is how long to search for better symbols: 0 (take what the compressor gives) to 9. The default is
        `refine.DEFAULT_EFFORT`, or 0 for a model without a refiner to search with. Raises `BadImage` for another shape
        or type of images, `ValueError` for another effort, `BadModel` where one above 0 is asked of a model without
        refiner."""
        evaluations = refine.evaluations(effort)
        if evaluations and not self.model.refines:
            if effort is not None:
                raise BadModel(
                    f"{self.name} has no refiner.onnx to search with; encode with effort 0, or train it again"
                )
            evaluations = 0
        compressor, refiner = self._compressor, self._refiner if evaluations else None

        def encode(chunk: Images) -> Records:
            latents = compressor(chunk)
            if refiner is None:
                return record.pack(record.seal(*record.quantise(latents), self.id))
            return record.pack(refine.symbols(chunk, latents, refiner.run, evaluations, self.id))

        return _chunked(encode, _as_images(images), (record.RECORD_BYTES,), most=CHUNK_OF_SEARCH if refiner else CHUNK)

    def decode(self, records: ArrayLike | bytes, *, verify: bool = True) -> Images:
        """Records, uint8 (N, 200) or bytes, to images, uint8 (N, 28, 28).

        Raises `NotARecord`, or `DamagedRecord` if a seal is not this codec's. `verify=False` is for symbols that were
        packed and not sealed."""
        return _chunked(self._decompressor, record.as_records(records), (28, 28), check=self.check if verify else None)

    def classify(self, records: ArrayLike | bytes, *, verify: bool = True) -> Scores:
        """Records, uint8 (N, 200) or bytes, to probabilities, float32 (N, classes): rows sum to 1, columns are
        `labels`.

        Raises as `decode` does."""
        classifier = self._classifier

        def classify(chunk: Records) -> Scores:
            scores = np.ascontiguousarray(classifier(chunk).T)  # classes first: sums over the few are quick then
            scores -= scores.max(axis=0)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=0)
            return scores.T

        packed, check = record.as_records(records), self.check if verify else None
        return _chunked(classify, packed, (len(self.labels),), np.float32, check, CHUNK_OF_CLASSIFIER)

    def fit(self, images: Images, records: Records) -> NDArray[np.float64]:
        """How well this codec suits each of the images, given its own records of them: float64 (N,), in dB.

        The PSNR of the decoded picture, and a loss for doubt about its label: a codec can be good at pictures of a kind
        that it does not know, but its classifier is unsure of them then."""
        psnr = -10 * np.log10(np.maximum(metrics.squared_error(images, self.decode(records)), 0.01) / 255**2)
        if self.model.card["default_head"] is None:
            return psnr
        return np.asarray(psnr + DOUBT * np.log(self.classify(records).max(axis=1).astype(np.float64)))

    def latents(self, images: ArrayLike) -> NDArray[np.float32]:
        """What the compressor makes of images before rounding: float32 (N, 16, 5, 5) in 0..15."""
        return _chunked(self._compressor, _as_images(images), record.BOTTLENECK, np.float32)

    def check(self, records: Records, first: int) -> None:
        """Raise `DamagedRecord` unless each record, numbered from `first`, is sealed by this codec."""
        ids = record.ids(records)
        if (ids != self.id).any():
            bad = np.nonzero(ids != self.id)[0]
            wrong = ids[bad] if len(bad) == len(ids) else ids[bad[:1]]
            raise DamagedRecord(
                f"record {first + bad[0]} is not one of {self.name}: {explain(wrong, {self.id: self.model})}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of its classifier, in the order of the scores."""
        return self.head.labels

    @functools.cached_property
    def head(self) -> zoo.Head:
        return self.model.head(self._head_name)

    @functools.cached_property
    def _compressor(self) -> engine.Graph:
        return self._graph("compressor", engine.COMPRESSOR)

    @functools.cached_property
    def _decompressor(self) -> engine.Graph:
        return self._graph("decompressor", engine.DECOMPRESSOR)

    @functools.cached_property
    def _refiner(self) -> engine.Graph:
        return self._graph("refiner", engine.REFINER)

    @functools.cached_property
    def _classifier(self) -> engine.Graph:
        signature = engine.classifier(len(self.labels))
        trusted = self.head.folder.is_relative_to(zoo.BUNDLED)
        return engine.Graph(self.head.file(), signature, str(self.head.folder / "classifier.onnx"), trusted=trusted)

    def _graph(self, part: str, signature: engine.Signature) -> engine.Graph:
        return engine.Graph(
            self.model.file(part), signature, str(self.model.folder / f"{part}.onnx"), trusted=self.model.bundled
        )


def encode(
    image: str | os.PathLike[str] | Image | ArrayLike,
    model: str | os.PathLike[str] | None = None,
    effort: int | None = None,
) -> bytes:
    """One picture (a path, a Pillow image, or uint8 (28, 28)) to one sealed record of 200 bytes.

    Without `model`, the bundled model that suits the picture best (`Codec.fit`). `effort` as in `Codec.encode`. Raises
    `BadImage`, `UnknownModel`."""
    if isinstance(image, str | os.PathLike) or hasattr(image, "getbands"):
        from atlcodec import picture

        pixels = picture.read(cast("str | os.PathLike[str] | Image", image))
    else:
        pixels = np.asarray(image)
        if pixels.shape != (28, 28):
            raise BadImage(
                f"one picture is uint8 (28, 28), not {pixels.dtype} {pixels.shape}; Codec.encode takes many at once"
            )
    images = pixels[None]
    records = choose(images, effort=effort)[1] if model is None else kept(zoo.find(model)).encode(images, effort)
    return records.tobytes()


def decode(record: ArrayLike | bytes, model: str | os.PathLike[str] | None = None) -> Images:
    """One record of 200 bytes to its picture, uint8 (28, 28). The record names its codec; with `model`, it must be that
    one.

    Raises `NotARecord`, `UnknownModel` (no installed codec has its id: damaged, or of another codec),
    `DamagedRecord`."""
    packed = _one(record)
    images = (_writer(packed) if model is None else kept(zoo.find(model))).decode(packed)
    return np.asarray(images[0])


def classify(
    record: ArrayLike | bytes, model: str | os.PathLike[str] | None = None, head: str | None = None
) -> Prediction:
    """The label of one record of 200 bytes, read without decoding it. Raises as `decode` does."""
    packed = _one(record)
    codec = kept(_writer(packed).model if model is None else zoo.find(model), head)
    scores = codec.classify(packed)[0]
    index = int(scores.argmax())
    return Prediction(codec.labels[index], index, float(scores[index]), codec.name, codec.head.name)


def choose(
    images: Images, among: Sequence[Codec] | None = None, effort: int | None = None
) -> tuple[Codec, Records, NDArray[np.float64]]:
    """The codec that suits the images, uint8 (N, 28, 28), best, as `Codec.fit` says: one choice for all of them.

    Among the bundled ones of the default list, unless others are given; it is made without search. Returns the codec,
    what it encoded them to with this effort, and the mean squared error of each decoded picture."""
    best: tuple[float, Codec, Records] | None = None
    for codec in among or [kept(model) for model in zoo.default()]:
        records = codec.encode(images, effort=0)
        fit = float(codec.fit(images, records).mean())
        if best is None or fit > best[0]:
            best = fit, codec, records
    if best is None:
        raise UnknownModel("no models are installed to choose from")
    _, codec, records = best
    if effort != 0 and codec.model.refines:
        records = codec.encode(images, effort)
    return codec, records, metrics.squared_error(images, codec.decode(records))


def explain(ids: NDArray[np.uint32], models: Mapping[int, zoo.Model]) -> str:
    """Why some records with these CRC-32s are none of the `models`' own, in words: what is likelier, and what to do."""
    first = int(ids[0])
    if first in record.RESERVED:
        return f"of a kind that this version does not know (ATL {first & 255:#04x}); a newer atlcodec may"
    if not (ids == first).all():
        return f"damaged, or no records at all: not one has the id of {names(models)}"
    elsewhere = zoo.models().get(first)
    if elsewhere:
        return f"written by {elsewhere.name}, not by {names(models)}; leave out the model, or name that one"
    if len(ids) > 1:
        return f"all have the id {first:08x} of a codec that is not installed (atlc models add)"
    flips = record.syndromes()[:, [8, 4, 2, 1]].ravel()  # by bit, the highest of the first byte first
    for id, model in models.items():
        hit = np.nonzero(flips == (first ^ id))[0]
        if len(hit):
            bit = int(hit[0])
            return (
                f"damaged: a record of {model.name} with bit {7 - bit % 8} of byte {bit // 8} flipped; get another copy"
            )
    return (
        f"no installed codec has its id {first:08x}: damaged, or written by one that is not installed (atlc models add)"
    )


def names(models: Mapping[int, zoo.Model]) -> str:
    """The models in words, for a message."""
    return next(iter(models.values())).name if len(models) == 1 else "an installed codec"


def _writer(packed: Records) -> Codec:
    """The codec that wrote a record, by its seal."""
    ids, models = record.ids(packed), zoo.models()
    if int(ids[0]) not in models:
        raise UnknownModel(f"the record: {explain(ids, models)}")
    return kept(models[int(ids[0])])


_loaded: dict[tuple[object, ...], Codec] = {}


def kept(model: zoo.Model, head: str | None = None) -> Codec:
    """A codec that stays loaded for the next call: to load one takes longer than to encode a picture."""
    key = (
        model.folder,
        *model.card["sha256"].values(),
        model.head(head).card["sha256"] if head else model.card["default_head"],
    )
    if key not in _loaded:
        while len(_loaded) >= 8:
            _loaded.pop(next(iter(_loaded)))
        _loaded[key] = Codec(model, head)
    return _loaded[key]


@functools.lru_cache(maxsize=8)
def by_id(id: str) -> Codec:
    """The codec of this id, eight hex digits, for those who ask again and again: to look for it reads the cards of all
    models.

    Raises `UnknownModel`."""
    return kept(zoo.find(id))


def _one(data: ArrayLike | bytes) -> Records:
    packed = record.as_records(data)
    if len(packed) != 1:
        raise NotARecord(
            f"{len(packed)} records where one was expected; Codec.decode and Codec.classify take many at once"
        )
    return packed


def _as_images(images: ArrayLike) -> Images:
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (28, 28):
        raise BadImage(f"images are uint8 (N, 28, 28), not {array.dtype} {array.shape}")
    return array


def _chunked(
    function: Callable[[Any], NDArray[Any]],
    rows: NDArray[np.uint8],
    shape: tuple[int, ...],
    dtype: type[np.generic] = np.uint8,
    check: Callable[[Any, int], None] | None = None,
    most: int = CHUNK,
) -> NDArray[Any]:
    """`function` over the rows, each chunk checked first: as many chunks at a time as there are threads.

    The graphs run on one thread each. Two of them side by side keep two cores busier than two threads within one, since
    not all of what is done to a chunk can be divided."""
    count, threads = len(rows), engine.threads()
    result = np.empty((count, *shape), dtype)
    size = min(most, max(most // 4, -(-count // threads)))  # fewer are not worth a thread of their own

    def work(start: int) -> None:
        chunk = rows[start : start + size]
        if check is not None:
            check(chunk, start)
        if (
            len(chunk) == 1
        ):  # a product with a single row takes another path, whose last bits differ: as one of two it does not
            chunk = np.repeat(chunk, 2, axis=0)
        result[start : start + size] = function(chunk)[: count - start]

    starts = range(0, count, size)
    if len(starts) <= 1 or threads == 1:
        for start in starts:
            work(start)
        return result
    # A pool for each call: one that lived on would not survive a fork.
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in [pool.submit(work, start) for start in starts]:
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is still to come would be thrown away
            raise
    return result
