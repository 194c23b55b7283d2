"""Images that a program draws or cuts, uint8 (count, 28, 28): digits, letters, shapes, pieces of photographs.

They are the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 28
SCALE = 8  # letters and shapes are drawn so many times as large, then reduced
SCRIPTS = {  # first and last letters
    "Latin letters": ("AZ", "az"),
    "Greek letters": ("\u0391\u03a9", "\u03b1\u03c9"),
    "Cyrillic letters": ("\u0410\u044f",),
    "Armenian, Georgian, Hebrew and Arabic letters": (
        *("\u0531\u0556", "\u0561\u0586", "\u10d0\u10f0", "\u05d0\u05ea", "\u0621\u063a"),
    ),
}
Images = NDArray[np.uint8]
Drawn = Image.Image | Images
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _drawn(count: int, draw: Callable[[Generator, int], Drawn]) -> Images:
    rng = np.random.default_rng(0)
    return np.stack([np.asarray(draw(rng, index), np.uint8) for index in range(count)])


def digits(count: int) -> Images:
    """Digits of one typeface, each turned, scaled and moved a little."""
    fonts = [ImageFont.load_default(size) for size in range(18, 26)]

    def draw(rng: Generator, index: int) -> Drawn:
        canvas = Image.new("L", (SIDE, SIDE))
        place, font = rng.normal(SIDE / 2, 1, 2), fonts[rng.integers(len(fonts))]
        ImageDraw.Draw(canvas).text((place[0], place[1]), str(index % 10), fill=255, font=font, anchor="mm")
        turned = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        return turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))

    return _drawn(count, draw)


def moving_digits(number: int, batch: int = 1) -> Iterator[Images]:
    """`number` digits in batches; each batch is moved by up to 3 pixels."""
    some, rng = digits(2000), np.random.default_rng(1)
    for start in range(0, number, batch):
        chosen = some[rng.integers(len(some), size=min(batch, number - start))]
        yield np.roll(chosen, rng.integers(-3, 4, 2), axis=(1, 2))


def others(count: int) -> dict[str, Images]:
    """Images unlike those of the data sets, by kind."""
    scripts = {name: letters(ranges, count) for name, ranges in SCRIPTS.items()}
    return {**scripts, "shapes drawn by a program": shapes(count), "pieces of photographs": photographs(count)}


def letters(ranges: Sequence[str], count: int) -> Images:
    """Letters of some ranges of Unicode, in many fonts."""
    wanted = {chr(code) for ends in ranges for code in range(ord(ends[0]), ord(ends[1]) + 1)}
    pairs = [(font, letter) for font, known in _fonts() for letter in sorted(wanted & known)]

    def draw(rng: Generator, index: int) -> Drawn:
        font, letter = pairs[rng.integers(len(pairs))]
        canvas = Image.new("L", (60 * SCALE, 60 * SCALE))
        ImageDraw.Draw(canvas).text((30 * SCALE, 30 * SCALE), letter, fill=255, font=font, anchor="mm")
        canvas = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        glyph = canvas.crop(canvas.getbbox())
        scale = rng.uniform(16, 22) / max(glyph.size)
        width, height = (max(1, round(side * scale)) for side in glyph.size)
        x, y = (int(np.clip(round((SIDE - side) / 2 + rng.normal()), 0, SIDE - side)) for side in (width, height))
        image = Image.new("L", (SIDE, SIDE))
        image.paste(glyph.resize((width, height), Image.Resampling.BOX), (x, y))
        return image

    return _drawn(count, draw)


def _fonts() -> Iterator[tuple[Font, set[str]]]:
    """The fonts of Matplotlib and Pillow, which are the same on every machine, and the characters of each."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    for path in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")):
        if path.stem.startswith(("DejaVu", "STIXGeneral")):
            yield ImageFont.truetype(path, 30 * SCALE), set(map(chr, FT2Font(str(path)).get_charmap()))
    yield ImageFont.load_default(30 * SCALE), set(map(chr, range(ord("A"), ord("z") + 1)))


def shapes(count: int) -> Images:
    """One to three ellipses, rectangles, triangles or lines, filled or not."""

    def draw(rng: Generator, index: int) -> Drawn:
        canvas = Image.new("L", (SIDE * SCALE, SIDE * SCALE))
        pen = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(1, 4)):
            (left, top), (right, bottom) = rng.uniform(2, 14, 2) * SCALE, rng.uniform(16, 26, 2) * SCALE
            grey, width = int(rng.integers(128, 256)), int(rng.uniform(1, 4) * SCALE)
            fill, kind = grey if rng.random() < 0.5 else None, rng.integers(4)
            if kind < 2:
                (pen.rectangle if kind else pen.ellipse)((left, top, right, bottom), fill, grey, width)
            elif kind == 2:
                pen.polygon([(left, bottom), (right, bottom), (rng.uniform(left, right), top)], fill, grey, width)
            else:
                pen.line((left, top, right, bottom), grey, width)
        return canvas.resize((SIDE, SIDE), Image.Resampling.BOX)

    return _drawn(count, draw)


def photographs(count: int) -> Images:
    """Pieces of scikit-image's photographs, grey, at a quarter of their size."""
    from skimage import data

    photos: list[Images] = [data.camera(), data.astronaut(), data.chelsea(), data.coffee()]  # type: ignore[no-untyped-call]
    small = [np.asarray(Image.fromarray(photo).convert("L").reduce(4)) for photo in photos]

    def cut(rng: Generator, index: int) -> Drawn:
        photo = small[index % len(small)]
        y, x = (rng.integers(side - SIDE + 1) for side in photo.shape)
        return photo[y : y + SIDE, x : x + SIDE]

    return _drawn(count, cut)
