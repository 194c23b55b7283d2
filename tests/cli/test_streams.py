"""Pipes, terminals, devices and permissions: no failure ends in a traceback."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import files, stream
from atlcodec.cli import files as cli_files
from drawings import Pixels
from kit import COMMAND, PEAK, ROOT, Cli, environment, files_in, records


def test_no_progress_bar_in_a_pipe(cli: Cli, here: Path) -> None:
    for number in range(30):
        shutil.copy("seven.png", f"{number}.png")
    ran = cli.process("encode", *(f"{n}.png" for n in range(30)), "-o", "set.atlc")
    assert ran.code == 0
    assert ran.out == b""
    assert "reading" not in ran.err
    assert "\r" not in ran.err
    assert "\x1b" not in ran.err


def test_a_reader_may_close_its_pipe_early(here: Path) -> None:
    (here / "big.atlc").write_bytes(np.tile(records(100), (100, 1)).tobytes())
    for arguments in (["classify"], ["classify", "--json"], ["info"]):
        with subprocess.Popen(
            [*COMMAND, *arguments, "big.atlc"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout
            assert process.stderr
            assert b"big.atlc" in process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(1).tobytes())
    with Path("/dev/full").open("wb") as full:
        for arguments in (["encode", "seven.png", "-o", "-"], ["decode", "x.atlc", "-o", "-"], ["classify", "x.atlc"]):
            ran = cli.process(*arguments, stdout=full)
            assert ran.code == 1
            assert ran.err.splitlines()[-1].endswith("No space left on device")
            assert "Traceback" not in ran.err
            assert "Exception" not in ran.err
    for arguments in (["encode", "seven.png", "-o", "/dev/full"], ["decode", "x.atlc", "-f", "-o", "/dev/full"]):
        assert "/dev/full: cannot be written (No space left on device)" in cli(*arguments).complaint
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_devices_and_pipes_are_written_to_and_not_replaced(cli: Cli, here: Path, digit: Pixels) -> None:
    assert cli("encode", "seven.png", "-f", "-o", "/dev/null").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((here / "pipe").read_bytes()))
    reader.start()
    assert cli("encode", "seven.png", "-o", "pipe").code == 0
    reader.join()
    assert read == [atlcodec.encode(digit)]
    writer = threading.Thread(target=(here / "pipe").write_bytes, args=[records(3).tobytes()])
    writer.start()
    assert len(cli("classify", "pipe").lines) == 3
    writer.join()


def test_streams_that_are_closed(here: Path) -> None:
    lines = ["encode - <&-", "classify - <&-", "encode seven.png -o - >&-", "classify - <&- >&- 2>&-"]
    for line in [*lines, "info seven.png >&-", "classify seven.png >&-"]:
        ran = subprocess.run(
            ["sh", "-c", f'exec "$@" {line}', "sh", *COMMAND],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert "2>&-" in line or ran.stderr.startswith("atlc: standard ")
        assert ran.stderr.count("\n") == ("2>&-" not in line)


def test_a_stream_without_an_end_is_refused(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LARGEST_GAP", 5000)
    monkeypatch.setattr(stream, "STEP", 1000)
    for command in (["classify"], ["info"], ["decode", "-o", "out"]):
        complaint = cli(*command, "-", stdin=bytes(9000)).complaint
        assert "standard input: has no record in 5000 bytes; is it a stream of records?" in complaint
        if Path("/dev/zero").exists():
            assert "/dev/zero: has no record in 5000 bytes" in cli(*command, "/dev/zero").complaint
    monkeypatch.setattr(files, "LARGEST_PIPE", 5000)
    monkeypatch.setattr(files, "_STEP", 1000)
    complaint = cli("similar", "-", "seven.png", stdin=bytes(9000)).complaint  # which needs all of it at once
    assert "standard input: is larger than 5000 bytes; save it as a file first" in complaint
    assert len(cli("classify", "-", stdin=records(25).tobytes()).lines) == 25


def test_records_are_answered_as_they_arrive(here: Path) -> None:
    """As behind `tail -f`."""
    with subprocess.Popen(
        [*COMMAND, "classify", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin
        assert process.stdout
        for number, packed in enumerate(records(3)):
            process.stdin.write(packed.tobytes())
            process.stdin.flush()
            assert process.stdout.readline().startswith(b"standard input[%d]: " % number)
        process.stdin.close()
        assert process.wait(60) == 0


def test_the_example_with_tail_begins_with_the_first_record(cli: Cli, here: Path) -> None:
    """`tail` alone begins ten line ends before the end, in the middle of a record."""
    from atlcodec.cli.classify import classify

    (example,) = [line for line in vars(classify)["examples"] if "tail" in line]
    assert f"`{example.removesuffix(' --json')}`" in (ROOT / "docs/guide.md").read_text("utf-8")
    packed = records(50)
    assert (packed == ord("\n")).sum() > 10
    (here / "new.atlc").write_bytes(packed.tobytes())
    tail, _, answer = example.replace("tail -c +1 -f", "tail -c +1").partition(" | atlc ")
    data = subprocess.run(shlex.split(tail), capture_output=True, check=True).stdout
    ran = cli(*answer.split(), stdin=data)
    assert (ran.code, len(ran.lines)) == (0, 50)


@pytest.mark.parametrize("step", [1, 199, 200, 333, 1 << 20])
def test_a_stream_says_what_a_file_says(step: int, cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of any size, with damage of any kind."""
    good = records(9).tobytes()
    cases = (
        good,
        good[:450] + good[451:1100] + b"!" + good[1100:],
        bytes(400) + good,
        good[:600] + bytes(600) + good[1200:],
        good[:-7],
        good[3:],
        good[:200] + b"\1" + good[200:400],
        b"",
    )
    monkeypatch.setattr(stream, "STEP", step)
    for data in cases:
        (here / "x.atlc").write_bytes(data)
        expected = cli("info", "x.atlc")
        ran = cli("info", "-", stdin=data)
        assert ran.out.decode().replace("standard input", "x.atlc") == expected.out.decode()
        assert ran.err.replace("standard input", "x.atlc") == expected.err
        assert ran.code == expected.code


def test_parquet_in_a_stream(cli: Cli) -> None:
    complaint = cli("classify", "-", stdin=b"PAR1" + bytes(900) + b"PAR1").complaint
    assert "standard input: is a Parquet file; save it as a file, and name that" in complaint


def test_a_long_stream_needs_little_memory(here: Path) -> None:
    program = f"""{PEAK}
import io, sys
from atlcodec.stream import RecordStream
from atlcodec.reader import Reader
one = open("x.atlc", "rb").read() * 5000
class Endless(io.RawIOBase):
    left = 200
    def read(self, size):
        self.left -= 1
        return one if self.left > 0 else b""
parts, begun = Reader().parts(RecordStream(Endless(), "x")), 0
count = 0
for part in parts:
    count += len(part.records)
    begun = begun or peak()
print(count, peak() - begun < 30_000)
"""
    (here / "x.atlc").write_bytes(records(1).tobytes())
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment(), check=True)
    assert ran.stdout.split() == [b"995000", b"True"]


def test_a_terminal_takes_no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(atlcodec.AtlcError, match=r"^cannot write binary data to a terminal; name a file with -o$"):
        cli_files.standard_output()


def test_ctrl_c_while_a_command_is_imported(cli: Cli) -> None:
    code = """
import sys
import atlcodec.cli
class Stop:
    def find_spec(self, *_):
        raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
atlcodec.cli.main()
"""
    ran = cli.process("classify", "x.atlc", command=[sys.executable, "-c", code])
    assert (ran.code, ran.err) == (130, "atlc: interrupted\n")


def test_a_terminal_that_lacks_the_letters(cli: Cli, here: Path) -> None:
    name = "文\udcff.atlc"
    (here / name).write_bytes(records(1).tobytes())
    ran = cli.process("classify", name, env=environment(PYTHONIOENCODING="latin-1"))
    assert ran.code == 0
    assert ran.out.startswith(b"\\u6587\\udcff.atlc: ")


UNPRIVILEGED = """
import ctypes, os
if os.geteuid() == 0:  # root may do anything, until it gives up its capabilities
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
from atlcodec.cli import main
main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="gives up capabilities as Linux has them")
def test_without_permission(cli: Cli, here: Path) -> None:
    (here / "sub").mkdir()
    shutil.move("seven.png", "sub")
    shutil.copy("sub/seven.png", "sub/hidden.png")
    (here / "sub/hidden.atlc").write_bytes(records(1).tobytes())
    for name in ("hidden.png", "hidden.atlc"):
        (here / "sub" / name).chmod(0)
    (here / "sub").chmod(0o555)
    command = [sys.executable, "-c", UNPRIVILEGED]
    for arguments, complaint in (
        (["encode", "sub/seven.png"], "sub/seven.atlc: cannot be written (Permission denied)"),
        (["encode", "sub/seven.png", "-o", "sub/out/"], "sub/out/: cannot create the folder (Permission denied)"),
        (["encode", "sub/hidden.png", "-o", "x.atlc"], "sub/hidden.png: Permission denied"),
        (["classify", "sub/hidden.atlc"], "sub/hidden.atlc: Permission denied"),
    ):
        assert complaint in cli.process(*arguments, command=command).complaint
    (here / "sub").chmod(0o755)
    assert files_in(here / "sub") == ["hidden.atlc", "hidden.png", "seven.png"]
