"""Draw a sample image: a seven, 28 x 28, white on black, like the digits that the bundled models know.

python examples/draw.py digit.png
"""

from __future__ import annotations

import sys

from PIL import Image, ImageDraw

SIDE = 28
FINE = 8  # draw larger by this factor, then scale down: soft edges, like those of a scanned pen stroke
PEN = 2.6  # pixels
STROKES = (  # the centre of mass is in the middle, as in MNIST
    ((6.4, 9.6), (10.0, 9.4), (15.0, 8.9), (19.6, 8.6)),
    ((19.6, 8.6), (17.8, 13.0), (15.2, 18.0), (13.4, 24.4)),
)


def seven() -> Image.Image:
    """The image, mode L, 28 x 28."""
    image = Image.new("L", (SIDE * FINE, SIDE * FINE))
    draw = ImageDraw.Draw(image)
    for stroke in STROKES:
        points = [(x * FINE, y * FINE) for x, y in stroke]
        draw.line(points, fill=255, width=round(PEN * FINE), joint="curve")
        for point in points:  # round ends
            draw.circle(point, PEN * FINE / 2, fill=255)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/draw.py FILE.png")
    seven().save(sys.argv[1], optimize=True)
