"""Pictures unlike those of the data sets: letters of other scripts, shapes, pieces of photographs. The same each
time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rivals import Images

SCRIPTS = {  # first and last code points
    "Latin letters": ((0x41, 0x5A), (0x61, 0x7A)),
    "Greek letters": ((0x391, 0x3A9), (0x3B1, 0x3C9)),
    "Cyrillic letters": ((0x410, 0x44F),),
    "Armenian, Georgian, Hebrew and Arabic letters": (
        (0x531, 0x556),
        (0x561, 0x586),
        (0x10D0, 0x10F0),
        (0x5D0, 0x5EA),
        (0x621, 0x63A),
    ),
}
SCALE = 8  # drawn so many times as large, then made small


def letters(ranges: Sequence[tuple[int, int]], count: int) -> Images:
    """Letters of some ranges of Unicode, in many fonts: uint8 (count, 28, 28), the same each time."""
    wanted = {chr(code) for first, last in ranges for code in range(first, last + 1)}
    pairs = [(font, letter) for font, known in fonts() for letter in sorted(wanted & known)]
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        font, letter = pairs[rng.integers(len(pairs))]
        canvas = Image.new("L", (60 * SCALE, 60 * SCALE))
        ImageDraw.Draw(canvas).text((30 * SCALE, 30 * SCALE), letter, fill=255, font=font, anchor="mm")
        canvas = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR)
        glyph = canvas.crop(canvas.getbbox())
        scale = rng.uniform(16, 22) / max(glyph.size)
        width, height = (max(1, round(side * scale)) for side in glyph.size)
        small = Image.new("L", (28, 28))
        x, y = (int(np.clip(round((28 - side) / 2 + rng.normal()), 0, 28 - side)) for side in (width, height))
        small.paste(glyph.resize((width, height), Image.Resampling.BOX), (x, y))
        made[index] = np.asarray(small)
    return made


def fonts() -> list[tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, set[str]]]:
    """Those that come with Matplotlib and Pillow, and the characters that each has: the same on every machine."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    found: list[tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, set[str]]] = []
    for path in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")):
        if path.stem.startswith(("DejaVu", "STIXGeneral")):
            found.append((ImageFont.truetype(path, 30 * SCALE), set(map(chr, FT2Font(str(path)).get_charmap()))))
    found.append((ImageFont.load_default(30 * SCALE), set(map(chr, range(ord("A"), ord("z") + 1)))))
    return found


def shapes(count: int) -> Images:
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        canvas = Image.new("L", (28 * SCALE, 28 * SCALE))
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
        made[index] = np.asarray(canvas.resize((28, 28), Image.Resampling.BOX))
    return made


def photographs(count: int) -> Images:
    from skimage import data

    taken: list[Images] = [data.camera(), data.astronaut(), data.chelsea(), data.coffee()]  # type: ignore[no-untyped-call]
    large = [Image.fromarray(photograph).convert("L") for photograph in taken]
    small = [np.asarray(picture.reduce(4)) for picture in large]
    rng = np.random.default_rng(0)
    made = np.empty((count, 28, 28), np.uint8)
    for index in range(count):
        whole = small[index % len(small)]
        y, x = (rng.integers(side - 27) for side in whole.shape)
        made[index] = whole[y : y + 28, x : x + 28]
    return made
