"""Draw sample images, 28 x 28, white on black, like the digits that the bundled models know.

python examples/draw.py digit.png           one seven
python examples/draw.py --set pictures      forty ones and sevens in pictures/1 and pictures/7, two more in more/
python examples/draw.py --digits digits     three hundred digits of a font in digits/0 to digits/9
python examples/draw.py --scene scene.png   a page of 300 x 200 pixels with seven lines of ten digits
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE = 28
FINE = 8  # draw larger by this factor, then scale down: soft edges, like those of a scanned pen stroke
PEN = 2.6  # pixels
# The centre of mass is in the middle, as in MNIST.
SEVEN = (
    ((6.4, 9.6), (10.0, 9.4), (15.0, 8.9), (19.6, 8.6)),
    ((19.6, 8.6), (17.8, 13.0), (15.2, 18.0), (13.4, 24.4)),
)
ONE = (((14.0, 5.0), (14.0, 23.5)),)
EACH = 20  # images of a digit in a set


def draw(strokes: tuple[tuple[tuple[float, float], ...], ...], slant: float = 0) -> Image.Image:
    """The image of a digit, mode L, 28 x 28. `slant` moves its top to the right, in pixels."""
    image = Image.new("L", (SIDE * FINE, SIDE * FINE))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [((x + slant * (SIDE / 2 - y) / SIDE) * FINE, y * FINE) for x, y in stroke]
        pen.line(points, fill=255, width=round(PEN * FINE), joint="curve")
        for point in points:  # round ends
            pen.circle(point, PEN * FINE / 2, fill=255)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def seven() -> Image.Image:
    """The sample image of the README."""
    return draw(SEVEN)


def write_set(folder: Path) -> None:
    """Ones and sevens with different slants in folders of their labels, and two more of them in `more` beside it."""
    for label, strokes in (("1", ONE), ("7", SEVEN)):
        for number in range(EACH):
            save(draw(strokes, 6 * number / (EACH - 1) - 3), folder / label / f"{number:02}.png")
        save(draw(strokes, 0.5), folder.with_name("more") / label / "new.png")


def write_digits(folder: Path) -> None:
    """Digits of Pillow's own font, larger and smaller, thin and bold, upright and slanted."""
    rng = random.Random(1)
    for label in "0123456789":
        for number in range(30):
            font = ImageFont.load_default(rng.uniform(19, 24) * FINE)
            page = Image.new("L", (SIDE * FINE, SIDE * FINE))
            middle, bold = SIDE * FINE / 2, rng.uniform(0, 0.8) * FINE
            ImageDraw.Draw(page).text((middle, middle), label, 255, font, "mm", stroke_width=bold)
            slant = rng.uniform(-0.15, 0.45)
            page = page.transform(page.size, Image.Transform.AFFINE, (1, slant, -slant * middle, 0, 1, 0))
            save(page.resize((SIDE, SIDE), Image.Resampling.BOX), folder / label / f"{number:02}.png")


def scene() -> Image.Image:
    """Ones and sevens in a grid, on a page that is a little larger. Those below a diagonal are sevens."""
    page = Image.new("L", (300, 200))
    for row in range(7):
        for column in range(10):
            strokes = SEVEN if 10 * row >= 7 * column else ONE
            page.paste(draw(strokes, (row + 2 * column) % 6 - 2.5), (column * SIDE, row * SIDE))
    return page


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--set", folder]:
            write_set(Path(folder))
        case ["--digits", folder]:
            write_digits(Path(folder))
        case ["--scene", name]:
            save(scene(), Path(name))
        case [name] if not name.startswith("-"):
            save(seven(), Path(name))
        case _:
            sys.exit(__doc__)
