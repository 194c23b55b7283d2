"""Labels in files of NumPy: their kinds, the classes that they give, and why some are not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.formats import numpy_files, numpy_labels
from atlcodec.sets.formats.parts import Found

NUMBERS = [2, 0, 10, 2]


def images(count: int) -> NDArray[np.uint8]:
    return np.zeros((count, 28, 28), np.uint8)


def found(folder: Path, **arrays: Any) -> Found:
    np.savez_compressed(folder / "set.npz", **arrays)
    result = numpy_files.find(folder / "set.npz")
    assert result is not None
    return result


def labels(result: Found) -> list[list[int] | None]:
    return [None if part.labels is None else part.labels.tolist() for part in result.parts]


@pytest.mark.parametrize("dtype", ["u1", ">i2", "i8", "u8", "f2", ">f8"])
@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)])
def test_numbers_that_occur_are_classes(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    result = found(tmp_path, x=images(4), y=np.array(NUMBERS, dtype).reshape(shape))
    assert result.classes == ("0", "2", "10")
    assert labels(result) == [[1, 0, 2, 1]]
    assert result.notes == ()


def test_truth_values(tmp_path: Path) -> None:
    result = found(tmp_path, x=images(3), y=np.array([True, False, True]))
    assert (result.classes, labels(result)) == (("0", "1"), [[1, 0, 1]])


@pytest.mark.parametrize("dtype", ["U", "S", ">U9", "S20"])
def test_texts_are_classes_in_the_order_of_letters(tmp_path: Path, dtype: str) -> None:
    texts = ["dog", "Ähre".encode() if "S" in dtype else "Ähre", "", "dog"]
    result = found(
        tmp_path,
        x=images(4),
        y=np.array([t.encode() if "S" in dtype and isinstance(t, str) else t for t in texts], dtype),
    )
    assert result.classes == ("dog", "Ähre")
    assert labels(result) == [[0, 1, -1, 0]]


def test_texts_of_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    result = found(tmp_path, x=images(3), y=np.array(["10", "9", "100"]))
    assert (result.classes, labels(result)) == (("9", "10", "100"), [[1, 0, 2]])


def test_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        x_train=images(2), y_train=np.array([5, 1], "u1"),
        x_val=images(2), y_val=np.array([7.0, 1.0]),
        x_test=images(1), y_test=np.array([[300]]),
    )  # fmt: skip
    assert result.classes == ("1", "5", "7", "300")
    assert labels(result) == [[1, 0], [2, 0], [3]]


def test_numbers_in_one_split_and_texts_in_another(tmp_path: Path) -> None:
    result = found(
        tmp_path, x_train=images(3), y_train=np.array([2, -1, 10]), x_test=images(3), y_test=np.array(["", "10", "cat"])
    )
    assert result.classes == ("2", "10", "cat")
    assert labels(result) == [[0, -1, 1], [-1, 1, 2]]


def test_minus_one_stands_for_a_missing_label(tmp_path: Path) -> None:
    result = found(tmp_path, x=images(4), y=np.array([-1, 3, -1, 1]))
    assert (result.classes, labels(result)) == (("1", "3"), [[-1, 1, -1, 0]])
    assert result.notes == ("y has 2 times -1: these images have no label",)
    result = found(tmp_path, x=images(2), y=np.array([-1, -1]))
    assert (result.classes, labels(result)) == ((), [[-1, -1]])


@pytest.mark.parametrize("dtype", ["u1", "f4", "?"])
def test_rows_with_a_single_one(tmp_path: Path, dtype: str) -> None:
    result = found(tmp_path, x=images(4), y=np.eye(4, dtype=dtype)[[3, 0, 0, 2]])
    assert (result.classes, labels(result)) == (("0", "2", "3"), [[2, 0, 0, 1]])
    result = found(tmp_path, images=images(4), arr_0=np.zeros(3), labels=np.eye(4, dtype=dtype)[[3, 0, 0, 2]])
    assert (result.classes, result.left_out) == (("0", "2", "3"), ("arr_0",))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros(90, int), "has 90 labels for 4 images"),
        (np.zeros(1, int), "has 1 label for 4 images"),
        (np.array(3), "has 0 labels for 4 images"),
        (np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]), "has several labels for one image"),
        (np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]), "has rows without a 1"),
        (np.full((4, 3), 0.3), "has 3 values for each image, not one label"),
        (np.full((4, 3), "cat"), "has 3 values for each image, not one label"),
        (np.array([0.5, 1, 2, 3]), "has numbers that are not whole"),
        (np.array([np.nan, 1, 2, 3]), "has numbers that are not whole"),
        (np.array([np.inf, 1, 2, 3]), "has numbers that are not whole"),
        (np.array([2**64 - 1, 1, 2, 3], np.uint64), "has numbers that are too large"),
        (np.array([-1e300, 1, 2, 3]), "has numbers that are too large"),
        (np.array([b"\xff", b"a", b"b", b"c"]), "has texts that are not UTF-8"),
        (np.array([0x110000, 1, 2, 3], np.uint32).view("U1"), "has texts that are not Unicode"),
        (np.array([1j, 2, 3, 4]), "holds values of the type complex128"),
        (np.zeros(4, "M8[D]"), "holds values of the type datetime64[D]"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, values: NDArray[Any], why: str) -> None:
    result = found(tmp_path, x_train=images(2), y_train=np.array([0, 1]), x_val=images(4), y_val=values)
    assert result.notes == (f"y_val {why}, so they are not used",)
    assert (result.classes, labels(result)) == (("0", "1"), [[0, 1], None])


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("x_train", "y_train", "x_test"), "no labels: y_test is missing"),
        (("train_images", "train_labels", "test_images"), "no labels: test_labels is missing"),
        (("train_data", "train_target", "t10k_data"), "no labels: t10k_target is missing"),
    ],
)
def test_missing_labels(tmp_path: Path, names: tuple[str, str, str], note: str) -> None:
    result = found(tmp_path, **dict(zip(names, (images(2), np.array([0, 1]), images(4)), strict=True)))
    assert (result.notes, labels(result)) == ((note,), [[0, 1], None])


def test_images_alone(tmp_path: Path) -> None:
    result = found(tmp_path, X_test=images(2))
    assert (result.notes, labels(result), result.classes) == (("no labels: y_test is missing",), [None], ())
    np.save(tmp_path / "x_train.npy", images(2))
    alone = numpy_files.find(tmp_path / "x_train.npy")
    assert alone is not None
    assert alone.notes == ("no labels: y_train.npy is missing",)


def test_one_of_two_arrays_of_labels(tmp_path: Path) -> None:
    result = found(tmp_path, x=images(2), fine_labels=np.array([7, 8]), coarse_labels=np.array([0, 0]))
    assert result.classes == ("7", "8")
    assert result.notes == ("the labels are fine_labels, not coarse_labels",)
    assert result.left_out == ("coarse_labels",)
    result = found(tmp_path, x=images(2), label=np.array(["a", "b", "c"]), classes=np.array([7, 8]))
    assert (result.classes, result.notes, result.left_out) == (("7", "8"), (), ("label",))


def test_labels_of_python_objects_are_not_read(tmp_path: Path) -> None:
    values = np.array(["a", None], object)
    with pytest.raises(
        BadData, match=r"set\.npz: y holds Python objects, which are not safe to read; save plain arrays"
    ):
        found(tmp_path, x=images(2), y=values)
    result = found(tmp_path, x=images(2), y=np.array([0, 1]), metadata=values)
    assert (labels(result), result.left_out) == ([[0, 1]], ("metadata",))


def test_labels_of_other_names_beside_images(tmp_path: Path) -> None:
    np.save(tmp_path / "fashion_images.npy", images(2))
    np.save(tmp_path / "labels.npy", np.array([4, 5]))
    result = numpy_files.find(tmp_path)
    assert result is not None
    assert (labels(result), result.classes) == ([[0, 1]], ("4", "5"))


def test_missing_labels_in_a_file_of_their_own(tmp_path: Path) -> None:
    for name, array in (("train-imgs", images(2)), ("train-labels", np.array([4, 5])), ("test-imgs", images(3))):
        np.savez(tmp_path / f"k49-{name}.npz", array)
    result = numpy_files.find(tmp_path)
    assert result is not None
    assert result.notes == ("no labels: k49-test-labels.npz is missing",)


def test_labels_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_labels, "LARGEST", 15)
    result = found(tmp_path, x=images(2), y=np.array(["cat", "dog"]))
    assert (labels(result), result.notes) == ([None], ("y needs more than 15 bytes, so they are not used",))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_labels_in_the_order_of_fortran(tmp_path: Path, suffix: str) -> None:
    rows = np.asfortranarray(np.eye(3, dtype="u1")[[2, 0, 1, 1]])
    if suffix == "npz":
        result: Found | None = found(tmp_path, x=images(4), y=rows)
    else:
        np.save(tmp_path / "x.npy", images(4))
        np.save(tmp_path / "y.npy", rows)
        result = numpy_files.find(tmp_path / "x.npy")
    assert result is not None
    assert labels(result) == [[2, 0, 1, 1]]
