"""Data sets in files of NumPy: which arrays are found, what their axes and labels mean, and what the user is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.formats import numpy_files
from atlcodec.sets.formats.parts import Found, Part

Array = NDArray[Any]


def pixels(*shape: int, dtype: str = "u1") -> Array:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape).astype(dtype)


def smooth(count: int, side: int = 16) -> Array:
    """Colour images (count, side, side, 3) whose pixels are like those beside them, as in photographs."""
    ramps = np.linspace(0, 200, side)
    colours = np.random.default_rng(1).integers(0, 50, (count, 1, 1, 3))
    return (0.5 * ramps[:, None, None] + 0.5 * ramps[:, None] + colours).astype(np.uint8)


def digits(count: int, classes: int = 3) -> Array:
    return np.arange(count) % classes


def found(path: Path) -> Found:
    result = numpy_files.find(path)
    assert result is not None
    return result


def together(part: Part, size: int = 7, start: int = 0) -> list[Array]:
    """The images of a part, with a check that all batches but the last are full."""
    batches: list[Any] = list(part.images(size, start))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert not batches or 0 < len(batches[-1]) <= size
    return [image for batch in batches for image in batch]


def labels(part: Part) -> list[int]:
    assert part.labels is not None
    assert part.labels.dtype == np.int64
    return list(map(int, part.labels))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_Train", "Y_Train", "X_Test", "Y_Test"),
        ("trainX", "trainY", "testX", "testY"),
        ("xtrain", "ytrain", "xtest", "ytest"),
        ("train_images", "train_labels", "t10k_images", "t10k_labels"),
        ("training-imgs", "training-targets", "test-imgs", "test-targets"),
        ("train/data", "train/target", "test/data", "test/target"),
        ("image_data_train", "label_data_train", "image_data_test", "label_data_test"),
    ],
)
def test_a_file_with_splits(tmp_path: Path, names: tuple[str, ...], save: Any) -> None:
    arrays = pixels(20, 28, 28), digits(20), pixels(8, 28, 28), digits(8)
    save(tmp_path / "mnist.npz", **dict(zip(names, arrays, strict=True)))
    path = (tmp_path / "mnist.npz").rename(tmp_path / "what it is called does not matter")
    result = found(path)
    assert [part.split for part in result.parts] == ["train", "test"]
    assert result.classes == ("0", "1", "2")
    assert (result.notes, result.left_out) == ((), ())
    for part, images, numbers in zip(result.parts, arrays[::2], arrays[1::2], strict=True):
        assert (part.path, len(part)) == (path, len(images))
        assert np.array_equal(together(part), images)
        assert np.array_equal(together(part, 4, 3), images[3:])
        assert labels(part) == numbers.tolist()


def test_medmnist_with_columns_of_labels_in_the_order_of_splits(tmp_path: Path) -> None:
    file = tmp_path / "pathmnist.npz"
    arrays = dict[str, Any]()
    for split, count in (("test", 4), ("val", 5), ("train", 9)):
        arrays |= {f"{split}_images": pixels(count, 28, 28, 3), f"{split}_labels": digits(count)[:, None]}
    np.savez(file, **arrays)
    result = found(file)
    assert [(part.split, len(part)) for part in result.parts] == [("train", 9), ("validation", 5), ("test", 4)]
    assert [labels(part) for part in result.parts] == [digits(count).tolist() for count in (9, 5, 4)]


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (("images", "labels"), ()),
        (("data", "target"), ()),
        (("x", "y"), ()),
        (("X", "Y"), ()),
        (("arr_0", "arr_1"), ()),
        (("pixels", "classes"), ()),
        (("faces", "label"), ()),
        (("images", "target", "data"), ("data",)),  # as in the digits of scikit-learn
        (
            ("images", "labels", "images_augmented", "class_names", "image_ids"),
            ("images_augmented", "class_names", "ids"),
        ),
    ],
)
def test_a_file_without_splits(tmp_path: Path, names: tuple[str, ...], left: tuple[str, ...]) -> None:
    images = pixels(9, 8, 8)
    more = [images.reshape(9, 64) if name == "data" else np.zeros((9, 8, 8), "u1") for name in names[2:]]
    arrays: dict[str, Any] = dict(zip(names, [images, digits(9), *more], strict=True))
    np.savez(tmp_path / "some.npz", **arrays)
    result = found(tmp_path / "some.npz")
    (part,) = result.parts
    assert part.split == ""
    assert np.array_equal(together(part), images)
    assert labels(part) == digits(9).tolist()
    assert result.notes == ()
    assert result.left_out == tuple(name.replace("ids", "image_ids") for name in left)


def write_kuzushiji(folder: Path, name: str = "k49") -> None:
    for split, count in (("train", 12), ("test", 6)):
        np.savez_compressed(folder / f"{name}-{split}-imgs.npz", pixels(count, 28, 28))
        np.savez_compressed(folder / f"{name}-{split}-labels.npz", digits(count))


@pytest.mark.parametrize("named", ["", "k49-train-imgs.npz", "k49-test-labels.npz"])
def test_kuzushiji_in_four_files(tmp_path: Path, named: str) -> None:
    write_kuzushiji(tmp_path)
    (tmp_path / "k49_classmap.csv").write_text("index,codepoint,char\n")
    result = found(tmp_path / named)
    assert [(part.split, part.path.name) for part in result.parts] == [
        ("train", "k49-train-imgs.npz"),
        ("test", "k49-test-imgs.npz"),
    ]
    assert [labels(part) for part in result.parts] == [digits(12).tolist(), digits(6).tolist()]
    assert np.array_equal(together(result.parts[0]), pixels(12, 28, 28))
    assert result.left_out == ()
    assert [file.name for file in result.files] == ([named] if named else sorted(os.listdir(tmp_path))[:4])


def test_two_sets_in_a_folder_must_be_told_apart(tmp_path: Path) -> None:
    write_kuzushiji(tmp_path)
    write_kuzushiji(tmp_path, "kmnist")
    with pytest.raises(BadData, match=r"2 data sets \(k49-t\w+-imgs.npz, kmnist-t\w+-imgs.npz\); name one"):
        numpy_files.find(tmp_path)
    result = found(tmp_path / "kmnist-train-imgs.npz")
    assert {part.path.name for part in result.parts} == {"kmnist-train-imgs.npz", "kmnist-test-imgs.npz"}


@pytest.mark.parametrize("named", ["", "x_train.npy", "y_test.npy"])
def test_pairs_of_npy_files(tmp_path: Path, named: str) -> None:
    for split, count in (("train", 12), ("test", 6)):
        np.save(tmp_path / f"x_{split}.npy", pixels(count, 28, 28))
        np.save(tmp_path / f"y_{split}.npy", digits(count))
    np.save(tmp_path / "other.npy", np.zeros(3))
    (tmp_path / ".hidden").write_bytes(b"\x93NUMPY")
    result = found(tmp_path / named)
    assert [(part.split, labels(part)) for part in result.parts] == [
        ("train", digits(12).tolist()),
        ("test", digits(6).tolist()),
    ]
    assert np.array_equal(together(result.parts[1], 4, 1), pixels(6, 28, 28)[1:])
    assert result.left_out == (() if named else ("other.npy",))


@pytest.mark.parametrize("split", ["", "train", "test"])
def test_files_for_splits_with_the_same_names_in_them(tmp_path: Path, split: str) -> None:
    for each, count in (("train", 12), ("test", 6)):
        np.savez(tmp_path / f"{each}.npz", x=pixels(count, 28, 28), y=digits(count))
    result = found(tmp_path / f"{split}.npz" if split else tmp_path)
    assert [part.split for part in result.parts] == ([split] if split else ["train", "test"])


def test_one_file_of_quickdraw(tmp_path: Path) -> None:
    np.save(tmp_path / "cat.npy", pixels(10, 784))
    np.save(tmp_path / "dog.npy", pixels(10, 784))
    result = found(tmp_path / "cat.npy")
    (part,) = result.parts
    assert (part.split, part.labels, result.classes, result.notes) == ("", None, (), ("no labels for cat.npy",))
    assert np.array_equal(together(part), pixels(10, 784).reshape(10, 28, 28))


@pytest.mark.parametrize(
    ("names", "classes", "splits"),
    [
        (("full_numpy_bitmap_cat", "full_numpy_bitmap_The Eiffel Tower"), ("The Eiffel Tower", "cat"), [""]),
        (("full_numpy_bitmap_train", "full_numpy_bitmap_cat"), ("cat", "train"), [""]),  # a train, not a split
        (("cat", "dog", "ice_cream"), ("cat", "dog", "ice_cream"), [""]),
        (("cat_images", "dog_images"), ("cat", "dog"), [""]),
        (("cat", "cat_big"), ("cat", "cat_big"), [""]),
        (("cat_train", "dog_train", "cat_test", "dog_test"), ("cat", "dog"), ["train", "test"]),
    ],
)
def test_each_file_is_a_label(tmp_path: Path, names: tuple[str, ...], classes: Any, splits: list[str]) -> None:
    images = {name: pixels(5 + number, 784) for number, name in enumerate(names)}
    for name, array in images.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "weights.npy", np.zeros(5))
    result = found(tmp_path)
    assert (result.classes, result.left_out) == (classes, ("weights.npy",))
    assert result.notes == ("the labels are the names of the files",)
    assert [part.split for part in result.parts] == splits
    for part in result.parts:
        mine = [name for name in sorted(names) if part.split in name or not part.split]
        wanted = np.concatenate([images[name] for name in mine])
        texts = [next(each for each in classes[::-1] if each in name) for name in mine for _ in images[name]]
        for size, start in ((3, 0), (100, 0), (2, 1), (4, 7)):
            assert np.array_equal(np.reshape(together(part, size, start), (-1, 784)), wanted[start:])
        assert [result.classes[number] for number in labels(part)] == texts


@pytest.mark.parametrize("dtype", ["?", "<u1", ">u2", "<i4", ">i8", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((10, 9, 12), None),
        ((10, 9, 12, 1), None),
        ((10, 9, 12, 3), None),
        ((10, 9, 12, 4), None),
        ((10, 1, 9, 12), (0, 2, 3, 1)),
        ((10, 3, 9, 12), (0, 2, 3, 1)),
    ],
)
def test_axes_and_types(tmp_path: Path, shape: Any, axes: Any, suffix: str, order: Any, dtype: str) -> None:
    array = np.asarray(pixels(*shape, dtype=dtype), order=order)
    file = tmp_path / f"images.{suffix}"
    np.save(file, array) if suffix == "npy" else np.savez_compressed(file, images=array)
    (part,) = found(file).parts
    images = together(part, 4)
    assert images[0].dtype == np.dtype(dtype)
    assert np.array_equal(images, array.transpose(axes) if axes else array)
    assert np.array_equal(together(part, 4, 5), images[5:])


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("planes", [False, True])
def test_rows_of_colours_in_either_order(tmp_path: Path, planes: bool, dtype: str) -> None:
    images = smooth(20).astype(dtype)
    rows = (images.transpose(0, 3, 1, 2) if planes else images).reshape(20, -1)
    np.savez(tmp_path / "a.npz", x_train=rows[:15], x_test=rows[15:])
    result = found(tmp_path / "a.npz")
    assert np.array_equal([image for part in result.parts for image in together(part)], images)
    how = "all red before green and blue" if planes else "red, green and blue of each pixel together"
    assert f"rows of 768 numbers are read as colours: {how}" in result.notes


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((28, 28), (1, 28, 28)),
        ((64, 64), (1, 64, 64)),
        ((480, 640), (1, 480, 640)),
        ((480, 640, 3), (1, 480, 640, 3)),
        ((8, 9, 1), (1, 8, 9, 1)),
        ((100, 64), (100, 8, 8)),
        ((1, 784), (1, 28, 28)),
        ((2, 784), (2, 28, 28)),
        ((3, 28, 28), (3, 28, 28)),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_image_or_many(tmp_path: Path, shape: Any, wanted: Any, order: Any) -> None:
    array = np.asarray(pixels(*shape), order=order)
    np.save(tmp_path / "a.npy", array)
    (part,) = found(tmp_path / "a.npy").parts
    assert np.array_equal(together(part), array.reshape(wanted))


def test_labels_settle_whether_a_square_is_one_image(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=pixels(64, 64), y=digits(64))
    (part,) = found(tmp_path / "a.npz").parts
    assert np.array_equal(together(part), pixels(64, 64).reshape(64, 8, 8))


@pytest.mark.parametrize("names", [("notes.txt",), ("notes.txt", "a.png"), ("deep/er/a.jpeg", "embeddings.npy")])
def test_other_folders_are_left_to_others(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
        if name.endswith(".npy"):
            np.save(tmp_path / name, np.zeros((9, 100)))
    assert numpy_files.find(tmp_path) is None
    assert numpy_files.find(tmp_path / names[0]) is None
    assert numpy_files.find(tmp_path / "missing") is None
