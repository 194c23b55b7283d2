"""Grids through Pillow: the tiles of an image are one frame, in its own size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import atlcodec
from atlcodec.description import Description, unpack
from atlcodec.errors import LossWarning
from grid_kit import add_colours, scene
from kit import MNIST, records

atlcodec.register_pillow()


def test_an_image_of_any_size_there_and_back(tmp_path: Path, user_folder: Path) -> None:
    add_colours(tmp_path)
    atlcodec.register_pillow()  # else it looks for new codecs once a second
    image, target = scene(60, 75), tmp_path / "x.atlc"
    Image.fromarray(image).save(target, grid=True)
    assert target.read_bytes() == atlcodec.encode_image(image)
    with Image.open(target) as back:
        assert (back.mode, back.size, getattr(back, "n_frames", 0)) == ("L", (75, 60), 1)
        assert np.array_equal(np.asarray(back), atlcodec.decode_image(target))
    Image.fromarray(image).save(target, grid=True, model="fashion", effort=0, overlap=0)
    assert target.read_bytes() == atlcodec.encode_image(image, "fashion", 0, 0)
    colours = scene(60, 75, 3)
    Image.fromarray(colours).save(target, grid=True, model="colours", append=True)
    with Image.open(target) as back:
        assert getattr(back, "n_frames", 0) == 2
        assert getattr(back, "is_animated", False)
        back.seek(1)
        assert (back.mode, back.size) == ("RGB", (75, 60))
        assert np.array_equal(np.asarray(back), atlcodec.decode_image(atlcodec.encode_image(colours, "colours")))
        back.seek(0)
        assert (back.mode, np.asarray(back).shape) == ("L", (60, 75))
        with pytest.raises(EOFError):
            back.seek(2)
        back.verify()


def test_frames_are_images_and_not_tiles(tmp_path: Path) -> None:
    first, second = atlcodec.encode_image(scene(40, 30), MNIST), atlcodec.encode_image(scene(30, 50), MNIST)
    single = records(3)
    whole = first + single[:2].tobytes() + second + single[2:].tobytes()
    with Image.open(io.BytesIO(whole)) as image:
        assert getattr(image, "n_frames", 0) == 5
        sizes = []
        for frame in range(5):
            image.seek(frame)
            image.load()
            sizes.append(image.size)
        assert sizes == [(30, 40), (28, 28), (28, 28), (50, 30), (28, 28)]
        image.seek(2)
        assert np.abs(np.asarray(image).astype(int) - atlcodec.decode(single[1])).max() <= 1
    with Image.open(io.BytesIO(single[:1].tobytes() + first)) as image:
        assert getattr(image, "n_frames", 0) == 1 + len(first) // 200


def test_missing_tiles_are_told(tmp_path: Path) -> None:
    data = atlcodec.encode_image(scene(90, 90), MNIST)
    with Image.open(io.BytesIO(data[:-400])) as image, pytest.warns(LossWarning, match="2 of 16 tiles are missing"):
        assert np.asarray(image).shape == (90, 90)
    with Image.open(io.BytesIO(data[:200])) as image, pytest.raises(OSError, match="and the file has only 0"):
        image.load()
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_description_that_promises_too_much_is_a_bomb() -> None:
    described = atlcodec.encode_image(scene(40, 40), MNIST)[:200]
    huge = Description(10**6, 10**6, 1, unpack(described).codec, (28, 28)).pack()
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(huge))
    later = described[:4] + b"\2" + described[5:]
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(later))
