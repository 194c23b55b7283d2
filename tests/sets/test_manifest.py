"""The list beside a record file: it reads what it wrote, and it trusts no list and no path."""

from __future__ import annotations

import csv
import os
import tracemalloc
from pathlib import Path

import pytest

from atlcodec.errors import BadData
from atlcodec.sets import manifest, paths
from atlcodec.sets.manifest import Entry
from atlcodec.sets.paths import OutputPaths

ENTRIES = [
    Entry(0, "cat/felix.png", "cat"),
    Entry(1, "train/00017.png", None),
    Entry(2, 'a, b/"quoted".jpg', "T-shirt/top"),
    Entry(3, "猫/ねこ é.png", "猫, Katze"),
]


def listed(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([manifest.HEADER, *rows]) + "\n", "utf-8")
    return path


def test_a_written_list_can_be_read_back_also_by_other_csv_readers(tmp_path: Path) -> None:
    path = manifest.beside(tmp_path / "set.atlc")
    assert path == tmp_path / "set.csv"
    assert manifest.beside("x.bin").name == "x.bin.csv"
    manifest.write(path, iter(ENTRIES))
    assert manifest.read(path) == ENTRIES
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["record"]), row["path"], row["label"] or None) for row in rows] == [
        (entry.record, entry.path, entry.label) for entry in ENTRIES
    ]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))  # as a spreadsheet saves it
    assert manifest.read(path) == ENTRIES
    manifest.write(path, [])
    assert manifest.read(path) == []


def test_invalid_entries_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for entries in (
        [Entry(1, "a.png", None)],
        [Entry(0, "../a.png", None)],
        [Entry(0, "a.png", "a\nb")],
        [ENTRIES[0]] * 2,
    ):
        with pytest.raises(BadData):
            manifest.write(path, entries)
    with pytest.raises(BadData, match="records 0 and 1"):
        manifest.write(path, [Entry(0, "a.png", None), Entry(1, "a", None)])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//server/share/x",
        "..",
        "../x.png",
        "a/../../x.png",
        "a/..",
        ".",
        "./x.png",
        "a//b.png",
        "a/",
        "a\nb.png",
        "a\0b.png",
        "a\x7fb.png",
        "\x1b]0;owned\x07.png",
        "gnp.\u202exe",
        "a\u2028b.png",
        "\udcff.png",
        "x" * 256,
        "x/" * 600 + "x",
    ],
)
def test_unsafe_paths_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(BadData):
        paths.safe(path)
    target = tmp_path / "x.csv"
    with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("record", "path", "label"), (0, "a.png", ""), (1, path, "")])
    with pytest.raises(BadData, match=r"x\.csv: line 3: "):
        manifest.read(target)


@pytest.mark.parametrize(
    "path", ["x", "a/b/c.png", "...a/b", ".hidden", "console.png", "null", "a b.png", "~/x", "-rf", "%2e%2e/x", "é"]
)
def test_odd_but_safe_paths_are_accepted(path: str) -> None:
    assert paths.safe(path).as_posix() == path


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("2024-05-01T12:30:00.png", "2024-05-01T12_30_00.png"),
        ("C:/x.png", "C_/x.png"),
        ("a\\..\\x.png", "a_.._x.png"),
        ("nul.png", "_nul.png"),
        ("a/CON/x.png", "a/_CON/x.png"),
        ("lpt¹.png", "_lpt¹.png"),
        ("a./x.png ", "a_/x.png_"),
        ("... /x", "____/x"),
        ("console.png", "console.png"),
    ],
)
def test_what_windows_cannot_write_is_allowed_and_replaced_there(path: str, written: str) -> None:
    assert paths.why_unsafe(path) == ""
    assert paths.system_path(path, windows=True) == written
    assert paths.system_path(path, windows=False) == path


def test_names_that_a_list_cannot_have_are_changed() -> None:
    taken = OutputPaths()
    for path, listed in (
        ("a/x.png", "a/x.png"),
        ("a/x", "a/x-2"),
        ("\udcff\n.png", "__.png"),
        ("\udcfe\t.png", "__-2.png"),
    ):
        found = paths.listable(path, taken)
        assert found == listed
        assert paths.why_unsafe(found) == ""
        assert taken.add(found) is None
    for long in ("y" * 255, "é" * 127 + ".png", "z/" * 700 + "x.jpg", "w" * 251 + ".jpg"):
        found = paths.listable(long, taken)
        assert paths.why_unsafe(found) == ""
    assert paths.listable("x" * 251 + ".png", taken) == "x" * 251 + ".png"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,a.png,"], "line 2: record 1, expected 0"),
        (["0,a.png,", "2,b.png,"], "line 3: record 2, expected 1"),
        (["0,a.png,", "0,b.png,"], "line 3: record 0, expected 1"),
        (["0,a.png"], "line 2: must contain"),
        (["0,a.png,,"], "line 2: must contain"),
        (["-1,a.png,"], "line 2: must contain"),
        (["\u0660,a.png,"], "line 2: must contain"),
        (["0" * 5000 + ",a.png,"], "line 2: must contain"),
        (["0,a.png,", "", "1,b.png,"], "line 3: must contain"),
        (['0,"a.png,'], "line 2: is not a line of CSV"),
        (['0,"a.png"x,'], "line 2: is not a line of CSV"),
        (['0,a.png,"two\nlines"'], "line 2: is not a line of CSV"),
        (["0,a.png," + "x" * 20_000], "line 2: is longer than 16384"),
        (["0,a.png," + "x" * 2000], "line 2: 'x+' is not a label"),
        (["0,a.png,\x1b[2J"], "line 2: .* is not a label"),
        (["0,a.png,", "1,b.png,", "2,a.png,"], "records 0 and 2 have the same path"),
        (["0,a,", "1,a.png,"], "records 0 and 1 have the same path"),  # a decoded image is a PNG: its name gets .png
        (["0,x.png/a.png,", "1,b.png,", "2,x.png,"], "records 0 and 2 have the same path"),
    ],
)
def test_a_malformed_list_is_refused_with_the_line(rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=f"^{tmp_path}/x.csv: {message}"):
        manifest.read(listed(tmp_path / "x.csv", *rows))


@pytest.mark.parametrize(
    "content",
    [
        "record;path;label\r\n0;a/b.png;7\r\n1;c;\r\n",
        '\ufeff"record";"path";"label"\r\n"0";"a/b.png";"7"\r\n"1";"c";""\r\n',
        "record\tpath\tlabel\n0\ta/b.png\t7\n1\tc\t\n",
        "Record,Path,Label,checked by\n0,a/b.png,7,me\n1,c,,\n",
        "label;record;path\n7;0;a/b.png\n;1;c\n",
        "record,path,label,model\n0,a/b.png,7,mnist\n1,c,,mnist\n",
    ],
)
def test_lists_as_spreadsheets_write_them(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode())
    assert manifest.is_list(path)
    assert manifest.read(path) == [Entry(0, "a/b.png", "7"), Entry(1, "c", None)]
    assert manifest.length(path) == 2
    assert manifest.has_models(path) == ("model" in content)
    assert manifest.why_unused(path) == ""


def test_a_file_in_the_place_of_a_list_is_not_ignored_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert manifest.why_unused(path) == ""
    path.write_bytes(b"name,age\n")
    assert manifest.why_unused(path) == f"{path}: is not used, for its first line is not record,path,label"
    path.write_bytes("record\tpath\tlabel\n".encode("utf-16"))
    assert "UTF-16 text; save it as CSV in UTF-8" in manifest.why_unused(path)


def test_files_that_are_not_lists(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for content in (b"", b"name,age\n", b"record,path\n0,x\n", b"record,path,label", b"\xff\xfe", os.urandom(5000)):
        path.write_bytes(content)
        if content == b"record,path,label":
            assert manifest.read(path) == []
            continue
        with pytest.raises(BadData):
            manifest.read(path)
    with pytest.raises(BadData, match="directory"):
        manifest.read(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.csv: No such file"):
        manifest.read(tmp_path / "missing.csv")


def test_clashes_among_many_paths() -> None:
    files = OutputPaths()
    clashes = [files.add(f"{number % 4990}/x.png") for number in range(5000)]
    assert clashes == [None] * 4990 + list(range(10))
    for first, second in (("{}.png", "{}.PNG/x"), ("{}.PNG/x", "{}.png")):  # a folder with the name of an image
        both = OutputPaths(folds=True)
        for number in range(1000):
            assert both.add(first.format(number)) is None
            assert both.add(second.format(number)) == 2 * number
    assert (len(files), len(both)) == (5000, 2000)


def test_many_paths_need_little_memory() -> None:
    """150 MB for a million, however long they are."""
    tracemalloc.start()
    try:
        files = OutputPaths()
        for number in range(50_000):
            assert files.add(f"{'folder/' * 20}{number}.png") is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000 * 150


def test_the_length_of_a_list_is_known_from_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    manifest.write(path, ENTRIES)
    assert manifest.length(path) == 4
    for ending in (b"", b"\r\n"):
        path.write_bytes(path.read_bytes().rstrip() + ending)
        assert manifest.length(path) == 4
    manifest.write(path, [])
    assert manifest.length(path) == 0
    for content in (b"", b"name,age\nx,7\n", b"record,path,label\n0,a.png,\nx,b.png,\n"):
        path.write_bytes(content)
        assert manifest.length(path) is None
    assert manifest.length(tmp_path / "missing.csv") is None


def test_no_path_takes_long_to_check() -> None:
    """A regular expression that backtracks would take ages on these."""
    for path in (
        "a" * 249 + "!",
        "a-" * 120 + "!",
        "a.b." * 60,
        "con" * 80,
        "com1" + " " * 240 + "x",
        "aux /" * 48,
        "a" * 10**7,
    ):
        assert paths.why_unsafe(path) is not None
