"""Image files <-> uint8 arrays. Image files come in here; the bridge `pillow` shows records as images. Only these two
files know Pillow.

An image of another size or in colour is refused, and the message names the option that converts it. A colour image with
three equal channels counts as grey; so does one without transparent pixels."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError
from PIL.Image import Resampling

from atlcodec.errors import BadImage, MissingFile
from atlcodec.fit import NOTHING, Fit

LARGEST = 64_000_000  # pixels that are read; a small file with more could take all memory
TRANSPARENT = "is partly transparent; --background auto (background='auto') puts it on black or white"
LARGEST_FILE = 256 << 20  # bytes read from a pipe
# Other formats start external programs (EPS: Ghostscript).
FORMATS = tuple("PNG JPEG GIF WEBP AVIF TIFF BMP PPM".split())


def read(
    source: str | os.PathLike[str] | BinaryIO | Image.Image,
    how: Fit = NOTHING,
    *,
    name: str = "",
    shape: tuple[int, ...] | None = None,
) -> NDArray[np.uint8]:
    """An image file, an open binary file or a Pillow image -> uint8 of `shape`: (rows, columns) for grey, or (rows,
    columns, 3) for red, green and blue. Without `shape`, it is that of the image.

    `how` says what may be done to the image. The orientation in EXIF is applied. `name` is used in messages. Raises
    `BadImage`, `FileNotFoundError`."""
    if not name:
        if isinstance(source, Image.Image):
            name = "the image"
        else:
            name = os.fspath(source) if isinstance(source, str | os.PathLike) else "the input"
    with _explained(name):
        if isinstance(source, Image.Image):
            return _to_array(source, name, shape, how)
        with Image.open(_seekable(source, name), formats=FORMATS) as image:
            return _to_array(image, name, shape, how)


def fitted(image: NDArray[np.uint8], how: Fit, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """The same for an array, uint8 (rows, columns) or (rows, columns, 3)."""
    return read(Image.fromarray(image), how, name=name, shape=shape)


def crops(
    path: str | os.PathLike[str], how: Fit, shape: tuple[int, ...], count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """So many parts of an image file at random places and scales, from one pixel for one up to the largest that fits:
    uint8 (count, *shape). An image that is not larger than the shape gives one, as `read` does."""
    name = os.fspath(path)
    with _explained(name), Image.open(_seekable(path, name), formats=FORMATS) as image:
        _take_frame(image, name, how)
        _check_size(image, name)
        upright = _pixels(image, name, shape, how)
        height, width = shape[:2]
        largest = min(upright.width / width, upright.height / height)
        if largest < 1 or upright.size == (width, height):
            return _to_array(image, name, shape, how)[None]
        made = []
        for scale in largest ** rng.random(count):
            right, bottom = min(scale * width, upright.width), min(scale * height, upright.height)
            left, top = rng.random(2) * (upright.width - right, upright.height - bottom)
            box = (left, top, min(left + right, upright.width), min(top + bottom, upright.height))
            made.append(np.array(upright.resize((width, height), Resampling.BICUBIC, box), np.uint8))
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
    except Exception as error:  # Pillow's decoders raise any exception on broken files
        raise BadImage(f"{name}: cannot be read ({type(error).__name__}: {error})") from error


def _seekable(source: str | os.PathLike[str] | BinaryIO, name: str) -> str | os.PathLike[str] | BinaryIO:
    """The source itself, or the content of a pipe."""
    if isinstance(source, str | os.PathLike):
        if stat.S_ISREG(os.stat(source).st_mode):
            return source
        with open(source, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    elif source.seekable():
        return source
    else:
        data = source.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise BadImage(f"{name}: is larger than {LARGEST_FILE} bytes")
    return io.BytesIO(data)


def _to_array(image: Image.Image, name: str, shape: tuple[int, ...] | None, how: Fit) -> NDArray[np.uint8]:
    _take_frame(image, name, how)
    _check_size(image, name)
    width, height = image.size
    wrong = ""
    if shape and (height, width) != shape[:2] and not how.fit:
        wrong = f"{width} x {height} pixels, not {shape[1]} x {shape[0]}; --fit contain (fit='contain') scales it"
    try:
        pixels = _pixels(image, name, shape, how)
    except BadImage as error:
        if wrong:  # name both options at once
            raise BadImage(f"{name}: {wrong}; and it {str(error).removeprefix(f'{name}: ')}") from error
        raise
    if wrong:
        raise BadImage(f"{name}: {wrong}")
    if shape and pixels.size != shape[1::-1]:
        pixels = _fitted(pixels, (shape[1], shape[0]), how)
    return np.array(pixels, np.uint8)


def _take_frame(image: Image.Image, name: str, how: Fit) -> None:
    frames = getattr(image, "n_frames", 1)
    if how.frame is not None:
        if not 0 <= how.frame < frames:
            raise BadImage(f"{name}: has the frames 0 to {frames - 1}, not {how.frame}")
        image.seek(how.frame)
    elif frames > 1 and image.format != "MPO":  # an MPO is a photo that holds its own preview
        raise BadImage(f"{name}: has {frames} frames; --frame 0 (frame=0) takes the first")


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    size = f"{width} x {height} pixels"
    if not width * height:
        raise BadImage(f"{name}: the image is empty ({size})")
    if width * height > LARGEST:
        raise BadImage(f"{name}: {size} are too many to read safely; make it smaller with another program")


def _pixels(image: Image.Image, name: str, shape: tuple[int, ...] | None, how: Fit) -> Image.Image:
    """The image, upright, in mode L or RGB: as its codec wants it, or without a shape as it is."""
    if image.mode in ("LA", "RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")) and not how.gray:
        raise BadImage(f"{name}: has 16 bits a channel; --gray (gray=True) takes 8 of them")
    image.load()
    upright = ImageOps.exif_transpose(image)
    if how.gray or (shape is not None and len(shape) == 2):
        pixels = _grey(upright, name, how)
    else:
        pixels = _colour(upright, name, how)
    if how.invert:
        pixels = ImageOps.invert(pixels)
    if shape is None:
        return pixels.getchannel("R") if pixels.mode == "RGB" and _is_grey(pixels) else pixels
    return pixels.convert("RGB" if len(shape) == 3 else "L")


def _fitted(image: Image.Image, size: tuple[int, int], how: Fit) -> Image.Image:
    """The image scaled to (columns, rows)."""
    if how.fit == "stretch":
        return image.resize(size, Resampling.BICUBIC)
    if how.fit == "cover":
        return ImageOps.fit(image, size, Resampling.BICUBIC)
    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    beside = "black" if how.background in (None, "auto") else how.background
    fitted = Image.new("RGB", size, _colour_named(beside or "black")).convert(image.mode)
    at = (size[0] - width) // 2, (size[1] - height) // 2
    fitted.paste(image.resize((width, height), Resampling.BICUBIC), at)
    return fitted


def _colour(image: Image.Image, name: str, how: Fit) -> Image.Image:
    """In mode RGB. Grey images, also those of 16 bits, get three equal channels."""
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        return _grey(image, name, how).convert("RGB")
    return _opaque(image, name, how).convert("RGB")


def _grey(image: Image.Image, name: str, how: Fit) -> Image.Image:
    """In mode L."""
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image, name, how)
    colours = _opaque(image, name, how).convert("RGB")
    if _is_grey(colours):
        return colours.getchannel("R")
    if not how.gray:
        raise BadImage(f"{name}: is in colour; --gray (gray=True) takes its luminance")
    return colours.convert("L")


def _eight_bits(image: Image.Image, name: str, how: Fit) -> Image.Image:
    """Values of 16 bits, 32 bits or floating point in mode L."""
    ranged = "--range LOW HIGH (range=(low, high)) says which becomes black and which white"
    deep = np.array(image).astype(np.float64)
    clear = deep == image.info.get("transparency", -1)
    if clear.any() and not (how.gray or how.background):
        raise BadImage(f"{name}: {TRANSPARENT}")
    low, high = how.range or (0, 0xFFFF)
    if how.range is None:
        if image.mode == "F":
            raise BadImage(f"{name}: has floating-point pixels; {ranged}")
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise BadImage(f"{name}: has 32-bit values; {ranged}")
        if not how.gray and np.any(deep[~clear] % 257):
            raise BadImage(f"{name}: has 16 bits a pixel; --gray (gray=True) rounds them to 8; {ranged}")
    with np.errstate(invalid="ignore"):
        scaled = np.nan_to_num((deep - low) * (255 / (high - low)))
    pixels = (np.clip(scaled, 0, 255) + 0.5).astype(np.uint8)
    if clear.any():
        pixels[clear] = _ground(float(pixels[~clear].mean()) if not clear.all() else 0, how)[0]
    return Image.fromarray(pixels)


def _opaque(image: Image.Image, name: str, how: Fit) -> Image.Image:
    """An image with transparent parts on its background; others as they are."""
    if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
        return image
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return layers
    if not (how.gray or how.background):
        raise BadImage(f"{name}: {TRANSPARENT}")
    visible = np.asarray(layers.getchannel("A"), np.float64) + 1e-9
    brightness = float(np.average(np.asarray(layers.convert("RGB").convert("L")), weights=visible))
    return Image.alpha_composite(Image.new("RGBA", layers.size, (*_ground(brightness, how), 255)), layers)


def _ground(brightness: float, how: Fit) -> tuple[int, int, int]:
    """The colour behind transparent parts, if the others have this mean brightness."""
    if how.background == "auto":
        return (0, 0, 0) if brightness >= 128 else (255, 255, 255)
    red, green, blue, *_ = _colour_named(how.background or "black")
    return red, green, blue


def _colour_named(name: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(name)
    except ValueError:
        raise BadImage(f"unknown background {name!r}; use black, white, auto, or a colour like #ff8000") from None


def _is_grey(image: Image.Image) -> bool:
    """Whether the channels of red, green and blue are equal."""
    red, green, blue = (np.asarray(channel) for channel in image.convert("RGB").split())
    return np.array_equal(red, green) and np.array_equal(green, blue)


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
