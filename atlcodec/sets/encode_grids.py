"""Whole images of any size to one set: each is a grid, or one record if it has the codec's shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atlcodec import choice, description, grid_encoder, grid_finder, picture
from atlcodec.codec import Codec
from atlcodec.convert import Prepared
from atlcodec.errors import AtlcError
from atlcodec.files import RecordFile
from atlcodec.grid import Rows
from atlcodec.grid_file import Grid, pixels
from atlcodec.reader import Reader
from atlcodec.record import Records, as_records
from atlcodec.sets.encoder import Encoder, Quality
from atlcodec.sets.finding import find_files
from atlcodec.sets.image_folder import ImageFolder
from atlcodec.sets.losses import Losses
from atlcodec.sets.run import Run
from atlcodec.sets.sinks import Existing
from atlcodec.sets.sources import Batch, Loaded, Name, Source

SAMPLE = 12  # images, spread over all, that choose the codec of a set


@dataclass
class GridRun(Run):
    """As `Run`, for image files of any size."""

    def _begin(self, existing: Existing, output: str) -> tuple[Source, list[Codec], str]:
        codec, how = self._known(existing, output)
        source = find_files(self.folder, self.how, existing.paths, labelled=existing.labelled)
        self._refuse_repeats(source)
        return source, [codec or self._chosen(source)], how

    def _chosen(self, source: ImageFolder) -> Codec:
        """The codec that reproduces the tiles of some images best; one in colour, if one of them is in colour."""
        names = [name for names, _ in source.listed() for name in names]
        images, grey = list[Rows](), not choice.has_colours()
        for file in source.files(names[:: -(-len(names) // SAMPLE) or 1]):
            try:
                images.append(picture.upright(file, self.how, grey=grey)[0])
            except AtlcError:  # encoding it will say why
                continue
        colours = any(len(image.shape) == 3 for image in images)
        return grid_encoder.choose(images, choice.tile_codecs(colours=colours))

    def _batch_size(self, codecs: list[Codec]) -> int:
        return 1

    def _ids(self, codecs: list[Codec]) -> list[int]:
        return [*super()._ids(codecs), description.ID]

    def _encoded(
        self, source: Source, batches: Iterator[Batch], encoder: Encoder
    ) -> Iterator[tuple[Batch, Loaded, Records]]:
        assert isinstance(source, ImageFolder)
        (codec,), nothing = encoder.codecs, np.empty((0, *encoder.codecs[0].shape), np.uint8)
        for batch in batches:
            names, problems, counts, losses = list[Name](), list(batch.problems), list[int](), Losses()
            parts = [np.empty((0, 200), np.uint8)]
            for name, file in zip(batch.names, source.files(batch.names), strict=True):
                try:
                    records, error = self._one(file, codec, losses)
                except AtlcError as problem:
                    problems.append(str(problem))
                    continue
                names.append(name)
                counts.append(len(records))
                parts.append(records)
                before = encoder.quality
                encoder.quality = Quality(before.error + error, before.measured + 1, before.poor)
            yield batch, Loaded(nothing, names, problems, losses, counts), np.concatenate(parts)

    def _one(self, file: str, codec: Codec, losses: Losses) -> tuple[Records, float]:
        """An image as records, and its mean squared error."""
        image, done = picture.upright(file, self.how, name=file, grey=len(codec.shape) == 2)
        try:
            records = encoded(image, codec, self.options["effort"], self.options["overlap"])
        except AtlcError as problem:
            raise type(problem)(f"{file}: {problem}") from problem
        losses.note(file, Prepared(np.empty(0, np.uint8), done.changes, done.losses))
        return records, squared_error(image, records)


def encoded(image: Rows, codec: Codec, effort: int | None, overlap: int | None) -> Records:
    """An image of any size as records of one codec, uint8 (N, 200)."""
    if image.shape == codec.shape:
        return codec.encode(image.rows(0, image.shape[0])[None], effort)
    return as_records(grid_encoder.encode(image, [codec], effort, overlap).data)


def squared_error(image: Rows, records: Records) -> float:
    """The mean squared error of an image in records, a strip of rows at a time."""
    found, _ = grid_finder.only(Reader(), RecordFile(records.reshape(-1), "the image"))
    strips = found.strips() if isinstance(found, Grid) else iter([pixels(found)])
    total, top = 0, 0
    for strip in strips:
        step = strip.astype(np.int32) - image.rows(top, top + len(strip))
        total += int((step * step).sum(dtype=np.int64))
        top += len(strip)
    return total / math.prod(image.shape)
