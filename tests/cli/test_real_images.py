"""The images of everyday, drawn here: what a newcomer tries first. Each ends in an image that is the right way up and
not blank, with its decibels against the original reduced to the codec's shape; or in one line that names the option
which helps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from atlcodec import metrics
from drawings import Pixels, one, seven
from kit import SHAPE, Cli, files_in, put, shown

SIDE = SHAPE[0]


def scene(width: int, height: int) -> NDArray[np.uint8]:
    """A photograph of sorts, in colour: a bright sky, dark ground, and a red sun on the upper left."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    rng = np.random.default_rng(0)
    sky = np.where(y < 0.45 * height / max(width, height), 200 - 90 * y, 60 + 30 * np.sin(9 * x))
    image = np.stack([0.7 * sky, 0.9 * sky, sky], axis=2) + rng.normal(0, 4, (height, width, 3))
    image[np.hypot(x - 0.2, y - 0.15) < 0.1] = 250, 60, 40
    return np.clip(image, 0, 255).astype(np.uint8)


def reduced(image: Image.Image) -> NDArray[np.float64]:
    """The original as the codec should see it, by Pillow alone: upright, grey, scaled into its shape."""
    small = ImageOps.contain(ImageOps.exif_transpose(image).convert("L"), (SIDE, SIDE), Image.Resampling.BICUBIC)
    ground = Image.new("L", (SIDE, SIDE))
    ground.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.asarray(ground, np.float64)


def check(cli: Cli, name: str, expected: NDArray[Any], *options: str, against: str = "") -> None:
    """Encode and decode the file. The image is that which is expected, no other way up, and not blank; and the decibels
    that are printed are those of this."""
    ran = cli("encode", name, "-f", "-o", "x.atlc", *options)
    assert ran.code == 0, ran
    said = re.match(r".* -> x\.atlc  200 bytes  \S+ \(chosen\)  ([\d.]+) dB(.*)\n", ran.err)
    assert said, ran
    assert said[2] == against
    assert cli("decode", "x.atlc", "-f", "-o", "x.png").code == 0
    seen = shown("x.png").astype(float)
    assert abs(metrics.psnr(float(((seen - expected) ** 2).mean())) - float(said[1])) < 1
    turned = [np.rot90(expected, turns) for turns in range(4)]
    turned += [np.flip(turn, axis=1) for turn in turned]
    assert int(np.argmax([np.corrcoef(seen.ravel(), turn.ravel())[0, 1] for turn in turned])) == 0
    assert seen.std() > 15


def refused(cli: Cli, name: str, *words: str, options: tuple[str, ...] = ()) -> None:
    complaint = cli("encode", name, "-o", "refused.atlc", *options).complaint
    for word in (name, *words):
        assert word in complaint


def reported(cli: Cli, name: str, *words: str, options: tuple[str, ...] = ()) -> None:
    """The one line of warning of a command that succeeds."""
    ran = cli("encode", name, "-f", "-o", "y.atlc", *options)
    assert ran.code == 0
    _, warning = ran.err.splitlines()
    for word in ("atlc: warning: ", name, *words):
        assert word in warning


def label(cli: Cli) -> str:
    (line,) = cli("classify", "x.atlc").lines
    return line


def test_a_colour_photo(cli: Cli, workplace: Path) -> None:
    photo = Image.fromarray(scene(512, 512))
    photo.save("photo.png")
    refused(cli, "photo.png", "512 x 512 pixels", "--fit contain", "in colour", "--gray")  # both at once
    refused(cli, "photo.png", "--fit contain", options=("--gray",))
    refused(cli, "photo.png", "--gray", options=("--resize",))
    against = f" against the image in grey, reduced to {SIDE} x {SIDE}"
    check(cli, "photo.png", reduced(photo), "--resize", "--gray", against=against)
    ran = cli("encode", "photo.png", "-f", "--resize", "--gray")
    assert f"warning: photo.png: reduced from 512 x 512 to {SIDE} x {SIDE} pixels\n" in ran.err


def test_a_photo_of_a_telephone(cli: Cli, workplace: Path) -> None:
    """Its pixels lie on their side, and EXIF says so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    pixels = np.rot90(scene(1200, 1600))
    Image.fromarray(pixels).save("phone.jpg", exif=exif, quality=95)
    refused(cli, "phone.jpg", "1200 x 1600 pixels", "--fit contain", "--gray")
    with Image.open("phone.jpg") as photo:
        expected = reduced(photo)
    assert not expected[:, :3].any()  # bars beside it: it stands
    against = f" against the image in grey, reduced to {SIDE * 3 // 4} x {SIDE}"
    check(cli, "phone.jpg", expected, "--fit", "contain", "--gray", against=against)
    ran = cli("encode", "phone.jpg", "--fit", "contain", "--gray")
    assert f"warning: phone.jpg: reduced from 1200 x 1600 to {SIDE * 3 // 4} x {SIDE} pixels\n" in ran.err


def test_a_scanned_digit(cli: Cli, workplace: Path) -> None:
    """Black on white, and large."""
    paper = 255 - np.kron(seven(), np.ones((9, 9), np.uint8))
    put(Path("scan.png"), paper)
    refused(cli, "scan.png", "252 x 252 pixels", "--fit contain")
    reported(cli, "scan.png", "--invert", options=("--fit", "contain"))
    inverted = reduced(Image.fromarray(255 - paper))
    against = f" against the image inverted, reduced to {SIDE} x {SIDE}"
    check(cli, "scan.png", inverted, "--fit", "contain", "--invert", against=against)
    assert label(cli).startswith("x.atlc: 7 ")


def test_a_digit_of_the_right_size_that_is_inverted(cli: Cli, workplace: Path) -> None:
    put(Path("dark.png"), 255 - seven())
    reported(cli, "dark.png", "--invert")
    check(cli, "dark.png", seven(), "--invert", against=" against the image inverted")
    assert label(cli).startswith("x.atlc: 7 ")


def test_a_thumbnail_in_colour(cli: Cli, workplace: Path) -> None:
    thumbnail = Image.fromarray(scene(64, 64))
    thumbnail.save("thumbnail.png")
    refused(cli, "thumbnail.png", "64 x 64 pixels", "--fit contain", "in colour", "--gray")
    against = f" against the image in grey, reduced to {SIDE} x {SIDE}"
    check(cli, "thumbnail.png", reduced(thumbnail), "--fit", "contain", "--gray", against=against)


def test_a_transparent_icon(cli: Cli, workplace: Path) -> None:
    """A black drawing on nothing: on black it would be lost."""
    icon = np.zeros((64, 64, 4), np.uint8)
    icon[10:20, 8:56, 3] = icon[20:56, 40:52, 3] = 255
    Image.fromarray(icon).save("icon.png")
    refused(cli, "icon.png", "64 x 64 pixels", "--fit contain", "transparent", "--background auto")
    expected = reduced(Image.fromarray(255 - icon[..., 3]))
    against = f" against the image reduced to {SIDE} x {SIDE}"
    check(cli, "icon.png", expected, "--fit", "contain", "--background", "auto", against=against)
    for lost in (("--background", "black"), ("--gray",)):
        words = "became blank: all its pixels are equal now; --background auto"
        reported(cli, "icon.png", words, options=("--fit", "contain", *lost))


def test_an_animation(cli: Cli, workplace: Path) -> None:
    frames = [seven(slant) for slant in range(-2, 3)]
    first, *others = map(Image.fromarray, frames)
    first.save("wave.gif", save_all=True, append_images=others)
    refused(cli, "wave.gif", "5 frames", "--frame 0", "--frame all")
    check(cli, "wave.gif", frames[3], "--frame", "3")
    ran = cli("encode", "wave.gif", "--frame", "all")
    assert ran.code == 0
    assert ran.err.startswith("wave.gif: frame 0 -> wave-0000.atlc  200 bytes")
    names = [f"wave-{number:04d}.atlc" for number in range(5)]
    assert [name for name in files_in(workplace) if name.startswith("wave-")] == names
    assert cli("encode", "wave.gif", "--frame", "all", "-o", "set.atlc").code == 0
    assert Path("set.atlc").read_bytes() == b"".join(Path(name).read_bytes() for name in names)
    assert cli("encode", "-", "--frame", "all", "-o", "-", stdin=Path("wave.gif").read_bytes()).out == (
        Path("set.atlc").read_bytes()
    )
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    for name, frame in zip(files_in(Path("out")), frames, strict=True):
        assert metrics.psnr(float(((shown(Path("out", name)) - frame.astype(float)) ** 2).mean())) > 30
    put(Path("seven.png"), seven())
    ran = cli("encode", "seven.png", "--frame", "all")  # an image is its only frame
    assert "seven.png -> seven.atlc" in ran.err
    assert "neither a number nor all" in cli("encode", "wave.gif", "--frame", "some").misuse
    assert "-1 is not in the range" in cli("encode", "wave.gif", "--frame", "-1").misuse


def test_a_tiff_of_12_bits_in_16(cli: Cli, workplace: Path) -> None:
    Image.fromarray(seven() * np.uint16(16)).save("sensor.tif")
    refused(cli, "sensor.tif", "16 bits a pixel", "--gray", "--range LOW HIGH")
    reported(cli, "sensor.tif", "its values end at 4080", "--range 0 4095", options=("--gray",))
    check(cli, "sensor.tif", seven(), "--range", "0", "4095")
    assert label(cli).startswith("x.atlc: 7 ")
    clipped = int((seven() * 16.0 > 2000).sum())
    reported(cli, "sensor.tif", f"clipped {clipped} of 784 values", options=("--range", "0", "2000"))


def test_a_tiff_of_floating_point(cli: Cli, workplace: Path) -> None:
    Image.fromarray(seven() / np.float32(255)).save("float.tif")
    refused(cli, "float.tif", "floating-point", "--range LOW HIGH")
    refused(cli, "float.tif", "--range LOW HIGH", options=("--gray",))
    check(cli, "float.tif", seven(), "--range", "0", "1")
    assert label(cli).startswith("x.atlc: 7 ")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_photo(cli: Cli, workplace: Path) -> None:
    photo = Image.fromarray(scene(256, 256))
    photo.save("photo.avif", quality=95)
    refused(cli, "photo.avif", "256 x 256 pixels", "--fit contain", "--gray")
    against = f" against the image in grey, reduced to {SIDE} x {SIDE}"
    check(cli, "photo.avif", reduced(photo), "--fit", "contain", "--gray", against=against)


def test_a_heic_photo(cli: Cli, workplace: Path) -> None:
    Path("photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    refused(cli, "photo.heic", "not an image in one of the formats", "pillow-heif")


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow writes no JPEG 2000")
def test_a_jpeg_2000_photo(cli: Cli, workplace: Path) -> None:
    Image.fromarray(one()).save("photo.jp2")
    refused(cli, "photo.jp2", "not an image in one of the formats PNG, JPEG")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB"])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "pgm", "tif", "gif"])
def test_grey_images_in_every_mode_and_format(cli: Cli, workplace: Path, mode: str, ending: str) -> None:
    if (mode in ("LA", "P") and ending in ("jpg", "pgm", "webp", "bmp")) or (mode == "LA" and ending == "gif"):
        pytest.skip(f"Pillow does not write {ending} files of the mode {mode} as they are")
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(one()).convert(mode).save(f"one.{ending}", **options)
    with Image.open(f"one.{ending}") as image:
        check(cli, f"one.{ending}", np.asarray(image.convert("L")))  # JPEG is lossy itself
    assert label(cli).startswith("x.atlc: 1 ")


def test_a_folder_says_each_kind_of_loss_once(cli: Cli, workplace: Path) -> None:
    """And what its decibels are measured against; also if it is continued, and if it becomes Parquet."""
    pytest.importorskip("pyarrow")
    small: list[Pixels] = [seven(slant) for slant in range(4)]
    for number, pixels in enumerate(small):
        put(Path(f"in/{number}.png"), np.kron(pixels, np.ones((11, 11), np.uint8)))
    icon = np.zeros((SIDE, SIDE, 4), np.uint8)
    icon[10:20, 10:20, 3] = 255
    Image.fromarray(icon).save("in/icon.png")
    for output in ("set.atlc", "set.parquet"):
        ran = cli("encode", "in", "-o", output, "--fit", "contain", "--background", "black")
        assert ran.code == 0
        assert f"dB against the images scaled to {SIDE} x {SIDE}\n" in ran.err
        lines = [line for line in ran.err.splitlines() if "warning" in line]
        first = str(Path("in", "0.png"))
        assert lines == [
            f"atlc: warning: {first}: reduced from 308 x 308 to {SIDE} x {SIDE} pixels (and 3 others alike)",
            f"atlc: warning: {Path('in', 'icon.png')}: became blank: all its pixels are equal now; --background auto "
            "(background='auto') puts transparent parts on the ground that contrasts",
        ]
