"""Files of records: what is whole is read, what is not is reported, and writing is all or nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import atomic, record
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import RecordFile, Span
from kit import environment

A, B = 0x11111111, 0x22222222
KNOWN = {A, B}


def sealed(n: int, id: int = A, seed: int = 0) -> record.Records:
    latents = np.random.default_rng(seed).uniform(0, 15, (n, 16, 5, 5)).astype(np.float32)
    return record.pack(record.seal(*record.quantise(latents), id))


def spans(data: bytes, known: set[int] = KNOWN) -> list[Span]:
    found = list(RecordFile(np.frombuffer(data, np.uint8), "x").spans(known))
    at = 0
    for span in found:  # nothing is passed over in silence, and nothing is reported twice
        assert span.start == at
        assert bool(span.skipped) != bool(span.count)
        at += span.count * 200 + span.skipped
    assert at == len(data)
    return found


def kept(data: bytes) -> bytes:
    return b"".join(data[s.start : s.start + 200 * s.count] for s in spans(data))


def test_a_written_file_is_read_back(tmp_path: Path) -> None:
    records = sealed(10)
    atlcodec.write(tmp_path / "a.atlc", records)
    with_bytes = tmp_path / "b.atlc"
    atlcodec.write(with_bytes, records.tobytes())
    assert (tmp_path / "a.atlc").read_bytes() == with_bytes.read_bytes() == records.tobytes()
    file = atlcodec.open(tmp_path / "a.atlc")
    assert len(file) == 10
    assert file.torn == 0
    assert np.array_equal(file[3], records[3])
    assert np.array_equal(file[-1], records[-1])
    assert np.array_equal(file[2:5], records[2:5])
    assert [len(batch) for batch in file.batches(4)] == [4, 4, 2]
    assert np.array_equal(np.concatenate(list(file.batches(3))), records)
    with pytest.raises(IndexError):
        file[10]
    assert os.listdir(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_cat_makes_a_valid_file_and_split_too(tmp_path: Path) -> None:
    both = sealed(3).tobytes() + sealed(2, B).tobytes()
    assert spans(both) == [Span(0, 5)]
    assert spans(both[200:400]) == [Span(0, 1)]


def test_an_empty_file_is_a_valid_file_of_no_records(tmp_path: Path) -> None:
    atlcodec.write(tmp_path / "none.atlc", b"")
    file = atlcodec.open(tmp_path / "none.atlc")
    assert len(file) == 0
    assert list(file.batches()) == []
    assert list(file.spans(KNOWN)) == []


def test_a_block_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "set.atlc"
    atlcodec.write(path, sealed(3))
    with atlcodec.open(path) as records:
        assert repr(records) == f"<RecordFile {path}: 3 records>"
        first = records[0]
    assert np.array_equal(first, sealed(3)[0])  # an array keeps the mapping
    assert len(records) == 3
    for use in (lambda: records[0], lambda: list(records.batches()), lambda: records.bytes(0, 1)):
        with pytest.raises(ValueError, match=r"set\.atlc: is closed"):
            use()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads the mappings from /proc")
def test_a_closed_file_is_not_mapped_any_longer(tmp_path: Path) -> None:
    path = tmp_path / "set.atlc"
    atlcodec.write(path, sealed(3))
    with atlcodec.open(path) as records:
        assert len(records[1]) == 200
        assert str(path) in Path("/proc/self/maps").read_text()
    assert str(path) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_records_is_refused_at_once(size: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1 record, not {size}"):
        RecordFile(sealed(3).reshape(-1), "x").batches(size)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.parquet", b"PAR1" + bytes(800), "is a Parquet file; use atlcodec.sets.open"),
        ("set.atlc", b"PAR1" + bytes(800) + b"PAR1", "rename it to end in .parquet, then use atlcodec.sets.open"),
    ],
)
def test_a_parquet_file_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotARecord, match=re.escape(message)):
        atlcodec.open(tmp_path / name)


def test_a_pipe_is_read_to_its_end_and_an_endless_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, records = tmp_path / "pipe", np.tile(sealed(10), (1000, 1))
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(records.tobytes(),))
    writer.start()
    assert np.array_equal(atlcodec.open(pipe).array, records)
    writer.join(60)
    monkeypatch.setattr("atlcodec.files.LARGEST_PIPE", 5_000_000)
    with pytest.raises(NotARecord, match=r"^/dev/zero: is larger than 5000000 bytes; save it as a file first"):
        atlcodec.open("/dev/zero")


def test_the_error_says_why_a_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "short.atlc").write_bytes(bytes(199))
    for path, message in (
        (tmp_path, "directory"),
        (tmp_path / "short.atlc", "199 bytes"),
    ):
        with pytest.raises(NotARecord, match=message):
            atlcodec.open(path)
    with pytest.raises(FileNotFoundError, match="missing: No such file") as caught:
        atlcodec.open(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")


def test_appending_adds_whole_records_and_repairs_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.atlc"
    atlcodec.write(path, sealed(2), append=True)
    atlcodec.write(path, sealed(1, B), append=True)
    whole = path.read_bytes()
    assert spans(whole) == [Span(0, 3)]
    path.write_bytes(whole[:-50])
    with pytest.raises(NotARecord, match="torn record of 150 bytes"):
        atlcodec.write(path, sealed(1), append=True)
    assert path.read_bytes() == whole[:-50]
    atlcodec.write(path, sealed(1), append=True, repair=True)
    assert path.read_bytes() == whole[:400] + sealed(1).tobytes()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.atlc"
    atlcodec.write(path, sealed(2))
    with pytest.raises(NotARecord):
        atlcodec.write(path, bytes(201))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AtlcError, match="No space left"):
        atlcodec.write(path, sealed(5))
    assert path.read_bytes() == sealed(2).tobytes()
    assert os.listdir(tmp_path) == ["x.atlc"]


APPENDS = """
import sys
import atlcodec
writer = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(250):
    atlcodec.write("x.atlc", bytes([writer, turn]) * 1000, append=True)
"""


def test_appends_of_several_processes_are_all_there(tmp_path: Path) -> None:
    """Eight at once, ten records at a time. Torn appends would be refused, and others overwritten."""
    (tmp_path / "x.atlc").write_bytes(b"")
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDS, str(n)], cwd=tmp_path, env=environment(), stdin=pipe, stdout=pipe
        )
        for n in range(8)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    blocks = np.fromfile(tmp_path / "x.atlc", np.uint8).reshape(-1, 1000, 2)
    assert (blocks == blocks[:, :1]).all()
    for writer in range(8):
        assert blocks[blocks[:, 0, 0] == writer, 0, 1].tolist() == list(range(250))
    assert os.listdir(tmp_path) == ["x.atlc"]


@pytest.mark.parametrize("meanwhile", ["nothing", "replaced", "removed"])
def test_an_append_waits_for_its_turn(meanwhile: str, tmp_path: Path) -> None:
    """And then it adds to the file that has the name now, not to the one that it waited for."""
    path, old, new, more = tmp_path / "x.atlc", sealed(2).tobytes(), sealed(3).tobytes(), sealed(1, B).tobytes()
    path.write_bytes(old)
    waiting = threading.Thread(target=atlcodec.write, args=(path, more), kwargs={"append": True})
    with path.open("ab") as file:
        atomic.lock(file, wait=True)
        waiting.start()
        time.sleep(0.2)
        assert path.read_bytes() == old
        if meanwhile == "replaced":
            atlcodec.write(path, new)
        elif meanwhile == "removed":
            path.unlink()
    waiting.join(60)
    assert path.read_bytes() == {"nothing": old, "replaced": new, "removed": b""}[meanwhile] + more
    assert os.listdir(tmp_path) == ["x.atlc"]


def test_a_lock_that_is_taken_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as first, (tmp_path / "x").open("wb") as second:
        atomic.lock(first, wait=False)
        with pytest.raises(BlockingIOError):
            atomic.lock(second, wait=False)
        first.close()
        atomic.lock(second, wait=False)


def test_appending_to_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for path, why in (("/dev/full", "No space left"), (tmp_path / "pipe", "Illegal seek"), (tmp_path, "directory")):
        with pytest.raises(AtlcError, match=why):
            atlcodec.write(path, sealed(1), append=True)
    os.close(reader)
    atlcodec.write(os.devnull, sealed(1), append=True)


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
