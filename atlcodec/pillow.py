"""A bridge to Pillow: it opens and saves `.atlc` files after `atlcodec.register_pillow()`.

    image = Image.open("set.atlc")              # every record is a frame: n_frames, seek, tell
    image.save("one.atlc", model="mnist-lenet")
    first.save("set.atlc", save_all=True, append_images=[second, third])
    photo.save("photo.atlc", grid=True)         # of any size: in tiles, which are one frame together

A single record has no magic number. A file of records has a length that is a multiple of 200, and the CRC-32 of its
first record is the id of an installed codec, or it describes a grid, whose tiles are one frame. (In a file whose first
record is an image by itself, every record is a frame.) Pillow must ask this reader first, since other readers claim a
file by a few bytes (some records look like a TGA). And this reader must refuse quickly and surely, since Pillow asks it
about every file that it opens. Files may come from anyone."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, ImageSequence

from atlcodec import api, description, grid_finder, picture, record, zoo
from atlcodec.choice import default_shape
from atlcodec.codec import Codec, Images
from atlcodec.description import Description
from atlcodec.errors import AtlcError, BadModel, LossWarning, NotARecord, UnknownModel
from atlcodec.files import RecordFile
from atlcodec.fit import Fit, FitOptions, LookOptions
from atlcodec.grid_file import Grid
from atlcodec.reader import Reader, codec_of
from atlcodec.record import RECORD_BYTES
from atlcodec.shape import Shape

FORMAT = "ATLC"
AHEAD = 64  # records decoded at once when frames are read in order: a frame takes a quarter of the time
BATCH = 4096  # records checked at once by `verify`


class UnreadableFrame(AtlcError, OSError):
    """A record of a file that is damaged, or whose codec is not installed. The other frames can be read.

    It is an OSError, too: Pillow's users expect that for a damaged file."""


def register() -> None:
    """Register the format with Pillow, before all others. You may call it twice."""
    Image.register_open(FORMAT, AtlcImageFile)
    Image.ID.remove(FORMAT)
    Image.ID.insert(0, FORMAT)  # before Pillow's own formats, even if they are loaded later
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, ".atlc")
    Image.register_mime(FORMAT, "image/vnd.atlc")
    _known.cache_clear()


# -- reading -----------------------------------------------------------------------------------------------------------


class AtlcImageFile(ImageFile.ImageFile):
    """A file of records. Only its first 200 bytes are read before you ask for a frame."""

    format = FORMAT
    format_description = "atlcodec records"
    n_frames = 1
    is_animated = False
    _total = 1  # records of the file
    _starts: Sequence[int] = range(1)  # the record with which each frame begins
    _described: Description | None = None  # the current frame, if it is a grid
    _frame = _loaded = 0  # the current frame, and the one whose pixels are loaded
    _block: tuple[int, Images] = -1, np.empty(0, np.uint8)  # the first frame decoded last, and its images

    def _open(self) -> None:
        """Claim the file, or raise SyntaxError: Pillow then asks the other formats."""
        assert self.fp is not None
        try:
            first, shapes = self.fp.read(RECORD_BYTES), _known(int(time.monotonic()))
            described = _description(first, shapes)
            if len(first) < RECORD_BYTES or not (described or zlib.crc32(first) in shapes):
                raise SyntaxError("not a record of an installed codec")
            self.fp.seek(0, os.SEEK_END)  # only now: seeking to the end of a compressed stream is slow
            size = self.fp.tell()
        except SyntaxError:
            raise
        except Exception as error:  # from a stream that cannot seek, for example
            raise SyntaxError("not an .atlc file") from error
        if size % RECORD_BYTES:
            raise SyntaxError("not a whole number of records")
        self._fp, self._total = self.fp, size // RECORD_BYTES
        self._starts = self._images(shapes) if described else range(self._total)
        self._take(first, shapes)
        self.n_frames = len(self._starts)
        self.is_animated = self.n_frames > 1
        self._loaded = -1

    def _images(self, shapes: Mapping[int, Shape]) -> list[int]:
        """The records with which the images of a file begin whose first is a grid: the tiles are passed over."""
        starts, at = [0], 0
        while at < self._total:
            packed = self._records(at, BATCH)
            which = np.nonzero(description.found(packed))[0]
            alone = int(which[0]) if len(which) else len(packed)
            starts += range(max(at, 1), at + alone)
            at += alone
            if len(which):
                described = _description(packed[alone].tobytes(), shapes)
                starts += [at] if at else []
                at += 1 + (described.tiles if described else 0)
        return starts

    def seek(self, frame: int) -> None:
        """Go to an image. Raises EOFError if the file has fewer; `load` says whether the image is damaged."""
        if self._seek_check(frame):
            self._frame = frame
            with contextlib.suppress(ValueError):  # the file is closed; `load` says so
                self._fp.seek(self._starts[frame] * RECORD_BYTES)
                self._take(self._fp.read(RECORD_BYTES), _known(int(time.monotonic())))

    def tell(self) -> int:
        return self._frame

    def load(self) -> Any:
        """Decode the frame. Raises `UnreadableFrame`, an OSError."""
        if self._loaded != self._frame:
            self.im = (self._joined() if self._described else Image.frombytes(self.mode, self.size, self._pixels())).im
            self.readonly = 0
            self._loaded = self._frame
            if self.n_frames == 1 and self._exclusive_fp and self.fp:
                self.fp.close()  # as Pillow does for other files after the last frame
        return Image.Image.load(self)

    def _take(self, first: bytes, shapes: Mapping[int, Shape]) -> None:
        """Take mode and size of the image that begins with this record, if it is known: those of a file may differ."""
        self._described = _description(first, shapes)
        shape = self._described.shape if self._described else shapes.get(zlib.crc32(first))
        if shape:
            self._mode, self._size = "L" if len(shape) == 2 else "RGB", (shape[1], shape[0])

    def _joined(self) -> Image.Image:
        """The image of a grid. A `LossWarning` says which tiles are missing."""
        assert self._described
        start = self._starts[self._frame]
        packed = self._records(start, 1 + self._described.tiles)
        try:
            found, problems = grid_finder.only(Reader(), RecordFile(packed.reshape(-1), "the image"))
            image = Image.new(self.mode, self.size)
            top = 0
            for strip in found.strips() if isinstance(found, Grid) else ():
                image.paste(Image.fromarray(strip), (0, top))
                top += len(strip)
        except (NotARecord, BadModel) as error:
            raise UnreadableFrame(f"{self._name()}record {start}: {error}") from error
        for problem in problems:
            warnings.warn(f"{self._name()}{problem}", LossWarning, stacklevel=4)
        return image

    def verify(self) -> None:
        """Check the seals of all records, and close the file. Raises `UnreadableFrame` for the first invalid one."""
        known = np.array([*zoo.models(), description.ID], np.uint32)
        for start in range(0, self._total, BATCH):
            ids = record.ids(self._records(start, BATCH))
            bad = np.nonzero(~np.isin(ids, known))[0]
            if len(bad):
                raise self._unreadable(start + int(bad[0]), ids[bad[:1]])
        super().verify()

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """Save like any image, also over its own file: Pillow truncates that before it asks for the frames."""
        if self.n_frames > 1 and isinstance(fp, str | bytes | os.PathLike) and _same(fp, self.filename):
            self._fp.seek(0)
            whole = io.BytesIO(self._fp.read())
            if self._exclusive_fp:
                self._fp.close()
            self._fp = self.fp = whole
        super().save(fp, format, **params)

    def _pixels(self) -> bytes:
        start, block = self._block
        number = self._starts[self._frame]
        if not start <= number < start + len(block):
            in_order = number == start + len(block)
            start, block = self._block = number, self._decode(number, AHEAD if in_order else 1)
        return bytes(block[number - start])

    def _decode(self, number: int, most: int) -> Images:
        """The images of the records from this one on, up to a record of another codec."""
        packed = self._records(number, most)
        ids = record.ids(packed)
        others = np.nonzero(ids != ids[0])[0]
        try:
            return codec_of(packed).decode(packed[: others[0] if len(others) else None])
        except UnknownModel:
            raise self._unreadable(number, ids[:1]) from None
        except BadModel as error:
            raise UnreadableFrame(f"{self._name()}record {number}: {error}") from error

    def _records(self, start: int, most: int) -> record.Records:
        """Records of the file, at least one."""
        self._fp.seek(start * RECORD_BYTES)
        data = self._fp.read(min(most, self._total - start) * RECORD_BYTES)
        if len(data) < RECORD_BYTES:
            raise UnreadableFrame(f"{self._name()}record {start} is missing: the file became shorter meanwhile")
        return record.as_records(data[: len(data) // RECORD_BYTES * RECORD_BYTES])

    def _unreadable(self, number: int, ids: Any) -> UnreadableFrame:
        return UnreadableFrame(f"{self._name()}record {number}: {zoo.explain(ids, zoo.models())}")

    def _name(self) -> str:
        return f"{os.fsdecode(self.filename)}: " if self.filename else ""


@functools.lru_cache(maxsize=1)
def _known(second: int) -> Mapping[int, Shape]:
    """The ids of the installed codecs and the shapes of their images, looked up once a second: Pillow asks for every
    image file that it opens, and to look at the cards takes longer than to open a small one."""
    return {id: model.card.shape for id, model in zoo.models().items()}


def _description(first: bytes, shapes: Mapping[int, Shape]) -> Description | None:
    """The description of a grid whose codec is installed, if this record is one."""
    with contextlib.suppress(NotARecord):
        found = description.unpack(first)
        if found.codec in shapes:
            return found
    return None


def _same(one: str | bytes | os.PathLike[Any], other: str | bytes) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist
        return False


# -- writing -----------------------------------------------------------------------------------------------------------


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """`image.save("x.atlc", model=..., effort=...)`: the bytes that `atlcodec.encode` gives.

    `grid=True` writes what `atlcodec.encode_image` gives, for images of any size, with `overlap=...`. `fit="contain"`,
    `gray=True` and the other names of `fit.Fit` mean what they mean in `atlc encode`; `append=True` adds to the records
    of a file.
    Raises `BadImage`."""
    _write(image, [image.copy()], file)  # a copy has one frame


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """The same with `save_all=True, append_images=[...]`: a record for every frame of every image, all by one codec."""
    images = [image, *(image.encoderinfo.get("append_images") or ())]
    _write(image, [frame for each in images for frame in _frames(each)], file)


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    at = image.tell()
    try:
        for frame in ImageSequence.Iterator(image):
            yield frame.copy()
    finally:
        image.seek(at)


def _write(image: Image.Image, frames: list[Image.Image], file: IO[bytes]) -> None:
    options = image.encoderinfo
    if options.get("grid"):
        looks: Any = {key: options[key] for key in LookOptions.__annotations__ if key in options}
        how_encoded = [options.get(key) for key in ("model", "effort", "overlap")]
        _add(b"".join(api.encode_image(frame, *how_encoded, **looks) for frame in frames), options, file)
        return
    how = Fit(**{key: options[key] for key in FitOptions.__annotations__ if key in options})
    names = [f"frame {number}" for number in range(len(frames))] if len(frames) > 1 else ["the image"]
    named = zip(frames, names, strict=True)
    model, effort = options.get("model"), options.get("effort")
    codec = None if model is None else Codec.load(model)
    shape = codec.shape if codec else default_shape()
    prepared = [picture.prepare(frame, how, name=name, shape=shape) for frame, name in named]
    for one, name in zip(prepared, names, strict=True):
        for loss in one.losses.values():
            warnings.warn(f"{name}: {loss}", LossWarning, stacklevel=2)
    pixels = np.stack([one.pixels for one in prepared])
    records = codec.encode(pixels, effort) if codec else api.choose(pixels, effort=effort)[1]
    _add(records.tobytes(), options, file)


def _add(records: bytes, options: dict[str, Any], file: IO[bytes]) -> None:
    """Write records, with append=True behind those of the file."""
    if options.get("append"):
        file.seek(0, os.SEEK_END)
        if torn := file.tell() % RECORD_BYTES:
            raise NotARecord(
                f"the file ends in a torn record of {torn} bytes; atlcodec.write with repair=True cuts it off"
            )
    file.write(records)
