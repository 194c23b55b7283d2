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
from atlcodec.convert import Prepared
from atlcodec.errors import BadImage, LossWarning
from atlcodec.fit import Fit
from drawings import Pixels
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


def animation(*frames: Image.Image) -> bytes:
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_a_frame_of_an_animation() -> None:
    file = io.BytesIO(animation(*(Image.new("L", (30, 20), shade) for shade in (10, 100, 200))))
    with pytest.raises(
        BadImage, match=r"has 3 frames; --frame 0 \(frame=0\) takes the first, --frame all each of them"
    ):
        picture.read(io.BytesIO(file.getvalue()), shape=SHAPE)
    for number, shade in enumerate((10, 100, 200)):
        assert picture.read(io.BytesIO(file.getvalue()), Fit(frame=number), shape=SHAPE)[0, 0] == shade
    with pytest.raises(BadImage, match="has the frames 0 to 2, not 3"):
        picture.read(io.BytesIO(file.getvalue()), Fit(frame=3), shape=SHAPE)
    with pytest.raises(BadImage, match="has 3 frames, which make 3 records; name one of them: frame=0"):
        picture.read(io.BytesIO(file.getvalue()), Fit(frame="all"), shape=SHAPE)
    assert picture.frame_count(io.BytesIO(file.getvalue())) == 3
    assert (picture.read(halves(30, 20), Fit(frame="all")) == np.asarray(halves(30, 20))).all()  # it has only one


def test_all_frames_of_an_animation() -> None:
    file = animation(*(Image.new("L", (30, 20), shade) for shade in (10, 100, 200)))
    found = picture.frames(io.BytesIO(file), Fit(frame="all"), shape=SHAPE)
    assert [one.pixels[0, 0] for one in found if isinstance(one, Prepared)] == [10, 100, 200]
    last, missing = picture.frames(io.BytesIO(file), Fit(frame="all"), name="x.gif", shape=SHAPE, numbers=[2, 7])
    assert isinstance(last, Prepared)
    assert str(missing).startswith("x.gif: frame 7: cannot be read")


def prepare(image: Image.Image, shape: tuple[int, ...] = SHAPE, **how: Any) -> Prepared:
    return picture.prepare(image, Fit(**how), shape=shape)


def test_what_is_lost_is_said() -> None:
    """A blank image, a tenfold reduction, clipped values, and values that become dark."""
    assert prepare(halves(30, 20)).losses == prepare(halves(300, 200), fit="contain").losses == {}
    assert prepare(halves(400, 300), fit="contain").losses == {"reduced": "reduced from 400 x 300 to 27 x 20 pixels"}
    assert prepare(halves(100, 9000), fit="cover").losses == {}
    assert prepare(halves(301, 200), fit="stretch").losses == {"reduced": "reduced from 301 x 200 to 30 x 20 pixels"}
    blank = {
        "blank": "became blank: all its pixels are equal now; --background auto (background='auto') "
        "puts transparent parts on the ground that contrasts"
    }
    assert prepare(drawing(0), background="black").losses == blank
    assert prepare(drawing(0), background="auto").losses == {}
    assert prepare(drawing(0), (40, 90), background="black", fit="contain").losses == blank  # beside its bars, too
    assert prepare(Image.new("L", (30, 20), 7)).losses == {}  # nothing was lost
    assert prepare(Image.new("RGBA", (30, 20)), gray=True).losses == {}
    ramp = np.tile(np.linspace(0, 4080, 30), (20, 1)).astype(np.uint16)
    assert prepare(Image.fromarray(ramp), gray=True).losses == {
        "dark": "becomes dark, for its values end at 4080 of 65535; --range 0 4095 (range=(0, 4095)) keeps its contrast"
    }
    assert prepare(Image.fromarray(ramp), range=(0, 4095)).losses == {}
    assert prepare(Image.fromarray(ramp), range=(0, 2000)).losses == {
        "clipped": "clipped 300 of 600 values, which are outside of --range 0 2000 (range=(0, 2000))"
    }
    assert prepare(Image.fromarray(ramp + 1), range=(0, 1)).losses == {
        "blank": "became blank: all its pixels are equal now",
        "clipped": "clipped 580 of 600 values, which are outside of --range 0 1 (range=(0, 1))",
    }
    broken = np.full((20, 30), 0.5, np.float32)
    broken[:2] = [[np.nan], [np.inf]]
    assert prepare(Image.fromarray(broken), range=(1, 0)).losses["clipped"].startswith("clipped 60 of 600 values")


def test_the_size_is_that_of_the_image_when_it_is_upright() -> None:
    """A photo on its side is scaled only if that is asked for, and needs no option if it has the right size."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for size, upright in (((20, 30), (30, 20)), ((30, 20), (20, 30))):
        file = io.BytesIO()
        halves(*size).save(file, "PNG", exif=exif)
        if upright == SHAPE[::-1]:
            assert picture.read(file, shape=SHAPE).tolist() == np.rot90(np.asarray(halves(*size)), -1).tolist()
        else:
            with pytest.raises(BadImage, match="20 x 30 pixels, not 30 x 20; --fit contain"):
                picture.read(file, shape=SHAPE)


def test_what_psnr_is_measured_against_is_said() -> None:
    colours = Image.new("RGB", (300, 200), (10, 20, 30))
    assert prepare(halves(30, 20), fit="contain", gray=True).against == ""
    assert prepare(colours, fit="contain", gray=True, invert=True).against == "in grey, inverted, reduced to 30 x 20"
    assert prepare(halves(3, 2), fit="stretch").against == "enlarged to 30 x 20"
    assert prepare(halves(31, 20), fit="cover").against == "cut to 30 x 20"
    assert prepare(halves(60, 80), fit="contain").against == "reduced to 15 x 20"


def test_python_warns_of_what_is_lost(tmp_path: Path) -> None:
    halves(400, 400).save(tmp_path / "x.png")
    with pytest.warns(LossWarning, match=r"x\.png: reduced from 400 x 400 to 28 x 28 pixels") as caught:
        atlcodec.encode(tmp_path / "x.png", "mnist-lenet", fit="contain")
    assert caught[0].filename == __file__
    atlcodec.register_pillow()
    with pytest.warns(LossWarning, match="the image: reduced from 400 x 400"):
        halves(400, 400).save(tmp_path / "x.atlc", model="mnist-lenet", fit="contain")


def test_python_takes_arrays_of_every_kind(digit: Pixels) -> None:
    expected = atlcodec.encode(digit, "mnist-lenet")
    full = np.full_like(digit, 255)
    deep, share = digit * np.uint16(257), digit / np.float32(255)
    for array, how in (
        (digit.tolist(), {"range": (0, 255)}),
        (digit[:, :, None], {}),
        (np.stack([digit] * 3, axis=2), {}),
        (np.stack([digit] * 3 + [full], axis=2), {}),
        (np.stack([full] * 3 + [digit], axis=2), {"background": "black"}),
        (np.stack([full, digit], axis=2), {"background": "black"}),
        (255 - digit, {"invert": True}),
        (np.kron(digit, np.ones((2, 2), np.uint8)), {"fit": "contain"}),
        (deep, {}),
        (digit * np.uint16(16), {"range": (0, 255 * 16)}),
        (digit.astype(np.int64) - 100, {"range": (-100, 155)}),
        (np.stack([deep] * 3, axis=2), {}),
        (np.stack([deep] * 3 + [np.full_like(deep, 65535)], axis=2), {}),
        (share, {"range": (0, 1)}),
        (share.astype(np.float64), {"range": (0, 1)}),
        (1 - share, {"range": (1, 0)}),
        (np.stack([share] * 3 + [np.ones_like(share)], axis=2), {"range": (0, 1)}),
        (np.stack([np.ones_like(share)] * 3 + [share], axis=2), {"range": (0, 1), "background": "black"}),
    ):
        made = atlcodec.encode(array, "mnist-lenet", **how)
        assert np.abs(atlcodec.decode(made).astype(int) - atlcodec.decode(expected)).mean() < 3, how
        assert made == expected or "fit" in how
    assert atlcodec.encode(digit > 127, "mnist-lenet") == atlcodec.encode((digit > 127) * np.uint8(255), "mnist-lenet")


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((28, 28), np.float32), "floating-point pixels; --range LOW HIGH (range=(low, high))"),
        (np.zeros((28, 28, 3)), "floating-point pixels; --range LOW HIGH (range=(low, high))"),
        (np.full((28, 28), 1234, np.uint16), "16 bits a pixel; --gray (gray=True) rounds them to 8; --range LOW HIGH"),
        (np.full((28, 28), -1), "32-bit values; --range LOW HIGH"),
        (np.zeros((20, 28), np.uint8), "28 x 20 pixels, not 28 x 28; --fit contain (fit='contain')"),
        (np.arange(2352, dtype=np.uint8).reshape(28, 28, 3), "is in colour; --gray (gray=True)"),
        (np.zeros((28, 28, 4), np.uint8), "is partly transparent; --background auto"),
        (np.zeros((3, 28, 28), np.uint8), "not uint8 (3, 28, 28); use Codec.encode for many at once"),
        (np.zeros((0, 28), np.uint8), "not uint8 (0, 28)"),
        (np.zeros((28, 28), complex), "not complex128 (28, 28)"),
        (np.array("text"), "not <U4 ()"),
    ],
)
def test_arrays_that_need_an_option_are_refused_with_its_name(array: Any, word: str) -> None:
    with pytest.raises(BadImage) as error:
        atlcodec.encode(array)
    assert str(error.value).startswith("the image: ")
    assert word in str(error.value)


def test_values_that_are_not_options() -> None:
    with pytest.raises(ValueError, match="fit must be contain, cover, stretch or None, not 'crop'"):
        Fit(fit="crop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frame must be a number from 0, all or None, not 'some'"):
        Fit(frame="some")  # type: ignore[arg-type]
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
