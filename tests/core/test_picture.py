"""Image files of many kinds: each gives the right pixels, or one line that says what is wrong and what helps."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atlcodec import picture
from atlcodec.errors import BadImage
from atlcodec.fit import Fit
from drawings import Pixels
from image_kit import COLOURED, GREY, encoded, layered, record_of, saved
from kit import SHAPE, Cli


@pytest.mark.parametrize("kind", GREY)
def test_grey_images_of_every_kind(kind: str, cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    file, pixels = GREY[kind](digit)
    (tmp_path / "x").write_bytes(file)
    assert np.array_equal(picture.read(tmp_path / "x"), pixels)
    assert encoded(cli, tmp_path / "x") == record_of(pixels)


@pytest.mark.parametrize("kind", COLOURED)
def test_images_that_are_more_than_grey_need_the_gray_option(
    kind: str, cli: Cli, digit: Pixels, tmp_path: Path
) -> None:
    file, word, pixels = COLOURED[kind](digit)
    path = tmp_path / "x"
    path.write_bytes(file)
    complaint = cli("encode", path).complaint
    assert word in complaint
    assert "--gray" in complaint or "--background" in complaint
    assert not (tmp_path / "x.atlc").exists()
    shown = picture.read(path, Fit(gray=True))
    assert np.abs(shown.astype(int) - pixels).max() <= 1
    assert encoded(cli, path, "--gray") == encoded(cli, path, "--grey") == record_of(shown)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_lossy_webp_of_a_grey_image_is_grey(quality: int, draw: Callable[..., Pixels]) -> None:
    """Its channels may differ by a level. A tint that one can see is a colour."""
    differ = 0
    for slant in range(-4, 5):
        grey = draw(slant)
        file = saved(layered("RGB", grey, grey, grey), "WEBP", quality=quality)
        channels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)
        differ += bool(np.ptp(channels, axis=2).any())
        pixels = picture.read(io.BytesIO(file), shape=SHAPE)
        assert np.abs(channels - pixels[..., None]).max() <= 2
        assert picture.read(io.BytesIO(file)).shape == SHAPE
        tinted = saved(layered("RGB", grey, grey, np.maximum(grey, 3)), "PNG")
        with pytest.raises(BadImage, match="is in colour"):
            picture.read(io.BytesIO(tinted), shape=SHAPE)
    assert differ


def test_cmyk_with_only_black_ink_is_grey(digit: Pixels) -> None:
    none = np.zeros_like(digit)
    shown = picture.read(io.BytesIO(saved(layered("CMYK", none, none, none, 255 - digit), "JPEG", quality=95)))
    assert np.abs(shown.astype(int) - digit).mean() < 3


# How an image is stored so that a viewer who obeys EXIF sees it upright.
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
def test_images_turned_by_exif_are_read_upright(orientation: int, format: str, digit: Pixels) -> None:
    def stored(upright: Pixels) -> io.BytesIO:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
        options: Any = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(format, {})
        return io.BytesIO(saved(image.convert("RGB") if format == "WEBP" else image, format, exif=exif, **options))

    near = 2 if format == "JPEG" else 0
    assert np.abs(picture.read(stored(digit)).astype(int) - digit).max() <= near
    wide = np.concatenate([digit, digit[:, ::-1] // 2], axis=1)
    upright = picture.read(Image.fromarray(wide), Fit(fit="contain"), shape=SHAPE)
    assert np.abs(picture.read(stored(wide), Fit(fit="contain"), shape=SHAPE).astype(int) - upright).max() <= near + 1


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_several_frames_are_refused(format: str, cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    frames = [layered("RGB", f, f, f) for f in (digit, digit.T, digit // 2)]
    (tmp_path / "x").write_bytes(saved(frames[0], format, save_all=True, append_images=frames[1:]))
    assert "3 frames" in cli("encode", tmp_path / "x").complaint


def test_a_photo_that_holds_its_own_preview_is_one_image(digit: Pixels) -> None:
    file = saved(layered("RGB", digit, digit, digit), "MPO", save_all=True, append_images=[Image.new("RGB", (7, 7))])
    assert np.abs(picture.read(io.BytesIO(file)).astype(int) - digit).mean() < 5


def test_another_size_and_colour_are_refused_at_once_and_both_options_named(
    cli: Cli, digit: Pixels, tmp_path: Path
) -> None:
    path = tmp_path / "x.png"
    layered("RGB", digit, digit, digit // 2).resize((56, 30)).save(path)
    assert "56 x 30" in (complaint := cli("encode", path).complaint)
    assert "--fit" in complaint
    assert "; and it is in colour; --gray" in complaint
    assert "--gray" in cli("encode", path, "--resize").complaint
    assert "--fit" in cli("encode", path, "--gray").complaint
    ran = cli("encode", path, "--resize", "--gray")
    assert ran.code == 0
    assert path.with_suffix(".atlc").stat().st_size == 200


def test_resizing_keeps_the_aspect_ratio_and_is_black_beside_it() -> None:
    wide = picture.read(Image.new("L", (280, 140), 200), Fit(fit="contain"), shape=SHAPE)
    assert (wide[7:21] == 200).all()
    assert (wide[:7] == 0).all()
    assert (wide[21:] == 0).all()
    assert np.array_equal(picture.read(Image.new("L", (140, 280), 200), Fit(fit="contain"), shape=SHAPE), wide.T)
    assert (picture.read(Image.new("1", (7, 7), 1), Fit(fit="contain"), shape=SHAPE) == 255).all()


@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (1, 1), (28, 1000)])
def test_the_thinnest_images_do_not_vanish(size: tuple[int, int]) -> None:
    assert picture.read(Image.new("L", size, 255), Fit(fit="contain"), shape=SHAPE).max() == 255


def test_an_image_made_large_and_scaled_back_is_nearly_the_same(digit: Pixels) -> None:
    large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
    assert np.abs(picture.read(large, Fit(fit="contain"), shape=SHAPE).astype(int) - digit).mean() < 5


def test_images_of_28_by_28_stay_as_they_are(digit: Pixels) -> None:
    assert np.array_equal(picture.read(Image.fromarray(digit), Fit(fit="contain", gray=True), shape=SHAPE), digit)
    assert np.array_equal(picture.read(io.BytesIO(picture.png(digit))), digit)


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
            picture.read(image, Fit(fit="contain", gray=True), shape=SHAPE)
    else:
        assert picture.read(image, Fit(fit="contain", gray=True), shape=SHAPE).shape == (28, 28)
    assert not before or image.tobytes() == before


def test_a_named_pipe_is_read_to_its_end(cli: Cli, digit: Pixels, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[picture.png(digit)])
    writer.start()
    assert encoded(cli, tmp_path / "pipe") == record_of(digit)
    writer.join()
