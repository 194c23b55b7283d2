"""One image, one record: `encode`, `decode`, `classify`. An image of any size: `encode_image`, `decode_image`. And
`choose`, which finds the codec that suits images best."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import files, grid, grid_encoder, grid_file, grid_finder, metrics, record, zoo
from atlcodec.arrays import as_array, as_images
from atlcodec.choice import default_shape, has_colours, suited, tile_codecs
from atlcodec.codec import Codec, Images, Prediction
from atlcodec.errors import LossWarning, NotARecord
from atlcodec.fit import NOTHING, Fit, FitOptions, LookOptions
from atlcodec.grid import Rows, Whole
from atlcodec.reader import Reader, cached_codec, codec_of
from atlcodec.record import Records
from atlcodec.shape import Shape

if TYPE_CHECKING:
    from PIL.Image import Image


def encode(
    image: str | os.PathLike[str] | bytes | BinaryIO | Image | ArrayLike,
    model: str | os.PathLike[str] | None = None,
    effort: int | None = None,
    **how: Unpack[FitOptions],
) -> bytes:
    """One image to one sealed record of 200 bytes: a path, the bytes of an image file, an open image file, a Pillow
    image, or an array (rows, columns) or (rows, columns, 3 or 4) of 8 or 16 bits or floating point.

    Without `model`, `choose` tries every bundled model of the default list: it encodes, decodes and classifies with
    each. `effort` is that of `Codec.encode`. `how` makes an image one of the codec's shape, by the names of `fit.Fit`:
    fit="contain", gray=True, background="auto", invert=True, range=(0, 4095). A `LossWarning` says what was lost then.
    Raises `BadImage`, `UnknownModel`, `FileNotFoundError`."""
    codec = None if model is None else codec_named(model)
    shape = codec.shape if codec else default_shape()
    images = _pixels(image, Fit(**how), shape)[None]
    records = codec.encode(images, effort) if codec else choose(images, effort=effort)[1]
    return records.tobytes()


def _pixels(image: Any, how: Fit, shape: Shape) -> Images:
    """An image of any kind to uint8 (*shape). Warns of what it loses."""
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == shape and how == NOTHING:
        return image
    from atlcodec import picture  # imported only when needed: Pillow takes a while

    name = "the image" if isinstance(image, bytes) or not hasattr(image, "read") else "the input"
    if isinstance(image, str | os.PathLike):
        name = os.fspath(image)
    if isinstance(image, bytes | str | os.PathLike) or hasattr(image, "getbands") or hasattr(image, "read"):
        prepared = picture.prepare(
            io.BytesIO(image) if isinstance(image, bytes) else image, how, name=name, shape=shape
        )
    else:
        array = as_array(image)
        if array.ndim == 1 and array.size == math.prod(shape):  # a flat image
            array = array.reshape(shape)
        wide = array.dtype.kind in "ui" and array.dtype.itemsize > 2 and array.shape == shape and how == NOTHING
        if wide and array.min() >= 0 and array.max() <= 255:
            return np.asarray(as_images(array, shape)[0])  # 8 bits that only take more room
        prepared = picture.from_array(array, how, name=name, shape=shape)
    for loss in prepared.losses.values():
        warnings.warn(f"{name}: {loss}", LossWarning, stacklevel=3)
    return prepared.pixels


def encode_image(
    image: str | os.PathLike[str] | bytes | BinaryIO | Image | ArrayLike,
    model: str | os.PathLike[str] | None = None,
    effort: int | None = None,
    overlap: int | None = None,
    **how: Unpack[LookOptions],
) -> bytes:
    """One image of any size to records; `decode_image` gives an image of the same size back.

    They are one record, if the image has the codec's shape, or else a grid: a description, and the tiles behind it.

    Without `model`, the bundled model of the default list that reproduces some of the tiles best writes all of them:
    one in colour for an image in colour, if there is any. A codec in colour takes grey images, too; one in grey takes
    those in colour with gray=True. `overlap` is how many pixels neighbours share: see `grid_encoder.encode`. `how` are
    those options of `encode` that do not change the size.

    Raises `BadImage`, `UnknownModel`, `FileNotFoundError`."""
    if "fit" in how:
        raise TypeError("encode_image() keeps the size of an image; fit is an option of encode()")
    named = None if model is None else codec_named(model)
    pixels, losses = _upright(image, Fit(**how), grey=len(named.shape) == 2 if named else not has_colours())
    for loss in losses:
        warnings.warn(loss, LossWarning, stacklevel=2)
    codecs = [named] if named else tile_codecs(colours=len(pixels.shape) == 3)
    if same := [codec for codec in codecs if codec.shape == pixels.shape]:
        return choose(pixels.rows(0, pixels.shape[0])[None], same, effort)[1].tobytes()
    return bytes(grid_encoder.encode(pixels, codecs, effort, overlap).data)


def _upright(image: Any, how: Fit, *, grey: bool) -> tuple[Rows, list[str]]:
    """An image of any kind and size, in `grey` or as it is; and what it lost."""
    whole = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size and how == NOTHING
    if whole and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3 and not grey)):
        return Whole(image), []
    from atlcodec import picture  # imported only when needed: Pillow takes a while

    if isinstance(image, bytes):
        found, done = picture.upright(io.BytesIO(image), how, name="the image", grey=grey)
    elif isinstance(image, str | os.PathLike) or hasattr(image, "getbands") or hasattr(image, "read"):
        found, done = picture.upright(image, how, grey=grey)
    else:
        array = as_array(image)
        if (
            array.dtype.kind in "ui"
            and array.dtype.itemsize > 2
            and array.size
            and 0 <= array.min() <= array.max() <= 255
        ):
            array = array.astype(np.uint8)  # 8 bits that only take more room
        found, done = picture.upright(array, how, grey=grey)
    return found, [f"{done.name}: {loss}" for loss in done.losses.values()]


def decode_image(
    source: str | os.PathLike[str] | ArrayLike | bytes, crop: tuple[int, int, int, int] | None = None
) -> Images:
    """The one image in a file, or in records: the path, bytes or uint8 (N, 200) -> uint8 (rows, columns) or (rows,
    columns, 3).

    `crop` is (left, top, width, height) in pixels: only its tiles are read. A `LossWarning` says which tiles are
    damaged or missing; the mean of their neighbours fills them. Raises `NotARecord` if there is no image or several,
    `UnknownModel`, `FileNotFoundError`."""
    if isinstance(source, str | os.PathLike):
        file = files.open(source)
    else:
        file = files.RecordFile(record.as_records(source).reshape(-1), "the image")
    found, problems = grid_finder.only(Reader(), file, complete=crop is None)
    for problem in problems:
        warnings.warn(f"{file.name}: {problem}", LossWarning, stacklevel=2)
    region = grid.region(*crop) if crop else None
    return grid_file.pixels(found, region)


def decode(record: ArrayLike | bytes, model: str | os.PathLike[str] | None = None) -> Images:
    """One record of 200 bytes to its image, uint8 of the codec's shape. The record names its codec; `model` insists on
    one.

    Raises `NotARecord`, `UnknownModel` (no installed codec has the record's id: it is damaged, or of another codec), or
    `DamagedRecord` (it is not a record of `model`)."""
    packed = _one(record)
    return np.asarray(codec_of(packed, model=model).decode(packed)[0])


def classify(
    record: ArrayLike | bytes, model: str | os.PathLike[str] | None = None, head: str | None = None
) -> Prediction:
    """The label of one record of 200 bytes, read without decoding it. Raises what `decode` raises."""
    packed = _one(record)
    codec = codec_of(packed, model=model)
    if head is not None:
        codec = cached_codec(codec.model, head)
    return codec.predict(packed)[0]


def choose(
    images: Images, among: Sequence[Codec] | None = None, effort: int | None = None
) -> tuple[Codec, Records, NDArray[np.float64]]:
    """The codec that suits images, uint8 (N, *shape), best, by the mean of `Codec.suitability`: one for all of them.

    It chooses at effort 0, among the bundled models of the default list that take this shape, or the codecs that you
    give. Returns the codec, its records with this `effort`, uint8 (N, 200), and the mean squared error of each decoded
    image, float64 (N,). Raises `UnknownModel` if there is no codec to choose from, `BadImage` if none takes images of
    this shape."""
    found = suited(images, among)
    codec, records = found.codecs[found.whole], found.records[found.whole]
    if effort != 0 and codec.model.refines:
        records = codec.encode(images, effort)
    return codec, records, metrics.squared_error(images, codec.decode(records))


def codec_named(which: str | os.PathLike[str]) -> Codec:
    """The codec of this name, id or path; it stays loaded. Raises `UnknownModel`, `BadModel`."""
    return cached_codec(zoo.find(which))


def _one(data: ArrayLike | bytes) -> Records:
    packed = record.as_records(data)
    if len(packed) != 1:
        raise NotARecord(f"{len(packed)} records, not one; use Codec.decode or Codec.classify for many at once")
    return packed
