"""Data sets for training whose images are not all of one shape: fitted, cut into crops; and CIFAR-10's batches."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from atlcodec import picture, sets
from atlcodec.errors import BadData
from atlcodec.fit import Fit
from atlcodec.sets.formats import cifar
from kit import put
from sets_kit import idx


def clouds(height: int, width: int, *channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, *channels), np.uint8)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Thirty images of six sizes, some in colour."""
    for number in range(30):
        label, colours = "ab"[number % 2], (3,) * (number % 3 == 0)
        put(tmp_path / "mixed" / label / f"{number:02d}.png", clouds(20 + number % 6, 40, *colours, seed=number))
    return tmp_path / "mixed"


def test_images_of_different_sizes_name_the_ways_out(mixed: Path) -> None:
    with pytest.raises(BadData, match=r"different sizes \(a/00.png: 40 x 20, a/02.png: 40 x 22 pixels\)") as error:
        sets.load(mixed)
    assert "--fit contain, cover or stretch" in str(error.value)
    assert "--shape" in str(error.value)


def test_images_of_one_size_that_no_codec_has(tmp_path: Path) -> None:
    for label in "ab":
        put(tmp_path / label / "0.png", clouds(300, 20))
    with pytest.raises(BadData, match=r"0.png: 20 x 300 pixels; a codec has 8 to 256 rows and columns; --fit"):
        sets.load(tmp_path)
    assert sets.load(tmp_path, how=Fit("stretch")).shape == (28, 28)


def test_a_fit_makes_them_one_shape(mixed: Path) -> None:
    said: list[str] = []
    data = sets.load(mixed, how=Fit("stretch"), log=said.append)
    assert data.shape == (32, 32, 3)
    assert said == [f"{mixed}: taken as images of 32 x 32 pixels, in colour; --shape takes them otherwise"]
    assert sets.load(mixed, how=Fit("stretch", gray=True)).shape == (28, 28)
    data = sets.load(mixed, shape=(16, 24, 3), how=Fit("cover", invert=True))
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (27, 3)
    expected = [
        picture.read(path, Fit("cover", invert=True), shape=(16, 24, 3)).tobytes() for path in mixed.glob("*/*.png")
    ]
    found = np.concatenate([data.train.images, data.test.images])
    assert sorted(image.tobytes() for image in found) == sorted(expected)
    assert data.sha256 != sets.load(mixed, shape=(16, 24, 3), how=Fit("cover")).sha256
    with pytest.raises(BadData, match="is in colour; --gray"):
        sets.load(mixed, shape=(16, 24), how=Fit("cover"))


def test_the_default_shape_is_that_of_all_images(tmp_path: Path) -> None:
    for label in "ab":
        put(tmp_path / label / "0.png", clouds(20, 30, 3))
    said: list[str] = []
    assert sets.load(tmp_path, how=Fit("contain"), log=said.append).shape == (20, 30, 3)
    assert "30 x 20 pixels, in colour" in said[0]
    assert sets.load(tmp_path, how=Fit(gray=True)).shape == (20, 30)


def test_idx_files_are_fitted_too(tmp_path: Path) -> None:
    images = clouds(40, 28, 28)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(40, dtype=np.uint8) % 2))
    assert np.array_equal(sets.load(tmp_path, how=Fit(invert=True)).train.images, 255 - images)
    with pytest.raises(BadData, match=r"28 x 28 pixels, not 16 x 16; --fit contain"):
        sets.load(tmp_path, shape=(16, 16, 3))
    assert sets.load(tmp_path, shape=(16, 16, 3), how=Fit("contain")).train.images.shape == (40, 16, 16, 3)


# -- crops -------------------------------------------------------------------------------------------------------------


def test_crops_lie_at_random_places_and_scales(tmp_path: Path) -> None:
    """Of an image whose pixels tell their place: red grows with the rows, green with the columns."""
    slope = np.zeros((120, 200, 3), np.uint8)
    slope[..., 0] = np.arange(120)[:, None]
    slope[..., 1] = np.arange(200)
    put(tmp_path / "slope.png", slope)
    made = picture.crops(tmp_path / "slope.png", Fit(), (10, 20, 3), 200, np.random.default_rng(1)).astype(int)
    assert made.shape == (200, 10, 20, 3)
    rows, columns = made[:, -1, 10, 0] - made[:, 0, 10, 0], made[:, 5, -1, 1] - made[:, 5, 0, 1]
    assert rows.min() <= 12
    assert rows.max() >= 70
    assert np.abs(rows / 9 - columns / 19).max() < 1  # the aspect ratio stays
    assert made[:, 0, 0, 0].max() >= 90
    assert made[:, 0, 0, 1].max() >= 150
    again = picture.crops(tmp_path / "slope.png", Fit(), (10, 20, 3), 200, np.random.default_rng(1))
    assert np.array_equal(made, again)


def test_an_image_that_is_not_larger_gives_itself(tmp_path: Path) -> None:
    put(tmp_path / "same.png", clouds(16, 16))
    put(tmp_path / "flat.png", clouds(12, 40))
    rng = np.random.default_rng(0)
    assert np.array_equal(picture.crops(tmp_path / "same.png", Fit(), (16, 16), 5, rng)[0], clouds(16, 16))
    with pytest.raises(Exception, match="40 x 12 pixels, not 16 x 16; --fit"):
        picture.crops(tmp_path / "flat.png", Fit(), (16, 16), 5, rng)
    assert picture.crops(tmp_path / "flat.png", Fit("cover"), (16, 16), 5, rng).shape == (1, 16, 16)


def test_crops_of_one_image_stay_together(tmp_path: Path) -> None:
    """Each image has one colour, which tells it apart."""
    for number in range(40):
        put(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", np.full((40, 60), 3 * number, np.uint8))
    data = sets.load(tmp_path / "set", crops=4, shape=(16, 16))
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (36 * 4, 4)
    train, test = data.train.images[:, 0, 0], data.test.images[:, 0, 0]
    assert not set(train.tolist()) & set(test.tolist())
    assert (np.diff(train.astype(int)) != 0).sum() == 35
    assert data.train.labels is not None
    assert np.array_equal(data.train.labels, train // 3 % 2)
    again = sets.load(tmp_path / "set", crops=4, shape=(16, 16))
    assert np.array_equal(again.train.images, data.train.images)
    assert sets.load(tmp_path / "set", crops=1).shape == (28, 28)


# -- CIFAR-10 ----------------------------------------------------------------------------------------------------------


def batch(path: Path, count: int, seed: int) -> np.ndarray:
    """A batch of random rows; returns them."""
    rows = clouds(count, 3073, seed=seed)
    rows[:, 0] %= 10
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rows.tobytes())
    return rows


def test_cifar_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "CIFAR10" / "cifar-10-batches-bin"
    rows = [batch(folder / name, 6, number) for number, name in enumerate((*cifar.TRAIN, cifar.TEST))]
    (folder / "batches.meta.txt").write_text("\n".join(cifar.CLASSES).replace("cat", "kitten") + "\n\n")
    data = sets.load(folder)
    assert data.name == "cifar-10-batches-bin"
    assert data.classes[3] == "kitten"
    assert data.shape == (32, 32, 3)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (30, 6)
    assert data.train.labels is not None
    assert data.train.labels[6] == rows[1][0, 0]
    assert data.train.images[6, 2, 5].tolist() == [rows[1][0, 1 + 1024 * c + 2 * 32 + 5] for c in range(3)]
    assert len(data.sha256) == 6
    monkeypatch.setenv("ATLC_DATA", str(tmp_path))
    assert np.array_equal(sets.load("CIFAR10").train.images, data.train.images)
    assert sets.load(folder, shape=(28, 28), how=Fit("stretch", gray=True)).shape == (28, 28)
    monkeypatch.setattr(cifar, "DIGESTS", tuple(hashlib.sha256(part.tobytes()).hexdigest() for part in rows[:5]))
    assert sets.load(folder).name == "CIFAR10"


def test_other_files_in_place_of_cifar_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATLC_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadData, match="CIFAR10 is not downloaded: give its folder cifar-10-batches-bin"):
        sets.load("CIFAR10")
    batch(tmp_path / "py/data_batch_1", 1, 0)
    with pytest.raises(BadData, match=r"CIFAR-10 for Python.*get the binary version \(cifar-10-binary.tar.gz\)"):
        sets.load("py")
    batch(tmp_path / "cut/data_batch_1.bin", 3, 0)
    (tmp_path / "cut/data_batch_1.bin").write_bytes(bytes(3074))
    with pytest.raises(BadData, match="not a batch of CIFAR-10: 3074 bytes, not a multiple of 3073"):
        sets.load("cut")
    (tmp_path / "cut/data_batch_1.bin").write_bytes(b"\x0b" + bytes(3072))
    with pytest.raises(BadData, match="has the label 11, but 10 names"):
        sets.load("cut")


REAL = Path(os.environ.get("ATLC_DATA", ""), "CIFAR10/train")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the images of CIFAR-10 below $ATLC_DATA, numbered in their order")
def test_the_pinned_digest_is_that_of_the_first_batch() -> None:
    paths = sorted((path for path in REAL.glob("*/*") if int(path.stem) < 10_000), key=lambda path: int(path.stem))
    digest = hashlib.sha256()
    for path in paths:
        pixels = picture.read(path, shape=(32, 32, 3)).transpose(2, 0, 1).tobytes()
        digest.update(bytes([cifar.CLASSES.index(path.parent.name)]) + pixels)
    assert digest.hexdigest() == cifar.DIGESTS[0]
