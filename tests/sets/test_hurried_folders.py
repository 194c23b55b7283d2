"""Folders as people have them: what archives, systems and other tools leave beside the images, and what a user meant by
it. Nothing of them may become a label or vanish without a word."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atlcodec import sets
from atlcodec.errors import BadData
from atlcodec.sets.contents import Contents, contents
from atlcodec.sets.finding import find
from kit import MNIST, Cli, put
from sets_kit import Draw, write_idx

pytestmark = pytest.mark.usefixtures("workplace")


Put = Callable[[str], None]


@pytest.fixture
def some(draw: Draw) -> Put:
    """Put two images into a folder."""

    def write(folder: str) -> None:
        for number in range(2):
            put(Path("in", folder, f"{number}.png"), draw(number))

    return write


def about(folder: str = "in") -> Contents:
    return contents(find(folder, shape=(28, 28)))


@pytest.mark.parametrize("system", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"])
def test_folders_of_systems_are_left_out_by_name(system: str, some: Put) -> None:
    for folder in (f"{system}/cat", "data/train/cat", "data/train/dog", "data/test/cat"):
        some(folder)
    assert about().line() == f"6 images (4 train, 2 test), 2 labels: cat dog; left out: {system}/"


def test_labels_are_found_beside_folders_without_images(some: Put) -> None:
    some("images/cat")
    some("images/dog")
    Path("in/annotations").mkdir()
    Path("in/annotations/cat.xml").write_text("<annotation/>")
    assert about().line() == "4 images, 2 labels: cat dog; left out: annotations/cat.xml"


def test_empty_folders_of_labels_are_said(some: Put) -> None:
    some("cat")
    some("dog")
    Path("in/cow").mkdir()
    Path("in/hen/old").mkdir(parents=True)
    assert about().left_out == ("cow/", "hen/old/")


@pytest.mark.parametrize(("train", "test"), [("train", "test1"), ("train1", "test1"), ("Train", "val2")])
def test_splits_with_numbers(train: str, test: str, some: Put) -> None:
    some(train)
    some(test)
    assert set(about().splits) == {"train", "validation" if "val" in test else "test"}
    assert about().labels == ()


def test_numbered_folders_of_one_split_are_labels(some: Put) -> None:
    some("test1")
    some("test2")
    assert about().labels == ("test1", "test2")


def test_folders_below_those_of_labels_are_said(some: Put) -> None:
    for folder in ("animal/cat", "animal/dog", "car/bus"):
        some(folder)
    assert about().labels == ("animal", "car")
    assert about().notes == (
        "the label of all below animal/ is that name; animal/cat and others below it are not labels",
    )


@pytest.mark.parametrize("wrapped", ["idx", "npz"])
def test_a_data_set_in_wrappers_is_found(wrapped: str) -> None:
    place = Path("in/w1/w2/w3/w4")
    if wrapped == "idx":
        write_idx(place)
    else:
        place.mkdir(parents=True)
        np.savez(place / "x.npz", x_train=np.zeros((3, 28, 28), np.uint8), y_train=[0, 1, 2])
    assert about().labels == ("0", "1", "2")
    assert find("in").name == "in"


def test_files_beside_a_data_set_are_left_out_by_name() -> None:
    Path("in/sub").mkdir(parents=True)
    np.savez("in/x.npz", x_train=np.zeros((3, 28, 28), np.uint8))
    np.save("in/sub/y.npy", np.zeros((3, 28, 28), np.uint8))
    Path("in/notes.txt").write_text("hello")
    assert about().left_out == ("notes.txt", "sub/")


def test_labels_that_look_like_one_are_said(some: Put) -> None:
    for folder in ("Cat", "cat", "dog", "dog ", "A", "a"):
        some(folder)
    assert about().notes == ("the labels 'Cat' and 'cat' (and 1 more) count as different; are they one?",)


def test_what_is_not_learned_from_is_said(cli: Cli, some: Put) -> None:
    for folder in ("train/cat", "train/dog", "test/cat", "extra"):
        some(folder)
    shutil.copy("in/train/cat/0.png", "in/train/0.png")
    line = "in: 9 images (5 train, 2 test, 2 in no split), 2 labels: cat dog (3 without a label)"
    not_used = "; not used: 1 train image without a label, 2 images in no split"
    assert cli("encode", "in", "--dry-run").lines[0] == line
    assert cli("evaluate", MNIST, "--data", "in", "--dry-run").lines[0] == line + not_used
    ran = cli("evaluate", MNIST, "--data", "in")
    assert ran.err.splitlines()[-1] == line + not_used
    assert len(sets.load("in").train) == 4


def test_a_test_set_without_labels_still_has_a_quality(cli: Cli, some: Put) -> None:
    for folder in ("train/cat", "train/dog", "test"):
        some(folder)
    data = sets.load("in")
    assert data.test is not None
    assert (len(data.test), data.test.labels, data.classes) == (2, None, ("cat", "dog"))
    ran = cli("evaluate", MNIST, "--data", "in")
    assert ran.code == 0
    assert "on 2 test images of in: PSNR" in ran.lines[0]
    assert "the images have no labels" in ran.lines[0]


def test_why_there_are_no_test_images(cli: Cli, some: Put) -> None:
    some("cat")
    some("dog")
    complaint = cli("evaluate", MNIST, "--data", "in").complaint
    assert "says nothing of splits, so every tenth image would be one, and it has 4; --split train takes" in complaint


def test_a_folder_that_cannot_be_read_is_said_by_a_dry_run(
    cli: Cli, some: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atlcodec.sets import folders

    listed = folders._listed

    def refused(folder: str) -> folders.Entries:
        if folder.rstrip("/").endswith("cow"):
            raise PermissionError(13, "Permission denied", folder)
        return listed(folder)

    for folder in ("cat", "dog", "cow"):
        some(folder)
    monkeypatch.setattr(folders, "_listed", refused)
    ran = cli("encode", "in", "--dry-run")
    assert ran.err == "atlc: in/cow: Permission denied\n"
    assert ran.lines[0] == "in: 4 images, 2 labels: cat dog; 1 image could not be read"


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("x.h5", b"\x89HDF\r\n\x1a\n", "x.h5: is an HDF5 file; save its arrays with numpy.savez"),
        ("x.zip", b"PK\x03\x04" + bytes(40), "x.zip: is a ZIP archive without arrays of NumPy; unpack it"),
        ("cat", b"\x89PNG\r\n\x1a\n", "cat: is one image, though its name has no ending such as .png"),
        ("x.pt", b"PK\x03\x04x/data.pkl", "x.pt: is a file of PyTorch, which is not safe to read"),
    ],
)
def test_a_folder_without_images_says_what_it_has(name: str, raw: bytes, says: str) -> None:
    Path("in/deep").mkdir(parents=True)
    Path("in/deep", name).write_bytes(raw)
    with pytest.raises(BadData, match="in: has no images") as error:
        find("in")
    assert f"deep/{says}" in str(error.value)


def test_a_folder_of_hidden_files_is_not_empty() -> None:
    Path("in/.cat").mkdir(parents=True)
    with pytest.raises(BadData, match="in: has nothing but hidden files"):
        find("in")


def test_images_that_are_all_of_another_shape_are_said_once(cli: Cli, workplace: Path) -> None:
    for number in range(30):
        put(workplace / f"photos/{number % 2}/{number}.png", np.full((40, 30, 3), (number, 90, 200), np.uint8))
    for command in (["encode", "photos", "-o", "set.atlc"], ["evaluate", MNIST, "--data", "photos"]):
        said = cli(*command).complaint
        assert "photos: not one of 10 images that were tried can be read as it is: photos/0/0.png: 30 x 40" in said
        assert "--gray" in said
        assert "atlc train --data photos makes a codec for them" in said
    assert cli("encode", "photos", "-o", "set.atlc", "--fit", "contain", "--gray").code == 0
