"""Files that are not images, damaged images and bombs: each is refused in one line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from atlcodec import picture
from atlcodec.errors import BadImage
from atlcodec.fit import Fit
from drawings import Pixels
from image_kit import COLOURED, GREY, png, record_of, saved
from kit import PEAK, Cli, environment

RNG = np.random.default_rng(11)


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
            pixels = picture.read(io.BytesIO(file), Fit(fit="contain", gray=True), shape=(28, 28))
        except BadImage:
            refused += 1
            continue
        assert pixels.shape == (28, 28)
        assert pixels.dtype == np.uint8
    assert 0 < refused < 600


def test_paths_without_an_image_are_refused(cli: Cli, tmp_path: Path) -> None:
    assert "No such file" in cli("encode", tmp_path / "missing.png").complaint
    assert "is a folder; name the file for its records: -o set.atlc" in cli("encode", tmp_path).misuse
    assert "not an image" in cli("encode", "/dev/null", "-o", tmp_path / "x.atlc").complaint
    assert "bytes" in cli("encode", "/dev/zero", "-o", tmp_path / "x.atlc").complaint
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty.png: is empty, so it is not an image" in cli("encode", tmp_path / "empty.png").complaint
    assert "standard input: is empty, so it is not an image" in cli("encode", "-", stdin=b"").complaint


def test_what_pillow_calls_things_is_not_said(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    """No class or constant of Python: a text or a colour profile that grows to 100 MB, and memory that ends."""
    image, grown = picture.png(digit), zlib.compress(bytes(100 << 20), 9)
    for kind in (b"zTXt", b"iCCP"):
        data = kind + b"k\0\0" + grown
        chunk = (len(data) - 4).to_bytes(4) + data + zlib.crc32(data).to_bytes(4)
        (tmp_path / "x.png").write_bytes(image[:33] + chunk + image[33:])
        complaint = cli("encode", tmp_path / "x.png").complaint
        assert complaint.endswith("damaged (its text or colour profile is too large to read safely)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atlcodec.picture.Image.open", Mock(side_effect=MemoryError))
        complaint = cli("encode", tmp_path / "x.png").complaint
    assert complaint.endswith("x.png: cannot be read: there is not enough memory for it")


def test_no_other_program_is_run_to_read_an_image(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands PostScript over to Ghostscript."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n%%EOF\n")
    assert "not an image" in cli("encode", tmp_path / "x.eps").complaint
    assert not (tmp_path / "ran").exists()


def test_names_cannot_speak_to_the_terminal(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    """Control characters, line ends, text that runs backwards, and bytes that are not UTF-8 are escaped."""
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


MEASURE = f"""
import sys
from atlcodec import picture
from atlcodec.errors import BadImage
from atlcodec.fit import Fit
{PEAK}
before = peak()
for options in (dict(), dict(fit="contain"), dict(fit="contain", gray=True)):
    try:
        picture.read(sys.argv[1], Fit(**options), shape=(28, 28))
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
    assert all("too many" in line or "--fit" in line for line in said)
    assert all("too many" in line for line in said[1:])
    assert int(more) < 20_000  # kilobytes; its pixels would take 100,000 and more


KINDS = {"LA": 2, "RGBA": 4, "I;16": 2}  # bytes of a pixel
SIDE = 4000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("mode", KINDS)
def test_large_images_come_in_few_copies(mode: str, tmp_path: Path) -> None:
    """Transparent ones, and those of 16 bits; 64 million pixels are the limit, and this is a quarter of it."""
    image = Image.new(mode, (SIDE, SIDE))
    image.paste(200 if mode == "I;16" else (200,) * len(image.getbands()), (9, 9, 2000, 2000))
    image.save(tmp_path / "x.png", compress_level=1)
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "x.png"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "read" in ran.stdout
    assert int(ran.stdout.split()[-1]) < SIDE * SIDE * 10 >> 10  # kilobytes: Pillow takes four bytes for a pixel


def test_the_decoder_of_tiff_files_writes_no_lines_of_its_own(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(np.kron(RNG.integers(0, 256, (28, 28), np.uint8), np.ones((9, 9), np.uint8))).save(
        whole, "TIFF", compression="tiff_deflate"
    )
    file = bytearray(whole.getvalue())
    file[len(file) // 2 - 60 : len(file) // 2 + 60] = bytes(120)
    (tmp_path / "x.tif").write_bytes(file)
    ran = cli.process("encode", tmp_path / "x.tif", "--fit", "contain", "--gray", "-m", "mnist")
    assert ran.complaint.startswith(f"atlc: {tmp_path}/x.tif: ")
