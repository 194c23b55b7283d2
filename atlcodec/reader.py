"""Records of any codec: sort them by the codec that wrote them, and explain the others. The one cache of codecs."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec import description, files, record, zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from atlcodec.errors import NotARecord, UnknownModel
from atlcodec.files import RecordSource
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.spans import Span


def cached_codec(model: Model, head: str | None = None) -> Codec:
    """A codec that stays loaded for the next call: loading takes longer than encoding an image. `head` names its
    classifier; whether the model has it shows when it is used."""
    found = zoo.heads(model).get(head) if head else None
    return _cached(model, head, found.card.digest if found else "")


@functools.lru_cache(maxsize=16)
def _cached(model: Model, head: str | None, digest: str) -> Codec:
    return Codec(model, head)


def codec_of(packed: Records, name: str = "", model: str | os.PathLike[str] | None = None) -> Codec:
    """The codec that you name, or else the one that wrote the first of these records, by its seal; not a description of
    a grid. `name` is the file, for messages.

    Raises `UnknownModel`, or `NotARecord` if there are no records."""
    if model is not None:
        return cached_codec(zoo.find(model))
    if not len(packed):
        raise NotARecord(f"{name or 'the input'}: is empty (no records)")
    models, ids = zoo.models(), record.ids(packed[:2])
    ids = ids[1:] if len(ids) > 1 and ids[0] == description.ID else ids[:1]
    if int(ids[0]) not in models:
        where = f"{name}: record 0" if name else "the record"
        raise UnknownModel(f"{where}: {zoo.explain(ids, models)}")
    return cached_codec(models[int(ids[0])])


@dataclass(frozen=True)
class Part:
    """Records of one codec; or, with a `problem` and no codec, bytes that no codec can read."""

    numbers: NDArray[np.int64]  # (N,), counted from the start of the file
    records: Records  # uint8 (N, 200)
    codec: Codec | None
    problem: str = ""
    more: bool = False  # the next part holds other records of the same stretch
    in_step: bool = True  # False after lost or inserted bytes: numbers are unreliable


class Reader:
    """Reads records with all installed codecs, or only with the one that you name.

    Raises `UnknownModel` or `BadModel`."""

    def __init__(self, model: str | os.PathLike[str] | None = None, head: str | None = None) -> None:
        self._head = head
        self.models = zoo.models()
        if model is not None:
            only = Codec.load(model, head)
            self.models = {only.id: only.model}

    def codec(self, id: int) -> Codec:
        """The codec with this id, one of `models`."""
        return cached_codec(self.models[id], self._head)

    def group(self, records: Records) -> Iterator[tuple[NDArray[np.intp], Codec | None, str]]:
        """Records, uint8 (N, 200), sorted by id: row numbers, their codec, and a problem if no codec can read them."""
        ids = record.ids(records)
        for id in np.unique(ids).tolist():
            rows = np.nonzero(ids == id)[0]
            if id in self.models:
                yield rows, self.codec(id), ""
            else:
                yield rows, None, zoo.explain(np.array([id], np.uint32), self.models)

    def parts(self, file: RecordSource) -> Iterator[Part]:
        """What a file holds, in bounded memory: its records, at most `files.BATCH` in a part, and the bytes between
        them that are not records. For a file whose records 0 and 1 are of two codecs, with a damaged record 2, a lost
        byte in record 5, and nothing else wrong:

            numbers [0]      codec A                more=True: the next part is of the same stretch
            numbers [1]      codec B
            numbers []       problem "record 2: ..."
            numbers [3 4]    codec A
            numbers []       problem "byte 1000: 199 bytes are not records: ..."
            numbers [5 6 ..] codec A                in_step=False: numbers are unreliable

        Descriptions of grids are not images, and are left out; `grid_file.images` puts their tiles together."""
        skipped: list[Span] = []  # before the first record: a file without records gets one problem, not many
        in_step, found = True, False
        for span in file.spans({*self.models, description.ID}):
            in_step &= span.skipped % RECORD_BYTES == 0
            if span.skipped and not found:
                skipped.append(span)
                continue
            found = True
            for bad in [*skipped, *([span] if span.skipped else [])]:
                yield self._problem(self.why(file, bad), in_step)
            skipped = []
            yield from self.records_of(file, span, in_step)
        if skipped and file.torn:
            name = zoo.writer_name(self.models)
            yield self._problem(f"holds no record of {name}; is it an .atlc file?", in_step)
        else:
            yield from (self._problem(self.why(file, bad), in_step) for bad in skipped)

    def why(self, file: RecordSource, span: Span) -> str:
        """Why the bytes of a span were skipped."""
        number, count = span.start // RECORD_BYTES, span.skipped // RECORD_BYTES
        if span.skipped % RECORD_BYTES:
            return f"byte {span.start}: {span.why}"
        some = file.bytes(span.start, min(count, files.BATCH) * RECORD_BYTES).reshape(-1, RECORD_BYTES)
        which = f"record {number}" if count == 1 else f"records {number} to {number + count - 1}"
        return f"{which}: {zoo.explain(record.ids(some), self.models)}"

    def records_of(self, file: RecordSource, span: Span, in_step: bool = True) -> Iterator[Part]:
        """The records of a span, which are of known codecs."""
        for start in range(0, span.count, files.BATCH):
            count = min(files.BATCH, span.count - start)
            at = span.start + start * RECORD_BYTES
            records = file.bytes(at, count * RECORD_BYTES).reshape(-1, RECORD_BYTES)
            numbers = at // RECORD_BYTES + np.arange(count)
            images = ~description.found(records)
            for number, packed in zip(numbers[~images], records[~images], strict=True):
                try:
                    description.unpack(packed.tobytes())
                except NotARecord as error:
                    yield self._problem(f"record {number}: {error}", in_step)
            if not images.all():
                numbers, records = numbers[images], records[images]
            groups = list(self.group(records))
            if len(groups) == 1:
                yield Part(numbers, records, groups[0][1], in_step=in_step)
                continue
            for left, (rows, codec, _) in zip(range(len(groups))[::-1], groups, strict=True):
                yield Part(numbers[rows], records[rows], codec, more=left > 0, in_step=in_step)

    @staticmethod
    def _problem(why: str, in_step: bool) -> Part:
        return Part(np.empty(0, np.int64), np.empty((0, RECORD_BYTES), np.uint8), None, why, in_step=in_step)
