"""Damaged files: what is whole is read, and what is not is reported with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec.spans import Span
from file_kit import sealed, spans


def kept(data: bytes) -> bytes:
    return b"".join(data[s.start : s.start + 200 * s.count] for s in spans(data))


@pytest.mark.parametrize("cut", [1, 100, 199])
def test_a_torn_last_record_is_reported_and_the_rest_reads(cut: int, tmp_path: Path) -> None:
    data = sealed(3).tobytes()[:-cut]
    assert spans(data)[0] == Span(0, 2)
    assert spans(data)[1].skipped == 200 - cut
    assert spans(data)[1].why == f"the last record is cut off ({200 - cut} of 200 bytes); get another copy"
    (tmp_path / "x.atlc").write_bytes(data)
    file = atlcodec.open(tmp_path / "x.atlc")
    assert (len(file), file.torn) == (2, 200 - cut)


@pytest.mark.parametrize("which", [0, 1, 5, 8, 9])
def test_damage_in_place_costs_only_that_record(which: int) -> None:
    records = sealed(10)
    records[which, 77] ^= 0x5A
    assert kept(records.tobytes()) == np.delete(records, which, axis=0).tobytes()


def test_damage_to_neighbours_costs_no_others() -> None:
    records = sealed(10)
    for which in (1, 3, 4, 6, 8):
        records[which, 0] ^= 1
    assert kept(records.tobytes()) == records[[0, 2, 5, 7, 9]].tobytes()


@pytest.mark.parametrize("at", [0, 1, 199, 200, 450, 1799, 1800, 1999])
@pytest.mark.parametrize("how", ["lost", "inserted", "many lost", "many inserted"])
def test_after_lost_or_inserted_bytes_the_rest_reads(at: int, how: str) -> None:
    records = sealed(10)
    data = records.tobytes()
    changed = {
        "lost": data[:at] + data[at + 1 :],
        "inserted": data[:at] + b"\x5a" + data[at:],
        "many lost": data[:at] + data[at + 333 :],
        "many inserted": data[:at] + bytes(range(256)) * 3 + data[at:],
    }[how]
    first = at // 200
    last = (at + {"lost": 1, "many lost": 333}.get(how, 0) + 199) // 200
    lost = list(range(first, min(last, 10)))
    if "inserted" in how and at % 200 == 0:
        lost = []
    assert kept(changed) == np.delete(records, lost, axis=0).tobytes()


def test_foreign_bytes_give_no_records() -> None:
    data = np.random.default_rng(1).integers(0, 256, 20_000, np.uint8).tobytes()
    assert [span.count for span in spans(data)] == [0]
    assert kept(bytes(2000)) == b""


def test_records_of_unknown_kinds_are_named_and_skipped() -> None:
    data = sealed(1).tobytes() + sealed(1, 0x41544C07).tobytes() + sealed(2).tobytes()
    found = spans(data)
    assert [span.count for span in found] == [1, 0, 2]
    assert "unknown to this version" in found[1].why


def test_a_long_run_crosses_batches() -> None:
    records = np.tile(sealed(50), (200, 1))
    records[9_000, 5] ^= 1
    assert [(s.count, s.skipped) for s in spans(records.tobytes())] == [(9_000, 0), (0, 200), (999, 0)]
