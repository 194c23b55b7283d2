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
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Resampling

from atlcodec.errors import BadImage, MissingFile

LARGEST = 64_000_000  # pixels that `resize` reads; a small file with more could take all memory
LARGEST_FILE = 256 << 20  # bytes read from a pipe
FORMATS = tuple("PNG JPEG GIF WEBP TIFF BMP PPM".split())  # other formats start external programs (EPS: Ghostscript)


def read(
    source: str | os.PathLike[str] | BinaryIO | Image.Image,
    *,
    resize: bool = False,
    gray: bool = False,
    name: str = "",
    shape: tuple[int, ...] | None = None,
) -> NDArray[np.uint8]:
    """An image file, an open binary file or a Pillow image -> uint8 of `shape`: (rows, columns) for grey, or (rows,
    columns, 3) for red, green and blue. Without `shape`, it is that of the image.

    Where grey is wanted, `gray` takes the luminance of colours; it puts transparent parts on black, and rounds 16 bits
    to 8. `resize` scales the image into `shape`, keeps its aspect ratio, and fills the rest with black. The orientation
    in EXIF is applied.
    `name` is used in messages. Raises `BadImage`, `FileNotFoundError`."""
    if not name:
        if isinstance(source, Image.Image):
            name = "the image"
        else:
            name = os.fspath(source) if isinstance(source, str | os.PathLike) else "the input"
    with _explained(name):
        if isinstance(source, Image.Image):
            return _to_array(source, name, shape, resize=resize, gray=gray)
        with Image.open(_seekable(source, name), formats=FORMATS) as image:
            return _to_array(image, name, shape, resize=resize, gray=gray)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Raise an `AtlcError` for whatever Pillow raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images and odd metadata; the size is checked
            yield
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(f"{name}: not an image in one of the formats {', '.join(FORMATS)}") from error
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


def _to_array(
    image: Image.Image, name: str, shape: tuple[int, ...] | None, *, resize: bool, gray: bool
) -> NDArray[np.uint8]:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # an MPO is a photo that holds its own preview
        raise BadImage(f"{name}: has {frames} frames; save one of them as an image file")
    width, height = image.size
    size = f"{width} x {height} pixels"
    if shape and (height, width) != shape[:2] and not resize:
        raise BadImage(f"{name}: {size}, not {shape[1]} x {shape[0]}; --resize (resize=True) scales it")
    _check_size(image, name)
    if image.mode in ("LA", "RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")) and not gray:
        raise BadImage(f"{name}: has 16 bits a channel; --gray (gray=True) takes 8 of them")
    image.load()
    upright = ImageOps.exif_transpose(image)
    grey = gray or (shape is not None and len(shape) == 2)
    pixels = _grey(upright, name, gray=gray) if grey else _colour(upright, name)
    if shape is None:
        return np.array(pixels.getchannel("R") if pixels.mode == "RGB" and _is_grey(pixels) else pixels, np.uint8)
    if len(shape) == 3:
        pixels = pixels.convert("RGB")
    return np.array(pixels if pixels.size == shape[1::-1] else _fit(pixels, shape), np.uint8)


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    size = f"{width} x {height} pixels"
    if not width * height:
        raise BadImage(f"{name}: the image is empty ({size})")
    if width * height > LARGEST:
        raise BadImage(f"{name}: {size} are too many to read safely; make it smaller with another program")


def _fit(image: Image.Image, shape: tuple[int, ...]) -> Image.Image:
    """The image scaled into `shape`, with its aspect ratio kept and black beside it."""
    rows, columns = shape[:2]
    scale = min(columns / image.width, rows / image.height)
    width, height = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    fitted = Image.new(image.mode, (columns, rows))
    fitted.paste(image.resize((width, height), Resampling.BICUBIC), ((columns - width) // 2, (rows - height) // 2))
    return fitted


def _colour(image: Image.Image, name: str) -> Image.Image:
    """In mode RGB. Grey images, also those of 16 bits, get three equal channels."""
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        return _grey(image, name, gray=False).convert("RGB")
    return _on_black(image, name, gray=False).convert("RGB")


def _on_black(image: Image.Image, name: str, *, gray: bool) -> Image.Image:
    """An image with transparent parts on black; others as they are."""
    if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
        return image
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() != (255, 255):
        if not gray:
            raise BadImage(f"{name}: is partly transparent; --gray (gray=True) puts it on black")
        layers = Image.alpha_composite(Image.new("RGBA", layers.size, (0, 0, 0, 255)), layers)
    return layers


def _grey(image: Image.Image, name: str, *, gray: bool) -> Image.Image:
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.array(image).astype(np.int32)
        if deep.size and (deep.min() < 0 or deep.max() > 0xFFFF):
            raise BadImage(f"{name}: has 32-bit values; save it as 8-bit grey")
        clear = deep == image.info.get("transparency", -1)
        if clear.any() and not gray:
            raise BadImage(f"{name}: is partly transparent; --gray (gray=True) puts it on black")
        deep[clear] = 0
        if not gray and np.any(deep % 257):
            raise BadImage(f"{name}: has 16 bits a pixel; --gray (gray=True) rounds them to 8")
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise BadImage(f"{name}: has floating-point pixels; save it as 8-bit grey")
    colours = _on_black(image, name, gray=gray).convert("RGB")
    if _is_grey(colours):
        return colours.getchannel("R")
    if not gray:
        raise BadImage(f"{name}: is in colour; --gray (gray=True) takes its luminance")
    return colours.convert("L")


def _is_grey(image: Image.Image) -> bool:
    """Whether the channels of red, green and blue are equal."""
    red, green, blue = (np.asarray(channel) for channel in image.convert("RGB").split())
    return np.array_equal(red, green) and np.array_equal(green, blue)


def png(image: NDArray[np.uint8]) -> bytes:
    """An image, uint8 (rows, columns) or (rows, columns, 3) -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
