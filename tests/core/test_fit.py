"""What may be done to an image so that it becomes one of a codec's shape."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import atlcodec
from atlcodec import picture
from atlcodec.errors import BadImage
from atlcodec.fit import Fit
from kit import Cli

SHAPE = (20, 30)


def halves(width: int = 60, height: int = 80) -> Image.Image:
    """Left black, right white."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, width // 2 :] = 255
    return Image.fromarray(pixels)


def read(image: Image.Image, shape: tuple[int, ...] = SHAPE, **how: Any) -> Any:
    return picture.read(image, Fit(**how), shape=shape)


def test_three_ways_to_another_size() -> None:
    contained, covered, stretched = (read(halves(), fit=fit) for fit in ("contain", "cover", "stretch"))
    assert contained.shape == covered.shape == stretched.shape == SHAPE
    assert not contained[:, 22:].any()  # 15 x 20 pixels in the middle
    assert (contained[:, 16:21] == 255).all()
    assert (covered[:, 17:] == 255).all()
    assert np.array_equal(covered[5], covered[15])
    assert (stretched[:, 17:] == 255).all()
    tall = np.zeros((80, 60), np.uint8)
    tall[:20] = 255  # the upper quarter: cut off by cover, kept by stretch
    assert read(Image.fromarray(tall), fit="cover").max() < 30
    assert read(Image.fromarray(tall), fit="stretch").max() == 255


def test_the_bars_have_the_colour_of_the_background() -> None:
    assert (read(halves(), fit="contain", background="white")[:, :5] == 255).all()
    shown = read(halves(), (20, 30, 3), fit="contain", background="#ff8000")
    assert shown[0, 0].tolist() == [255, 128, 0]


def drawing(ink: int) -> Image.Image:
    """A stroke on a transparent ground."""
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[8:12, 5:25] = ink, ink, ink, 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_drawing_lands_on_the_ground_that_contrasts(ink: int) -> None:
    shown = read(drawing(ink), background="auto")
    assert (shown[8:12, 5:25] == ink).all()
    assert (shown[:8] == 255 - ink).all()
    with pytest.raises(BadImage, match=r"is partly transparent; --background auto \(background='auto'\)"):
        read(drawing(ink))
    assert (read(drawing(255), background="black", gray=True) == read(drawing(255), gray=True)).all()
    with pytest.raises(BadImage, match=r"unknown background 'blak'; use black, white, auto"):
        read(drawing(ink), background="blak")


def test_black_becomes_white() -> None:
    assert (read(halves(30, 20), invert=True) == 255 - read(halves(30, 20))).all()
    colours = Image.new("RGB", (30, 20), (10, 20, 30))
    assert read(colours, (20, 30, 3), invert=True)[0, 0].tolist() == [245, 235, 225]


def test_the_range_of_deep_and_floating_point_images() -> None:
    ramp = np.tile(np.linspace(0, 1, 30, dtype=np.float32), (20, 1))
    with pytest.raises(BadImage, match=r"has floating-point pixels; --range LOW HIGH \(range=\(low, high\)\)"):
        read(Image.fromarray(ramp))
    assert np.abs(read(Image.fromarray(ramp), range=(0, 1)) - 255.0 * ramp).max() <= 0.51
    assert np.abs(read(Image.fromarray(ramp), range=(1, 0)) - 255.0 * (1 - ramp)).max() <= 0.51
    assert read(Image.fromarray(ramp), range=(0, 0.5))[0, 15:].tolist() == [255] * 15
    deep = Image.fromarray((1000 * ramp).astype(np.uint16))  # of 10 bits: black, if nobody says so
    with pytest.raises(BadImage, match=r"has 16 bits a pixel; --gray .* rounds them to 8; --range"):
        read(deep)
    assert read(deep, gray=True).max() == 4
    assert read(deep, range=(0, 1000)).max() == 255
    broken = ramp.copy()
    broken[3, 3] = np.nan
    assert read(Image.fromarray(broken), range=(0, 1))[3, 3] == 0


def test_a_frame_of_an_animation() -> None:
    frames = [Image.new("L", (30, 20), shade) for shade in (10, 100, 200)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImage, match=r"has 3 frames; --frame 0 \(frame=0\) takes the first"):
        picture.read(io.BytesIO(file.getvalue()), shape=SHAPE)
    for number, shade in enumerate((10, 100, 200)):
        assert picture.read(io.BytesIO(file.getvalue()), Fit(frame=number), shape=SHAPE)[0, 0] == shade
    with pytest.raises(BadImage, match="has the frames 0 to 2, not 3"):
        picture.read(io.BytesIO(file.getvalue()), Fit(frame=3), shape=SHAPE)


def test_values_that_are_not_options() -> None:
    with pytest.raises(ValueError, match="fit must be contain, cover, stretch or None, not 'crop'"):
        Fit(fit="crop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two different numbers"):
        Fit(range=(3, 3))


def test_the_same_names_in_python_and_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    drawing(0).save(path)
    how = ["--fit", "cover", "--background", "auto", "--invert", "--gray"]
    assert cli("encode", "-m", "mnist-lenet", path, *how).code == 0
    python = atlcodec.encode(path, "mnist-lenet", fit="cover", background="auto", invert=True, gray=True)
    assert (tmp_path / "x.atlc").read_bytes() == python
    (tmp_path / "set" / "a").mkdir(parents=True)
    path.rename(tmp_path / "set" / "a" / "x.png")
    assert cli("encode", "-m", "mnist-lenet", tmp_path / "set", "-o", tmp_path / "set.atlc", *how).code == 0
    assert (tmp_path / "set.atlc").read_bytes() == python
    done = atlcodec.encode_folder(
        tmp_path / "set",
        tmp_path / "b.atlc",
        model="mnist-lenet",
        fit="cover",
        background="auto",
        invert=True,
        gray=True,
    )
    assert (tmp_path / "b.atlc").read_bytes() == python
    assert done.records == 1
    assert "two different numbers" in cli("encode", path, "--range", "1", "1").misuse


def test_photos_of_telephones(tmp_path: Path) -> None:
    """AVIF is read where Pillow can; HEIC is not, and the message says what can be done."""
    (tmp_path / "x.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(
        BadImage, match=r"x\.HEIC: not an image .*saved as JPEG with Pillow and the package pillow-heif"
    ):
        picture.read(tmp_path / "x.HEIC")
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    halves().save(tmp_path / "x.avif", quality=100)
    assert np.abs(picture.read(tmp_path / "x.avif").astype(int) - np.asarray(halves())).mean() < 2
