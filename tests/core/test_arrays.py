"""Arrays as people have them, and what else Python shows of codecs and files of records."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import Codec, sets
from atlcodec.arrays import as_images
from atlcodec.errors import BadImage, NotARecord
from atlcodec.sets import manifest
from atlcodec.sets.manifest import Entry
from drawings import Pixels, seven
from kit import MNIST, records

SHAPE = (28, 28)


@pytest.fixture
def images() -> Pixels:
    return np.stack([seven(slant) for slant in (-2, 0, 2)])


def test_arrays_of_other_forms(images: Pixels) -> None:
    for same in (
        images[..., None],
        images[:, None],
        images.reshape(3, -1),
        images.astype(np.int64),
        images.astype(">u2"),
        images.tolist(),
    ):
        assert np.array_equal(as_images(same, SHAPE), images)
    assert np.array_equal(as_images(images[0], SHAPE), images[:1])
    assert np.array_equal(as_images(images > 127, SHAPE), (images > 127) * np.uint8(255))
    assert as_images(np.zeros((2, 8, 8, 3), np.uint8), (8, 8, 3)).shape == (2, 8, 8, 3)
    assert as_images(images, SHAPE) is images


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 28, 28)), r"for values from 0 to 1: \(images \* 255\)\.round\(\)\.astype\('uint8'\)"),
        (np.full((3, 28, 28), 300), "must have values from 0 to 255, not 300 to 300"),
        (np.full((3, 28, 28), -1), "must have values from 0 to 255, not -1 to -1"),
        (np.zeros((3, 32, 32), np.uint8), "takes single images of other sizes"),
        (np.zeros((28, 29), np.uint8), "takes single images of other sizes"),
    ],
)
def test_what_to_do_with_others(array: Pixels, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        as_images(array, SHAPE)
    with pytest.raises(BadImage, match=r"transpose\(0, 2, 3, 1\)"):
        as_images(np.zeros((2, 3, 8, 8), np.uint8), (8, 8, 3))


def test_what_is_not_an_array(images: Pixels, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=r"images must be uint8 \(N, 28, 28\), not <U1 \(1, 1\)$"):
        as_images([["a"]], SHAPE)
    with pytest.raises(BadImage, match="with the same number of pixels in each row"):
        as_images([[1, 2], [3]], SHAPE)
    for one in (None, [[1, 2], [3]]):
        with pytest.raises(BadImage, match=r"not what NumPy cannot read|the same number of pixels"):
            atlcodec.encode(one)  # type: ignore[arg-type]
    with pytest.raises(BadImage, match=r"16 bits a pixel; --gray \(gray=True\) .* \(range=\(low, high\)\)"):
        atlcodec.encode(Image.fromarray(images[0].astype(np.int32) * 100))
    (tmp_path / "x.atlc").write_bytes(records(1).tobytes())
    with (
        (tmp_path / "x.atlc").open("rb") as file,
        pytest.raises(NotARecord, match=r"not an open file; give its content: file\.read\(\)"),
    ):
        atlcodec.decode(file)  # type: ignore[arg-type]


def test_one_image_of_other_forms(images: Pixels) -> None:
    expected = atlcodec.encode(images[0], MNIST)
    for same in (images[0].ravel(), images[0][..., None], images[0].astype(np.int64), images[0].tolist()):
        assert atlcodec.encode(same, MNIST) == expected


def test_a_tensor_with_gradients(images: Pixels) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(images[0] / 255, requires_grad=True)
    assert atlcodec.encode(tensor, MNIST, range=(0, 1)) == atlcodec.encode(images[0], MNIST)
    assert np.array_equal(as_images(torch.tensor(images), SHAPE), images)


def test_predictions_of_many(images: Pixels) -> None:
    codec = Codec.load(MNIST)
    packed = codec.encode(images)
    answers = codec.predict(packed)
    assert answers == [atlcodec.classify(one) for one in packed]
    assert codec.predict(packed[:0]) == []


def test_paths_and_labels_of_a_set(tmp_path: Path) -> None:
    path = tmp_path / "set.atlc"
    atlcodec.write(path, records(2))
    file = atlcodec.open(path)
    assert (file.paths, file.labels) == (None, None)
    manifest.write(tmp_path / "set.csv", [Entry(0, "a.png", "7"), Entry(1, "b.png", None)])
    assert (file.paths, file.labels) == (["a.png", "b.png"], ["7", None])
    listed = sets.open(path)
    assert (listed.paths, listed.labels) == (file.paths, file.labels)
    assert repr(listed) == f"<RecordSet {path}: 2 records, list {tmp_path}/set.csv>"


def test_a_file_is_pickled_as_its_path(tmp_path: Path) -> None:
    path = tmp_path / "set.atlc"
    atlcodec.write(path, np.tile(records(1), (5000, 1)))
    file = atlcodec.open(path)
    data = pickle.dumps(file)
    assert len(data) < 1000
    assert np.array_equal(pickle.loads(data).array, file.array)
    assert repr(file) == f"<RecordFile {path}: 5000 records>"
    assert sum(1 for _ in file) == 5000
    file.close()
    assert "closed" in repr(file)
    atlcodec.write(path, records(1))
    assert repr(atlcodec.open(path)) == f"<RecordFile {path}: 1 record>"


def test_an_image_is_not_a_file_of_records(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG" + bytes(300))
    with pytest.raises(NotARecord, match=r"x\.png: is an image, not a file of records; encode it first"):
        atlcodec.open(tmp_path / "x.png")


def test_help_is_short_and_in_the_order_of_use() -> None:
    assert dir(atlcodec)  # only names for users
    assert [name for name in atlcodec.__all__ if not hasattr(atlcodec, name)] == []
    assert atlcodec.__all__[:3] == ["encode", "decode", "classify"]
    assert not {"zoo", "cli", "untrusted"} & set(dir(atlcodec))
    assert atlcodec.zoo.models()
