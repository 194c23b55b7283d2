"""Many image files, read into one array."""

from __future__ import annotations

import os

import numpy as np

from atlcodec import picture
from atlcodec.codec import Images
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.shape import Shape

Read = tuple[Images, dict[int, str]]  # images, and by number what is wrong with the others


def read_files(root: str, paths: list[str], *, shape: Shape, how: Fit) -> Read:
    """The images that can be read, uint8 (N, *shape), and by number what is wrong with the others."""
    images, problems = [], {}
    for number, path in enumerate(paths):
        try:
            images.append(picture.read(os.path.join(root, path), how, shape=shape))
        except AtlcError as error:
            problems[number] = str(error)
    return stack(images, shape), problems


def stack(images: list[Images], shape: Shape) -> Images:
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)
