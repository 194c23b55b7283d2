"""Images of any size through the library: the same size back, from any kind of image."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import description, grid, grid_encoder, metrics, picture, zoo
from atlcodec.codec import Codec
from atlcodec.description import BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.errors import BadImage, LossWarning, NotARecord
from atlcodec.grid import Whole
from atlcodec.reader import cached_codec
from drawings import Pixels
from grid_kit import COLOUR, add_colours, scene
from kit import MNIST, SHAPE, environment

SIZES = [(1, 1), (1, 300), (300, 1), (28, 28), (28, 29), (27, 56), (29, 29), (100, 73), (300, 300)]
rng = np.random.default_rng(4)
SIZES += [(int(h), int(w)) for h, w in rng.integers(1, 301, (12, 2))]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_comes_back(size: tuple[int, int], channels: int, tmp_path: Path, user_folder: Path) -> None:
    colours = add_colours(tmp_path)
    image = scene(*size, channels)
    data = atlcodec.encode_image(image, model=None if channels == 1 else "colours", effort=0)
    back = atlcodec.decode_image(data)
    assert back.shape == image.shape
    assert back.dtype == np.uint8
    assert len(data) % 200 == 0
    if image.shape == SHAPE:
        assert len(data) == 200
        return
    described = description.unpack(data[:200])
    assert len(data) == 200 * (1 + described.tiles)
    if channels == 3:
        assert (described.codec, described.channels, described.tile) == (colours.id, 3, COLOUR[:2])
    again = atlcodec.decode_image(np.frombuffer(data, np.uint8).reshape(-1, 200))
    assert np.array_equal(back, again)
    assert psnr(back, image) > psnr_of_tiles(image, data) - 0.3


def psnr(made: Pixels, image: Pixels) -> float:
    return metrics.psnr(float(((made.astype(float) - image) ** 2).mean()))


def psnr_of_tiles(image: Pixels, data: bytes) -> float:
    """What the codec makes of the tiles, each by itself, without what lies beyond the image."""
    described = description.unpack(data[:200])
    codec = cached_codec(zoo.models()[described.codec])
    tiles = np.concatenate(list(grid.cut(Whole(image), described, len(codec.shape) == 3)))
    inside = np.concatenate(list(grid.cut(Whole(np.ones(image.shape[:2], np.uint8)), described, False)))
    (height, width), (down, across) = described.tile, described.steps
    for number in range(len(tiles)):
        row, column = divmod(number, described.columns)
        inside[number, max(0, min(height, described.height - row * down)) :] = 0
        inside[number, :, max(0, min(width, described.width - column * across)) :] = 0
    squared = (codec.decode(data[200:]).astype(float) - tiles) ** 2
    return metrics.psnr(float(squared[inside == 1].mean()))


def test_the_image_is_at_least_as_good_as_its_tiles() -> None:
    image = scene(300, 260)
    for overlap in (None, 0, 4, 14):
        data = atlcodec.encode_image(image, "fashion", 0, overlap)
        assert psnr(atlcodec.decode_image(data), image) > psnr_of_tiles(image, data) - 0.3


@pytest.mark.parametrize("size", [(300, 260), (150, 410)], ids=str)
def test_seams_are_not_seen(size: tuple[int, int]) -> None:
    """With a codec that is bad at borders: the mean step between pixels where tiles overlap, less that of the image, is
    not above that elsewhere; and to smooth there makes the image better, at no cost."""
    image = scene(*size)
    data = atlcodec.encode_image(image, "fashion", 0)
    described = description.unpack(data[:200])
    assert described.seams == SMOOTHED
    blended = atlcodec.decode_image(replace(described, seams=BLENDED).pack() + data[200:])
    smooth = atlcodec.decode_image(data)
    assert psnr(smooth, image) > psnr(blended, image) + 0.3
    assert above_others(smooth, image, described) <= 0.5 < above_others(blended, image, described)


def above_others(made: Pixels, image: Pixels, described: Description) -> float:
    found = []
    for axis in (0, 1):
        more = np.abs(np.diff(made.astype(int), axis=axis)) - np.abs(np.diff(image.astype(int), axis=axis))
        means, step = more.mean(axis=1 - axis), described.steps[axis]
        place = np.arange(len(means)) + 1
        seam = (place >= step) & (place % step <= described.overlap)
        found.append(means[seam].mean() - means[~seam].mean())
    return float(np.mean(found))


def test_the_overlap_follows_from_the_codec(tmp_path: Path, user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, colours = scene(100, 110), add_colours(tmp_path)
    made = grid_encoder.encode(Whole(image), [Codec.load("fashion")], 0)
    assert (made.described.overlap, made.described.seams) == (grid_encoder.OVERLAP, SMOOTHED)
    monkeypatch.setattr(grid_encoder, "WORSE", 100.0)  # as if it were as good everywhere in its tiles
    made = grid_encoder.encode(Whole(image), [colours], 0)
    assert (made.described.overlap, made.described.seams) == (0, FILTERED)
    with pytest.raises(BadImage, match="tiles of fashion can overlap by 0 to 14 pixels, not by 15"):
        atlcodec.encode_image(image, "fashion", overlap=15)
    with pytest.raises(BadImage, match="not by -1"):
        atlcodec.encode_image(image, "fashion", overlap=-1)
    best = grid_encoder.encode(Whole(image), [Codec.load(MNIST), Codec.load("fashion")], 0)
    assert best.codec.name == "fashion"
    steps: list[tuple[int, int]] = []
    grid_encoder.encode(Whole(image), [colours], 0, progress=lambda *both: steps.append(both))
    assert steps == [(30, 30)]


def test_all_kinds_of_images(tmp_path: Path, user_folder: Path) -> None:
    add_colours(tmp_path)
    image = scene(50, 60, 3)
    file = picture.png(image)
    (tmp_path / "x.png").write_bytes(file)
    expected = atlcodec.encode_image(image, model="colours")
    for source in (file, io.BytesIO(file), tmp_path / "x.png", f"{tmp_path}/x.png", Image.fromarray(image)):
        assert atlcodec.encode_image(source, model="colours") == expected
    grey = scene(50, 60)
    assert atlcodec.decode_image(atlcodec.encode_image(grey, model="colours")).shape == (50, 60)
    assert atlcodec.encode_image(grey.tolist(), model="mnist") == atlcodec.encode_image(grey, model="mnist")
    deep = grey.astype(np.uint16) * 257
    assert atlcodec.encode_image(deep, model="mnist") == atlcodec.encode_image(grey, model="mnist")
    turned = Image.fromarray(grey)
    turned.getexif()[0x0112] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=turned.getexif())
    assert atlcodec.decode_image(atlcodec.encode_image(buffer.getvalue())).shape == (60, 50)
    assert atlcodec.encode_image(255 - grey, model="mnist", invert=True) == atlcodec.encode_image(grey, model="mnist")


def test_what_is_refused(tmp_path: Path, user_folder: Path) -> None:
    image = scene(50, 60, 3)
    for source in (image, picture.png(image)):
        with pytest.raises(BadImage, match=r"is in colour; --gray \(gray=True\) takes its luminance"):
            atlcodec.encode_image(source, model="mnist")
    assert atlcodec.decode_image(atlcodec.encode_image(image, gray=True)).shape == (50, 60)
    for wrong in (np.zeros((0, 5), np.uint8), np.zeros((2, 5, 5, 3), np.uint8)):
        with pytest.raises(BadImage, match="one image must be"):
            atlcodec.encode_image(wrong)
    with pytest.raises(TypeError):
        atlcodec.encode_image(image, fit="cover")  # type: ignore[call-arg]
    two = atlcodec.encode_image(scene(30, 30)) * 2
    with pytest.raises(NotARecord, match="several images"):
        atlcodec.decode_image(two)
    with pytest.raises(NotARecord, match="is empty"):
        atlcodec.decode_image(b"")
    with pytest.raises(NotARecord, match="not a whole number of records"):
        atlcodec.decode_image(b"1")


def test_dark_images_are_told(tmp_path: Path) -> None:
    with pytest.warns(LossWarning, match="becomes dark"):
        atlcodec.encode_image(np.full((40, 40), 257 * 4, np.uint16), gray=True)


def test_a_crop_reads_only_its_tiles(tmp_path: Path) -> None:
    image = scene(290, 310)
    data = bytearray(atlcodec.encode_image(image, effort=0))
    whole = atlcodec.decode_image(bytes(data))
    (tmp_path / "x.atlc").write_bytes(data)
    assert np.array_equal(atlcodec.decode_image(tmp_path / "x.atlc", (17, 100, 40, 30)), whole[100:130, 17:57])
    assert np.array_equal(atlcodec.decode_image(bytes(data), (309, 289, 1, 1)), whole[289:, 309:])
    data[-100] ^= 1  # far from this crop, so that nobody reads it
    assert np.array_equal(atlcodec.decode_image(bytes(data), (17, 100, 40, 30)), whole[100:130, 17:57])
    for crop in [(0, 0, 311, 1), (-1, 0, 5, 5), (0, 0, 0, 5), (5, 290, 1, 1)]:
        with pytest.raises(NotARecord, match=r"does not lie in the image of 310 x 290"):
            atlcodec.decode_image(bytes(data), crop)
    single = atlcodec.encode(scene(28, 28), MNIST)
    assert np.array_equal(atlcodec.decode_image(single, (3, 4, 5, 6)), atlcodec.decode(single)[4:10, 3:8])
    with pytest.raises(NotARecord, match="does not lie"):
        atlcodec.decode_image(single, (3, 4, 26, 6))


def test_no_second_copy_of_a_large_image_is_made() -> None:
    program = """
import tracemalloc, numpy, atlcodec
from atlcodec import files, grid, grid_encoder, grid_finder
from atlcodec.grid import Whole
from atlcodec.reader import Reader
codec = atlcodec.Codec.load("mnist-lenet")
small = grid_encoder.encode(Whole(numpy.zeros((30, 30), "u1")), [codec], 0).data  # loads the networks
atlcodec.decode_image(bytes(small))
grid.BLOCK = 1 << 20
tracemalloc.start()
image = Whole(numpy.broadcast_to(numpy.arange(6000).astype("u1"), (4000, 6000)))
data = grid_encoder.encode(image, [codec], 0, 0).data
first = tracemalloc.get_traced_memory()[1] - 2 * len(data)
file = files.RecordFile(numpy.frombuffer(data, "u1"), "x")
tracemalloc.reset_peak()
found, _ = grid_finder.only(Reader(), file)
height = sum(len(strip) for strip in found.strips())
print(height, first // 1000, (tracemalloc.get_traced_memory()[1] - len(data)) // 1000)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    height, *kilobytes = map(int, done.split())
    assert height == 4000
    assert max(kilobytes) < 16_000, kilobytes  # the image has 24,000
