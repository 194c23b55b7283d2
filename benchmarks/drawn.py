"""Pictures for benchmarks, drawn by a program: signs in colour before any ground, and Georgian letters.

python benchmarks/drawn.py signs FOLDER      6,000 for training and 1,000 for tests, as FOLDER/train/LABEL/*.png
python benchmarks/drawn.py letters FOLDER    the same

The letters need the extra `train`, whose matplotlib brings the fonts."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZES = {"train": 6000, "test": 1000}
FINE = 4  # pictures are drawn so many times as large, then reduced

# Signs: a plate, each with its colours (rim, ground, symbol), and a symbol on it make a label.
SIGN = 32  # pixels of a side
RED, BLUE, YELLOW, WHITE, BLACK = (190, 25, 35), (20, 80, 170), (240, 190, 20), (240, 240, 235), (20, 20, 25)
PLATES = {
    "ring": (RED, WHITE, BLACK),
    "disc": (BLUE, BLUE, WHITE),
    "triangle": (RED, WHITE, BLACK),
    "diamond": (WHITE, YELLOW, BLACK),
    "octagon": (WHITE, RED, WHITE),
}
SYMBOLS = ("left", "right", "ahead", "bar", "cross", "dots")

# Letters: the 33 of the modern Georgian alphabet.
LETTER = 28
ALPHABET = [chr(code) for code in range(0x10D0, 0x10F1)]
FONTS = ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "SansMono-Bold", "Serif", "Serif-Bold", "Serif-Italic")


def sign(rng: np.random.Generator) -> tuple[str, Image.Image]:
    """The label of a sign, and its picture: 32 x 32, in colour. It is turned, moved, near or far, in the light or in
    the shade, and out of focus; no two have the same ground."""
    plate, symbol = str(rng.choice(list(PLATES))), str(rng.choice(SYMBOLS))
    side, ground = SIGN * FINE, _ground(rng, SIGN * FINE)
    radius = rng.uniform(0.32, 0.47) * side
    centre = side / 2 + rng.uniform(-0.06, 0.06, 2) * side
    turn, squeeze = rng.normal(0, 0.08), rng.uniform(0.8, 1)

    def place(points: list[tuple[float, float]], scale: float = 1) -> list[tuple[float, float]]:
        """Points of a plate of radius 1, in pixels."""
        cos, sin = math.cos(turn) * radius * scale, math.sin(turn) * radius * scale
        return [(centre[0] + (x * cos - y * sin) * squeeze, centre[1] + x * sin + y * cos) for x, y in points]

    pen, (rim, inside, ink) = ImageDraw.Draw(ground), PLATES[plate]
    outline = _outline(plate)
    pen.polygon(place(outline), fill=rim)
    pen.polygon(place(outline, 0.78), fill=inside)
    smaller = 0.62 if plate == "triangle" else 1.0
    for points in _strokes(symbol):
        pen.polygon(place([(x * smaller, y * smaller + (1 - smaller) * 0.2) for x, y in points]), fill=ink)
    blurred = ground.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9) * FINE))
    pixels = np.asarray(blurred.resize((SIGN, SIGN), Image.Resampling.BOX), np.float64)
    light = rng.uniform(0.45, 1.1) * (1 + rng.normal(0, 0.04, 3))
    pixels = pixels * light + rng.normal(0, rng.uniform(0, 6), pixels.shape)
    return f"{plate}-{symbol}", Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _ground(rng: np.random.Generator, side: int) -> Image.Image:
    """Sky above, something below, and patches of other colours: a street out of focus."""
    top, bottom = rng.uniform(90, 230, 3), rng.uniform(20, 160, 3)
    share = np.linspace(0, 1, side)[:, None, None] ** rng.uniform(0.5, 2)
    picture = Image.fromarray((top * (1 - share) + bottom * share).repeat(side, axis=1).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 7)):
        x, y = rng.uniform(-0.2, 1, 2) * side
        width, height = rng.uniform(0.05, 0.7, 2) * side
        colour = tuple(rng.integers(20, 220, 3).tolist())
        (pen.rectangle if rng.random() < 0.6 else pen.ellipse)((x, y, x + width, y + height), fill=colour)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(1, 8)))


def _outline(plate: str) -> list[tuple[float, float]]:
    corners, first = {"triangle": (3, -90), "diamond": (4, -90), "octagon": (8, -67.5)}.get(plate, (48, 0))
    angles = [math.radians(first + 360 * corner / corners) for corner in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _strokes(symbol: str) -> list[list[tuple[float, float]]]:
    """The polygons of a symbol, within a plate of radius 1."""
    arrow = [(-0.1, 0.5), (-0.1, -0.1), (-0.35, -0.1), (0, -0.55), (0.35, -0.1), (0.1, -0.1), (0.1, 0.5)]
    bar = [(-0.5, -0.13), (0.5, -0.13), (0.5, 0.13), (-0.5, 0.13)]
    match symbol:
        case "ahead":
            return [arrow]
        case "left":
            return [[(y, -x) for x, y in arrow]]
        case "right":
            return [[(-y, x) for x, y in arrow]]
        case "bar":
            return [bar]
        case "cross":
            turned = [((x - y) * 0.7, (x + y) * 0.7) for x, y in bar]
            return [turned, [(-x, y) for x, y in turned]]
    return [[(x + dx, dy * 0.8 + y) for x, y in _small_square()] for dx, dy in ((0, -0.4), (-0.32, 0.25), (0.32, 0.25))]


def _small_square() -> list[tuple[float, float]]:
    return [(-0.16, -0.16), (0.16, -0.16), (0.16, 0.16), (-0.16, 0.16)]


def letter(rng: np.random.Generator) -> tuple[str, Image.Image]:
    """The label of a letter, and its picture: 28 x 28, grey, white on black, in one of eight fonts; turned, sheared,
    of any weight between thin and bold."""
    number = int(rng.integers(len(ALPHABET)))
    side = LETTER * FINE
    canvas = Image.new("L", (side, side))
    font = _font(str(rng.choice(FONTS)), int(rng.uniform(0.55, 0.75) * side))
    weight = int(rng.integers(0, 4))
    ImageDraw.Draw(canvas).text((side / 2, side / 2), ALPHABET[number], 255, font, "mm", stroke_width=weight)
    return f"{number:02}-U+{ord(ALPHABET[number]):04X}", reduced(rng, bent(rng, canvas, 0.05), LETTER, 0.5)


def bent(rng: np.random.Generator, canvas: Image.Image, most: float) -> Image.Image:
    """A square picture turned and sheared a little, and moved by at most this share of its side."""
    side = canvas.width
    angle, shear, (dx, dy) = rng.normal(0, 0.12), rng.normal(0, 0.15), rng.uniform(-most, most, 2) * side
    cos, sin, half = math.cos(angle), math.sin(angle), side / 2
    a, b, d, e = cos, sin + shear, -sin, cos
    matrix = (a, b, half - a * (half + dx) - b * (half + dy), d, e, half - d * (half + dx) - e * (half + dy))
    return canvas.transform(canvas.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def reduced(rng: np.random.Generator, canvas: Image.Image, side: int, most: float) -> Image.Image:
    """A picture that was drawn `FINE` times as large, in its size, with soft edges: blurred by at most so many
    pixels."""
    soft = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, most) * FINE))
    return soft.resize((side, side), Image.Resampling.BOX)


@functools.cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"DejaVu{name}.ttf")), size)


KINDS: dict[str, Callable[[np.random.Generator], tuple[str, Image.Image]]] = {"signs": sign, "letters": letter}


def write(kind: str, folder: Path, sizes: dict[str, int] = SIZES, seed: int = 0) -> None:
    """Draw a set into `folder/train/LABEL` and `folder/test/LABEL`. The same seed draws the same pictures."""
    for number, (split, count) in enumerate(sizes.items()):
        rng = np.random.default_rng([seed, number])
        for index in range(count):
            label, picture = KINDS[kind](rng)
            path = folder / split / label / f"{index:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    write(sys.argv[1], Path(sys.argv[2]))
