"""Colour profiles: an image in another colour space than sRGB becomes one in sRGB, as every viewer shows it."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

EVEN = 2  # levels: a profile that changes no colour by more is that of sRGB
STEPS = 6  # of each channel, to look at what a profile does
LARGEST = 16 << 20  # bytes of a profile that is used
BROKEN = "has a colour profile that cannot be used, so its colours are taken as they are (sRGB)"


def in_srgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The image in sRGB, by the profile in its file; and what to tell the user, if that cannot be used. An image
    without a profile, or with that of sRGB, is returned as it is, others are not changed either: this makes a copy."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode[0] in "1IF":
        return image, ""
    try:
        if len(profile) > LARGEST:
            return image, BROKEN
        return _converted(image, bytes(profile)), ""
    except Exception:  # Pillow and the library below raise any exception on broken profiles
        return image, BROKEN


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode in ("P", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    clear = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image if clear is None else image.convert("RGB" if image.mode == "RGBA" else "L")
    space = _space(profile)
    if colours.mode == "L" and space in ("GRAY", "RGB"):
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert("L" if space == "GRAY" else "RGB")
        table = np.asarray(_through(_transform(profile, ramp.mode), ramp).convert("L"))[0]
        if _is_even(table, np.arange(256)):
            return image
        colours = colours.point(table.tolist())
    else:
        transform = _transform(profile, colours.mode)
        if colours.mode == "RGB" and _keeps(transform):
            return image
        colours = _through(transform, colours)
    if clear is not None:
        colours.putalpha(clear)
    return colours


def _space(profile: bytes) -> str:
    """GRAY, RGB, CMYK or another one."""
    return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()


@functools.lru_cache(maxsize=4)  # the images of a folder often have the same one
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, srgb, mode, "RGB")


def _keeps(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether it changes no colour that one could see."""
    levels = np.linspace(0, 255, STEPS).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    return _is_even(np.asarray(_through(transform, Image.fromarray(colours))), colours)


def _through(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    made = ImageCms.applyTransform(image, transform)
    assert made is not None  # only a change in place gives none
    return made


def _is_even(made: NDArray[Any], before: NDArray[Any]) -> bool:
    return bool((np.abs(made.astype(int) - before) <= EVEN).all())
