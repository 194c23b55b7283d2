"""Parquet files of records that other programs wrote: Spark, Ray, pandas; under any name, or as a folder of parts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlcodec
from atlcodec import arrow, sets
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.sets import parquet, parquet_folder
from kit import MNIST, Cli, files_below, json_lines, records

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COUNT = 20


def values(count: int = COUNT) -> list[bytes]:
    return [row.tobytes() for row in records(COUNT)[:count]]


@pytest.fixture
def parts(workplace: Path) -> Path:
    """A folder as Spark writes it: three parts of 20 records, one of them empty, with paths and labels."""
    folder = workplace / "set"
    folder.mkdir()
    table = pa.table(
        {"record": values(), "path": [f"a/{n}.png" for n in range(COUNT)], "label": [n % 3 for n in range(COUNT)]}
    )
    for number, rows in enumerate((table[:7], table[7:7], table[7:])):
        pq.write_table(rows, folder / f"part-{number:05d}.snappy.parquet", row_group_size=5)
    for name in ("_SUCCESS", ".part-00000.parquet.crc", "notes.txt"):
        (folder / name).write_bytes(b"")
    shutil.copy(folder / "part-00000.snappy.parquet", folder / "_metadata")
    return folder


@pytest.mark.parametrize("kind", [pa.binary(200), pa.binary(), pa.large_binary()])
def test_binary_of_any_kind_holds_records(kind: Any, workplace: Path) -> None:
    column = pa.array([*values(3), None, *values()[3:]], kind)
    pq.write_table(pa.table({"record": column}), "x.parquet", row_group_size=6)
    table = parquet.open("x.parquet")
    expected = np.insert(records(COUNT), 3, 0, axis=0)
    assert np.array_equal(table.array, expected)
    assert np.array_equal(table[2:9], expected[2:9])
    assert np.array_equal(table[-1], expected[-1])
    assert np.array_equal(arrow.records(pa.table({"record": column.drop_null()})[2:11]), records(COUNT)[2:11])
    with pytest.raises(NotARecord, match="1 of 21 records are null"):
        arrow.records(column)
    parquet.write("again.parquet", [pa.table({"record": column.drop_null()})])
    assert pq.read_schema("again.parquet").field("record").type == pa.binary(200)
    assert np.array_equal(parquet.open("again.parquet").array, records(COUNT))


@pytest.mark.parametrize("length", [0, 199, 201])
def test_a_record_of_another_length_is_named(length: int, workplace: Path) -> None:
    column = pa.array([*values(9), None, bytes(length)])
    pq.write_table(pa.table({"record": column}), "x.parquet", use_dictionary=False)
    with pytest.raises(NotARecord, match=rf"x\.parquet: (record 10: has|has records of) {length} bytes, not 200"):
        _ = parquet.open("x.parquet").array
    with pytest.raises(NotARecord, match=f"record 10: has {length} bytes"):
        arrow.view(column)


def test_a_long_value_that_many_rows_share_is_refused_before_it_is_copied(workplace: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4000), pa.array([bytes(10**7)]))  # 40 GB
    pq.write_table(pa.table({"record": column}), "x.parquet", compression="zstd", store_schema=False)
    assert Path("x.parquet").stat().st_size < 10**5
    with pytest.raises(NotARecord, match="has records of 10000000 bytes, not 200"):
        _ = parquet.open("x.parquet")[0]


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([7, None, 12] * 5, pa.int8()),
        pa.array([7, None, 12] * 5, pa.uint64()),
        pa.array(["7", None, "12"] * 5).dictionary_encode(),
        pa.array([7, None, 12] * 5).dictionary_encode(),
        pa.array(["7", "", "12"] * 5, pa.large_string()),
    ],
)
def test_labels_of_other_types_are_text(labels: Any, workplace: Path) -> None:
    names = [f"{n}.png" for n in range(15)]
    pq.write_table(pa.table({"record": values(15), "label": labels, "path": names}), "x.parquet")
    found = sets.open("x.parquet")
    assert found.labels == ["7", None, "12"] * 5
    assert found.paths == names


def test_labels_without_paths_are_used(cli: Cli, workplace: Path) -> None:
    pq.write_table(pa.table({"record": values(), "label": [None, *range(1, COUNT)]}), "x.parquet")
    found = sets.open("x.parquet")
    assert found.labels == [None, *map(str, range(1, COUNT))]
    assert found.paths[:2] == ["00000.png", "00001.png"]
    assert cli("info", "x.parquet", "--summary").lines[1].endswith("1 of 8, 1 of 9, 1 without a label")
    assert json_lines(cli("classify", "x.parquet", "--json"))[3]["true_label"] == "3"
    assert cli("decode", "x.parquet", "-o", "out/").code == 0
    assert files_below("out") == [f"{n:05d}.png" for n in range(COUNT)]
    pq.write_table(pa.table({"record": values(), "label": pa.nulls(COUNT, pa.string())}), "x.parquet")
    assert not sets.open("x.parquet").has_list


def test_a_folder_of_parts_is_one_file(cli: Cli, parts: Path) -> None:
    file = parquet_folder.open(parts)
    whole = records(COUNT)
    assert (len(file), file.torn) == (COUNT, 0)
    assert file.size == sum(path.stat().st_size for path in parts.glob("part*"))
    assert np.array_equal(file.array, whole)
    for which in (slice(3, 12), slice(-3, None), slice(15, 2, -4), slice(9, 3), slice(6, 7), slice(7, 8)):
        assert np.array_equal(file[which], whole[which])
    for number in (0, 6, 7, 19, -1):
        assert np.array_equal(file[number], whole[number])
    assert np.array_equal(np.concatenate(list(file.batches(6))), whole)
    assert file.bytes(6 * 200 + 11, 300).tobytes() == whole.tobytes()[1211:1511]
    with pytest.raises(IndexError):
        file[COUNT]
    found = sets.open(parts)
    assert found.labels == [f"{n % 3}" for n in range(COUNT)]
    assert [path for part in found for path in (entry.path for entry in part.entries or ())] == found.paths
    pq.write_table(pa.table({"record": values(1)}), "one.parquet")
    commands = (["info"], ["info", "--summary", "--json"], ["classify", "--json"], ["similar", "one.parquet", "--json"])
    table = pa.concat_tables([pq.read_table(path) for path in sorted(parts.glob("part*"))])
    pq.write_table(table, "same.parquet")
    for command in commands:
        ran, of_file = cli(*command, "set"), cli(*command, "same.parquet")
        assert ran.code == of_file.code == 0, ran.err
        size = f"{Path('same.parquet').stat().st_size}".encode()
        assert ran.out.replace(f"{file.size}".encode(), size) == of_file.out.replace(b"same.parquet", b"set")
    assert cli("decode", "set/", "-o", "out/").code == 0
    assert files_below("out") == sorted(f"a/{n}.png" for n in range(COUNT))


def test_damage_in_a_part_is_reported_by_its_number_in_the_set(cli: Cli, parts: Path) -> None:
    bad = bytearray(values()[9])
    bad[5] ^= 1
    last = parts / "part-00002.snappy.parquet"
    table = pq.read_table(last)
    pq.write_table(table.set_column(0, "record", pa.array([*values()[7:9], bytes(bad), *values()[10:]])), last)
    ran = cli("classify", "set", "--json")
    assert ran.code == 1
    assert "set: record 9: damaged" in ran.err
    assert [line["record"] for line in json_lines(ran)] == [n for n in range(COUNT) if n != 9]
    assert [line["path"] for line in json_lines(ran)][8:10] == ["a/8.png", "a/10.png"]


def test_the_paths_of_a_folder_are_checked_together(parts: Path) -> None:
    shutil.copy(parts / "part-00000.snappy.parquet", parts / "part-00003.snappy.parquet")
    with pytest.raises(BadData, match="records 0 and 20 have the same path"):
        _ = sets.open(parts).paths
    pq.write_table(pa.table({"record": values(2), "path": ["b.png", "../c.png"]}), parts / "part-00003.snappy.parquet")
    with pytest.raises(BadData, match=r"the path '\.\./c\.png' leads out"):
        _ = sets.open(parts).paths
    pq.write_table(pa.table({"record": values(2)}), parts / "part-00003.snappy.parquet")
    assert sets.open(parts).paths == [f"{n:05d}.png" for n in range(COUNT + 2)]
    pq.write_table(pa.table({"image": values(2)}), parts / "part-00003.snappy.parquet")
    with pytest.raises(NotARecord, match=r"part-00003.*: must have one column named record"):
        sets.open(parts)


def test_a_folder_without_parquet_files_is_refused(cli: Cli, workplace: Path) -> None:
    (workplace / "empty").mkdir()
    assert "empty: is a directory without Parquet files of records" in cli("info", "empty").complaint


@pytest.mark.parametrize("name", ["ok.pq", "ok.atlc", "ok", "ok.parquet"])
def test_parquet_is_told_by_its_content(name: str, cli: Cli, workplace: Path) -> None:
    pq.write_table(pa.table({"record": values(3), "label": ["a", "b", "c"], "path": ["1", "2", "3"]}), name)
    assert cli("info", name, "--summary").lines[1] == f"{name}: labels: 1 of a, 1 of b, 1 of c"
    assert len(cli("classify", name).lines) == 3
    assert len(cli("similar", name, name, "--top", "2").lines) == 6
    assert sets.open(name).labels == ["a", "b", "c"]
    with pytest.raises(NotARecord, match=rf"{name}: is a Parquet file; use atlcodec\.sets\.open"):
        atlcodec.open(name)
    assert "train-head reads .atlc files" in cli("train-head", "--records", name, "-m", MNIST, "-o", "h").complaint


@pytest.mark.parametrize("command", ["info -", "classify -", "decode - -o d/", "similar - q"])
def test_parquet_in_a_pipe_is_refused_in_one_line(command: str, cli: Cli, workplace: Path) -> None:
    pq.write_table(pa.table({"record": values()}), "x")
    atlcodec.write("q", records(3))
    said = cli(*command.split(), stdin=Path("x").read_bytes()).complaint
    assert said == "atlc: standard input: is a Parquet file; save it as a file, and name that"


def test_a_damaged_folder_raises_errors_of_this_package(parts: Path) -> None:
    path = parts / "part-00000.snappy.parquet"
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    expected = records(COUNT)
    for at in (*rng.integers(4, len(whole), 80).tolist(), *range(len(whole) - 200, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        try:
            found = sets.open(parts)
            _ = found.labels
            array = found.file.array
        except AtlcError:
            continue
        assert array.shape == expected.shape
    path.write_bytes(b"PAR1" + os.urandom(500))
    with pytest.raises(NotARecord, match="cannot be read as Parquet"):
        sets.open(parts)


@pytest.mark.parametrize("command", ["info", "classify"])
def test_a_cut_off_file_is_called_parquet(command: str, cli: Cli, workplace: Path) -> None:
    pq.write_table(pa.table({"record": values()}), "x")
    Path("cut").write_bytes(Path("x").read_bytes()[:1000])
    assert "cut: cannot be read as Parquet" in cli(command, "cut").complaint
