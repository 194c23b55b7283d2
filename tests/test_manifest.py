"""The list beside a record file: what is written is read back, and nothing that a stranger wrote is believed."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from atlcodec import manifest
from atlcodec.errors import BadData
from atlcodec.manifest import Entry, Places

ENTRIES = [
    Entry(0, "cat/felix.png", "cat"),
    Entry(1, "train/00017.png", None),
    Entry(2, 'a, b/"quoted".jpg', "T-shirt/top"),
    Entry(3, "猫/ねこ é.png", "猫, Katze"),
]


def listed(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([manifest.HEADER, *rows]) + "\n", "utf-8")
    return path


def test_what_is_written_is_read_back_by_us_and_by_any_csv_reader(tmp_path: Path) -> None:
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


def test_a_list_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
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
        manifest.write(path, [Entry(0, "a.png", None), Entry(1, "A.PNG", None)])
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
        "C:x.png",
        "c:/x.png",
        "a/b:stream",
        "\\\\server\\x",
        "a\\..\\x.png",
        "nul",
        "a/CON/x.png",
        "Aux.png",
        "com1.tar.gz",
        "lpt¹.png",
        "nul .png",
        "a./x.png",
        "x.png.",
        "x.png ",
        " x.png",
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
def test_a_path_that_is_not_safe_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(BadData):
        manifest.safe(path)
    target = tmp_path / "x.csv"
    with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("record", "path", "label"), (0, "a.png", ""), (1, path, "")])
    with pytest.raises(BadData, match=r"x\.csv: line 3: "):
        manifest.read(target)


@pytest.mark.parametrize(
    "path", ["x", "a/b/c.png", "...a/b", ".hidden", "console.png", "null", "a b.png", "~/x", "-rf", "%2e%2e/x", "é"]
)
def test_a_path_that_only_looks_odd_is_fine(path: str) -> None:
    assert manifest.safe(path).as_posix() == path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,a.png,"], "line 2: is of record 1, where 0 comes next"),
        (["0,a.png,", "2,b.png,"], "line 3: is of record 2"),
        (["0,a.png,", "0,b.png,"], "line 3: is of record 0"),
        (["0,a.png"], "line 2: must hold"),
        (["0,a.png,,"], "line 2: must hold"),
        (["-1,a.png,"], "line 2: must hold"),
        (["\u0660,a.png,"], "line 2: must hold"),
        (["0" * 5000 + ",a.png,"], "line 2: must hold"),
        (["0,a.png,", "", "1,b.png,"], "line 3: must hold"),
        (['0,"a.png,'], "line 2: is not a line of CSV"),
        (['0,"a.png"x,'], "line 2: is not a line of CSV"),
        (['0,a.png,"two\nlines"'], "line 2: is not a line of CSV"),
        (["0,a.png," + "x" * 20_000], "line 2: is longer than 16384"),
        (["0,a.png," + "x" * 2000], "line 2: 'x+' is no label"),
        (["0,a.png,\x1b[2J"], "line 2: .* is no label"),
        (["0,a.png,", "1,b.png,", "2,A.png,"], "records 0 and 2 cannot both be written"),
        (["0,ä.png,", "1,a\u0308.PNG,"], "records 0 and 1 cannot both"),
        (["0,a,", "1,a.png,"], "records 0 and 1 cannot both"),  # a decoded picture is a PNG: its name gets .png
        (["0,x.png/a.png,", "1,b.png,", "2,X.png,"], "records 0 and 2 cannot both"),
    ],
)
def test_a_malformed_list_is_refused_with_the_line(rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=f"^{tmp_path}/x.csv: {message}"):
        manifest.read(listed(tmp_path / "x.csv", *rows))


def test_what_is_no_list_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for content in (b"", b"name,age\n", b"record,path\n0,x\n", b"record,path,label", b"\xff\xfe", os.urandom(5000)):
        path.write_bytes(content)
        if content == b"record,path,label":
            assert manifest.read(path) == []
            continue
        with pytest.raises(BadData):
            manifest.read(path)
    for place in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(BadData):
            manifest.read(place)


def test_clashes_are_found_among_many(tmp_path: Path) -> None:
    places = Places()
    for number in range(5000):
        places.add(f"{number % 4990}/x.png")
    assert places.clashes() == [(number, 4990 + number) for number in range(10)]
    places = Places()
    for number in range(1000):
        places.add(f"{number}.png")
        places.add(f"{number}.PNG/x")
    assert places.clashes() == [(2 * number, 2 * number + 1) for number in range(1000)]


def test_no_path_takes_long_to_look_at() -> None:
    """No expression may go back over what it has seen again and again: these would take it ages."""
    for path in (
        "a" * 249 + "!",
        "a-" * 120 + "!",
        "a.b." * 60,
        "con" * 80,
        "com1" + " " * 240 + "x",
        "aux /" * 48,
        "a" * 10**7,
    ):
        assert manifest.refusal(path) is not None
