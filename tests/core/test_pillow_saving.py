"""Records written through Pillow and imageio."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import api
from atlcodec.codec import Codec
from atlcodec.errors import BadImage, NotARecord
from drawings import Pixels

NAME = "mnist-lenet"

atlcodec.register_pillow()


@pytest.fixture(scope="module")
def sevens(draw: Callable[..., Pixels]) -> Pixels:
    return np.stack([draw(slant) for slant in np.linspace(-4, 4, 5)])


@pytest.fixture
def path(sevens: Pixels, tmp_path: Path) -> Path:
    atlcodec.write(tmp_path / "x.atlc", Codec.load(NAME).encode(sevens))
    return tmp_path / "x.atlc"


@pytest.fixture
def decoded(path: Path) -> Pixels:
    return Codec.load(NAME).decode(atlcodec.open(path).array)


def test_saving_writes_what_the_library_writes(tmp_path: Path, sevens: Pixels) -> None:
    target = tmp_path / "x.atlc"
    images = [Image.fromarray(pixels) for pixels in sevens[:3]]
    images[0].save(target)
    assert target.read_bytes() == atlcodec.encode(sevens[0])
    images[0].save(target, model="kmnist-lenet")
    assert target.read_bytes() == atlcodec.encode(sevens[0], "kmnist-lenet")
    for effort in (0, 3):
        images[0].save(target, model=NAME, effort=effort)
        assert target.read_bytes() == Codec.load(NAME).encode(sevens[:1], effort=effort).tobytes()
    images[0].save(target, save_all=True, append_images=images[1:], model=NAME)
    assert target.read_bytes() == Codec.load(NAME).encode(sevens[:3]).tobytes()
    buffer = io.BytesIO()
    images[0].save(buffer, "ATLC", save_all=True, append_images=images[1:])
    assert buffer.getvalue() == api.choose(sevens[:3])[1].tobytes()
    images[1].save(target, model=NAME, append=True)
    assert len(atlcodec.open(target)) == 4
    os.truncate(target, 799)
    with pytest.raises(NotARecord, match="torn record of 199 bytes"):
        images[1].save(target, model=NAME, append=True)


def test_frames_of_other_images_become_records(tmp_path: Path, sevens: Pixels) -> None:
    first, *rest = [Image.fromarray(pixels) for pixels in sevens[:4]]
    first.save(tmp_path / "x.tiff", save_all=True, append_images=rest)
    with Image.open(tmp_path / "x.tiff") as pages:
        pages.seek(2)
        pages.save(tmp_path / "one.atlc", model=NAME)
        pages.save(tmp_path / "all.atlc", save_all=True, model=NAME)
        assert pages.tell() == 2
    assert (tmp_path / "one.atlc").read_bytes() == atlcodec.encode(sevens[2], NAME)
    assert (tmp_path / "all.atlc").read_bytes() == Codec.load(NAME).encode(sevens[:4]).tobytes()


def test_a_file_may_be_written_over_itself(path: Path, decoded: Pixels, sevens: Pixels) -> None:
    with Image.open(path) as image:
        image.seek(1)
        image.save(path, save_all=True, append_images=[Image.fromarray(sevens[0])], model=NAME)
    assert path.read_bytes() == Codec.load(NAME).encode(np.concatenate([decoded, sevens[:1]])).tobytes()


def test_a_failed_save_says_what_to_do_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "x.atlc"
    large, colour = Image.new("L", (29, 28)), Image.new("RGB", (28, 28), (1, 2, 9))
    with pytest.raises(BadImage, match=r"29 x 28 pixels, not 28 x 28; .*fit='contain'"):
        large.save(target)
    with pytest.raises(BadImage, match=r"frame 1: is in colour; .*gray=True"):
        Image.new("L", (28, 28)).save(target, save_all=True, append_images=[colour])
    assert not target.exists()
    large.save(target, fit="contain", save_all=True, append_images=[colour], gray=True)
    assert len(atlcodec.open(target)) == 2


def test_imageio_reads_and_writes_through_pillow(path: Path, decoded: Pixels, sevens: Pixels, tmp_path: Path) -> None:
    assert np.allclose(imageio.imread(path, plugin="pillow"), decoded[0], rtol=0, atol=1)
    assert np.allclose(imageio.imread(path, plugin="pillow", index=4), decoded[4], rtol=0, atol=1)
    assert np.allclose(np.stack(list(imageio.imiter(path, plugin="pillow"))), decoded, rtol=0, atol=1)
    imageio.imwrite(tmp_path / "y.atlc", sevens, plugin="pillow", model=NAME)
    assert (tmp_path / "y.atlc").read_bytes() == Codec.load(NAME).encode(sevens).tobytes()
