"""Image files <-> uint8 arrays. Image files come in here, and `convert` makes them fit; the bridge `pillow` shows
records as images. Only these, `colours`, `strips` and the maps of `label_map` know Pillow."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from atlcodec.convert import Conversion, Prepared
from atlcodec.errors import AtlcError, BadImage, MissingFile
from atlcodec.fit import NOTHING, Fit
from atlcodec.grid import LARGEST as LARGEST_GRID
from atlcodec.strips import Canvas as Canvas
from atlcodec.strips import Upright

LARGEST = 64_000_000  # pixels that are read; a small file with more could take all memory
LARGEST_FILE = 256 << 20  # bytes read from a pipe
# Other formats start external programs (EPS: Ghostscript).
FORMATS = tuple("PNG JPEG GIF WEBP AVIF TIFF BMP PPM".split())


_limit = threading.Lock()  # Pillow's own limit is a global variable

Source = str | os.PathLike[str] | BinaryIO | Image.Image


def read(
    source: Source, how: Fit = NOTHING, *, name: str = "", shape: tuple[int, ...] | None = None
) -> NDArray[np.uint8]:
    """The pixels of `prepare` alone."""
    return prepare(source, how, name=name, shape=shape).pixels


def prepare(source: Source, how: Fit = NOTHING, *, name: str = "", shape: tuple[int, ...] | None = None) -> Prepared:
    """An image file, an open binary file or a Pillow image -> uint8 of `shape`: (rows, columns) for grey, or (rows,
    columns, 3) for red, green and blue. Without `shape`, it is that of the image.

    `how` says what may be done to the image. The orientation in EXIF is applied. `name` is used in messages. Raises
    `BadImage`, `FileNotFoundError`."""
    name = name or _named(source)
    with _explained(name), _opened(source, name) as image:
        _take_frame(image, name, how)
        return _prepared(image, name, shape, how)


def frames(
    source: Source,
    how: Fit = NOTHING,
    *,
    name: str = "",
    shape: tuple[int, ...] | None = None,
    numbers: Sequence[int] | None = None,
) -> list[Prepared | AtlcError]:
    """The same for all frames of an animation, or for those with these numbers; for each, why it cannot be read."""
    name = name or _named(source)
    found: list[Prepared | AtlcError] = []
    with _explained(name), _opened(source, name) as image:
        for number in range(_frame_count(image)) if numbers is None else numbers:
            try:
                with _explained(f"{name}: frame {number}"):
                    image.seek(number)
                    found.append(_prepared(image, f"{name}: frame {number}", shape, how))
            except AtlcError as error:
                found.append(error)
    return found


def frame_count(source: Source, name: str = "") -> int:
    """How many frames an animation has; 1 for other images. Raises what `prepare` raises."""
    name = name or _named(source)
    with _explained(name), _opened(source, name) as image:
        return _frame_count(image)


def from_array(array: NDArray[Any], how: Fit = NOTHING, *, name: str, shape: tuple[int, ...]) -> Prepared:
    """The same as `prepare` for an array: (rows, columns), or (rows, columns, 2 to 4) for grey and alpha, for colours,
    and for colours and alpha. Values of 8 bits, others as in images of 16 bits or of floating point."""
    conversion = Conversion(name, shape, how)
    with _explained(name):
        return conversion.run(_as_image(array, conversion, name, LARGEST))


def upright(source: Source | NDArray[Any], how: Fit, *, name: str = "", grey: bool) -> tuple[Upright, Conversion]:
    """An image of any size, for a grid: upright, in grey or in colour; with `grey`, colours are refused unless `how`
    takes their luminance. And its conversion, for what it changed and lost. Raises what `prepare` raises."""
    name = name or ("the image" if isinstance(source, np.ndarray) else _named(source))
    conversion = Conversion(name, (1, 1) if grey else None, how)
    with _explained(name):
        if isinstance(source, np.ndarray):
            found = conversion.upright(_as_image(source, conversion, name, LARGEST_GRID))
        else:
            with _large(), _opened(source, name) as image:
                _take_frame(image, name, how)
                _check_size(image, name, LARGEST_GRID)
                found = conversion.upright(image)
        conversion.losses |= conversion.lost
        return Upright(found), conversion


@contextlib.contextmanager
def _large() -> Iterator[None]:
    """Let Pillow open images of up to `LARGEST_GRID` pixels."""
    with _limit:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None if before is None else max(before, LARGEST_GRID)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _as_image(array: NDArray[Any], conversion: Conversion, name: str, largest: int) -> Image.Image:
    """An array (rows, columns) or (rows, columns, 1 to 4) of numbers as Pillow has it."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or array.dtype.kind not in "buif" or not array.size:
        what = "what NumPy cannot read as numbers" if array.dtype.kind == "O" else f"{array.dtype} {array.shape}"
        raise BadImage(
            f"{name}: one image must be (rows, columns) or (rows, columns, 3), not {what}; "
            "use Codec.encode for many at once"
        )
    if array.dtype.kind == "b":
        array = array * np.uint8(255)
    elif array.dtype != np.uint8:
        deep, array = array, np.empty(array.shape, np.uint8)
        colours = (..., slice(channels - 1 if channels in (2, 4) else channels)) if array.ndim == 3 else ...
        array[colours] = conversion.values(deep[colours])
        if channels in (2, 4):  # opacity has its own range: 0 to 1, or all values of its type
            most = 1.0 if deep.dtype.kind == "f" else float(np.iinfo(deep.dtype).max)
            array[..., -1] = np.rint(np.clip(np.nan_to_num(deep[..., -1] / most), 0, 1) * 255)
    image = Image.fromarray(np.ascontiguousarray(array[..., 0] if array.ndim == 3 and channels == 1 else array))
    _check_size(image, name, largest)
    return image


def _named(source: Source) -> str:
    if isinstance(source, Image.Image):
        return "the image"
    return os.fspath(source) if isinstance(source, str | os.PathLike) else "the input"


@contextlib.contextmanager
def _opened(source: Source, name: str) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        yield source
    else:
        with Image.open(_seekable(source, name), formats=FORMATS) as image:
            yield image


def crops(
    path: str | os.PathLike[str], how: Fit, shape: tuple[int, ...], count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """So many parts of an image file at random places and scales, from one pixel for one up to the largest that fits:
    uint8 (count, *shape). An image that is not larger than the shape gives one, as `read` does."""
    name = os.fspath(path)
    with _explained(name), Image.open(_seekable(path, name), formats=FORMATS) as image:
        _take_frame(image, name, how)
        _check_size(image, name)
        upright = Conversion(name, shape, how).upright(image)
        height, width = shape[:2]
        largest = min(upright.width / width, upright.height / height)
        if largest < 1 or upright.size == (width, height):
            return Conversion(name, shape, how).run(image).pixels[None]
        made = []
        for scale in largest ** rng.random(count):
            right, bottom = min(scale * width, upright.width), min(scale * height, upright.height)
            left, top = rng.random(2) * (upright.width - right, upright.height - bottom)
            box = (left, top, min(left + right, upright.width), min(top + bottom, upright.height))
            made.append(np.array(upright.resize((width, height), Image.Resampling.BICUBIC, box), np.uint8))
        return np.stack(made)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Raise an `AtlcError` for all that Pillow raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images and odd metadata; the size is checked
            yield
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        heic = "; a HEIC photo can be saved as JPEG with Pillow and the package pillow-heif"
        hint = heic if name.lower().endswith((".heic", ".heif")) else ""
        raise BadImage(f"{name}: not an image in one of the formats {', '.join(FORMATS)}{hint}") from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"{name}: too many pixels to read safely; make it smaller with another program") from error
    except FileNotFoundError as error:
        raise MissingFile(name) from error
    except OSError as error:
        raise BadImage(f"{name}: {error.strerror or f'cannot be read ({error})'}") from error
    except MemoryError as error:
        raise BadImage(f"{name}: cannot be read: there is not enough memory for it") from error
    except Exception as error:  # Pillow's decoders raise any exception on broken files
        why = str(error) or "no more is known"
        if "MAX_TEXT" in why:  # a name of Pillow's
            why = "its text or colour profile is too large to read safely"
        raise BadImage(f"{name}: cannot be read, for it is damaged ({why})") from error


def _seekable(source: str | os.PathLike[str] | BinaryIO, name: str) -> str | os.PathLike[str] | BinaryIO:
    """The source itself, or the content of a pipe."""
    if isinstance(source, str | os.PathLike):
        info = os.stat(source)
        if stat.S_ISREG(info.st_mode) and info.st_size:
            return source
        with open(source, "rb") as file:
            return io.BytesIO(all_bytes(file, name))
    if not source.seekable():
        return io.BytesIO(all_bytes(source, name))
    if not source.seek(0, io.SEEK_END):
        raise _empty(name)
    source.seek(0)  # as Pillow does: a buffer that was just written counts from its beginning
    return source


def all_bytes(source: BinaryIO, name: str) -> bytes:
    """What is left in an open file. Raises `BadImage` if that is nothing, or too much."""
    data = source.read(LARGEST_FILE + 1)
    if not data:
        raise _empty(name)
    if len(data) > LARGEST_FILE:
        raise BadImage(f"{name}: is larger than {LARGEST_FILE} bytes")
    return data


def _empty(name: str) -> BadImage:
    return BadImage(f"{name}: is empty, so it is not an image")


def _prepared(image: Image.Image, name: str, shape: tuple[int, ...] | None, how: Fit) -> Prepared:
    _check_size(image, name)
    return Conversion(name, shape, how).run(image)


def _frame_count(image: Image.Image) -> int:
    # An MPO is a photo that holds its own preview.
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _take_frame(image: Image.Image, name: str, how: Fit) -> None:
    count = _frame_count(image)
    if how.frame == "all":
        if count > 1:
            raise BadImage(f"{name}: has {count} frames, which make {count} records; name one of them: frame=0")
    elif how.frame is not None:
        count = getattr(image, "n_frames", 1)
        if not 0 <= how.frame < count:
            raise BadImage(f"{name}: has the frames 0 to {count - 1}, not {how.frame}")
        image.seek(how.frame)
    elif count > 1:
        raise BadImage(f"{name}: has {count} frames; --frame 0 (frame=0) takes the first, --frame all each of them")


def _check_size(image: Image.Image, name: str, largest: int = LARGEST) -> None:
    width, height = image.size
    size = f"{width} x {height} pixels"
    if not width * height:
        raise BadImage(f"{name}: the image is empty ({size})")
    if width * height > largest:
        raise BadImage(
            f"{name}: {size} are too many to read safely, more than {largest}; make it smaller with another program"
        )


def png(image: NDArray[np.uint8]) -> bytes:
    """An image, uint8 (rows, columns) or (rows, columns, 3) -> the bytes of a PNG file."""
    return encoded(image, "PNG")


def encoded(image: NDArray[np.uint8], format: str, **settings: object) -> bytes:
    """An image, as `png` takes it, as a file of another format that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, **settings)
    return buffer.getvalue()


def decoded(file: bytes, format: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The image in such a file, grey or in colour as the shape says."""
    with Image.open(io.BytesIO(file), formats=[format]) as image:
        return np.asarray(image.convert("RGB" if len(shape) == 3 else "L"))
