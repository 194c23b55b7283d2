"""Images that a program draws or cuts, uint8 (count, 28, 28): digits, letters of many scripts, shapes, pieces of
photographs. They are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 28
SCALE = 8  # letters and shapes are drawn so many times as large, then reduced
SCRIPTS = {  # first and last code points
    "Latin letters": ((0x41, 0x5A), (0x61, 0x7A)),
    "Greek letters": ((0x391, 0x3A9), (0x3B1, 0x3C9)),
    "Cyrillic letters": ((0x410, 0x44F),),
    "Armenian, Georgian, Hebrew and Arabic letters": (
        *((0x531, 0x556), (0x561, 0x586), (0x10D0, 0x10F0)),
        *((0x5D0, 0x5EA), (0x621, 0x63A)),
    ),
}
Images = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def digits(count: int) -> Images:
    """Digits of one typeface, each turned, scaled and moved a little."""
    rng = np.random.default_rng(0)
    fonts = [ImageFont.load_default(size) for size in range(18, 26)]
    made = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
        canvas = Image.new("L", (SIDE, SIDE))
        place, font = rng.normal(SIDE / 2, 1, 2), fonts[rng.integers(len(fonts))]
        ImageDraw.Draw(canvas).text((place[0], place[1]), str(index % 10), fill=255, font=font, anchor="mm")
        turned = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        made[index] = np.asarray(turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8))))
    return made


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


def letters(ranges: Sequence[tuple[int, int]], count: int) -> Images:
    """Letters of some ranges of Unicode, in many fonts."""
    wanted = {chr(code) for first, last in ranges for code in range(first, last + 1)}
    pairs = [(font, letter) for font, known in _fonts() for letter in sorted(wanted & known)]
    rng = np.random.default_rng(0)
    made = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
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
        made[index] = np.asarray(image)
    return made


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
    rng = np.random.default_rng(0)
    made = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
        canvas = Image.new("L", (SIDE * SCALE, SIDE * SCALE))
        pen = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(1, 4)):
            (left, top), (right, bottom) = rng.uniform(2, 14, 2) * SCALE, rng.uniform(16, 26, 2) * SCALE
            grey, width = int(rng.integers(128, 256)), int(rng.uniform(1, 4) * SCALE)
            fill = grey if rng.random() < 0.5 else None
            kind = rng.integers(4)
            if kind == 0:
                pen.ellipse((left, top, right, bottom), fill, grey, width)
            elif kind == 1:
                pen.rectangle((left, top, right, bottom), fill, grey, width)
            elif kind == 2:
                pen.polygon([(left, bottom), (right, bottom), (rng.uniform(left, right), top)], fill, grey, width)
            else:
                pen.line((left, top, right, bottom), grey, width)
        made[index] = np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX))
    return made


def photographs(count: int) -> Images:
    """Pieces of scikit-image's photographs, grey, at a quarter of their size."""
    from skimage import data

    photos: list[Images] = [data.camera(), data.astronaut(), data.chelsea(), data.coffee()]  # type: ignore[no-untyped-call]
    small = [np.asarray(Image.fromarray(photo).convert("L").reduce(4)) for photo in photos]
    rng = np.random.default_rng(0)
    made = np.empty((count, SIDE, SIDE), np.uint8)
    for index in range(count):
        photo = small[index % len(small)]
        y, x = (rng.integers(side - SIDE + 1) for side in photo.shape)
        made[index] = photo[y : y + SIDE, x : x + SIDE]
    return made
