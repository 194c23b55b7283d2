"""Files of NumPy that are damaged, lie, or hold no images: one line with the file, the array, what is wrong, and what
to do. What a file promises is not believed before it is there."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.formats import numpy_arrays, numpy_files

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(shape: str, descr: str = "'|u1'", *, length: int | None = None) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x02\x00" + (len(text) if length is None else length).to_bytes(4, "little") + text


def npz(path: Path, stored: bool = False, **members: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(f"{name}.npy", raw)
    return path


def read(path: Path) -> None:
    """Find the set of a file and read all of its images."""
    found = numpy_files.find(path)
    assert found is not None
    for part in found.parts:
        for _ in part.images(7):
            pass


def error(path: Path) -> str:
    """What is said about it, which is one line that begins with the file."""
    with pytest.raises(BadData) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert "; " in said or ": save" in said or ": fetch" in said  # what to do
    return said.removeprefix(f"{path}: ")


BAD = [
    ("cut off: its header says 31360 bytes of values, it has 31340", npy(IMAGES)[:-20]),
    ("too long: its header says 31360 bytes of values, it has 31363", npy(IMAGES) + b"abc"),
    ("no images: its shape is (0, 28, 28)", npy(IMAGES[:0])),
    ("no images: its shape is (3, 0, 28)", npy(IMAGES[:3, :0])),
    ("Python objects, which are not safe to read", npy(np.array([IMAGES[0], IMAGES[1, 1:]], object))),
    ("rows of 700 numbers, which are not square images", npy(IMAGES.reshape(40, 784)[:, :700].repeat(200, axis=0))),
    ("40 volumes or films of 28 x 28 x 28", npy(np.zeros((40, 28, 28, 28), "u1"))),
    ("40 volumes or films of 2 x 28 x 28 x 1", npy(np.zeros((40, 2, 28, 28, 1), "u1"))),
    ("the shape (40,), not that of images", npy(np.zeros(40))),
    ("the shape (), not that of images", npy(np.array(3))),
    ("values of the type complex64", npy(IMAGES.astype(np.complex64))),
    ("values of the type <U1", npy(IMAGES.astype("U1"))),
    ("values of the type datetime64", npy(IMAGES.astype("M8[s]"))),
    ("values of the type [('r', 'u1')", npy(np.zeros((40, 28, 28), [("r", "u1"), ("g", "u1")]))),
    ("no valid header of NumPy", b"\x93NUMPY"),
    ("no valid header", b"\x93NUMPY\x09\x00" + npy(IMAGES)[8:]),
    ("no valid header", header("(40, -28, -28)") + bytes(31360)),
    ("no valid header", header("(40, 28.0, 28)") + bytes(31360)),
    ("no valid header", header("(40, 28, 28)", "'|u1', 'more': 3") + bytes(31360)),
    ("no valid header", header("(40, 28, 28)", "'nonsense'") + bytes(31360)),
    ("no valid header", header("(40, 28, 28)", "'S0'")),
    ("no valid header", header("(40, 28, 28)", length=1 << 31) + bytes(31360)),
    ("no valid header", header("(" * 5000) + bytes(31360)),
    ("cut off: its header says 1000000000000000000000000", header(f"({10**20}, 100, 100)") + bytes(31360)),
]


@pytest.mark.parametrize("suffix", ["npy", "npz", "stored"])
@pytest.mark.parametrize(("what", "raw"), BAD)
def test_bad_arrays(tmp_path: Path, what: str, raw: bytes, suffix: str) -> None:
    file = tmp_path / f"x_train.{suffix}"
    if suffix == "npy":
        file.write_bytes(raw)
    else:
        npz(file, suffix == "stored", x_train=raw, y_train=npy(np.zeros(40)))
    said = error(file)
    assert what in said
    assert said.startswith("x_train ") == (suffix != "npy")


def test_a_header_of_python_2(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header("(40L, 28L, 28L)") + IMAGES.tobytes())
    found = numpy_files.find(tmp_path / "x.npy")
    assert found is not None
    (batch,) = found.parts[0].images(40)
    assert np.array_equal(np.asarray(batch), IMAGES)


@pytest.mark.parametrize("stored", [True, False])
def test_a_zip_that_is_cut_off_anywhere(tmp_path: Path, stored: bool) -> None:
    raw = npz(tmp_path / "a.npz", stored, x_train=npy(IMAGES), y_train=npy(np.zeros(40))).read_bytes()
    for size in (60, 100, 1000, len(raw) // 2, len(raw) - 30, len(raw) - 1):
        (tmp_path / "cut.npz").write_bytes(raw[:size])
        assert "cut off or damaged" in error(tmp_path / "cut.npz")


@pytest.mark.parametrize("stored", [True, False])
def test_no_changed_byte_of_a_zip_goes_unseen(tmp_path: Path, stored: bool) -> None:
    raw = npz(tmp_path / "a.npz", stored, x_train=npy(IMAGES), y_train=npy(np.arange(40))).read_bytes()
    labels = raw.index(b"y_train.npy")  # its values end before the directory of the ZIP
    for place in (150, *range(200, labels - 50, 5003), raw.index(b"PK\x01\x02") - 50):
        (tmp_path / "bad.npz").write_bytes(raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1 :])
        assert "fetch it again" in error(tmp_path / "bad.npz")


def test_a_member_that_is_longer_or_shorter_than_the_zip_says(tmp_path: Path) -> None:
    promised = (128 + 40 * 784).to_bytes(4, "little")
    for count in (30, 50):
        lie = header("(40, 28, 28)").replace(b"\n", b" " * (128 - len(header("(40, 28, 28)"))) + b"\n")
        lie = lie[:8] + (116).to_bytes(4, "little") + lie[12:]
        assert len(lie) == 128
        file = npz(tmp_path / "lie.npz", x_train=lie + np.resize(IMAGES, (count, 28, 28)).tobytes())
        said = (128 + count * 784).to_bytes(4, "little")
        file.write_bytes(file.read_bytes().replace(said, promised))
        assert "fetch it again" in error(file)


def test_a_bomb_is_not_read(tmp_path: Path) -> None:
    """64 MiB of zeros in 64 KiB: neither a header that promises them nor one that does not makes them be read."""
    tracemalloc.start()
    for raw in (header("(40, 28, 28)"), header("(40, 28, 28)", length=60 << 20), b"\x93NUMPY\x02\x00"):
        bomb = zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED)
        with bomb, bomb.open("x_train.npy", "w") as member:
            member.write(raw)
            for _ in range(64):
                member.write(bytes(1 << 20))
        tracemalloc.reset_peak()
        error(tmp_path / "bomb.npz")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["npz", "npy", "columns"])
def test_images_are_streamed(tmp_path: Path, kind: str, compressed: bool) -> None:
    images = np.zeros((20_000, 28, 28), np.uint8)  # 15.7 MB
    images[:, 3, 4] = np.arange(20_000) % 251
    if kind == "npz":
        (np.savez_compressed if compressed else np.savez)(tmp_path / "a", x_train=images)
    else:
        np.save(tmp_path / "a.npz", images if kind == "npy" else np.asfortranarray(images))
        (tmp_path / "a.npz.npy").rename(tmp_path / "a.npz")
    del images
    tracemalloc.start()
    found = numpy_files.find(tmp_path / "a.npz")
    assert found is not None
    count = 0
    for batch in found.parts[0].images(500):
        assert [int(image[3, 4]) for image in np.asarray(batch)] == [n % 251 for n in range(count, count + len(batch))]
        count += len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 8 << 20


def test_columns_in_a_zip_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.asfortranarray(IMAGES))
    read(tmp_path / "a.npz")
    monkeypatch.setattr(numpy_arrays, "LARGEST", IMAGES.size - 1)
    assert "x_train is in the order of Fortran" in error(tmp_path / "a.npz")


def test_a_file_that_changes_between_finding_and_reading(tmp_path: Path) -> None:
    for name, what in (("x.npy", "cut off"), ("x.npz", "cannot be read")):
        file = tmp_path / name
        (np.save if name == "x.npy" else np.savez)(file, IMAGES)
        found = numpy_files.find(file)
        assert found is not None
        file.write_bytes(file.read_bytes()[:-1000])
        with pytest.raises(BadData, match=what):
            list(found.parts[0].images(7))
        file.unlink()
        with pytest.raises(BadData, match="cannot be read"):
            list(found.parts[0].images(7))


def test_encrypted_members_cannot_be_read(tmp_path: Path) -> None:
    file = npz(tmp_path / "a.npz", x_train=npy(IMAGES))
    raw = bytearray(file.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(raw)
    assert "encrypted" in error(file)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"arr_0": IMAGES, "arr_1": IMAGES}, "arr_0 and arr_1 may both be the images; give them names"),
        ({"cat_imgs_train": IMAGES, "dog_imgs_train": IMAGES}, "may both be the train images"),
        ({"y": np.zeros(3), "z": np.zeros(4), "v": np.zeros((2, 2))}, r"only y (3,), z (4,), v (2, 2); name it"),
        ({"a\nb": np.zeros(3), "c": np.zeros(3)}, "only a?b (3,), c (3,)"),
        ({"a": np.array([None]), "b": np.zeros(3)}, "holds Python objects"),
    ],
)
def test_files_whose_images_cannot_be_told(tmp_path: Path, arrays: dict[str, NDArray[Any]], what: str) -> None:
    members: dict[str, Any] = {name: npy(array) for name, array in arrays.items()}
    assert what in error(npz(tmp_path / "a.npz", **members))


def test_too_many_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_arrays, "MOST", 3)
    members: dict[str, Any] = {f"image{n}": npy(IMAGES[0]) for n in range(4)}
    file = npz(tmp_path / "a.npz", **members)
    assert "has 4 arrays; save all images in one" in error(file)


def test_zips_of_other_things_are_left_to_others(tmp_path: Path) -> None:
    for names in (["a.png"], ["a.png", "b.png", "features.npy"], []):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            for name in names:
                archive.writestr(name, npy(IMAGES))
        assert numpy_files.find(tmp_path / "a.npz") is None
        (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
        assert numpy_files.find(tmp_path / "a.npz") is None
