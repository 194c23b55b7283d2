"""Codecs of other shapes than the bundled ones, grey and in colour, through the library, its bridges and the command
line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import install, picture, zoo
from atlcodec.card_writer import update_card
from atlcodec.codec import Codec
from atlcodec.errors import BadImage, BadModel
from atlcodec.shape import Shape
from check_codec import check_codec
from kit import Cli
from shape_kit import LABELS, pictures, write_codec

COLOUR = (29, 31, 3)
SHAPES = [(28, 28), COLOUR, (32, 32, 3), (20, 36), (64, 48, 3), (8, 8), (256, 256, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_codec_of_any_shape_is_a_codec(shape: Shape, tmp_path: Path) -> None:
    codec = Codec.load(write_codec(tmp_path / "mine", shape))
    assert codec.shape == shape
    check_codec(codec, pictures(shape))


@pytest.mark.parametrize(
    "shape", [None, [28], [28, 28, 1], [28, 28, 4], [7, 28], [257, 28], [28.0, 28], [True, 28], "28", [28, 28, 3, 3]]
)
def test_a_shape_that_no_codec_has(shape: object, tmp_path: Path) -> None:
    folder = write_codec(tmp_path / "mine", (28, 28))
    update_card(folder, {"shape": shape})
    with pytest.raises(BadModel, match="must give the shape of its images"):
        zoo.find(folder)


def test_a_shape_that_the_networks_do_not_have(tmp_path: Path) -> None:
    folder = write_codec(tmp_path / "mine", (28, 28))
    update_card(folder, {"shape": [28, 29]})
    with pytest.raises(BadModel, match=r"must map images \(28, 29\)"):
        Codec.load(folder).encode(np.zeros((1, 28, 29), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_codec(tmp_path_factory.mktemp("models") / "colours", COLOUR)


@pytest.fixture
def installed(folder: Path, user_folder: Path) -> Codec:
    install.add(folder)
    return Codec.load("colours")


def test_one_image_of_any_kind_becomes_a_record(installed: Codec) -> None:
    image = pictures(COLOUR)[3]
    file = picture.png(image)
    record = atlcodec.encode(image, model="colours")
    assert record == atlcodec.encode(file, model="colours") == atlcodec.encode(io.BytesIO(file), model="colours")
    assert atlcodec.decode(record).shape == COLOUR
    assert atlcodec.classify(record).label in LABELS
    grey = np.asarray(Image.fromarray(image).convert("L"))
    three = atlcodec.encode(np.repeat(grey[:, :, None], 3, axis=2), model="colours")
    assert atlcodec.encode(picture.png(grey), model="colours") == atlcodec.encode(grey, model="colours") == three
    with pytest.raises(BadImage, match=r"62 x 29 pixels, not 31 x 29; --fit contain"):
        atlcodec.encode(picture.png(np.tile(image, (1, 2, 1))), model="colours")
    with pytest.raises(BadImage, match=r"one image must be \(rows, columns\) or \(rows, columns, 3\), not uint8 \(1, "):
        atlcodec.encode(image[None], model="colours")


def test_on_the_command_line(installed: Codec, cli: Cli, tmp_path: Path) -> None:
    image = pictures(COLOUR)[5]
    (tmp_path / "x.png").write_bytes(picture.png(image))
    assert cli("encode", "-m", "colours", tmp_path / "x.png").code == 0
    assert (tmp_path / "x.atlc").stat().st_size == 200
    assert cli("decode", tmp_path / "x.atlc").code == 0
    assert np.array_equal(picture.read(tmp_path / "x.atlc.png"), atlcodec.decode((tmp_path / "x.atlc").read_bytes()))
    assert cli("classify", tmp_path / "x.atlc").code == 0


def test_a_folder_of_labelled_images(installed: Codec, cli: Cli, tmp_path: Path) -> None:
    for number, image in enumerate(pictures(COLOUR)):
        path = tmp_path / "set" / LABELS[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png(image))
    (tmp_path / "set" / "ant" / "small.png").write_bytes(picture.png(np.zeros((9, 9), np.uint8)))
    ran = cli("encode", "-m", "colours", tmp_path / "set", "-o", tmp_path / "set.atlc")
    assert "small.png: 9 x 9 pixels, not 31 x 29" in ran.err
    assert (tmp_path / "set.atlc").stat().st_size == 24 * 200
    (tmp_path / "set" / "ant" / "small.png").unlink()
    assert "PSNR" in cli("evaluate", "colours", "--data", tmp_path / "set").out.decode()
    assert "31 x 29 pixels, not 28 x 28" in cli("evaluate", "mnist", "--data", tmp_path / "set").complaint


def test_a_file_may_mix_shapes(installed: Codec, tmp_path: Path, cli: Cli) -> None:
    small = atlcodec.encode(np.zeros((28, 28), np.uint8), model="mnist-lenet")
    large = installed.encode(pictures(COLOUR)[:2]).tobytes()
    (tmp_path / "both.atlc").write_bytes(small + large)
    assert cli("decode", tmp_path / "both.atlc", "-o", f"{tmp_path}/out/").code == 0
    assert [picture.read(path).shape for path in sorted((tmp_path / "out").iterdir())] == [(28, 28), COLOUR, COLOUR]


def test_pillow_shows_each_record_in_its_own_mode_and_size(installed: Codec, tmp_path: Path) -> None:
    atlcodec.register_pillow()
    records = installed.encode(pictures(COLOUR)[:2])
    small = atlcodec.encode(np.zeros((28, 28), np.uint8), model="mnist-lenet")
    (tmp_path / "both.atlc").write_bytes(records[:1].tobytes() + small + records[1:].tobytes())
    decoded = installed.decode(records)
    with Image.open(tmp_path / "both.atlc") as image:
        assert (image.mode, image.size) == ("RGB", (31, 29))
        assert np.array_equal(np.asarray(image), decoded[0])
        image.seek(1)
        assert (image.mode, image.size) == ("L", (28, 28))
        image.seek(2)
        assert np.array_equal(np.asarray(image), decoded[1])
        image.save(tmp_path / "again.atlc", model="colours")
    assert (tmp_path / "again.atlc").read_bytes() == installed.encode(decoded[1:]).tobytes()


def test_arrow_and_the_cluster(installed: Codec) -> None:
    pa = pytest.importorskip("pyarrow")
    from atlcodec.cluster import Decode, Encode

    images = pictures(COLOUR)[:5]
    encoded = Encode("colours")({"image": images})
    assert np.array_equal(encoded["record"], installed.encode(images))
    assert np.array_equal(Decode()(encoded)["image"], installed.decode(encoded["record"]))
    table = Encode("colours")(pa.table({"image": [bytes(image) for image in images]}))
    shown = Decode()(table)["image"]
    assert shown.type.shape == list(COLOUR)
    assert np.array_equal(shown.combine_chunks().to_numpy_ndarray(), installed.decode(encoded["record"]))
    small = atlcodec.encode(np.zeros((28, 28), np.uint8), model="mnist-lenet")
    both = np.concatenate([encoded["record"], np.frombuffer(small, np.uint8)[None]])
    with pytest.raises(atlcodec.NotARecord, match="several shapes"):
        Decode()({"record": both})


def test_zarr(installed: Codec, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    from atlcodec.zarr import LossyRecords

    images = pictures(COLOUR)
    array = zarr.create_array(
        tmp_path / "x.zarr", data=images, chunks=(10, *COLOUR), compressors=None, serializer=LossyRecords("colours")
    )
    decoded = installed.decode(installed.encode(images))
    assert np.array_equal(array[:], decoded)
    assert np.array_equal(zarr.open_array(tmp_path / "x.zarr")[13], decoded[13])
    array[2] = images[7]
    assert np.array_equal(array[2], decoded[7])
    assert np.array_equal(array[3], decoded[3])
    with pytest.raises(BadImage, match=r"uint8 \(..., 29, 31, 3\) in chunks"):
        zarr.create_array(
            tmp_path / "y.zarr", shape=(4, 29, 31), chunks=(2, 29, 31), dtype="u1", serializer=LossyRecords("colours")
        )
