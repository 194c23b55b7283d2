"""Drawn scenes of any size, and codecs whose tiles say what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlcodec import install
from atlcodec.codec import Codec
from drawings import Pixels
from shape_kit import write_codec

COLOUR = (24, 20, 3)


def scene(height: int, width: int, channels: int = 1) -> Pixels:
    """Soft hills with some bright discs, uint8 (height, width) or (height, width, 3)."""
    rng = np.random.default_rng([height, width])
    down, across = np.mgrid[0:height, 0:width]
    made = np.zeros((height, width, channels))
    for channel in range(channels):
        made[:, :, channel] = 110 + 50 * np.sin(down / 31 + channel) + 40 * np.cos(across / 37 - channel)
        for _ in range(height * width // 4000):
            y, x, radius = rng.integers(0, height), rng.integers(0, width), rng.uniform(4, 15)
            made[np.hypot(down - y, across - x) < radius, channel] = rng.integers(100, 256)
    return np.clip(made if channels == 3 else made[:, :, 0], 0, 255).astype(np.uint8)


def add_colours(folder: Path) -> Codec:
    """Install an untrained codec in colour."""
    install.add(write_codec(folder / "colours", COLOUR))
    return Codec.load("colours")
