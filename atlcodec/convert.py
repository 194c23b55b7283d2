"""One Pillow image -> uint8 of a codec's shape, by what `Fit` allows; and what the image loses on the way. `picture`
reads the files. Large images come and go a few rows at a time.

An image of another size or in colour is refused, and the message names the option that converts it. A colour image with
three nearly equal channels counts as grey."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps
from PIL.Image import Resampling

from atlcodec import colours
from atlcodec.errors import BadImage
from atlcodec.fit import Fit
from atlcodec.strips import STRIP, in_strips, is_grey, load, rows_of, shows, varies

TRANSPARENT = "is partly transparent; --background auto (background='auto') puts it on black or white"
RANGED = "--range LOW HIGH (range=(low, high)) says which becomes black and which white"
OPAQUE = "lost its transparency: its background is a part of the image now"
TENFOLD = 10  # pixels that become one: more than that is said
DEEPEST = 0xFFFF
ORIENTATION = 0x0112  # the tag of EXIF
TURNS = {  # what makes an image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Prepared:
    """An image of a codec's shape, uint8 (*shape). `changes` says how it was made from the original: its PSNR is
    measured against the image after these. `losses` are lines for the user. Both are by kind."""

    pixels: NDArray[np.uint8]
    changes: dict[str, str] = field(default_factory=dict)  # "grey", "inverted", "scaled"
    losses: dict[str, str] = field(default_factory=dict)  # "blank", "dark", "profile" ...

    @property
    def against(self) -> str:
        """What PSNR is measured against, behind "against the image"; "" if that is the image itself."""
        return ", ".join(self.changes.values())


class Conversion:
    """Of one image with this name, for messages. Call `run` once. Raises `BadImage`."""

    def __init__(self, name: str, shape: tuple[int, ...] | None, how: Fit) -> None:
        self.name, self._shape, self._how = name, shape, how
        check_background(how.background)
        self.changes: dict[str, str] = {}  # both as in `Prepared`
        self.losses: dict[str, str] = {}
        self.lost: dict[str, str] = {}  # what `how` allowed it to lose, which is told of whole images alone
        self._ranged = False  # whether the range was used
        self._flattened = False  # whether transparent parts were put on a ground

    def run(self, image: Image.Image) -> Prepared:
        shape = self._shape
        try:
            pixels = self.upright(image)
        except BadImage as error:
            size = _upright_size(image)
            if wrong := self._wrong_size(size[::-1] if self._how.transpose else size):  # name both options at once
                raise BadImage(f"{self.name}: {wrong}; and it {str(error).removeprefix(f'{self.name}: ')}") from error
            raise
        if wrong := self._wrong_size(pixels.size):
            raise self._bad(wrong)
        if self._how.range is not None and not self._ranged:
            self.losses["unranged"] = "has 8 bits a pixel, so --range (range=) does not change it"
        bars = None
        if shape and pixels.size != shape[1::-1]:
            pixels, bars = self._scaled(pixels, (shape[1], shape[0]))
        array = np.array(pixels, np.uint8)
        if not varies(array) and shows(image):
            helps = "; --background auto (background='auto') puts transparent parts on the ground that contrasts"
            helped = self._flattened and self._how.background != "auto"
            self.losses["blank"] = f"became blank: all its pixels are equal now{helps if helped else ''}"
        if bars is not None:
            at = (bars.width - pixels.width) // 2, (bars.height - pixels.height) // 2
            bars.paste(pixels, at)
            array = np.array(bars, np.uint8)
        return Prepared(array, self.changes, self.losses)

    def upright(self, image: Image.Image) -> Image.Image:
        """The image, upright, in mode L or RGB: as its codec wants it, or without a shape as it is."""
        how, shape = self._how, self._shape
        if image.mode in ("LA", "RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")):
            if not how.gray:
                raise self._bad("has 16 bits a channel; --gray (gray=True) takes 8 of them")
            self.lost["deep"] = "lost 8 of the 16 bits of each channel"
        load(image)
        upright, problem = colours.in_srgb(image)
        if problem:
            self.losses["profile"] = problem
        if image.getexif().get(ORIENTATION, 1) != 1:  # a copy of a large image would need much memory
            upright = _turned(upright, image)
        if how.transpose:
            upright = upright.transpose(Image.Transpose.TRANSPOSE)
        grey = how.gray or (shape is not None and len(shape) == 2)
        pixels = self._grey(upright) if grey else self._colour(upright)
        if how.invert:
            pixels = ImageOps.invert(pixels)
            self.changes["inverted"] = "inverted"
        if shape is None:
            return pixels.convert("L") if pixels.mode == "RGB" and is_grey(pixels) else pixels
        return _in_mode(pixels, "RGB" if len(shape) == 3 else "L")

    def values(self, deep: NDArray[Any], *, clear: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
        """Values of 16 bits, 32 bits or floating point -> uint8 of the same shape. `clear` are transparent, and do not
        count."""
        self._ranged = True
        seen = deep if clear is None else deep[~clear]
        low, high = self._how.range or (0, DEEPEST)
        if self._how.range is None:
            if deep.dtype.kind == "f":
                raise self._bad(f"has floating-point pixels; {RANGED}{_usual(deep)}")
            if deep.size and (deep.min() < 0 or deep.max() > DEEPEST):
                raise self._bad(f"has 32-bit values; {RANGED}")
            if np.any(seen % 257):
                if not self._how.gray:
                    raise self._bad(f"has 16 bits a pixel; --gray (gray=True) rounds them to 8; {RANGED}")
                self.lost["deep"] = "lost 8 of the 16 bits of each pixel"
            brightest = int(seen.max(initial=0))
            if 0 < brightest < DEEPEST // 8:
                top = (1 << brightest.bit_length()) - 1
                self.losses["dark"] = (
                    f"becomes dark, for its values end at {brightest} of {DEEPEST}; "
                    f"--range 0 {top} (range=(0, {top})) keeps its contrast"
                )
        result, outside = np.empty(deep.shape, np.uint8), 0
        for top in range(0, len(deep), STRIP):
            part = slice(top, top + STRIP)
            with np.errstate(invalid="ignore"):
                scaled = (deep[part].astype(np.float64) - low) * (255 / (high - low))
                inside = (scaled >= 0) & (scaled <= 255)  # False for NaN
            outside += int((~inside if clear is None else ~inside & ~clear[part]).sum())
            result[part] = (np.clip(np.nan_to_num(scaled), 0, 255) + 0.5).astype(np.uint8)
        if outside:
            ends = f"--range {low:g} {high:g} (range=({low:g}, {high:g}))"
            self.losses["clipped"] = f"clipped {outside} of {deep.size} values, which are outside of {ends}"
        return result

    def _bad(self, why: str) -> BadImage:
        return BadImage(f"{self.name}: {why}")

    def _wrong_size(self, size: tuple[int, int]) -> str:
        """What is wrong with an image of this size, if nothing may be done about it."""
        if self._shape is None or self._how.fit or size == self._shape[1::-1]:
            return ""
        what = f"{size[0]} x {size[1]} pixels, not {self._shape[1]} x {self._shape[0]}"
        return f"{what}; --fit contain (fit='contain') scales it, atlc encode --grid (encode_image) keeps its size"

    def _scaled(self, image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, Image.Image | None]:
        """The image scaled to (columns, rows), or into them; then also the bars, onto which it is to be put."""
        how, bars = self._how, None
        ratios = image.width / size[0], image.height / size[1]
        if how.fit == "stretch":
            scaled, ratio = image.resize(size, Resampling.BICUBIC), max(ratios)
        elif how.fit == "cover":
            scaled, ratio = ImageOps.fit(image, size, Resampling.BICUBIC), min(ratios)
        else:
            ratio = max(ratios)
            inside = max(1, round(image.width / ratio)), max(1, round(image.height / ratio))
            scaled = image.resize(inside, Resampling.BICUBIC)
            beside = "black" if how.background in (None, "auto") else how.background
            bars = Image.new("RGB", size, _colour_named(beside or "black")).convert(image.mode)
        to = f"{scaled.width} x {scaled.height}"
        self.changes["scaled"] = f"{'reduced' if ratio > 1 else 'enlarged' if ratio < 1 else 'cut'} to {to}"
        if ratio > TENFOLD:
            self.losses["reduced"] = f"reduced from {image.width} x {image.height} to {to} pixels"
        return scaled, bars

    def _colour(self, image: Image.Image) -> Image.Image:
        """In mode RGB. Grey images, also those of 16 bits, get three equal channels."""
        if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
            return self._grey(image).convert("RGB")
        return _in_mode(self._opaque(image), "RGB")

    def _grey(self, image: Image.Image) -> Image.Image:
        """In mode L."""
        if image.mode in ("1", "L") and "transparency" not in image.info:
            return _in_mode(image, "L")
        if image.mode == "F" or image.mode.startswith("I"):
            return self._eight_bits(image)
        opaque = self._opaque(image)
        if not is_grey(opaque):
            if not self._how.gray:
                raise self._bad("is in colour; --gray (gray=True) takes its luminance")
            self.changes["grey"] = "in grey"
        return in_strips("L", image.size, lambda top, bottom: rows_of(opaque, top, bottom).convert("RGB").convert("L"))

    def _eight_bits(self, image: Image.Image) -> Image.Image:
        """Values of 16 bits, 32 bits or floating point in mode L."""
        deep = np.asarray(image)
        clear = deep == image.info["transparency"] if "transparency" in image.info else None
        if clear is None or not clear.any():
            return Image.fromarray(self.values(deep, clear=clear))
        if not (self._how.gray or self._how.background):
            raise self._bad(TRANSPARENT)
        pixels = self.values(deep, clear=clear)
        self.lost["transparent"] = OPAQUE
        pixels[clear] = self._ground(float(pixels[~clear].mean()) if not clear.all() else 0)[0]
        return Image.fromarray(pixels)

    def _opaque(self, image: Image.Image) -> Image.Image:
        """An image with transparent parts on its background; others as they are."""
        if image.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in image.info:
            return image
        parts = [(top, min(top + STRIP, image.height)) for top in range(0, image.height, STRIP)]
        if all(rows_of(image, *part).convert("RGBA").getchannel("A").getextrema() == (255, 255) for part in parts):
            return image.convert("RGBA")
        if not (self._how.gray or self._how.background):
            raise self._bad(TRANSPARENT)
        self._flattened = True
        self.lost["transparent"] = OPAQUE
        total = weight = 0.0
        for part in parts:
            layers = rows_of(image, *part).convert("RGBA")
            visible = np.asarray(layers.getchannel("A"), np.float64) + 1e-9
            total += float((np.asarray(layers.convert("RGB").convert("L")) * visible).sum())
            weight += float(visible.sum())
        ground = (*self._ground(total / weight), 255)

        def flat(top: int, bottom: int) -> Image.Image:
            layers = rows_of(image, top, bottom).convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", layers.size, ground), layers).convert("RGB")

        return in_strips("RGB", image.size, flat)

    def _ground(self, brightness: float) -> tuple[int, int, int]:
        """The colour behind transparent parts, if the others have this mean brightness."""
        if self._how.background == "auto":
            return (0, 0, 0) if brightness >= 128 else (255, 255, 255)
        red, green, blue, *_ = _colour_named(self._how.background or "black")
        return red, green, blue


def _usual(values: NDArray[Any]) -> str:
    """What floating-point pixels are, and the range that they most likely have, for a message."""
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if not low < high < np.inf:
        return ""
    begin, end = next((some for some in ((0, 1), (-1, 1), (0, 255)) if some[0] <= low and high <= some[1]), (low, high))
    return f": these are from {low:.3g} to {high:.3g}, so perhaps --range {begin:g} {end:g}"


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Columns and rows, as the orientation in EXIF says."""
    on_its_side = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
    return (image.height, image.width) if on_its_side else image.size


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image in this mode; no copy, if it has it."""
    return image if image.mode == mode else image.convert(mode)


def _turned(image: Image.Image, original: Image.Image) -> Image.Image:
    """The image turned as the orientation in the EXIF of the original says."""
    method = TURNS.get(original.getexif().get(ORIENTATION, 1))
    return image if method is None else image.transpose(method)


def check_background(name: str | None) -> None:
    """Raise `BadImage` if this is not a background, also where no image needs one."""
    if name not in (None, "auto"):
        _colour_named(name or "")


def _colour_named(name: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(name)
    except ValueError:
        raise BadImage(f"unknown background {name!r}; use black, white, auto, or a colour like #ff8000") from None
