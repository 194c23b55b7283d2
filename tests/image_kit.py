"""Image files of every kind: grey, coloured, deep and transparent ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlcodec import zoo
from atlcodec.codec import Codec
from drawings import Pixels
from kit import Cli


def png(rows: NDArray[Any], bits: int, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of any kind; Pillow writes only some. `rows`: uint8, the bytes of each row as they stand in the
    file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, size = rows.shape
    width = size * 8 // (bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type])
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" + row.tobytes()) for row in rows) + packer.flush()
    parts = ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def deep(values: NDArray[Any]) -> NDArray[Any]:
    """16-bit values (rows, columns ...) as the bytes of PNG rows."""
    return np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(len(values), -1)


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def seen(file: bytes) -> Pixels:
    """The grey pixels of an image as Pillow decodes it."""
    return np.array(Image.open(io.BytesIO(file)).convert("L"), np.uint8)


def alpha(digit: Pixels) -> Pixels:
    mask = np.full_like(digit, 255)
    mask[:, 14:] = 100
    return mask


def on_black(digit: Pixels) -> Pixels:
    return np.rint(digit * (alpha(digit) / 255)).astype(np.uint8)


def layered(mode: str, *layers: Pixels) -> Image.Image:
    return Image.merge(mode, [Image.fromarray(layer) for layer in layers])


def with_palette(digit: Pixels, colour: Callable[[int], tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(digit).convert("P")
    image.putpalette([value for index in range(256) for value in colour(index)])
    return image


def bright(digit: Pixels) -> Pixels:
    return np.where(digit > 127, 255, 0).astype(np.uint8)


# Grey images, stored in all ways: kind -> the file, and its pixels.
GREY: dict[str, Callable[[Pixels], tuple[bytes, Pixels]]] = {
    "8 bits": lambda d: (saved(Image.fromarray(d)), d),
    "1 bit": lambda d: (saved(Image.fromarray(d > 127)), bright(d)),
    "2 bits": lambda d: (
        png(np.packbits(np.unpackbits(d[:, :, None], axis=2)[..., :2].reshape(28, -1), axis=1), 2, 0),
        d // 64 * 85,
    ),
    "16 bits, of which 8 say all": lambda d: (png(deep(d * np.uint16(257)), 16, 0), d),
    "16 bits, TIFF": lambda d: (saved(Image.fromarray(d * np.uint16(257)), "TIFF"), d),
    "palette of greys": lambda d: (saved(with_palette(d, lambda i: (i, i, i))), d),
    "palette turned round": lambda d: (saved(with_palette(255 - d, lambda i: (255 - i,) * 3)), d),
    "palette with transparency nowhere used": lambda d: (
        saved(with_palette(d // 2, lambda i: (i, i, i)), transparency=255),
        d // 2,
    ),
    "grey with transparency nowhere used": lambda d: (saved(Image.fromarray(d // 2), transparency=255), d // 2),
    "grey and opaque": lambda d: (saved(layered("LA", d, np.full_like(d, 255))), d),
    "colour that is grey": lambda d: (saved(layered("RGB", d, d, d)), d),
    "colour that is grey and opaque": lambda d: (saved(layered("RGBA", d, d, d, np.full_like(d, 255))), d),
    "BMP": lambda d: (saved(Image.fromarray(d), "BMP"), d),
    "PGM": lambda d: (saved(Image.fromarray(d), "PPM"), d),
    "GIF": lambda d: (saved(Image.fromarray(d), "GIF"), d),
    "WebP": lambda d: (saved(layered("RGB", d, d, d), "WEBP", lossless=True), d),
    "TIFF": lambda d: (saved(Image.fromarray(d), "TIFF", compression="tiff_lzw"), d),
    "JPEG": lambda d: (file := saved(Image.fromarray(d), "JPEG"), seen(file)),
    "JPEG, colour that is grey": lambda d: (file := saved(layered("RGB", d, d, d), "JPEG"), seen(file)),
    "JPEG, progressive": lambda d: (file := saved(Image.fromarray(d), "JPEG", progressive=True), seen(file)),
}
# What is refused unless --gray is given: kind -> the file, a word of the message, and the pixels with --gray.
COLOURED: dict[str, Callable[[Pixels], tuple[bytes, str, Pixels]]] = {
    "colour": lambda d: (f := saved(layered("RGB", d, d // 2, d // 3)), "in colour", seen(f)),
    "one pixel off grey": lambda d: (
        saved(layered("RGB", d, d, np.where(np.arange(784).reshape(28, 28) == 400, d ^ 4, d))),
        "in colour",
        d,
    ),
    "palette of colours": lambda d: (f := saved(with_palette(d, lambda i: (i, 255 - i, 9))), "in colour", seen(f)),
    "colour, JPEG": lambda d: (f := saved(layered("RGB", d, d // 2, d // 3), "JPEG"), "in colour", seen(f)),
    "four inks, JPEG": lambda d: (f := saved(layered("CMYK", d, d // 2, d // 3, d), "JPEG"), "in colour", seen(f)),
    "16 bits": lambda d: (
        png(deep(d * np.uint16(256) + 3), 16, 0),
        "16 bits",
        np.rint((d * 256.0 + 3) / 257).astype(np.uint8),
    ),
    "16 bits, transparent": lambda d: (
        png(deep(np.where(d == 255, 9, d) * np.uint16(257)), 16, 0, (b"tRNS", struct.pack(">H", 9 * 257))),
        "transparent",
        np.where((d == 255) | (d == 9), 0, d).astype(np.uint8),
    ),
    "16 bits a channel": lambda d: (
        png(deep(np.repeat(d[:, :, None] * np.uint16(256) + 3, 3, axis=2)), 16, 2),
        "16 bits",
        d,
    ),
    "16 bits and alpha": lambda d: (
        png(deep(np.stack([d * np.uint16(257), np.full(d.shape, 65535, np.uint16)], axis=2)), 16, 4),
        "16 bits",
        d,
    ),
    "grey, partly clear": lambda d: (saved(layered("LA", d, alpha(d))), "transparent", on_black(d)),
    "colour that is grey, partly clear": lambda d: (
        saved(layered("RGBA", d, d, d, alpha(d))),
        "transparent",
        on_black(d),
    ),
    "palette, partly clear": lambda d: (
        saved(with_palette(d, lambda i: (i, i, i)), transparency=255),
        "transparent",
        np.where(d == 255, 0, d).astype(np.uint8),
    ),
    "grey, one shade clear": lambda d: (
        saved(Image.fromarray(d), transparency=255),
        "transparent",
        np.where(d == 255, 0, d).astype(np.uint8),
    ),
}


def record_of(pixels: Pixels) -> bytes:
    return Codec(zoo.default()[0]).encode(pixels[None]).tobytes()


def encoded(cli: Cli, path: Path, *options: str) -> bytes:
    ran = cli("encode", path, "-o", "-", "-m", zoo.default()[0].name, *options)
    assert ran.code == 0, ran
    return ran.out
