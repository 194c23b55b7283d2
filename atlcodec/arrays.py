"""Arrays as people have them -> images uint8 (N, *shape)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlcodec.errors import BadImage


def as_array(images: ArrayLike) -> NDArray[Any]:
    """An array of anything that is like one; a tensor of PyTorch may need gradients, or lie on a GPU. Raises `BadImage`
    for what is not, for example rows of different lengths."""
    detach = getattr(images, "detach", None)
    if detach is not None:
        images = detach().cpu()
    try:
        return np.asarray(images)
    except (ValueError, TypeError) as error:
        raise BadImage(f"images must be an array, with the same number of pixels in each row ({error})") from error


def as_images(images: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Images, or one, of a codec's shape: with axes of length 1 for grey ones, or as flat rows. Whole numbers from 0 to
    255 of any type, or booleans for black and white.

    Raises `BadImage`, whose message says what to do."""
    array = as_array(images)
    length = math.prod(shape)
    told = ", ".join(map(str, shape))
    if array.dtype.kind not in "bui":
        hint = "; for values from 0 to 1: (images * 255).round().astype('uint8')" if array.dtype.kind == "f" else ""
        raise BadImage(f"images must be uint8 (N, {told}), not {array.dtype} {array.shape}{hint}")
    if array.ndim == len(shape) and array.shape == shape:
        array = array[None]  # one image
    elif array.ndim == 2 and array.shape[1] == length:
        array = array.reshape(-1, *shape)  # flat rows
    elif array.ndim == 4 and len(shape) == 2 and array.shape[1:] in ((*shape, 1), (1, *shape)):
        array = array.reshape(-1, *shape)
    if array.shape[1:] != shape or array.ndim != 1 + len(shape):
        hint = ""
        if array.ndim == 4 and len(shape) == 3 and array.shape[1:] == (shape[2], *shape[:2]):
            hint = "; reshape with images.transpose(0, 2, 3, 1)"
        elif array.ndim in (2, 3, 4):
            hint = "; atlcodec.encode(image, fit='contain', gray=True) takes single images of other sizes and colours"
        raise BadImage(f"images must be uint8 (N, {told}), not {array.dtype} {array.shape}{hint}")
    if array.dtype == np.bool_:
        return array * np.uint8(255)
    if array.dtype != np.uint8:
        if array.size and (array.min() < 0 or array.max() > 255):
            raise BadImage(
                f"images must have values from 0 to 255, not {array.min()} to {array.max()} ({array.dtype}); "
                "atlcodec.encode(image, range=(low, high)) takes others"
            )
        return array.astype(np.uint8)
    return np.asarray(array, np.uint8)
