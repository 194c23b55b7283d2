"""Codec: one model as three array functions, `encode`, `decode` and `classify`."""

from __future__ import annotations

import functools
import math
import os
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import engine, metrics, record, refine, zoo
from atlcodec.arrays import as_images
from atlcodec.card import BUNDLED, Head, Model
from atlcodec.errors import BadModel, DamagedRecord
from atlcodec.record import Records

Images = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

CHUNK_OF_CLASSIFIER = 1024  # rows; its activations are small
CHUNK_OF_SEARCH = CHUNK_OF_DECODER = 64  # a fifth faster than 256
LARGE = 64 * 64 * 3  # values of an image; of larger ones a chunk has fewer rows, or all threads would run out of memory
UNSURE = 6.0  # dB for each factor of e in a label's probability; fitted to the accuracy on all training sets


@dataclass(frozen=True)
class Prediction:
    """What a classifier reads from a record."""

    label: str
    index: int  # of the label among the codec's `labels`
    probability: float
    model: str
    head: str
    unsure: bool = False  # whether the head would hardly ever be so unsure of an image that it knows


class Codec:
    """One model. `Codec.load` finds it; its networks are loaded when they are first used.

    >>> codec = Codec.load("mnist")
    >>> records = codec.encode(np.zeros((3, *codec.shape), np.uint8))
    >>> records.shape, codec.decode(records).shape == (3, *codec.shape), codec.classify(records).shape
    ((3, 200), True, (3, 10))
    """

    def __init__(self, model: Model, head: str | None = None) -> None:
        self.model = model
        self.name = model.name
        self.id = model.id
        self.shape = model.card.shape
        self._head_name = head
        self._refiners: dict[tuple[str, ...], engine.Graph] = {}  # by their outputs

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"<Codec {self.name} {self.id:08x}: images {shape}>"

    def __reduce__(self) -> tuple[type[Codec], tuple[Model, str | None]]:
        return Codec, (self.model, self._head_name)  # a loaded network cannot be pickled; the copy loads it again

    @classmethod
    def load(cls, which: str | os.PathLike[str], head: str | None = None) -> Codec:
        """A codec by name, by id (eight hex digits) or by path, with its default classifier or the one you name.

        Raises `UnknownModel`, or `BadModel` if its card or files are invalid."""
        codec = cls(zoo.find(which), head)
        if head is not None:
            _ = codec.head
        return codec

    def encode(self, images: ArrayLike, effort: int | None = None) -> Records:
        """Images, uint8 (N, *shape), to sealed records, uint8 (N, 200).

        Flat rows, axes of length 1, one image alone, and whole numbers of other types are taken, too.

        `effort`, 0 to 9, is how long latent refinement searches for better symbols; 0 takes what the compressor gives.
        The default stands in the card, and is 0 for a model without a refiner. Raises `BadImage` for another shape
        or dtype, `ValueError` for another effort, `BadModel` for an effort above 0 if the model has no refiner."""
        evaluations = refine.evaluations(self.model.card.effort if effort is None else effort)
        if evaluations and not self.model.refines:
            if effort is not None:
                raise BadModel(f"{self.name} has no refiner.onnx; encode with effort 0, or train the model again")
            evaluations = 0
        packing, stop = self.model.card.packing, threading.Event()
        compressor = self._compressor
        refiner = self._refiner(refine.outputs(evaluations, packing)) if evaluations else None

        def refine_once(latents: NDArray[np.float32], images: Images) -> list[NDArray[np.float32]]:
            if stop.is_set():  # a search takes many of these calls, and Ctrl-C shall not wait for all of them
                raise engine.Stopped
            assert refiner is not None
            return refiner.run(latents, images)

        def encode(chunk: Images) -> Records:
            latents = compressor(chunk)
            if refiner is None:
                return record.pack(record.seal(*packing.nearest(latents), self.id))
            return record.pack(refine.symbols(chunk, latents, refine_once, evaluations, self.id, packing))

        rows, shape = self._as_images(images), (record.RECORD_BYTES,)
        most = self._rows(CHUNK_OF_SEARCH if refiner else engine.CHUNK)
        return engine.in_chunks(encode, rows, shape, chunk_rows=most, stop=stop)

    def decode(self, records: ArrayLike | bytes, *, verify: bool = True) -> Images:
        """Records, uint8 (N, 200) or bytes, to images, uint8 (N, *shape).

        Raises `NotARecord`, or `DamagedRecord` if a seal is not this codec's. `verify=False` is for symbols that were
        packed and not sealed."""
        packed, check = record.as_records(records), self.check if verify else None
        return engine.in_chunks(
            self._decompressor, packed, self.shape, check=check, chunk_rows=self._rows(CHUNK_OF_DECODER)
        )

    def classify(self, records: ArrayLike | bytes, *, verify: bool = True) -> Probabilities:
        """Records, uint8 (N, 200) or bytes, to probabilities, float32 (N, classes): each row sums to 1, and the columns
        are `labels`.

        Raises what `decode` raises, and `UnknownModel` if the codec has no classifier."""
        classifier, scale = self._classifier, np.float32(self.head.card.scale)

        def classify(chunk: Records) -> Probabilities:
            return metrics.probabilities(classifier(chunk) * scale)

        packed, check = record.as_records(records), self.check if verify else None
        shape = (len(self.labels),)
        return engine.in_chunks(classify, packed, shape, np.float32, check, CHUNK_OF_CLASSIFIER)

    def predict(self, records: ArrayLike | bytes) -> list[Prediction]:
        """The likeliest label of each record, uint8 (N, 200) or bytes. Raises what `classify` raises.

        >>> codec = Codec.load("mnist")
        >>> [answer.label for answer in codec.predict(codec.encode(np.zeros((2, 28, 28), np.uint8)))][0] in codec.labels
        True
        """
        scores = self.classify(records)
        best = scores.argmax(axis=1).tolist()
        found = zip(best, scores.max(axis=1).tolist(), strict=True)
        return [
            Prediction(self.labels[index], index, probability, self.name, self.head.name, self.is_unsure(probability))
            for index, probability in found
        ]

    def suitability(self, images: Images, records: Records) -> NDArray[np.float64]:
        """How well this codec suits each image, given its own record of it: float64 (N,), in dB.

        The PSNR of the decoded image, less a penalty if the classifier is unsure: a codec can reproduce images of
        another kind well, but its classifier is unsure of their labels."""
        psnr, doubt = self.evidence(images, records)
        return np.asarray(psnr + UNSURE * doubt)

    def evidence(self, images: Images, records: Records) -> NDArray[np.float64]:
        """What `suitability` comes from, float64 (2, N): the PSNR of each decoded image, in dB; and the logarithm of
        the probability of its label, 0 without a classifier."""
        psnr = metrics.psnr_each(metrics.squared_error(images, self.decode(records)))
        if self.model.card.default_head is None:
            return np.stack([psnr, np.zeros_like(psnr)])
        return np.stack([psnr, np.log(self.classify(records).max(axis=1).astype(np.float64))])

    def latents(self, images: ArrayLike) -> NDArray[np.float32]:
        """The compressor's output before rounding: images, uint8 (N, *shape) -> float32 (N, 16, 5, 5) in 0..15; or (N,
        M), if the latents have several widths (`latents.Packing`)."""
        rows, shape = self._as_images(images), self.model.card.packing.shape
        return engine.in_chunks(self._compressor, rows, shape, np.float32, chunk_rows=self._rows(engine.CHUNK))

    def check(self, records: Records, first: int) -> None:
        """Raise `DamagedRecord` unless this codec sealed every record; the first one has the number `first`."""
        self.check_numbered(records, np.arange(first, first + len(records)))

    def check_numbered(self, records: Records, numbers: NDArray[np.integer], name: str = "") -> None:
        """The same for records of the file `name` with these numbers, int (N,)."""
        ids = record.ids(records)
        bad = np.nonzero(ids != self.id)[0]
        if len(bad):
            wrong = ids if len(bad) == len(ids) else ids[bad[:1]]
            why = zoo.explain(wrong, {self.id: self.model})
            where = f"{name}: " if name else ""
            raise DamagedRecord(f"{where}record {numbers[bad[0]]}: {why}")

    def _rows(self, most: int) -> int:
        """How many images go through a network at once: `most`, or fewer large ones."""
        return max(16, most * LARGE // max(LARGE, math.prod(self.shape)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of its classifier, in the order of the probabilities. Raises `UnknownModel` if it has none."""
        return self.head.labels

    def is_unsure(self, probability: float, least: float | None = None) -> bool:
        """Whether a label with this probability is weak: below `least`, or below what the classifier's card says."""
        return probability < (self.head.card.unsure_below if least is None else least)

    @functools.cached_property
    def head(self) -> Head:
        return zoo.head(self.model, self._head_name)

    @functools.cached_property
    def _compressor(self) -> engine.Graph:
        return self._graph("compressor", engine.compressor(self.shape, self.model.card.packing.shape))

    @functools.cached_property
    def _decompressor(self) -> engine.Graph:
        return self._graph("decompressor", engine.decompressor(self.shape))

    def _refiner(self, outputs: tuple[str, ...]) -> engine.Graph:
        if outputs not in self._refiners:
            signature = engine.refiner(self.shape, self.model.card.packing.shape, outputs)
            self._refiners[outputs] = self._graph("refiner", signature)
        return self._refiners[outputs]

    @functools.cached_property
    def _classifier(self) -> engine.Graph:
        path, claims = self.head.folder / "classifier.onnx", self.head.card.exact
        signature, trusted = engine.classifier(len(self.labels)), path.is_relative_to(BUNDLED)
        return engine.Graph(self.head.file(), signature, str(path), trusted=trusted, claims=claims)

    def _graph(self, part: str, signature: engine.Signature) -> engine.Graph:
        path, claims = self.model.folder / f"{part}.onnx", self.model.card.exact
        return engine.Graph(self.model.file(part), signature, str(path), trusted=self.model.bundled, claims=claims)

    def _as_images(self, images: ArrayLike) -> Images:
        return as_images(images, self.shape)
