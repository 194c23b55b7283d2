"""Pictures of many kinds through `atlc encode`: each gives the right pixels, or one line that says what is wrong and
what helps."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from atlcodec import picture, zoo
from atlcodec.codec import Codec
from atlcodec.errors import BadImage
from conftest import PEAK, Cli, environment

Pixels = NDArray[np.uint8]
RNG = np.random.default_rng(11)


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
    """The grey pixels of a picture as Pillow decodes it."""
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


# Grey in whatever clothes: kind -> the file, and the pixels that it shows.
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
        saved(layered("RGB", d, d, np.where(np.arange(784).reshape(28, 28) == 400, d ^ 1, d))),
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


@pytest.mark.parametrize("kind", GREY)
def test_grey_pictures_of_every_kind(kind: str, cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    file, pixels = GREY[kind](digit)
    (tmp_path / "x").write_bytes(file)
    assert np.array_equal(picture.read(tmp_path / "x"), pixels)
    assert encoded(cli, tmp_path / "x") == record_of(pixels)


@pytest.mark.parametrize("kind", COLOURED)
def test_what_is_more_than_grey_needs_to_be_told(kind: str, cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    file, word, pixels = COLOURED[kind](digit)
    path = tmp_path / "x"
    path.write_bytes(file)
    complaint = cli("encode", path).complaint
    assert word in complaint
    assert "--gray" in complaint
    assert not (tmp_path / "x.atlc").exists()
    shown = picture.read(path, gray=True)
    assert np.abs(shown.astype(int) - pixels).max() <= 1
    assert encoded(cli, path, "--gray") == encoded(cli, path, "--grey") == record_of(shown)


def test_cmyk_with_black_ink_alone_is_grey(digit: Pixels) -> None:
    none = np.zeros_like(digit)
    shown = picture.read(io.BytesIO(saved(layered("CMYK", none, none, none, 255 - digit), "JPEG", quality=95)))
    assert np.abs(shown.astype(int) - digit).mean() < 3


# How a picture is stored so that a viewer who obeys EXIF sees it upright.
STORED: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_pictures_turned_by_exif_are_seen_upright(orientation: int, format: str, digit: Pixels) -> None:
    def stored(upright: Pixels) -> io.BytesIO:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
        options: Any = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(format, {})
        return io.BytesIO(saved(image.convert("RGB") if format == "WEBP" else image, format, exif=exif, **options))

    near = 2 if format == "JPEG" else 0
    assert np.abs(picture.read(stored(digit)).astype(int) - digit).max() <= near
    wide = np.concatenate([digit, digit[:, ::-1] // 2], axis=1)
    upright = picture.read(Image.fromarray(wide), resize=True)
    assert np.abs(picture.read(stored(wide), resize=True).astype(int) - upright).max() <= near + 1


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_none_is_chosen(format: str, cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    frames = [layered("RGB", f, f, f) for f in (digit, digit.T, digit // 2)]
    (tmp_path / "x").write_bytes(saved(frames[0], format, save_all=True, append_images=frames[1:]))
    assert "3 frames" in cli("encode", tmp_path / "x").complaint


def test_a_photograph_that_holds_a_preview_of_itself_is_one_picture(digit: Pixels) -> None:
    file = saved(layered("RGB", digit, digit, digit), "MPO", save_all=True, append_images=[Image.new("RGB", (7, 7))])
    assert np.abs(picture.read(io.BytesIO(file)).astype(int) - digit).mean() < 5


# -- resize ------------------------------------------------------------------------------------------------------------


def test_another_size_is_refused_and_the_options_named_one_after_the_other(
    cli: Cli, digit: Pixels, tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    layered("RGB", digit, digit, digit // 2).resize((56, 30)).save(path)
    assert "56 x 30" in (complaint := cli("encode", path).complaint)
    assert "--resize" in complaint
    assert "--gray" in cli("encode", path, "--resize").complaint
    assert "--resize" in cli("encode", path, "--gray").complaint
    ran = cli("encode", path, "--resize", "--gray")
    assert ran.code == 0
    assert path.with_suffix(".atlc").stat().st_size == 200


def test_resizing_keeps_the_aspect_ratio_and_is_black_beside_it() -> None:
    wide = picture.read(Image.new("L", (280, 140), 200), resize=True)
    assert (wide[7:21] == 200).all()
    assert (wide[:7] == 0).all()
    assert (wide[21:] == 0).all()
    assert np.array_equal(picture.read(Image.new("L", (140, 280), 200), resize=True), wide.T)
    assert (picture.read(Image.new("1", (7, 7), 1), resize=True) == 255).all()


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (1, 1), (28, 1000)])
def test_the_thinnest_pictures_do_not_vanish(size: tuple[int, int]) -> None:
    assert picture.read(Image.new("L", size, 255), resize=True).max() == 255


def test_a_picture_made_large_and_scaled_back_is_nearly_itself(digit: Pixels) -> None:
    large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
    assert np.abs(picture.read(large, resize=True).astype(int) - digit).mean() < 5


def test_what_is_28_by_28_is_left_alone(digit: Pixels) -> None:
    assert np.array_equal(picture.read(Image.fromarray(digit), resize=True, gray=True), digit)
    assert np.array_equal(picture.read(io.BytesIO(picture.png(digit))), digit)


# -- what is no picture ------------------------------------------------------------------------------------------------


def broken(digit: Pixels) -> dict[str, bytes]:
    whole = {
        format: saved(Image.fromarray(RNG.integers(0, 256, (28, 28), np.uint8)), format)
        for format in ("PNG", "JPEG", "GIF", "TIFF")
    }
    return {
        "nothing": b"",
        "text": b"a seven, white on black\n",
        "zeros": bytes(1000),
        "a record": record_of(digit),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>',
        **{
            f"{format}, cut off at {share:.0%}": file[: int(len(file) * share)]
            for format, file in whole.items()
            for share in (0.02, 0.5, 0.8)
        },
        "PNG with a changed byte": whole["PNG"][:-100] + bytes([whole["PNG"][-100] ^ 1]) + whole["PNG"][-99:],
        "PNG of no width": whole["PNG"][:16] + bytes(4) + whole["PNG"][20:],
        "32-bit values": saved(Image.fromarray(digit.astype(np.int32) * 1000), "TIFF"),
        "values below zero": saved(Image.fromarray(digit.astype(np.int32) - 5), "TIFF"),
        "floating point": saved(Image.fromarray(digit.astype(np.float32)), "TIFF"),
    }


def test_a_file_that_is_not_an_image_is_refused_in_one_line(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    for kind, content in broken(digit).items():
        path = tmp_path / "x.png"
        path.write_bytes(content)
        for options in ([], ["--resize", "--gray"]):
            complaint = cli("encode", path, *options).complaint
            assert str(path) in complaint, kind
            assert "BytesIO" not in complaint, kind
        assert os.listdir(tmp_path) == ["x.png"], kind


def test_broken_files_give_pixels_or_a_bad_image_and_nothing_else(digit: Pixels) -> None:
    files = [GREY[kind](digit)[0] for kind in GREY] + [COLOURED[kind](digit)[0] for kind in COLOURED]
    refused = 0
    for round in range(600):
        file = bytearray(files[round % len(files)])
        for _ in range(RNG.integers(1, 6)):
            file[RNG.integers(len(file))] = RNG.integers(256)
        try:
            pixels = picture.read(io.BytesIO(file), resize=True, gray=True)
        except BadImage:
            refused += 1
            continue
        assert pixels.shape == (28, 28)
        assert pixels.dtype == np.uint8
    assert 0 < refused < 600


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "P",
        "RGB",
        "RGBA",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "LA",
        "PA",
        "RGBX",
        "RGBa",
        "La",
        "I;16",
        "I;16B",
    ],
)
@pytest.mark.parametrize("size", [(28, 28), (3, 9), (0, 5)])
def test_images_of_every_mode_and_size(mode: str, size: tuple[int, int]) -> None:
    image = Image.new(mode, size)
    before = image.tobytes() if 0 not in size else b""
    if mode in ("F", "La") or 0 in size:
        with pytest.raises(BadImage, match=r"^the image: "):
            picture.read(image, resize=True, gray=True)
    else:
        assert picture.read(image, resize=True, gray=True).shape == (28, 28)
    assert not before or image.tobytes() == before


def test_places_that_hold_no_picture(cli: Cli, tmp_path: Path) -> None:
    assert "No such file" in cli("encode", tmp_path / "missing.png").complaint
    assert "is a folder; name the file for its records: -o set.atlc" in cli("encode", tmp_path).misuse
    assert "not an image" in cli("encode", "/dev/null", "-o", tmp_path / "x.atlc").complaint
    assert "bytes" in cli("encode", "/dev/zero", "-o", tmp_path / "x.atlc").complaint
    assert "not an image" in cli("encode", "-", stdin=b"").complaint


def test_a_named_pipe_is_read_to_its_end(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[picture.png(digit)])
    writer.start()
    assert encoded(cli, tmp_path / "pipe") == record_of(digit)
    writer.join()


def test_no_other_program_is_run_to_read_a_picture(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands PostScript over to Ghostscript."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n%%EOF\n")
    assert "not an image" in cli("encode", tmp_path / "x.eps").complaint
    assert not (tmp_path / "ran").exists()


def test_names_cannot_speak_to_the_terminal(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    """Control characters, line ends, text that runs backwards, and bytes that are no UTF-8 are escaped."""
    for name in (b"a\x1b[31m.png", b"a\r\nb.png", "a\u202e.png".encode(), b"\xff\xfe.png", b"\x9b1m.png"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        complaint = cli("encode", path).complaint
        assert "\\" in complaint
        assert complaint.isprintable()
        Path(path).write_bytes(picture.png(digit))
        ran = cli("encode", path)
        assert ran.code == 0
        assert ran.err.removesuffix("\n").isprintable()
        assert Path(path).with_suffix(".atlc").stat().st_size == 200


# -- bombs -------------------------------------------------------------------------------------------------------------

MEASURE = f"""
import sys
from atlcodec import picture
from atlcodec.errors import BadImage
{PEAK}
before = peak()
for options in (dict(), dict(resize=True), dict(resize=True, gray=True)):
    try:
        picture.read(sys.argv[1], **options)
        print("read")
    except BadImage as error:
        print(error)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("side", [20_000, 10_000])  # Pillow itself refuses the first
def test_a_bomb_is_refused_without_taking_the_memory(side: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(np.zeros((side, side // 8), np.uint8), 1, 0))
    assert path.stat().st_size < 100_000
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, path], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    *said, more = ran.stdout.splitlines()
    assert len(said) == 3
    assert all("too many" in line or "--resize" in line for line in said)
    assert all("too many" in line for line in said[1:])
    assert int(more) < 20_000  # kilobytes; its pixels would take 100,000 and more
