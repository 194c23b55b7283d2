"""Tables of pixels in CSV files: which columns mean what, which numbers become which type, and what is refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.formats import csv_columns, csv_lines, csv_pixels
from kit import PEAK, environment
from table_kit import HEADER, PIXELS, SIDE, all_of, beside, drawn, found, only, text


@pytest.mark.parametrize("name", ["label", "Class", "TARGET", "y", "digit", "letter", "emotion", "Category"])
@pytest.mark.parametrize("at", [0, 41, PIXELS])
def test_a_header_names_the_label_in_any_place(name: str, at: int, tmp_path: Path) -> None:
    rows, labels = drawn(30), [3, 10, 2] * 10
    header = [*HEADER[:at], name, *HEADER[at:]]
    (tmp_path / "x.csv").write_text(text([header, *beside(labels, rows, at)]))
    part, whole = only(tmp_path / "x.csv")
    assert whole.classes == ("2", "3", "10")
    assert part.labels is not None
    assert part.labels.tolist() == [1, 2, 0] * 10
    images = all_of(part)
    assert images.dtype == np.uint8
    assert np.array_equal(images, rows.reshape(-1, SIDE, SIDE))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("packed", [False, True])
def test_all_dialects_are_read(delimiter: str, end: str, quote: str, packed: bool, tmp_path: Path) -> None:
    rows = drawn(20)
    lines: list[list[object]] = [["label", *HEADER], *beside("ab" * 10, rows)]
    cells = [[f"{quote}{value}{quote}" for value in row] for row in lines]
    data = b"\xef\xbb\xbf" + text(cells, delimiter, end).encode() + end.encode()
    (tmp_path / "x").write_bytes(gzip.compress(data) if packed else data)
    part, whole = only(tmp_path / "x")
    assert whole.classes == ("a", "b")
    assert np.array_equal(all_of(part), rows.reshape(-1, SIDE, SIDE))


def test_quotes_around_labels(tmp_path: Path) -> None:
    rows, labels = drawn(35), ['"cat"', '"a, b"', '"5"', '"say ""hi"""', '""', "", "dog"] * 5
    for at in (0, PIXELS):
        (tmp_path / "x.csv").write_text(text([[*HEADER[:at], "label", *HEADER[at:]], *beside(labels, rows, at)]))
        part, whole = only(tmp_path / "x.csv")
        assert whole.classes == ("5", "a, b", "cat", "dog", 'say "hi"')
        assert part.labels is not None
        assert part.labels.tolist() == [2, 1, 0, 4, -1, -1, 3] * 5
        assert np.array_equal(all_of(part), rows.reshape(-1, SIDE, SIDE))


def test_without_names_the_number_of_columns_decides(tmp_path: Path) -> None:
    rows, path = drawn(30), tmp_path / "x.csv"
    path.write_text(text(rows))
    part, whole = only(path)
    assert (part.labels, whole.classes) == (None, ())
    path.write_text(text(beside([7, 8, 9] * 10, rows)))
    assert only(path)[1].classes == ("7", "8", "9")
    assert np.array_equal(all_of(only(path)[0]), rows.reshape(-1, SIDE, SIDE))
    dark = rows.copy()
    dark[:, [0, -1]] = 0  # as the corners of most images are
    for last, flat in (([7, 8, 9] * 10, dark), (list("abc") * 10, rows), ([7, 8, 9] * 10, rows / 256)):
        path.write_text(text(beside(last, flat, PIXELS)))
        assert only(path)[1].classes == tuple(map(str, last[:3]))
        assert np.allclose(all_of(only(path)[0]), flat.reshape(-1, SIDE, SIDE))
    path.write_text(text(beside(["cat", "dog", "cat"] * 10, rows)))
    assert only(path)[1].classes == ("cat", "dog")
    assert len(only(path)[0]) == 30
    path.write_text(text([list(range(PIXELS)), *rows]))
    assert len(only(path)[0]) == 30  # the numbers of the pixels are their names


def test_colours_are_interleaved_and_other_columns_are_named(tmp_path: Path) -> None:
    rows = drawn(12, 3 * PIXELS)
    names = ["id", *(f"{y}x{x}.{c}" for y in range(SIDE) for x in range(SIDE) for c in range(3)), "source", "label"]
    (tmp_path / "x.csv").write_text(text([names, *([f"r{n}", *row, "web", 1] for n, row in enumerate(rows.tolist()))]))
    part, whole = only(tmp_path / "x.csv")
    assert whole.left_out == ("column id", "column source")
    assert np.array_equal(all_of(part), rows.reshape(-1, SIDE, SIDE, 3))
    turned = [names[0], *names[-3:0:-1], *names[-2:]]
    (tmp_path / "x.csv").write_text(text([turned, *(["r", *row[::-1], "web", 1] for row in rows.tolist())]))
    assert np.array_equal(all_of(only(tmp_path / "x.csv")[0]), rows.reshape(-1, SIDE, SIDE, 3))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("255", np.uint8),
        ("2.55e2", np.uint8),
        (" 12", np.uint8),
        ("007", np.uint8),
        ("256", np.int32),
        ("65535", np.int32),
        ("-1", np.int32),
        ("0.5", np.float32),
        ("1e10", np.float32),
    ],
)
def test_the_numbers_of_a_whole_file_decide_its_type(
    value: str, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "STEP", 2000)  # several blocks
    rows: NDArray[Any] = drawn(60).astype(object)
    rows[47, 5] = value
    (tmp_path / "x.csv").write_text(text(beside([1] * 60, rows)))
    for images in only(tmp_path / "x.csv")[0].images(8):
        assert np.asarray(images).dtype == kind
    expected = rows.astype(np.float64).astype(kind).reshape(-1, SIDE, SIDE)
    assert np.array_equal(all_of(only(tmp_path / "x.csv")[0]), expected)


@pytest.mark.parametrize("order", [("emotion", "pixels", "Usage"), ("emotion", " Usage", " pixels")])
def test_fer2013_has_pixels_in_one_column_and_splits_in_another(order: tuple[str, ...], tmp_path: Path) -> None:
    rows = drawn(40)
    usages = ["PrivateTest", "Training", "PublicTest", "Training"] * 10
    cells = [
        {"emotion": n % 7, "pixels": " ".join(map(str, row)), "Usage": usage}
        for n, (row, usage) in enumerate(zip(rows.tolist(), usages, strict=True))
    ]
    lines = [order, *([row[name.strip()] for name in order] for row in cells)]
    (tmp_path / "fer2013.csv").write_text(text(lines))
    parts = found(tmp_path / "fer2013.csv").parts
    assert [(part.split, len(part)) for part in parts] == [("train", 20), ("validation", 10), ("test", 10)]
    for part, own in zip(parts, (slice(1, None, 2), slice(2, None, 4), slice(0, None, 4)), strict=True):
        assert part.labels is not None
        assert part.labels.tolist() == (np.arange(40) % 7)[own].tolist()
        assert np.array_equal(all_of(part, 3), rows[own].reshape(-1, SIDE, SIDE))
        assert np.array_equal(all_of(part, 3, 4), rows[own][4:].reshape(-1, SIDE, SIDE))


def test_batches_and_starts_do_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, path = drawn(50), tmp_path / "x.csv"
    path.write_text(text([["label", *HEADER], *beside([1] * 50, rows)]))
    for step in (50, 1000, 1 << 20):
        monkeypatch.setattr(csv_lines, "STEP", step)
        part, _ = only(path)
        for size, start in ((1, 0), (7, 0), (50, 0), (100, 0), (7, 13), (3, 49), (3, 50)):
            batches = [np.asarray(images) for images in part.images(size, start)]
            assert [len(batch) for batch in batches] == [min(size, 50 - at) for at in range(start, 50, size)]
            joined = np.concatenate([np.empty((0, SIDE, SIDE), np.uint8), *batches])
            assert np.array_equal(joined, rows[start:].reshape(-1, SIDE, SIDE))
    with pytest.raises(ValueError, match="at least 1 image, not 0"):
        next(part.images(0))


def test_labels_are_shared_by_the_files_of_a_folder(tmp_path: Path) -> None:
    rows = drawn(6)
    below = tmp_path / "sign_mnist_train"
    below.mkdir()
    (below / "sign_mnist_train.csv").write_text(text([["label", *HEADER], *beside([5, 3, 5, 3, "", 24], rows)]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sign_mnist_test.csv").write_text(text([["label", *HEADER], *beside([7, "3.0"], rows[:2])]))
    whole = found(tmp_path)
    assert whole.classes == ("3", "5", "7", "24")
    assert [(part.split, part.labels.tolist()) for part in whole.parts if part.labels is not None] == [
        ("train", [1, 0, 1, 0, -1, 3]),
        ("test", [2, 0]),
    ]


def test_a_folder_of_kaggle(tmp_path: Path) -> None:
    rows = drawn(9)
    for number, part in enumerate((rows[:4], rows[4:])):
        (tmp_path / f"train_{number}.csv").write_text(text([["label", *HEADER], *beside([1] * len(part), part)]))
    (tmp_path / "test.csv").write_text(text([HEADER, *rows]))
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress((tmp_path / "test.csv").read_bytes()))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    (tmp_path / "seven.png").write_text("not opened, by its name")
    (tmp_path / "set.zip").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "set.tar.gz").write_bytes(gzip.compress(bytes(5000)))
    whole = found(tmp_path)
    assert [file.name for file in whole.files] == ["test.csv", "train_0.csv", "train_1.csv"]
    train, test = whole.parts
    assert (train.split, len(train), test.split, test.labels) == ("train", 9, "test", None)
    assert np.array_equal(all_of(train, 7), rows.reshape(-1, SIDE, SIDE))
    assert np.array_equal(all_of(train, 2, 3), rows[3:].reshape(-1, SIDE, SIDE))
    assert [len(images) for images in train.images(6)] == [6, 3]
    (tmp_path / "fashion_train.csv").write_text(text([["label", *HEADER], *beside([1] * 9, rows)]))
    with pytest.raises(BadData, match=r"tables of several sets \(fashion_train\.csv and train_0\.csv\); name one"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda row: row[:-5], "line 17: has 96 values, not 101"),
        (lambda row: [*row, 0], "line 17: has 102 values, not 101"),
        (lambda row: [row[0], *row[1:5], "x\x1b", *row[6:]], r"line 17: column 6 is 'x\\x1b', not a number"),
        (lambda row: [row[0], "", *row[2:]], "line 17: column 2 is '', not a number"),
        (lambda row: [row[0], "nan", *row[2:]], "line 17: column 2 is 'nan', not a number"),
        (lambda row: [row[0], "1e999", *row[2:]], "line 17: column 2 is '1e999', not a number"),
        (lambda row: ["x" * 2000, *row[1:]], "cannot be a label"),
    ],
)
def test_a_wrong_row_is_named(wrong: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = beside(range(30), drawn(30))
    lines[15] = wrong(lines[15])
    (tmp_path / "x.csv").write_text(text([["label", *HEADER], *lines]))
    for step in (500, 1 << 20):
        monkeypatch.setattr(csv_lines, "STEP", step)
        with pytest.raises(BadData) as caught:
            csv_pixels.find(tmp_path / "x.csv")
        said = str(caught.value)
        assert said.startswith(f"{tmp_path / 'x.csv'}: ")
        assert message.replace(r"\\", "\\") in said
        assert said.isprintable()


def test_two_wrong_rows_do_not_make_a_right_one(tmp_path: Path) -> None:
    lines = beside(range(4), drawn(4))
    lines[1], lines[2] = lines[1][:-1], [*lines[2], 1]
    (tmp_path / "x.csv").write_text(text(lines))
    with pytest.raises(BadData, match="line 2: has 100 values, not 101"):
        csv_pixels.find(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"record,path,label\n0,a.png,a\n", r"has 3 columns \(record, path, label\); a table of pixels has"),
        (b"a;b\n1;2\n", "has 2 columns"),
        (b"label,pixels\n1,1 2 3\n", "its column pixels has 3 values"),
        ((",".join(HEADER) + "\n").encode(), "no rows below them"),
        (b"1," * (csv_columns.MOST_COLUMNS + 1) + b"\n", "more than 1048576 columns"),
        (b"1,2" * (csv_lines.LONGEST_LINE // 2), "line 1: is longer than 16777216 bytes; is it a table?"),
        (gzip.compress(text(drawn(2000)).encode())[:-400], "is cut off"),
    ],
)
def test_another_table_is_refused_if_you_name_it_and_passed_over_in_a_folder(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(BadData, match=rf"x\.csv: .*{message}"):
        csv_pixels.find(tmp_path / "x.csv")
    if message != "is cut off":
        assert csv_pixels.find(tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"Read me.\n", bytes(10**6), b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xfe1,2"]
)
def test_what_is_not_a_table_is_left_to_others(content: bytes, tmp_path: Path) -> None:
    for name, data in (("x.csv", content), ("y.csv", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        assert csv_pixels.find(tmp_path / name) is None
    assert csv_pixels.find(tmp_path) is csv_pixels.find(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "change", [lambda rows: rows[:-1], lambda rows: [*rows, rows[0]], lambda rows: [*rows[:-1], [300] * PIXELS]]
)
def test_a_file_that_changes_is_noticed(change: Any, tmp_path: Path) -> None:
    rows = drawn(20).tolist()
    (tmp_path / "x.csv").write_text(text(rows))
    part, _ = only(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text(text(change(rows)))
    with pytest.raises(BadData, match="changed while it was read"):
        list(part.images(8))


def test_many_rows_need_little_memory(tmp_path: Path) -> None:
    lines = text([["label", *HEADER], *beside([n % 10 for n in range(1000)], drawn(1000))])
    head, _, rows = lines.partition("\n")
    with (tmp_path / "x.csv").open("w") as file:
        file.write(head + "\n")
        for _ in range(150):
            file.write(rows)
    program = f"""{PEAK}
import sys
from pathlib import Path
from atlcodec.sets.formats import csv_pixels
before = peak()
(part,) = csv_pixels.find(Path(sys.argv[1])).parts
assert sum(len(images) for images in part.images(1000)) == 150_000
print(peak() - before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.csv")],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert (tmp_path / "x.csv").stat().st_size > 30_000_000
    assert int(ran.stdout) < 60_000
