"""Records through Pillow: opened and saved like any image, and no other image opens differently for it."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pytest
from PIL import Image, ImageSequence, UnidentifiedImageError

import atlcodec
from atlcodec import install, picture, record
from atlcodec.card import read_model
from atlcodec.card_writer import write_model
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadImage
from atlcodec.pillow import UnreadableFrame
from drawings import Pixels
from kit import SHAPE, environment

atlcodec.register_pillow()


@pytest.fixture(scope="module")
def sevens(draw: Callable[..., Pixels]) -> Pixels:
    """Seventy of them: more than are decoded at once."""
    return np.stack([draw(slant) for slant in np.linspace(-4, 4, 70)])


@pytest.fixture(scope="module")
def records(sevens: Pixels) -> record.Records:
    """Records of two codecs in one file."""
    return np.concatenate(
        [Codec.load("mnist-lenet").encode(sevens[:66]), Codec.load("fashion-lenet").encode(sevens[66:])]
    )


@pytest.fixture(scope="module")
def decoded(records: record.Records) -> Pixels:
    return np.stack([atlcodec.decode(row) for row in records])


@pytest.fixture
def path(records: record.Records, tmp_path: Path) -> Path:
    atlcodec.write(tmp_path / "x.atlc", records)
    return tmp_path / "x.atlc"


def near(a: Any, b: Any) -> bool:
    """The same pixels, as far as decoding alone or among others gives the same."""
    return bool(np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= 1)


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_records_are_frames(path: Path, decoded: Pixels) -> None:
    with Image.open(path) as image:
        assert isinstance(image, Image.Image)
        assert (image.format, image.mode, image.size) == ("ATLC", "L", (28, 28))
        assert image.get_format_mimetype() == "image/vnd.atlc"
        assert (getattr(image, "n_frames", 0), getattr(image, "is_animated", False), image.tell()) == (70, True, 0)
        for frame in (0, 69, 3, 4, 5, 66, 0):  # in order, and not
            image.seek(frame)
            assert image.tell() == frame
            assert near(image, decoded[frame])
        for outside in (-1, 70):
            with pytest.raises(EOFError):
                image.seek(outside)
        assert near([np.asarray(frame) for frame in ImageSequence.Iterator(image)], decoded)
        assert near(pickle.loads(pickle.dumps(image)), decoded[69])
        image.verify()
    image.seek(1)
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_a_million_records_open_without_being_read(path: Path, records: record.Records, decoded: Pixels) -> None:
    with path.open("r+b") as file:
        file.truncate(1_000_000 * 200)  # zeros: not records
        file.seek(-200, os.SEEK_END)
        file.write(records[7].tobytes())
    with Image.open(path) as image:
        image.seek(999_999)
        assert near(image, decoded[7])
        assert image.fp is not None
        assert image.fp.tell() == 1_000_000 * 200


def test_a_file_of_one_record_is_closed_when_loaded(tmp_path: Path, records: record.Records, decoded: Pixels) -> None:
    atlcodec.write(tmp_path / "one.atlc", records[0])
    image = Image.open(tmp_path / "one.atlc")  # left open, it would warn, and warnings are errors here
    assert not getattr(image, "is_animated", True)
    assert near(image, decoded[0])


def pipe(data: bytes) -> IO[bytes]:
    source, target = os.pipe()
    os.write(target, data)  # less than a pipe holds
    os.close(target)
    return os.fdopen(source, "rb")


def zipped(data: bytes) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data))))


@pytest.mark.parametrize("opened", [io.BytesIO, pipe, zipped])
def test_streams_of_all_kinds(opened: Callable[[bytes], IO[bytes]], records: record.Records, decoded: Pixels) -> None:
    with opened(records[:3].tobytes()) as stream, Image.open(stream) as image:
        image.seek(2)
        assert near(image, decoded[2])


@pytest.mark.parametrize("frame", [1, 40, 69])
def test_a_damaged_record_costs_only_its_own_frame(frame: int, path: Path, decoded: Pixels) -> None:
    damage(path, frame * 200 + 77)
    with Image.open(path) as image:
        for number, shown in enumerate(ImageSequence.Iterator(image)):
            if number == frame:
                with pytest.raises(OSError, match=rf"x\.atlc: record {frame}: damaged: bit 2 of byte 77") as caught:
                    shown.load()
                assert isinstance(caught.value, AtlcError)
                with pytest.raises(UnreadableFrame):
                    shown.getpixel((0, 0))  # nor does it show the frame before
            else:
                assert near(shown, decoded[number])
        with pytest.raises(UnreadableFrame, match=f"record {frame}:"):
            image.verify()


def test_a_file_that_is_cut_while_open(path: Path, decoded: Pixels) -> None:
    with Image.open(path) as image:
        os.truncate(path, 1000)
        image.seek(5)
        with pytest.raises(UnreadableFrame, match="record 5 is missing"):
            image.load()
        image.seek(4)
        assert near(image, decoded[4])


def test_a_broken_codec_of_a_user_is_an_os_error(tmp_path: Path, sevens: Pixels) -> None:
    parts = {"compressor.onnx": b"no network", "decompressor.onnx": b"none either"}
    write_model(tmp_path / "mine", parts, {"name": "mine", "shape": SHAPE}, None)
    latents = Codec.load("mnist-lenet").latents(sevens[:1])
    sealed = record.pack(record.seal(*record.quantise(latents), read_model(tmp_path / "mine").id)).tobytes()
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(sealed))
    install.add(tmp_path / "mine")
    atlcodec.register_pillow()  # looks for new models at once
    with (
        Image.open(io.BytesIO(sealed)) as image,
        pytest.raises(OSError, match=r"record 0: .*mine.decompressor\.onnx") as caught,
    ):
        image.load()
    assert isinstance(caught.value, AtlcError)


def test_foreign_bytes_are_refused_as_pillow_refuses_them(records: record.Records) -> None:
    good, rng = records[0].tobytes(), np.random.default_rng(0)
    damaged = bytes([good[0] ^ 1]) + good[1:]
    for data in (
        b"",
        b"\0",
        bytes(200),
        bytes(4000),
        good[:199],
        good + b"\0",
        good[1:] + good[:1],
        damaged + good,
        b"\xff" * 400,
    ):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))
    for length in (200, 400, 1000) * 20:
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(rng.bytes(length)), formats=["ATLC"])


OTHERS = """
import io, json, sys, zlib
import numpy as np
from PIL import Image

def padded(format):
    "A picture whose file is a multiple of 200 bytes long, as far as the format bears that."
    buffer = io.BytesIO()
    Image.fromarray(np.arange(784, dtype="u1").reshape(28, 28)).save(buffer, format)
    return buffer.getvalue() + bytes(-len(buffer.getvalue()) % 200)

seen = []
if "register" in sys.argv:
    import atlcodec
    atlcodec.register_pillow()
for format in ("PNG", "TGA", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP", "ICO"):
    with Image.open(io.BytesIO(padded(format))) as image:
        seen.append([image.format, image.mode, image.size, zlib.crc32(image.tobytes())])
Image.init()
print(json.dumps([Image.ID, seen]))
"""


def test_other_formats_open_as_before_and_ours_stays_the_first() -> None:
    """Each in a process of its own, since what Pillow has loaded already changes the order."""
    (before, seen), (after, again) = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", OTHERS, *more], env=environment(), check=True, capture_output=True
            ).stdout
        )
        for more in ([], ["register"])
    )
    assert again == seen
    assert after == ["ATLC", *before]


def test_a_record_that_looks_like_a_tga_is_a_record(tmp_path: Path) -> None:
    symbols = np.zeros((1, 400), np.uint8)
    symbols[0, [5, 25, 29, 33]] = 2, 1, 1, 8  # an uncompressed true-colour TGA of a few pixels
    packed = record.pack(symbols)[0].tobytes()
    with Image.open(io.BytesIO(packed)) as image:
        assert image.format == "TGA"
    costs = np.arange(400, 0, -1, dtype=np.float32)[None]  # seal it by its last symbols
    sealed = record.pack(record.seal(symbols, symbols ^ np.uint8(1), costs, Codec.load("mnist-lenet").id))[0].tobytes()
    assert sealed[:18] == packed[:18]
    with Image.open(io.BytesIO(sealed)) as image:
        assert image.format == "ATLC"


def test_encode_still_refuses_records_as_images(path: Path) -> None:
    with pytest.raises(BadImage, match="not an image in one of the formats"):
        picture.read(path)
