"""Batch functions for a cluster: images to records, records to images, records to labels.

    Encode(model)     image  -> record
    Decode()          record -> image
    Classify()        record -> record, label, probability

They are plain callables and import no cluster's library: call them with Ray Data, with Spark or in a loop
(docs/cluster.md). A batch is a dict of NumPy arrays or a pyarrow Table, and the result has the same type; other columns
pass through. A function is pickled as its arguments alone: the worker loads the networks.

    image         uint8 (N, *shape); as a column of Arrow: tensors, or bytes or lists of as many values
    record        uint8 (N, 200); as a column of Arrow: fixed-size binary, as in `atlcodec.arrow`
    label         text, and `probability` float32
    problem       text: why this row failed; null for all other rows

A row that fails does not stop the others: its results are null, `problem` says why, and later functions skip it. NumPy
has no null; there the results are zeros, "" and NaN. (200 zeros are never a valid record.) With `strict=True` the first
such row raises `BadImage` or `NotARecord`. An error of the job, such as a model that is not installed or a column of
another type, is always raised."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import columns, record
from atlcodec.choice import default_shape
from atlcodec.codec import Codec, Images
from atlcodec.columns import Batch, Texts
from atlcodec.errors import BadImage, NotARecord, UnknownModel
from atlcodec.reader import Reader
from atlcodec.record import Records
from atlcodec.shape import Shape

if TYPE_CHECKING:
    pass


@dataclass(eq=False)
class _Function:
    """One of the three functions; its fields are its arguments."""

    strict: bool = field(default=False, kw_only=True)

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return functools.partial(type(self), **{each.name: getattr(self, each.name) for each in fields(self)}), ()


@dataclass(eq=False)
class Encode(_Function):
    """Replaces `image` by `record`. `model` is the name or id of one codec, or a path that every worker can read.

    It does not choose a model, since each batch would choose anew: call `atlcodec.api.choose` once, with a sample.
    `effort` is that of `Codec.encode`.

    The constructor raises `UnknownModel` or `BadModel`; a call raises `BadImage` for a column of another type."""

    model: str | os.PathLike[str]
    effort: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._codec = Codec.load(self.model)
        blank = np.zeros((1, *self._codec.shape), np.uint8)
        self._encode(blank)  # raises before the first batch if its files are invalid

    def __call__(self, batch: Batch) -> Batch:
        images, problems = columns.read(batch, "image", self._codec.shape, BadImage)
        if self.strict:
            columns.refuse(batch, problems, BadImage)
        good = problems == ""
        records = np.zeros((len(images), record.RECORD_BYTES), np.uint8)
        records[good] = self._encode(images[good])
        return columns.write(batch, {"record": records}, problems, without="image", id=self._codec.id)

    def _encode(self, images: Images) -> Records:
        how: dict[str, Any] = {} if self.effort is None else {"effort": self.effort}
        return self._codec.encode(images, **how)


@dataclass(eq=False)
class Decode(_Function):
    """Replaces `record` by `image`. Each record names its codec, which must be installed; `model` insists on one codec.

    The constructor raises `UnknownModel` or `BadModel`; a call raises `NotARecord` for a column of another type, and
    `BadModel` for records of an installed model with invalid files."""

    model: str | os.PathLike[str] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._codecs = _Codecs(self.model, None)

    def _shape(self, codecs: list[Codec]) -> Shape:
        """Of the images of a batch. Without a readable record, that of the codec that you name, or of the default
        ones."""
        shapes = {codec.shape for codec in codecs or self._codecs.named} or {default_shape()}
        if len(shapes) > 1:
            raise NotARecord("the batch has records of images of several shapes; name one model, or sort them by shape")
        return shapes.pop()

    def __call__(self, batch: Batch) -> Batch:
        records, problems = columns.read(batch, "record", (record.RECORD_BYTES,), NotARecord)
        found = list(self._codecs.of(records, problems))
        images = np.zeros((len(records), *self._shape([codec for codec, _ in found])), np.uint8)
        for codec, rows in found:
            images[rows] = codec.decode(
                records[rows], verify=False
            )  # the ids, by which they were sorted, are the seals
        if self.strict:
            columns.refuse(batch, problems, NotARecord)
        return columns.write(batch, {"image": images}, problems, without="record")


@dataclass(eq=False)
class Classify(_Function):
    """Adds the `label` of each `record` and its `probability`, from the codec's default classifier or from `head`.

    `model` is that of `Decode`. `label` names the column of the labels; choose another name if the batch has such a
    column, for example the true labels.

    Raises what `Decode` raises. If a codec does not have this classifier, its records get a problem; if `model` names
    the codec, the constructor raises."""

    head: str | None = None
    model: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    label: str = field(default="label", kw_only=True)

    def __post_init__(self) -> None:
        self._codecs = _Codecs(self.model, self.head)
        for codec in self._codecs.named:
            _ = codec.head

    def __call__(self, batch: Batch) -> Batch:
        records, problems = columns.read(batch, "record", (record.RECORD_BYTES,), NotARecord)
        labels = np.full(len(records), "", object)
        probability = np.full(len(records), np.nan, np.float32)
        for codec, rows in self._codecs.of(records, problems):
            try:
                names = np.array(codec.labels, object)
            except UnknownModel as error:
                problems[rows] = str(error)
                continue
            probabilities = codec.classify(records[rows], verify=False)
            labels[rows] = names[probabilities.argmax(1)]
            probability[rows] = probabilities.max(1)
        if self.strict:
            columns.refuse(batch, problems, NotARecord)
        return columns.write(batch, {self.label: labels, "probability": probability}, problems)


class _Codecs:
    """The codecs of records: all that are installed, or only the one that you name."""

    def __init__(self, model: str | os.PathLike[str] | None, head: str | None) -> None:
        self._reader = Reader(model, head)
        self.named = [] if model is None else [self._reader.codec(id) for id in self._reader.models]

    def of(self, records: Records, problems: Texts) -> Iterator[tuple[Codec, NDArray[np.intp]]]:
        """Each codec with the rows of its records, among the rows without a problem. A record without a codec gets a
        problem."""
        good = np.nonzero(problems == "")[0]
        for rows, codec, problem in self._reader.group(records[good]):
            if codec is None:
                problems[good[rows]] = f"the record: {problem}"
            else:
                yield codec, good[rows]
