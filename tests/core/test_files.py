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
from atlcodec import atomic
from atlcodec.errors import AtlcError, NotARecord
from atlcodec.files import RecordFile
from atlcodec.spans import Span
from file_kit import KNOWN, B, sealed, spans
from kit import environment


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
        ("set.atlc", b"PAR1" + bytes(800) + b"PAR1", "is a Parquet file; use atlcodec.sets.open"),
        ("cut.atlc", b"PAR1" + bytes(396), "is a Parquet file; use atlcodec.sets.open"),
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
