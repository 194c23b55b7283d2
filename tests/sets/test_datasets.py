"""Data sets: IDX files, folders of labelled images, and the official sets fetched by name from a server on this
machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atlcodec import picture, sets
from atlcodec.errors import BadData
from atlcodec.sets import idx as idx_files
from atlcodec.sets import official
from kit import Cli
from sets_kit import idx


def write_idx(folder: Path, *, train: int = 30, test: int = 6, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", train), ("t10k", test)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", np.arange(count, dtype=np.uint8) % 3),
        ):
            raw = idx(array)
            path = folder / f"{name}-{kind}-ubyte"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(raw))
            else:
                path.write_bytes(raw)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_folder_of_idx_files(tmp_path: Path, compressed: bool) -> None:
    write_idx(tmp_path / "mine", compressed=compressed)
    data = sets.load(tmp_path / "mine")
    assert data.name == "mine"
    assert data.train.images.shape == (30, 28, 28)
    assert data.train.labels is not None
    assert data.train.labels.tolist() == [n % 3 for n in range(30)]
    assert data.test is not None
    assert len(data.test) == 6
    assert data.classes == ("0", "1", "2")
    (tmp_path / "mine/labels.txt").write_text("ant\nbee\ncat\n")
    assert sets.load(tmp_path / "mine").classes == ("ant", "bee", "cat")
    (tmp_path / "mine/labels.txt").write_text("ant\nbee")
    with pytest.raises(BadData, match="has 2 names, for labels 0 to 1; labels go to 2"):
        sets.load(tmp_path / "mine")


def test_images_without_labels_or_test_files(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 28, 28), np.uint8)))
    data = sets.load(tmp_path)
    assert data.train.labels is None
    assert data.test is None
    assert data.classes == ()


@pytest.mark.parametrize(
    ("content", "message", "if_cut_off"),
    [
        (b"", "is empty; get another copy", "is cut off or damaged"),
        (b"not idx at all", "not an IDX file", "is cut off or damaged"),
        (idx(np.zeros((4, 28, 28), np.uint8))[:-1], "its header says 4 images, it has fewer", "is cut off"),
        (idx(np.zeros((4, 32, 7), np.uint8)), "7 x 32 pixels; a codec has 8 to 256 rows", "is cut off"),
        (b"\0\0\x08\0" + bytes(13), "not an IDX file", "is cut off"),
        (
            struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 28, 28),
            "its header says 4294967295 images, it has fewer",
            "is cut off",
        ),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "must have 1 to 4096 rows", "is cut off"),
    ],
)
def test_broken_idx_files_are_refused(tmp_path: Path, content: bytes, message: str, if_cut_off: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(BadData, match=message):
        sets.load(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(BadData, match=if_cut_off):
        sets.load(tmp_path)


def test_labels_of_too_many_dimensions(tmp_path: Path) -> None:
    write_idx(tmp_path)
    labels = b"\0\0\x08\x41" + bytes((0, 0, 0, 1)) * 65 + b"\0"
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    with pytest.raises(BadData, match="not an IDX file"):
        sets.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"caf\xe9\nbar\n", "not UTF-8"), (b"x" * ((1 << 20) + 1), "larger than 1048576 bytes")]
)
def test_label_names_that_cannot_be_read(content: bytes, message: str, tmp_path: Path, cli: Cli) -> None:
    write_idx(tmp_path)
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(BadData, match=message):
        sets.load(tmp_path)
    assert message in cli("encode", tmp_path, "-o", tmp_path / "set.atlc").complaint


def test_labels_must_be_as_many_as_images(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(29, np.uint8))))
    with pytest.raises(BadData, match="has 29 labels, but train-images-idx3-ubyte"):
        sets.load(tmp_path)


def write_images(folder: Path, counts: dict[str, int]) -> None:
    for shade, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = np.full((28, 28), 50 * shade + number, np.uint8)
            (folder / label / f"{number:03d}.png").write_bytes(picture.png(image))


def test_folders_of_labelled_images(tmp_path: Path) -> None:
    write_images(tmp_path / "set", {"cat": 20, "dog": 30})
    data = sets.load(tmp_path / "set")
    assert data.classes == ("cat", "dog")
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (45, 5)
    for split in (data.train, data.test):
        assert split.labels is not None
        assert np.array_equal(split.images[:, 0, 0] >= 50, split.labels == 1)
    # In the order of the labels, the last images, which are for validation, would all be dogs.
    assert data.train.labels is not None
    assert 0 < data.train.labels[-10:].mean() < 1
    again = sets.load(tmp_path / "set")
    assert np.array_equal(again.train.images, data.train.images)
    assert again.sha256 == data.sha256


def test_folders_of_images_with_a_test_split(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    write_images(tmp_path / "test", {"cat": 1, "dog": 2})
    data = sets.load(tmp_path)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (10, 3)


def test_a_few_images_that_cannot_be_read_are_left_out_and_many_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, {"cat": 20, "dog": 20})
    (tmp_path / "dog/note.txt").write_text("hello")
    for number in range(4):
        (tmp_path / f"dog/{number}.png").write_text("hello")
    data = sets.load(tmp_path)
    assert (len(data.train), len(data.test or ()), len(data.problems)) == (36, 4, 4)
    assert "dog/0.png: not an image" in data.problems[0]
    assert data.contents is not None
    assert data.contents.line() == "40 images, 2 labels: cat dog; left out: dog/note.txt; 4 images could not be read"
    (tmp_path / "cat/4.png").write_text("hello")
    with pytest.raises(BadData, match=r"cat/4\.png: not an image .* \(5 of 45 images cannot be read\)"):
        sets.load(tmp_path)


def test_labels_may_be_links_and_the_test_may_have_others(tmp_path: Path) -> None:
    write_images(tmp_path / "real", {"cat": 2, "dog": 3})
    write_images(tmp_path / "set/test", {"cat": 1, "cow": 1})
    (tmp_path / "set/train").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / "set/train" / label).symlink_to(tmp_path / "real" / label)
    (tmp_path / "set/train/.cache").mkdir()
    (tmp_path / "set/train/dog/000.atlc").write_bytes(bytes(200))
    data = sets.load(tmp_path / "set")
    assert data.classes == ("cat", "cow", "dog")
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (5, 2)
    assert data.contents is not None
    assert data.contents.left_out == ("train/dog/000.atlc",)


@pytest.mark.parametrize("where", ["nowhere", "a/b/c"])
def test_a_missing_folder_says_what_to_give(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        sets.load(where)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="empty: is empty"):
        sets.load("empty")


def test_a_name_is_looked_up_below_atlc_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_idx(tmp_path / "things")
    monkeypatch.setenv("ATLC_DATA", str(tmp_path))
    monkeypatch.chdir("/")
    assert len(sets.load("things").train) == 30


# -- fetching ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mirror of the official sets on 127.0.0.1: files put into the folder are what it serves."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setenv("ATLC_MIRROR", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.delenv("ATLC_DATA", raising=False)
        monkeypatch.chdir(tmp_path)
        yield root
        running.shutdown()
        thread.join()


def pin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the files of a folder are the official MNIST."""
    digests = [hashlib.sha256(gzip.decompress((folder / f"{n}.gz").read_bytes())).hexdigest() for n in idx_files.FILES]
    mnist = official.OFFICIAL["MNIST"]
    monkeypatch.setitem(
        official.OFFICIAL,
        "MNIST",
        official.Official(
            mnist.url, mnist.source, mnist.licence, mnist.labels, (digests[0], digests[1], digests[2], digests[3])
        ),
    )


def test_an_official_set_is_fetched_once_and_checked(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    said: list[str] = []
    assert len(sets.load("mnist", log=said.append).train) == 30
    assert len(said) == 4
    assert len(sets.load("MNIST", log=said.append).train) == 30
    assert len(said) == 4


def test_a_file_in_the_cache_that_was_damaged_is_fetched_again(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    before = sets.load("mnist")
    for damage in (b"", b"not gzip"):
        (file,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("t10k-images-idx3-ubyte.gz")
        file.write_bytes(damage)
        said: list[str] = []
        again = sets.load("mnist", log=said.append)
        assert "is damaged; fetching" in said[0]
        assert len(said) == 1
        assert again.test is not None
        assert before.test is not None
        assert np.array_equal(again.test.images, before.test.images)


def test_a_download_with_another_digest_is_refused_and_not_kept(server: Path, tmp_path: Path) -> None:
    write_idx(server / "MNIST")
    with pytest.raises(BadData, match="not the published file"):
        sets.load("MNIST")
    assert not list((tmp_path / "cache").rglob("*.gz"))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_failed_download_says_what_to_do_and_continues_later(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(server / "MNIST")
    pin(server / "MNIST", monkeypatch)
    last = server / "MNIST/t10k-labels-idx1-ubyte.gz"
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(BadData, match=r"404.*ATLC_MIRROR"):
        sets.load("MNIST")
    last.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match="ATLC_MIRROR"):
        sets.load("MNIST")
    last.write_bytes(content)
    said: list[str] = []
    assert sets.load("MNIST", log=said.append).test is not None
    assert len(said) == 1


REAL = Path(os.environ.get("ATLC_DATA", ""))


@pytest.mark.skipif(
    not (os.environ.get("ATLC_DATA") and (REAL / "MNIST").is_dir()), reason="needs MNIST below $ATLC_DATA"
)
def test_the_pinned_digests_are_those_of_the_real_files(server: Path) -> None:
    for name in ("MNIST", "FashionMNIST"):
        (server / name).symlink_to((REAL / name).resolve())
        data = sets.load(name)
        assert data.name == name
        assert data.test is not None
        assert (len(data.train), len(data.test)) == (60000, 10000)
