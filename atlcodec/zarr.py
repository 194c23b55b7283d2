"""A bridge to Zarr: arrays of images whose chunks are records. LOSSY: you read other pixels than you wrote.

    import atlcodec.zarr                                             # needs pip install 'atlcodec[zarr]'

    zarr.create_array("set.zarr", data=images, chunks=(1024, rows, columns), compressors=None,
                      serializer=atlcodec.zarr.LossyRecords("mnist-lenet"))
    zarr.open_array("set.zarr")[70_000]                              # reads 200 bytes, decodes one record

For a codec of grey images, the array is uint8 (..., rows, columns), and its chunks are (n, rows, columns) or have more
dimensions before these two. A codec of colours takes arrays (..., rows, columns, 3). A chunk of n images is stored as
the 200 n bytes that an `.atlc` file of these images holds. The array's metadata hold the codec's id: you can read the
array if this codec is installed. Zarr finds this module by its entry point; `register()` announces it where there are
no entry points.

`LossyRecords` is for Zarr's format 3. `LossyRecordsV2` is a compressor for format 2 and for other users of numcodecs.
Metadata may come from anyone: they name a codec by its id alone, never by a path."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec import zoo
from atlcodec.codec import Codec, Images
from atlcodec.errors import AtlcError, BadImage, NotARecord, UnknownModel
from atlcodec.reader import cached_codec
from atlcodec.record import RECORD_BYTES, Records, as_records
from atlcodec.shape import Shape

try:
    import numcodecs
    from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin, ArrayBytesCodecPartialEncodeMixin
    from zarr.abc.store import RangeByteRequest
    from zarr.registry import register_codec
except ImportError as error:
    raise AtlcError("Zarr arrays need zarr 3.1 and numcodecs: pip install 'atlcodec[zarr]'") from error

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter, ByteSetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

NAME = "atlcodec.records"  # in the metadata of either format


def register() -> None:
    """Announce both codecs to Zarr and numcodecs, where no entry point does. You may call it twice."""
    register_codec(NAME, LossyRecords)
    numcodecs.register_codec(LossyRecordsV2)


# -- Zarr's format 3 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossyRecords(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin, ArrayBytesCodecPartialEncodeMixin):
    """For `serializer=` of an array. LOSSY. `model` is the name or id of an installed codec; `effort` is that of
    `Codec.encode`.

    Give `compressors=None` too: then records can be read and written one by one. A write to a part of a chunk leaves
    its other records as they are: decoding and encoding them again would lose a little each time."""

    model: str  # the codec's id, eight hex digits
    effort: int | None = None
    shape: Shape | None = None  # of the codec's images; None where neither the metadata nor an installed codec says it

    is_fixed_size = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", _id(self.model))
        known = zoo.models().get(int(self.model, 16))
        object.__setattr__(self, "shape", known.card.shape if known else self.shape)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(**_stored(data.get("configuration")))

    def to_dict(self) -> dict[str, Any]:
        return {"name": NAME, "configuration": _to_store(self.model, self.effort, self.shape)}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raises `BadImage` for an array whose chunks are not images."""
        chunks = getattr(chunk_grid, "chunk_shape", ())
        native, own = dtype.to_native_dtype(), self.shape or shape[-2:]
        if native != np.uint8 or shape[-len(own) :] != own or chunks[-len(own) :] != own:
            image = ", ".join(map(str, own))
            raise BadImage(
                f"an array of images is uint8 (..., {image}) in chunks (n, {image}), not {native} {shape} in {chunks}; "
                f"give chunks=(1024, {image}), for example"
            )

    def compute_encoded_size(self, input_byte_length: int, _: ArraySpec) -> int:
        return input_byte_length // math.prod(self._image()) * RECORD_BYTES

    def _image(self) -> Shape:
        """The shape of an image. Raises `UnknownModel`."""
        return self.shape or _codec(self.model).shape

    def _count(self, chunk: tuple[int, ...]) -> tuple[int, ...]:
        """The dimensions of a chunk that count its images."""
        return chunk[: len(chunk) - len(self._image())]

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        records = await asyncio.to_thread(_encode, self.model, self.effort, chunk_data.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(records.tobytes())

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        every = np.arange(math.prod(self._count(chunk_spec.shape)))
        images: Any = await asyncio.to_thread(_decode, self.model, chunk_data.to_bytes(), every)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(images.reshape(chunk_spec.shape))

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: Any, chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        """A part of a chunk: only the bytes from its first record to its last are read, and only its records
        decoded."""
        numbers = _numbers(selection, self._count(chunk_spec.shape))
        start, end = int(numbers[0]) * RECORD_BYTES, int(numbers[-1] + 1) * RECORD_BYTES
        in_shard = not hasattr(
            byte_getter, "path"
        )  # Zarr has read the whole chunk then, and before 3.1.6 gives no part of it
        data = await byte_getter.get(chunk_spec.prototype, None if in_shard else RangeByteRequest(start, end))
        if data is None:
            return None  # never written
        part = data.to_bytes()[start:end] if in_shard else data.to_bytes()
        images: Any = np.zeros((math.prod(self._count(chunk_spec.shape)), *self._image()), np.uint8)
        images[numbers] = await asyncio.to_thread(_decode, self.model, part, numbers, _name(byte_getter))
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(images.reshape(chunk_spec.shape))[selection]

    async def _encode_partial_single(
        self, byte_setter: ByteSetter, chunk_array: NDBuffer, selection: Any, chunk_spec: ArraySpec
    ) -> None:
        """Write to a part of a chunk and leave its other records as they are."""
        image, counts, values = self._image(), self._count(chunk_spec.shape), chunk_array.as_numpy_array()
        numbers, count = _numbers(selection, counts), math.prod(counts)
        whole = all(map(_is_whole, selection[-len(image) :], image))
        images = np.full((count, *image), chunk_spec.fill_value, np.uint8)
        before = None if whole and len(numbers) == count else await byte_setter.get(chunk_spec.prototype)
        if before is not None:
            records = _all_records(before.to_bytes(), count, _name(byte_setter)).copy()
            if not whole:  # some pixels of these images stay
                part = records[numbers[0] : numbers[-1] + 1].tobytes()
                images[numbers] = await asyncio.to_thread(_decode, self.model, part, numbers, _name(byte_setter))
        pixels = images.reshape(chunk_spec.shape)
        pixels[selection] = values.reshape(pixels[selection].shape) if values.ndim else values
        if before is not None:
            records[numbers] = await asyncio.to_thread(_encode, self.model, self.effort, images[numbers])
        elif chunk_spec.config.write_empty_chunks or (images != chunk_spec.fill_value).any():
            records = await asyncio.to_thread(_encode, self.model, self.effort, images)
        else:
            return
        await byte_setter.set(chunk_spec.prototype.buffer.from_bytes(records.tobytes()))


def _numbers(selection: tuple[Any, ...], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """The records of a chunk with so many images in each dimension that a selection touches: their numbers,
    ascending."""
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return np.unique(numbers[selection[: numbers.ndim]])


def _is_whole(axis: Any, size: int) -> bool:
    """Whether a selection of rows, columns or colours takes all of them, first to last."""
    return isinstance(axis, slice) and axis.indices(size) == (0, size, 1)


def _name(place: ByteGetter) -> str:
    """The key of a chunk, for a message. A chunk inside a shard has no key."""
    return str(getattr(place, "path", "a chunk"))


# -- Zarr's format 2, and numcodecs ------------------------------------------------------------------------------------


class LossyRecordsV2(numcodecs.abc.Codec):  # type: ignore[misc]
    """For `compressors=` of an array in Zarr's format 2, and for other users of numcodecs. LOSSY.

    >>> codec = LossyRecordsV2("mnist-lenet")
    >>> codec.decode(codec.encode(images)).shape == images.shape
    True
    """

    codec_id = NAME

    def __init__(self, model: str, effort: int | None = None) -> None:
        self.model, self.effort = _id(model), effort

    def encode(self, buf: ArrayLike) -> bytes:
        """Images, uint8 (..., *shape), to the bytes of their records. Raises `BadImage`."""
        images = np.asarray(buf)
        if not images.flags.c_contiguous:  # a reader would take the bytes in another order
            raise BadImage("the images must lie row by row in memory; give order='C' and whole chunks")
        return _encode(self.model, self.effort, images).tobytes()

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Bytes of records to images, uint8 (N, *shape). Raises `NotARecord`, `DamagedRecord`, `UnknownModel`."""
        records = as_records(numcodecs.compat.ensure_bytes(buf))
        return numcodecs.compat.ndarray_copy(_codec(self.model).decode(records), out)

    def get_config(self) -> dict[str, Any]:
        return {"id": NAME, **_to_store(self.model, self.effort)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        stored = _stored(config)
        return cls(stored["model"], stored["effort"])


# -- both --------------------------------------------------------------------------------------------------------------


def _id(model: str) -> str:
    """The id of a codec by its name. An id is not looked up: an array can be described without its codec."""
    return model.lower() if _is_id(model) else f"{zoo.find(model).id:08x}"


def _is_id(model: object) -> bool:
    return isinstance(model, str) and re.fullmatch("[0-9a-fA-F]{8}", model) is not None


def _to_store(model: str, effort: int | None, shape: Shape | None = None) -> dict[str, Any]:
    """What an array's metadata say of the codec."""
    more = {"effort": effort, "shape": shape and list(shape)}
    return {"model": model, "lossy": True, **{key: value for key, value in more.items() if value is not None}}


def _stored(configuration: object) -> dict[str, Any]:
    """The same, read from metadata that anyone may have written."""
    given = configuration if isinstance(configuration, Mapping) else {}
    model, effort = given.get("model"), given.get("effort")
    if not _is_id(model) or not (effort is None or isinstance(effort, int)):
        raise UnknownModel(
            f"{NAME}: the metadata must name a codec by its id of eight hex digits, not {str(model)[:80]!r}"
        )
    shape = given.get("shape")
    if not isinstance(shape, list | tuple) or not all(type(side) is int for side in shape):
        shape = None
    return {"model": model, "effort": effort, "shape": shape and tuple(shape)}


def _encode(id: str, effort: int | None, images: NDArray[Any]) -> Records:
    codec = _codec(id)
    if images.dtype != np.uint8 or images.shape[-len(codec.shape) :] != codec.shape:
        shape = ", ".join(map(str, codec.shape))
        raise BadImage(f"the images must be uint8 (..., {shape}), not {images.dtype} {images.shape}")
    return codec.encode(np.ascontiguousarray(images).reshape(-1, *codec.shape), effort)


def _decode(id: str, data: bytes, numbers: NDArray[np.intp], name: str = "a chunk") -> Images:
    """The images of some records of a chunk, by their numbers. The data begin with the first of these records and end
    with the last."""
    first = numbers[0]
    records, codec = _all_records(data, int(numbers[-1] - first) + 1, name)[numbers - first], _codec(id)
    codec.check_numbered(records, numbers, name)
    return codec.decode(records, verify=False)


def _codec(id: str) -> Codec:
    return cached_codec(zoo.find(id))


def _all_records(data: bytes, count: int, name: str) -> Records:
    if len(data) != count * RECORD_BYTES:
        raise NotARecord(
            f"{name}: holds {len(data)} bytes, but {count} records have {count * RECORD_BYTES}; cut off or damaged"
        )
    return as_records(data)
