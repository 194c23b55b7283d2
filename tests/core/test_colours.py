"""Colour profiles: what a viewer shows is what is encoded."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import atlcodec
from atlcodec import colours, picture
from atlcodec.errors import LossWarning
from atlcodec.fit import Fit
from drawings import Pixels
from grid_kit import add_colours, scene
from image_kit import deep, layered, png, saved
from kit import MNIST, SHAPE, Cli

# The primaries of Adobe RGB (1998) and of ProPhoto, as XYZ under D50, and the exponent of their curves.
WIDE = {
    "Adobe": ([(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)], 563 / 256),
    "ProPhoto": ([(0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)], 1.8),
}
TO_SRGB = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)


def tag(kind: bytes, content: bytes) -> bytes:
    data = kind + bytes(4) + content
    return data + bytes(-len(data) % 4)


def numbers(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space: bytes, gamma: float, primaries: list[tuple[float, float, float]] | None = None) -> bytes:
    """An ICC profile of version 2 with one gamma: of grey, or of the primaries red, green and blue."""
    curve = tag(b"curv", struct.pack(">IH", 1, round(gamma * 256)))
    tags = {
        b"wtpt": tag(b"XYZ ", numbers(0.9642, 1.0, 0.8249)),
        b"desc": tag(b"desc", struct.pack(">I", 5) + b"test\0" + bytes(79)),
    }
    tags |= {b"cprt": tag(b"text", b"none\0")}
    if primaries is None:
        tags[b"kTRC"] = curve
    for channel, xyz in zip((b"r", b"g", b"b"), primaries or [], strict=False):
        tags[channel + b"XYZ"] = tag(b"XYZ ", numbers(*xyz))
        tags[channel + b"TRC"] = curve
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    head = struct.pack(">I4s4s4s4s4s", size, bytes(4), b"\x02\x40\0\0", b"mntr", space, b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + numbers(0.9642, 1.0, 0.8249)
    return head + bytes(128 - len(head)) + table + body


def in_srgb(image: Pixels, primaries: list[tuple[float, float, float]], gamma: float) -> Pixels:
    """What the profile says, computed here."""
    light = (image / 255) ** gamma @ np.array(primaries) @ TO_SRGB.T
    light = np.clip(light, 0, 1)
    return np.asarray(
        np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)), np.uint8
    )


def patches() -> Pixels:
    """Colours all over the cube, 28 x 28, each in a block."""
    rng = np.random.default_rng(0)
    return rng.integers(30, 226, (7, 7, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_wide_gamuts(name: str, format: str) -> None:
    image, options = patches(), {"lossless": True} if format == "WEBP" else {}
    file = saved(Image.fromarray(image), format, icc_profile=profile(b"RGB ", WIDE[name][1], WIDE[name][0]), **options)
    found = picture.read(io.BytesIO(file)).astype(int)
    expected = in_srgb(image, *WIDE[name])
    inside = ((expected > 0) & (expected < 255)).all(axis=-1)
    assert np.abs(found - image).max() > 15
    assert inside.mean() > 0.3
    assert np.abs(found - expected)[inside].max() <= 3


def test_grey_profiles() -> None:
    image = (np.arange(784) * 256 // 784).astype(np.uint8).reshape(SHAPE)
    file = saved(Image.fromarray(image), icc_profile=profile(b"GRAY", 1.6))
    found = picture.read(io.BytesIO(file))
    assert found.shape == SHAPE
    light = (image / 255) ** 1.6
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(found - expected).max() <= 3
    wide = saved(Image.fromarray(image), "TIFF", icc_profile=profile(b"RGB ", 1.6, WIDE["Adobe"][0]))
    assert np.abs(picture.read(io.BytesIO(wide)) - expected).max() <= 3  # a grey image with a profile of colours


def test_the_profile_of_srgb_changes_nothing(digit: Pixels) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for image in (Image.fromarray(patches()), Image.fromarray(digit)):
        assert np.array_equal(picture.read(io.BytesIO(saved(image, icc_profile=srgb))), np.asarray(image))


def test_palettes_and_transparency() -> None:
    wide, image = profile(b"RGB ", *WIDE["ProPhoto"][::-1]), patches()
    expected = picture.read(io.BytesIO(saved(Image.fromarray(image), icc_profile=wide)))
    palette = Image.fromarray(image).quantize(49, dither=Image.Dither.NONE)
    plain = np.asarray(palette.convert("RGB"))
    shown = picture.read(io.BytesIO(saved(palette, icc_profile=wide))).astype(int)
    assert np.abs(shown - expected)[(plain == image).all(axis=-1)].max() <= 1
    clear = Image.fromarray(image)
    clear.putalpha(Image.fromarray(np.where(np.arange(784).reshape(SHAPE) < 400, 255, 0).astype(np.uint8)))
    shown = picture.read(io.BytesIO(saved(clear, icc_profile=wide)), Fit(background="#102030"))
    assert np.array_equal(shown[:14], expected[:14])
    assert (shown[15:] == (0x10, 0x20, 0x30)).all()  # a background is in sRGB


def test_four_inks() -> None:
    """With a profile whose table says something else than what Pillow assumes of inks."""
    inks = layered("CMYK", *(np.full(SHAPE, level, np.uint8) for level in (200, 30, 90, 10)))
    file = saved(inks, "TIFF", icc_profile=of_inks())
    assert picture.read(io.BytesIO(saved(inks, "TIFF"))).shape == (*SHAPE, 3)
    shown = picture.read(io.BytesIO(file))
    assert shown.shape == SHAPE
    assert np.abs(shown.astype(int) - 243).max() <= 4  # L* = 100 (1 - 10 / 255)


def of_inks() -> bytes:
    """A profile of CMYK for which only black ink exists: its lookup table has two points for each ink."""
    points = [(0xFF00 * (1 - k), 0x8000, 0x8000) for _ in range(8) for k in (0, 1)]
    grid = b"".join(struct.pack(">3H", *point) for point in points)
    line = struct.pack(">2H", 0, 0xFFFF)
    unit = numbers(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = tag(b"mft2", bytes([4, 3, 2, 0]) + unit + struct.pack(">2H", 2, 2) + line * 4 + grid + line * 3)
    tags = {b"A2B0": table, b"wtpt": tag(b"XYZ ", numbers(0.9642, 1.0, 0.8249)), b"cprt": tag(b"text", b"none\0")}
    tags |= {b"desc": tag(b"desc", struct.pack(">I", 5) + b"test\0" + bytes(79))}
    index, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        index += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4s4s4s4s4s", at + len(body), bytes(4), b"\x02\x40\0\0", b"prtr", b"CMYK", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + numbers(0.9642, 1.0, 0.8249)
    return head + bytes(128 - len(head)) + index + body


BROKEN: dict[str, bytes] = {
    "noise": bytes(range(200)),
    "cut off": profile(b"RGB ", 2.2, WIDE["Adobe"][0])[:300],
    "for four inks": of_inks(),
    "a huge table": profile(b"RGB ", 2.2, WIDE["Adobe"][0])[:128] + b"\xff" * 400,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_profiles_are_ignored_with_one_line(kind: str, cli: Cli, workplace: Path, user_folder: Path) -> None:
    add_colours(workplace)
    image = patches()
    (workplace / "x.png").write_bytes(saved(Image.fromarray(image), icc_profile=BROKEN[kind]))
    prepared = picture.prepare("x.png")
    assert np.array_equal(prepared.pixels, image)
    assert prepared.losses == {"profile": colours.BROKEN}
    ran = cli("encode", "x.png", "--grid", "-m", "colours")
    assert ran.code == 0
    assert ran.err.splitlines()[1:] == [f"atlc: warning: x.png: {colours.BROKEN}"]
    with pytest.warns(LossWarning, match="has a colour profile that cannot be used"):
        atlcodec.encode_image("x.png", "colours")


def test_grids_and_records_follow_the_profile(workplace: Path, user_folder: Path) -> None:
    codec = add_colours(workplace)
    image, wide = scene(60, 70, 3), profile(b"RGB ", *WIDE["ProPhoto"][::-1])
    (workplace / "x.png").write_bytes(saved(Image.fromarray(image), icc_profile=wide))
    shown = picture.read("x.png")
    assert np.abs(shown.astype(int) - image).max() > 15
    assert atlcodec.encode_image("x.png", "colours") == atlcodec.encode_image(shown, "colours")
    small = Image.fromarray(image[: codec.shape[0], : codec.shape[1]])
    (workplace / "y.png").write_bytes(saved(small, icc_profile=wide))
    assert atlcodec.encode("y.png", "colours") == atlcodec.encode(picture.read("y.png"), "colours")
    with Image.open("x.png") as opened:  # a Pillow image, which is not changed
        before: Any = np.asarray(opened)
        assert atlcodec.encode_image(opened, "colours") == atlcodec.encode_image(shown, "colours")
        assert np.array_equal(np.asarray(opened), before)


def test_what_whole_images_lose_is_said(cli: Cli, workplace: Path) -> None:
    grey = scene(40, 50)
    (workplace / "deep.png").write_bytes(png(deep(grey.astype(np.uint16) * 257 + 3), 16, 0))
    clear = Image.fromarray(grey)
    clear.putalpha(Image.fromarray(np.full(grey.shape, 100, np.uint8)))
    (workplace / "clear.png").write_bytes(saved(clear))
    for name, option, loss in (
        ("deep", "--gray", "lost 8 of the 16 bits"),
        ("clear", "--background=black", "lost its transparency"),
    ):
        assert name in cli("encode", f"{name}.png", "--grid", "-m", MNIST).complaint
        lines = cli("encode", f"{name}.png", "--grid", "-m", MNIST, option).err.splitlines()
        assert lines[1].startswith(f"atlc: warning: {name}.png: {loss}")
        assert len(lines) == 2
