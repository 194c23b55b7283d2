"""What is shown of one image: decoded, or original, decoded and difference beside each other."""

from __future__ import annotations

import numpy as np

from atlcodec.show.items import Item, Pixels

AMPLIFIED = 4  # the difference; most of it is a few grey levels
BETWEEN = 1  # pixels


def coloured(image: Pixels) -> Pixels:
    """An image in colour, (rows, columns, 3)."""
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def difference(original: Pixels, image: Pixels) -> Pixels:
    """What was lost: grey where both are equal, brighter and darker by `AMPLIFIED` times the difference."""
    change = image.astype(np.int32) - original
    return np.asarray(np.clip(128 + AMPLIFIED * change, 0, 255), np.uint8)


def panels(item: Item, image: Pixels) -> Pixels:
    """The image; with its original, all three of them."""
    if item.original is None or item.original.shape != image.shape:
        return coloured(image)
    between = np.full((len(image), BETWEEN, 3), 128, np.uint8)
    parts = item.original, image, difference(item.original, image)
    return np.concatenate([coloured(parts[0]), between, coloured(parts[1]), between, coloured(parts[2])], axis=1)


def smaller(image: Pixels, most: int, scale: int = 1) -> Pixels:
    """The image with each pixel as a square of `scale`, or with the mean of squares of pixels, so that it is at most
    `most` pixels wide."""
    for factor in range(scale, 0, -1):
        if image.shape[1] * factor <= most:
            return image.repeat(factor, 0).repeat(factor, 1)
    side = -(-image.shape[1] // most)
    rows, columns = -(-image.shape[0] // side), -(-image.shape[1] // side)
    padded = np.pad(image, ((0, rows * side - image.shape[0]), (0, columns * side - image.shape[1]), (0, 0)), "edge")
    return np.asarray(np.rint(padded.reshape(rows, side, columns, side, 3).mean(axis=(1, 3))), np.uint8)
