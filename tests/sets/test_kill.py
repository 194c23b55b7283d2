"""Killed at any moment, a command leaves the old file or the new one; an append leaves whole records and at most one
torn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import atlcodec
from atlcodec import picture, zoo
from atlcodec.codec import Codec
from atlcodec.files import RecordFile
from atlcodec.sets import processes
from kit import COMMAND, Cli, environment

OLD = b"the old file"
DIES = """
import os, signal
from pathlib import Path

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def both(*arguments):
        function(*arguments)
        die()
    return both

{patch}
from atlcodec.cli import main
main()
"""
MOMENTS = {  # and whether the new file is there
    "os.fsync = die": False,
    "os.fsync = after(os.fsync)": False,
    "os.replace = die": False,
    "os.replace = after(os.replace)": True,
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def job(digit: NDArray[np.uint8]) -> list[str]:
    """Arguments of a command that overwrites x.atlc, which holds something else."""
    Path("seven.png").write_bytes(picture.png(digit))
    Path("x.atlc").write_bytes(OLD)
    return ["encode", "-f", "seven.png", "-o", "x.atlc", "-m", zoo.default()[0].name]


@pytest.mark.parametrize("patch", MOMENTS)
def test_killed_at_a_chosen_moment(patch: str, job: list[str], cli: Cli, digit: NDArray[np.uint8]) -> None:
    killed = cli.process(*job, command=[sys.executable, "-c", DIES.format(patch=patch)])
    assert killed.code == -signal.SIGKILL
    new = Codec(zoo.default()[0]).encode(digit[None]).tobytes()
    assert Path("x.atlc").read_bytes() == (new if MOMENTS[patch] else OLD)
    left = [name for name in os.listdir() if name not in ("seven.png", "x.atlc")]
    assert len(left) == (not MOMENTS[patch])
    assert all(name.startswith(".") for name in left)  # no `*.atlc` finds what was left behind
    assert cli(*job).code == 0
    assert Path("x.atlc").read_bytes() == new


def test_killed_at_any_moment(job: list[str], digit: NDArray[np.uint8]) -> None:
    new = Codec(zoo.default()[0]).encode(digit[None]).tobytes()
    start = time.monotonic()
    subprocess.run([*COMMAND, *job], env=environment(), capture_output=True, check=True)
    whole = time.monotonic() - start
    ends = set()
    for share in np.linspace(0.3, 1.15, 8):
        Path("x.atlc").write_bytes(OLD)
        with subprocess.Popen([*COMMAND, *job], env=environment(), stderr=subprocess.DEVNULL) as process:
            time.sleep(share * whole)
            process.kill()
            ends.add(process.wait())
        assert Path("x.atlc").read_bytes() in (OLD, new)
    assert -signal.SIGKILL in ends


APPENDS = """
import sys
import numpy as np
import atlcodec
records = np.frombuffer(open("whole", "rb").read(), np.uint8).reshape(-1, 200)
print("begun", flush=True)
while True:
    for start in range(0, len(records), 7):
        atlcodec.write("x.atlc", records[start : start + 7], append=True)
"""


def test_a_killed_append_leaves_whole_records_and_at_most_one_torn() -> None:
    """Killed after a while in which it does nothing else, again and again."""
    codec = Codec(zoo.default()[0])
    images = np.random.default_rng(0).integers(0, 256, (70, 28, 28), np.uint8)
    whole = codec.encode(images)
    Path("whole").write_bytes(whole.tobytes())
    sizes = set()
    for wait in (0.0, 0.01, 0.03, 0.1, 1.0):  # the last is for busy machines
        Path("x.atlc").write_bytes(b"")
        with subprocess.Popen([sys.executable, "-c", APPENDS], env=environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(wait)
            process.kill()
        file = atlcodec.open("x.atlc")
        sizes.add(file.size)
        assert file.torn == 0 or [span.why for span in file.spans({codec.id})][-1].startswith(
            "the last record is cut off"
        )
        assert sum(span.count for span in file.spans({codec.id})) == len(file)
        first = file.array[:70]
        assert np.array_equal(first, whole[: len(first)])
    assert max(sizes) > 0


LIMITED = """
import resource, signal, sys
import atlcodec
size, fatal = int(sys.argv[1]), sys.argv[2] == "fatal"
signal.signal(signal.SIGXFSZ, signal.SIG_DFL if fatal else signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with open("whole", "rb") as file:
    records = file.read()
try:
    atlcodec.write("x.atlc", records, append=sys.argv[3] == "append")
except atlcodec.AtlcError as error:
    print(error)
"""


def limited(size: int, fatal: str, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), fatal, how],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("cut", [401, 1000, 1333])
def test_killed_in_the_middle_of_a_write(cut: int) -> None:
    """The kernel stops the process at a chosen byte."""
    codec = Codec(zoo.default()[0])
    records = codec.encode(np.random.default_rng(1).integers(0, 256, (10, 28, 28), np.uint8))
    old, new = records[:2].tobytes(), records[2:].tobytes()
    Path("whole").write_bytes(new)
    Path("x.atlc").write_bytes(old)
    assert limited(cut, "fatal", "append").returncode == -signal.SIGXFSZ
    assert Path("x.atlc").read_bytes() == (old + new)[:cut]
    spans = list(RecordFile(np.fromfile("x.atlc", np.uint8), "x").spans({codec.id}))
    assert spans[0].count == cut // 200
    assert [span.skipped for span in spans[1:]] == ([cut % 200] if cut % 200 else [])
    Path("x.atlc").write_bytes(old)
    assert limited(cut, "fatal", "whole").returncode == -signal.SIGXFSZ
    assert Path("x.atlc").read_bytes() == old


@pytest.mark.parametrize("how", ["append", "whole"])
def test_where_there_is_no_room_the_old_file_stays(how: str) -> None:
    codec = Codec(zoo.default()[0])
    records = codec.encode(np.random.default_rng(1).integers(0, 256, (10, 28, 28), np.uint8))
    Path("whole").write_bytes(records[2:].tobytes())
    Path("x.atlc").write_bytes(records[:2].tobytes())
    ran = limited(1111, "not fatal", how)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "x.atlc: cannot be written (File too large)\n"
    assert Path("x.atlc").read_bytes() == records[:2].tobytes()
    assert sorted(os.listdir()) == ["whole", "x.atlc"]


def test_an_interrupted_command_leaves_nothing_behind(job: list[str], cli: Cli) -> None:
    """Ctrl-C while it writes; also where these tests run in the background of a shell, whose jobs ignore SIGINT."""
    patch = "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    patch += "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGINT)"
    ran = cli.process(*job, command=[sys.executable, "-c", DIES.format(patch=patch)])
    assert ran.code == 130
    assert ran.err.strip() == "atlc: interrupted"
    assert Path("x.atlc").read_bytes() == OLD
    assert sorted(os.listdir()) == ["seven.png", "x.atlc"]


def _slow(seconds: list[int]) -> int:
    time.sleep(seconds[0])
    return seconds[0]


def test_what_is_being_read_does_not_hold_up_an_interruption() -> None:
    """Ctrl-C ends the reading processes, which may have thousands of photos to read."""
    results: Any = processes.read("in", _slow, [(number, [60 * number]) for number in range(5)], 2)
    assert next(results) == (0, 0)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    assert time.monotonic() - begun < 15
