"""Arrow and Parquet, read and written by us and by pyarrow itself; and files from a stranger."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlcodec
from atlcodec import arrow, record, zoo
from atlcodec.errors import AtlcError, BadData, NotARecord
from atlcodec.files import RecordSource
from atlcodec.sets import parquet
from atlcodec.spans import Span

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
ID = zoo.default()[0].id


def sealed(count: int, id: int = ID) -> record.Records:
    latents = np.random.default_rng(count).uniform(0, 15, (count, *record.BOTTLENECK)).astype(np.float32)
    return record.pack(record.seal(*record.quantise(latents), id))


def paths(count: int) -> list[str | None]:
    return [f"train/{number:05d}.png" for number in range(count)]


def test_arrays_and_arrow_share_their_memory() -> None:
    records = sealed(20)
    batch = arrow.batch(records, ["a", None] * 10)
    assert batch.schema.equals(arrow.schema())
    assert np.shares_memory(arrow.records(batch), records)
    column = batch.column("record")
    assert np.array_equal(arrow.records(column[5:9]), records[5:9])
    assert np.shares_memory(arrow.records(pa.Table.from_batches([batch])), records)
    assert [value.as_py() for value in column] == [row.tobytes() for row in records]
    both = pa.Table.from_batches([batch, batch[3:4]])
    assert np.array_equal(arrow.records(both), np.concatenate([records, records[3:4]]))
    assert arrow.records(arrow.batch(b"")).shape == arrow.records(arrow.schema().empty_table()).shape == (0, 200)
    assert np.array_equal(arrow.records(pa.array([records[0].tobytes()], pa.binary(200))), records[:1])


@pytest.mark.parametrize(
    "column",
    [
        lambda: pa.array([bytes(199)], pa.binary(199)),
        lambda: pa.array([bytes(199)]),
        lambda: pa.array(["x" * 200]),
        lambda: pa.array([bytes(200), None], pa.binary(200)),
        lambda: pa.table({"other": [1]}),
        lambda: pa.table({"record": pa.array([bytes(200)], pa.binary(200)), "label": [1.5]}),
    ],
)
def test_columns_without_records_are_refused(column: Callable[[], Any]) -> None:
    with pytest.raises(NotARecord):
        arrow.records(column())
    with pytest.raises(BadData, match="20 records, but 1 labels"):
        arrow.batch(sealed(20), ["a"], paths(20))


def test_a_parquet_file_is_read_by_pyarrow_and_one_of_pyarrow_by_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP", 64)
    records, labels, names = sealed(150), ["a", None, "c"] * 50, paths(150)
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    parquet.write(ours, (arrow.batch(records[a:b], labels[a:b], names[a:b]) for a, b in pairwise([0, 1, 90, 149, 150])))
    table = pq.read_table(ours)
    assert table.schema.equals(arrow.schema())
    assert table.schema.metadata == {b"atlc.ids": f"{ID:08x}".encode()}
    assert [row.as_py() for row in table["record"]] == [row.tobytes() for row in records]
    assert (table["label"].to_pylist(), table["path"].to_pylist()) == (labels, names)
    assert [pq.ParquetFile(ours).metadata.row_group(n).num_rows for n in range(3)] == [64, 64, 22]
    pq.write_table(
        table.set_column(1, "label", table["label"].dictionary_encode()).append_column("other", pa.array(range(150))),
        theirs,
        row_group_size=47,
    )
    for path in (ours, theirs):
        file = parquet.open(path)
        assert isinstance(file, RecordSource)
        assert (len(file), file.torn, file.has_paths) == (150, 0, True)
        assert np.array_equal(np.concatenate(list(file.batches(31))), records)
        assert np.array_equal(file.array, records)
        for which in (slice(3, 9), slice(-70, None), slice(140, 20, -7), slice(9, 3), slice(0, 150, 40)):
            assert np.array_equal(file[which], records[which])
        for number in (149, 0, 63, 64, -1):
            assert np.array_equal(file[number], records[number])
        assert file.bytes(10 * 200 + 7, 500).tobytes() == records.tobytes()[2007:2507]
        assert [(entry.record, entry.label, entry.path) for entry in file.entries()] == list(
            zip(range(150), labels, names, strict=True)
        )
        assert sum(span.count for span in file.spans({ID})) == 150
    assert parquet.open(ours).ids == (ID,)
    assert parquet.open(theirs).ids == (ID,)


def test_files_without_names_or_records(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write(path, [arrow.batch(sealed(3)), pa.table({"record": arrow.batch(sealed(2)).column("record")})])
    file = parquet.open(path)
    assert (len(file), file.has_paths) == (5, False)
    parquet.write(path, [])
    file = parquet.open(path)
    assert (len(file), file.has_paths, file.ids, list(file.spans({ID})), list(file.batches())) == (0, False, (), [], [])


def test_damage_costs_only_the_damaged_rows(tmp_path: Path) -> None:
    records = sealed(9000)
    records[[0, 77, 4100, 4101, 8999], 5] ^= 1
    path = tmp_path / "x.parquet"
    rows = [None if number == 50 else row.tobytes() for number, row in enumerate(records)]
    pq.write_table(pa.table({"record": pa.array(rows, pa.binary(200))}), path, row_group_size=5000)
    spans = list(parquet.open(path).spans({ID}))
    bad = [span.start // 200 + n for span in spans for n in range(span.skipped // 200)]
    assert bad == [0, 50, 77, 4100, 4101, 8999]
    assert sum(span.count for span in spans) == 9000 - 6
    assert [span.start for span in spans] == [0, *np.cumsum([span.count * 200 + span.skipped for span in spans])[:-1]]
    assert spans[0] == Span(0, 0, 200, "1 damaged or foreign record")


def test_unsealed_records_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(NotARecord, match="these records are not sealed"):
        parquet.write(
            tmp_path / "x.parquet", [arrow.batch(np.random.default_rng(0).integers(0, 256, (300, 200), np.uint8))]
        )
    with pytest.raises(NotARecord):
        parquet.write(tmp_path / "x.parquet", [pa.table({"record": [b"short"]})])
    assert os.listdir(tmp_path) == []


def of_a_stranger() -> dict[str, Any]:
    good = pa.array([row.tobytes() for row in sealed(3)], pa.binary(200))
    return {
        "no records": {"picture": good},
        "text": {"record": ["x" * 200] * 3},
        "too long": {"record": pa.array([bytes(201)] * 3, pa.binary(201))},
        "nested": {"record": pa.array([[good[0].as_py()]] * 3)},
        "labels that are fractions": {"record": good, "label": [0.5, 1.0, 1.5]},
        "paths that are bytes": {"record": good, "path": [b"a", b"b", b"c"]},
    }


@pytest.mark.parametrize("kind", of_a_stranger())
def test_columns_of_another_type_are_refused(kind: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(of_a_stranger()[kind]), tmp_path / "x.parquet")
    with pytest.raises(NotARecord, match=r"x\.parquet: "):
        parquet.open(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["a.png", "../b.png", "c.png"], "record 1: the path '../b.png' leads out"),
        (["a.png", "b.png", "a.png"], "records 0 and 2 have the same path"),
        (["a.png", None, "c.png"], "record 1: has no path"),
        (["a.png", "x" * 10**6, "c.png"], "record 1: the path 'x+' is too long"),
    ],
)
def test_listed_paths_are_checked_as_in_a_list(listed: list[str], message: str, tmp_path: Path) -> None:
    good = pa.array([row.tobytes() for row in sealed(3)], pa.binary(200))
    pq.write_table(pa.table({"record": good, "path": listed}), tmp_path / "x.parquet")
    with pytest.raises(BadData, match=message):
        list(parquet.open(tmp_path / "x.parquet").entries())


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = pa.array([sealed(1)[0].tobytes()] * 4000, pa.binary(200))
    path = tmp_path / "x.parquet"
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 4000), ["x" * 10**6])
    pq.write_table(pa.table({"record": records, "path": names}), path, compression="zstd")
    assert path.stat().st_size < 10**5
    with pytest.raises(BadData, match="has more than"):  # and not 4 GB of text
        list(parquet.open(path).entries())
    monkeypatch.setattr(parquet, "LARGEST_GROUP", 100_000)
    pq.write_table(pa.table({"record": records}), path)
    with pytest.raises(NotARecord, match="write the file again with smaller ones"):
        parquet.open(path)


def test_other_files_and_damaged_parquet_files(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write(path, [arrow.batch(sealed(40), ["a"] * 40, paths(40))])
    whole = path.read_bytes()
    for content in (
        b"",
        b"PAR1",
        whole[:-1],
        whole[: len(whole) // 2],
        os.urandom(1000),
        b"PAR1" + os.urandom(1000) + b"PAR1",
    ):
        path.write_bytes(content)
        with pytest.raises(NotARecord, match="cannot be read as Parquet"):
            parquet.open(path)
    with pytest.raises(NotARecord):
        parquet.open(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.parquet: No such file"):
        parquet.open(tmp_path / "missing.parquet")
    rng = np.random.default_rng(0)
    for at in (*rng.integers(0, len(whole), 60).tolist(), *range(len(whole) - 400, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        try:  # what is flipped is noticed, or does not matter
            file = parquet.open(path)
            list(file.entries())
            good = sum(span.count for span in file.spans({ID}))
        except AtlcError:
            continue
        assert good in (39, 40) or len(file) != 40


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arrow.require_pyarrow.cache_clear()
    for call in (lambda: parquet.open(tmp_path), lambda: arrow.batch(b""), lambda: parquet.write(tmp_path / "x", [])):
        with pytest.raises(AtlcError, match=r"pip install 'atlcodec\[arrow\]'"):
            call()


def test_records_from_parquet_to_atlc(tmp_path: Path) -> None:
    records = sealed(10)
    parquet.write(tmp_path / "x.parquet", [arrow.batch(records)])
    atlcodec.write(tmp_path / "x.atlc", parquet.open(tmp_path / "x.parquet").array)
    assert (tmp_path / "x.atlc").read_bytes() == records.tobytes()
