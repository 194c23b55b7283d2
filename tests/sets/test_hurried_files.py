"""Files of data sets that are not quite right, or not what they seem: each message names the file, what is wrong, and
what to do; and no option is passed over."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from atlcodec import picture, sets
from atlcodec.errors import BadData, BadImage
from atlcodec.fit import Fit
from atlcodec.sets.contents import contents
from atlcodec.sets.finding import find
from atlcodec.sets.locate import locate
from drawings import Pixels
from kit import MNIST, Cli
from sets_kit import Draw, idx, write_idx

pytestmark = pytest.mark.usefixtures("workplace")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx_set(labels: bytes | None = None, images: bytes | None = None, names: bytes | None = None) -> None:
    """A set in the folder `in`: three images with the labels 0, 1, 2, unless you give others."""
    Path("in").mkdir()
    Path("in", IMAGES).write_bytes(idx(np.zeros((3, 28, 28), np.uint8)) if images is None else images)
    Path("in", LABELS).write_bytes(idx(np.arange(3, dtype=np.uint8)) if labels is None else labels)
    if names is not None:
        Path("in/labels.txt").write_bytes(names)


def typed(code: int, values: np.ndarray[Any, Any]) -> bytes:
    """Labels of another type as an IDX file."""
    return struct.pack(">HBBI", 0, code, 1, len(values)) + values.tobytes()


def why(where: str | Path, **how: Any) -> str:
    with pytest.raises(BadData) as error:
        find(where, shape=(28, 28), how=Fit(**how))
    assert "\n" not in str(error.value)
    return str(error.value)


def table(path: str, rows: np.ndarray[Any, Any], labels: list[str]) -> None:
    lines = [",".join([label, *map(str, row.ravel())]) for label, row in zip(labels, rows, strict=True)]
    Path(path).write_text("\n".join(["label," + ",".join(f"p{n}" for n in range(784)), *lines]) + "\n")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (b"zero\n\none\ntwo\n", "labels.txt: line 2: is empty"),
        (b"zero\none\none\n", "labels.txt: line 3: names 'one' again, as line 2"),
        (b"", "labels.txt: is empty"),
        (b"zero\none\n", "labels.txt: has 2 names, for labels 0 to 1; labels go to 2; name all, or rename the file"),
        (b"zero\n" + b"x" * 2000 + b"\ntwo\n", "labels.txt: line 2: 'xxx"),
    ],
)
def test_names_of_labels_that_cannot_be_used(names: bytes, says: str) -> None:
    idx_set(names=names)
    assert says in why("in")


def test_names_of_labels_from_windows() -> None:
    idx_set(names=b"\xef\xbb\xbfzero\r\none\r\ntwo\r\n\r\n")
    assert find("in", shape=(28, 28)).classes == ("zero", "one", "two")


@pytest.mark.parametrize("kind", [(13, ">f4"), (14, ">f8"), (12, ">i4")])
def test_labels_of_other_types(kind: tuple[int, str]) -> None:
    idx_set(typed(kind[0], np.array([2, -1, 7], kind[1])))
    source = find("in", shape=(28, 28))
    assert source.classes == ("2", "7")
    assert [name.label for name in next(source.batches()).names] == ["2", None, "7"]


@pytest.mark.parametrize(
    ("labels", "images", "says"),
    [
        (None, idx(np.arange(3, dtype=np.uint8)), f"{IMAGES}: holds 3 numbers, as labels are"),
        (idx(np.zeros((3, 28, 28), np.uint8)), None, f"{LABELS}: holds an array of 3 x 28 x 28; labels are one number"),
        (typed(13, np.array([0, 1.5, 2], ">f4")), None, f"{LABELS}: holds float32, and not only whole numbers"),
        (typed(12, np.array([0, -7, 2], ">i4")), None, f"{LABELS}: has the label -7; labels begin at 0"),
        (idx(np.arange(2, dtype=np.uint8)), None, f"{LABELS}: has 2 labels, but {IMAGES} has 3 images; get the two"),
        (None, b"<!DOCTYPE html>", f"{IMAGES}: is a web page, not data; download it again"),
        (
            None,
            gzip.compress(bytes(257) + b"ustar", mtime=0),
            f"{IMAGES}: is a tar archive; unpack it, and name the folder",
        ),
    ],
)
def test_idx_files_that_are_something_else(labels: bytes | None, images: bytes | None, says: str) -> None:
    idx_set(labels, images)
    assert f"in/{says}" in why("in")


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("x", b"", "is empty; get another copy"),
        ("x.csv", "a,b,c\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("x.csv", b"a,b,c\r1,2,3\r", "has the line ends of old Macs"),
        ("x.csv", b"id,label\n0,cat\n", "has 2 columns (id, label); a table of pixels has"),
        ("x.csv", b"record,path,label\n0,a.png,a\n", "lists the images of a file of records; `atlc decode`"),
        ("x.atlc", bytes(200), "holds records already; `atlc decode` makes images of them"),
        ("x.mat", b"MATLAB 7.3 MAT-file, Platform", "is a MATLAB file"),
        ("x.arrow", b"ARROW1\0\0", "is an Arrow file; write it as Parquet"),
        ("x.db", b"SQLite format 3\0", "is a database of SQLite"),
        ("x.png", b"\x89PNG\r\n\x1a\n", "is one image; a data set is a folder of image files"),
        ("x.parquet", b"PAR1" + bytes(20) + b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_not_sets(name: str, raw: bytes, says: str, cli: Cli) -> None:
    Path(name).write_bytes(raw)
    assert f"{name}: {says}" in why(name)
    assert f"{name}: {says}" in cli("encode", name, "--dry-run").complaint


def test_a_dry_run_of_what_is_not_there(cli: Cli) -> None:
    assert (
        "nowhere: no such file or folder; give image files, or a data set"
        in cli("encode", "nowhere", "--dry-run").complaint
    )


@pytest.mark.parametrize(("low", "high", "usual"), [(0.0, 0.9, "0 1"), (-0.5, 1.0, "-1 1"), (0.0, 200.0, "0 255")])
def test_floating_point_images_lead_to_their_range(low: float, high: float, usual: str, cli: Cli) -> None:
    np.savez("x.npz", x_train=np.linspace(low, high, 2 * 784).reshape(2, 28, 28))
    assert cli("encode", "x.npz", "-o", "o.atlc").complaint.endswith(f"so perhaps --range {usual}")
    assert cli("encode", "x.npz", "-o", "o.atlc", "--range", *usual.split()).code == 0


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"frame": 0}, "--frame 0 (frame=0) is for animations, and these are arrays; leave it out"),
        ({"frame": "all"}, "--frame all (frame='all') is for animations"),
        ({"range": (0.0, 9.0)}, "has values of 8 bits; --range (range=) is for deeper ones; leave it out"),
    ],
)
def test_options_that_do_nothing_for_arrays_are_refused(how: dict[str, Any], says: str) -> None:
    np.savez("x.npz", x_train=np.zeros((2, 28, 28), np.uint8))
    assert says in why("x.npz", **how)


def test_an_image_of_eight_bits_says_that_a_range_does_not_change_it(digit: Pixels) -> None:
    prepared = picture.prepare(Image.fromarray(digit), Fit(range=(0, 9)), shape=(28, 28))
    assert prepared.losses == {"unranged": "has 8 bits a pixel, so --range (range=) does not change it"}
    assert np.array_equal(prepared.pixels, digit)


def test_one_wrong_pixel_does_not_change_what_the_others_are(draw: Draw, cli: Cli) -> None:
    rows = np.stack([draw(n) for n in range(4)]).astype(np.int64)
    rows[2, 5, 5] = 300
    np.savez("x.npz", x_train=rows, y_train=range(4))
    table("x.csv", rows, list("0123"))
    for name in ("x.npz", "x.csv"):
        for options in ([], ["--gray"]):
            ran = cli("encode", name, "-o", f"{name}{len(options)}.atlc", "-m", MNIST, *options)
            assert "00002.png: has values from 0 to 300, where pixels have 0 to 255; --range 0 511" in ran.err
            assert f"{name}: 3 images" in ran.err.splitlines()[-1]
        data = sets.load(name)
        parts = [data.train.images, *([data.test.images] if data.test else [])]
        loaded = {image.tobytes() for images in parts for image in images}
        assert loaded == {row.astype(np.uint8).tobytes() for row in np.delete(rows, 2, axis=0)}


def test_labels_are_sorted_as_numbers_before_words(draw: Draw) -> None:
    table("x.csv", np.stack([draw(n) for n in range(4)]), ["10", "b", "9", "B"])
    assert find("x.csv", shape=(28, 28)).classes == ("9", "10", "B", "b")


def parquet(name: str, images: list[bytes], names: list[str] | None = None) -> None:
    data = pa.table({"image": [{"bytes": image, "path": None} for image in images], "label": range(len(images))})
    if names:
        about = f'{{"info": {{"features": {{"label": {{"names": {list(names)}}}}}}}}}'.replace("'", '"')
        data = data.replace_schema_metadata({"huggingface": about})
    pq.write_table(data, name)


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_first_image_that_is_damaged_does_not_stop_the_others(digit: Pixels, cli: Cli) -> None:
    parquet("x.parquet", [b"nonsense", *[png(digit)] * 3])
    assert cli("train", "--data", "x.parquet", "-o", "own", "--dry-run").code == 0
    assert len(sets.load("x.parquet").problems) == 1
    parquet("x.parquet", [b"nonsense"] * 3)
    assert "not an image" in cli("train", "--data", "x.parquet", "-o", "own", "--dry-run").complaint


def test_two_names_that_are_the_same_are_said(digit: Pixels) -> None:
    parquet("x.parquet", [png(digit)] * 3, ["cat", "cat", "dog"])
    about = contents(find("x.parquet", shape=(28, 28)))
    assert about.labels == ("0", "1", "2")
    assert about.notes == ("two labels are named 'cat', so the labels are numbers",)


def test_all_frames_of_images_in_parquet_are_refused_at_once(digit: Pixels) -> None:
    parquet("x.parquet", [png(digit)] * 3)
    assert "--frame all (frame='all') is for image files in folders; --frame 0 takes the first" in why(
        "x.parquet", frame="all"
    )


def test_cifar_with_batches_missing_says_so() -> None:
    Path("in").mkdir()
    Path("in/test_batch.bin").write_bytes(bytes(2 * 3073))
    source = find("in", shape=(32, 32, 3))
    assert len(source) == 2
    assert source.notes[0].startswith("without data_batch_1.bin, data_batch_2.bin")


def test_a_name_is_found_in_any_case_and_a_folder_of_that_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLC_DATA", "data")
    write_idx(Path("data/FashionMNIST"))
    write_idx(Path("data/Own"))
    assert locate("fashion-mnist") == Path("data/FashionMNIST")
    assert locate("own") == Path("data/Own")
    lines: list[str] = []
    write_idx(Path("mnist"))
    assert locate("mnist", lines.append) == Path("mnist")
    assert lines == ["mnist: the one in this folder, not the official MNIST, is read"]


def test_a_wrong_background_is_refused_also_where_nothing_is_transparent(digit: Pixels) -> None:
    np.savez("x.npz", x_train=digit[None])
    with pytest.raises(BadImage, match="unknown background 'nonsense'; use black, white, auto"):
        find("x.npz", shape=(28, 28), how=Fit(background="nonsense"))
    with pytest.raises(BadImage, match="unknown background 'nonsense'"):
        picture.prepare(Image.fromarray(digit), Fit(background="nonsense"), shape=(28, 28))


def test_a_column_of_splits(draw: Draw) -> None:
    table("x.csv", np.stack([draw(n) for n in range(3)]), list("012"))
    lines = Path("x.csv").read_text().splitlines()
    ends = ["split", "train", "validation", "test"]
    Path("x.csv").write_text("\n".join(f"{line},{end}" for line, end in zip(lines, ends, strict=True)))
    assert contents(find("x.csv", shape=(28, 28))).splits == {"train": 1, "validation": 1, "test": 1}


def test_a_label_that_cannot_be_one_names_the_file(digit: Pixels) -> None:
    np.savez("x.npz", x_train=digit[None], y_train=["a\nb"])
    assert r"x.npz: 'a\nb' cannot be a label" in why("x.npz")


def test_a_list_is_not_written_over_a_table_of_pixels(draw: Draw, cli: Cli) -> None:
    table("train.csv", np.stack([draw(n) for n in range(3)]), list("012"))
    before = Path("train.csv").read_bytes()
    for options in ([], ["-f"]):
        complaint = cli("encode", "train.csv", "-o", "train.atlc", *options).complaint
        assert complaint == "atlc: train.csv: is not a list of atlc; choose another -o"
    assert Path("train.csv").read_bytes() == before


def test_two_tables_with_the_same_numbers(draw: Draw, cli: Cli) -> None:
    table("x.csv", np.stack([draw(n) for n in range(3)]), list("012"))
    assert cli("encode", "x.csv", "-o", "set.atlc", "-m", MNIST).code == 0
    complaint = cli("encode", "x.csv", "-o", "set.atlc", "--append").complaint
    assert "3 images are in the set already (00000.png, ...); if they are others, with the same numbers" in complaint
