"""Many files in one call: what exists is skipped, names come from a file, results are JSON, and what is done stays."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec.cli import common
from atlcodec.codec import Codec
from atlcodec.sets import encoder, manifest
from atlcodec.sets.manifest import Entry
from drawings import Pixels
from kit import MNIST, Cli, files_below, files_in, json_lines, records, shown


@pytest.fixture
def three(here: Path) -> list[str]:
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy("seven.png", name)
    return ["a.png", "b.png", "c.png"]


def test_what_exists_is_skipped(cli: Cli, three: list[str]) -> None:
    assert cli("encode", "b.png", "-m", MNIST).code == 0
    os.utime("b.atlc", ns=(1, 1))
    ran = cli("encode", *three, "-m", MNIST, "--skip-existing")
    assert ran.code == 0
    assert "skipped 1 image, for the output exists" in ran.err
    assert Path("b.atlc").stat().st_mtime_ns == 1
    assert Path("a.atlc").stat().st_size == 200
    ran = cli("encode", ".", "-o", "b.atlc", "--skip-existing")
    assert (ran.code, ran.err) == (0, "b.atlc: skipped, for it exists\n")
    assert cli("decode", "a.atlc", "b.atlc", "-o", "out/").code == 0
    ran = cli("decode", "a.atlc", "b.atlc", "c.atlc", "-o", "out/", "--skip-existing")
    assert ran.code == 0
    assert files_below("out") == ["a.atlc.png", "b.atlc.png", "c.atlc.png"]
    for command in ("encode", "decode"):
        assert "give one of them" in cli(command, "x", "-f", "--skip-existing").misuse


def test_named_images_in_one_file_have_a_list(cli: Cli, three: list[str]) -> None:
    Path("b.png").write_bytes(b"")
    ran = cli("encode", *three, "-o", "s.atlc", "-m", MNIST)
    assert ran.code == 1
    assert "b.png: " in ran.err
    assert manifest.read("s.csv") == [Entry(0, "a.png", None), Entry(1, "c.png", None)]
    Path("sub").mkdir()
    os.chdir("sub")
    assert cli("encode", "../a.png", "../c.png", "-o", "t.atlc", "-m", MNIST).code == 0
    assert [entry.path for entry in manifest.read("t.csv")] == ["a.png", "c.png"]
    Path("u.csv").write_text("mine\n")
    assert "u.csv: is not a list of atlc" in cli("encode", "../a.png", "../c.png", "-o", "u.atlc").complaint
    assert Path("u.csv").read_text() == "mine\n"
    assert not Path("u.atlc").exists()


def test_names_from_a_file(cli: Cli, three: list[str]) -> None:
    Path("names").write_text("a.png\nb.png\n")
    assert cli("encode", "c.png", "--files-from", "names", "-m", MNIST).code == 0
    found = cli("classify", "--files-from", "-", stdin=b"a.atlc\0b.atlc\0c.atlc\0")
    assert [line.split(":")[0] for line in found.lines] == ["a.atlc", "b.atlc", "c.atlc"]
    assert "standard input: names no files" in cli("info", "--files-from", "-").complaint
    assert "Missing argument" in cli("decode").misuse


def test_names_that_are_odd(cli: Cli, here: Path) -> None:
    """Line ends in a name, bytes that are not UTF-8, empty lines; and names that cannot be."""
    for name in ("b\nc", "\udcff"):
        shutil.copy("seven.png", f"{name}.png")
    found = b"b\nc.png\0\xff.png\0"
    assert len(json_lines(cli("encode", "--files-from", "-", "-m", MNIST, "--json", stdin=found))) == 2
    ran = cli("classify", "--files-from", "-", "--json", stdin=b"b\nc.atlc\0\xff.atlc\0")
    assert [line["file"] for line in json_lines(ran)] == ["b\nc.atlc", "\udcff.atlc"]
    Path("names").write_bytes(b"\r\nseven.png\r\n\n")
    assert cli("encode", "--files-from", "names", "-m", MNIST).code == 0
    for empty in (b"", b"\n\n"):
        Path("names").write_bytes(empty)
        assert "names: names no files" in cli("encode", "--files-from", "names").complaint
    assert "here: No such file" in cli("encode", "--files-from", "here").complaint
    for command in ("encode", "decode", "classify", "info"):
        assert "an empty name" in cli(command, "").misuse
        said = cli(command, "-", "--files-from", "-", stdin=b"seven.png").misuse
        assert "standard input has the names (--files-from -), so no file can come from it, too" in said
    for command in ("encode", "decode"):
        assert "is empty; name a file or a folder" in cli(command, "seven.png", "-o", "").misuse


def test_results_as_json_and_quiet(cli: Cli, three: list[str]) -> None:
    ran = cli("encode", "a.png", "missing.png", "-m", MNIST, "--json")
    (line,) = json_lines(ran)
    assert ran.code == 1
    assert (line["file"], line["output"], line["bytes"], line["model"]) == ("a.png", "a.atlc", 200, MNIST)
    assert line["psnr"] > 30
    (line,) = json_lines(cli("encode", *three, "-o", "s.atlc", "-m", MNIST, "--json"))
    assert (line["output"], line["files"], line["records"]) == ("s.atlc", 3, 3)
    Path("in").mkdir()
    shutil.copy("a.png", "in/x.png")
    (line,) = json_lines(cli("encode", "in", "-o", "t.atlc", "-m", MNIST, "--json"))
    assert (line["folder"], line["output"], line["records"], line["problems"]) == ("in", "t.atlc", 1, [])
    lines = json_lines(cli("decode", "s.atlc", "-o", "out", "--json"))
    assert [(line["record"], line["output"], line["path"]) for line in lines] == [
        (number, f"out/{name}", name) for number, name in enumerate(three)
    ]
    for words in (["encode", "a.png", "-o", "-"], ["encode", "a.png", "-"], ["decode", "-"]):
        assert "cannot both go to standard output" in cli(*words, "--json").misuse
    ran = cli("encode", "-", "-o", "pipe/", "--json", stdin=Path("a.png").read_bytes())
    assert [line["output"] for line in json_lines(ran)] == ["pipe/stdin.atlc"]
    assert cli("encode", "in", "-o", "one.atlc", "-m", MNIST).err.startswith("1 image -> one.atlc")
    assert cli("encode", *three, "-f", "-q").err == ""
    assert cli("decode", "a.atlc", "-f", "--quiet").err == ""
    assert "missing.png" in cli("encode", "missing.png", "-q").err


def test_decoded_images_are_scaled(cli: Cli, here: Path, digit: Pixels) -> None:
    assert cli("encode", "seven.png", "-m", MNIST).code == 0
    assert cli("decode", "seven.atlc", "--scale", "3").code == 0
    image = atlcodec.decode(Path("seven.atlc").read_bytes())
    assert np.array_equal(shown("seven.atlc.png"), image.repeat(3, 0).repeat(3, 1))


def test_a_summary_of_labels(cli: Cli, three: list[str]) -> None:
    for label in ("7", "1"):
        Path("in", label).mkdir(parents=True)
        shutil.copy("seven.png", f"in/{label}/x.png")
    assert cli("encode", "in", "-o", "s.atlc", "-m", MNIST).code == 0
    lines = cli("classify", "s.atlc", "--summary").lines
    assert lines[0] == "s.atlc: 2 records: 2 of 7"
    assert lines[-4:] == [
        "s.atlc: 1 of 2 labels right (50.0%)",
        "  true  1  7",
        "  1     .  1",
        "  7     .  1",
    ]
    (line,) = json_lines(cli("classify", "s.atlc", "--summary", "--json"))
    assert (line["labels"], line["right"], line["labelled"]) == ({"7": 2}, 1, 2)
    assert {"true_label": "1", "label": "7", "count": 1} in line["confusion"]


def test_names_of_an_input_that_are_meant_for_an_output(cli: Cli, three: list[str]) -> None:
    said = cli("encode", "a.png", "z.atlc").misuse
    assert "z.atlc: does not exist; if it is the output, write: atlc encode a.png -o z.atlc" in said
    assert "z.atlc: No such file" in cli("encode", "z.atlc").complaint
    assert "an empty name" in cli("encode", "").misuse
    Path("noise").write_bytes(bytes(range(200)) * 2)
    assert "noise: holds no record of an installed codec" in cli("decode", "noise").complaint
    Path("loop").symlink_to("loop")
    for command in ("encode", "decode", "classify", "info"):
        assert "loop: Too many levels of symbolic links" in cli(command, "loop").complaint


def test_one_name_that_cannot_be_written_does_not_stop_the_others(cli: Cli, here: Path) -> None:
    long = "x" * 250 + ".atlc"
    for name in (long, "b.atlc"):
        Path(name).write_bytes(records(1).tobytes())
    ran = cli("decode", long, "b.atlc")
    assert ran.code == 1
    assert "File name too long" in ran.err
    assert "b.atlc.png" in files_in(here)


def test_a_full_disk_is_said_once(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it leaves no records without their list."""
    Path("s.atlc").write_bytes(records(30).tobytes())
    shutil.copy("seven.png", "b.png")

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("atlcodec.atomic.os.fsync", full)
    monkeypatch.setattr("atlcodec.atomic.os.replace", lambda *_: full(0))
    assert "out/s.atlc.000000.png: cannot be written (No space" in cli("decode", "s.atlc", "-o", "out").complaint
    assert "seven.atlc: cannot be written (No space" in cli("encode", "seven.png", "b.png", "-m", MNIST).complaint
    assert "cannot be written (No space" in cli("encode", "seven.png", "b.png", "-o", "t.atlc", "-m", MNIST).complaint
    monkeypatch.undo()
    monkeypatch.setattr(manifest, "append", lambda *_, **__: full(0))
    os.chdir(here)
    assert "t.csv: cannot be written" in cli("encode", "seven.png", "b.png", "-o", "t.atlc", "-m", MNIST).complaint
    assert files_in(here) == ["b.png", "out", "s.atlc", "seven.png"]


def test_ctrl_c_keeps_the_files_that_are_done(cli: Cli, three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "A_SECOND", 0)
    monkeypatch.setenv("ATLC_THREADS", "1")
    names = [f"{number:02d}.png" for number in range(20)]
    for name in names:
        shutil.copy("seven.png", name)
    calls = iter([False, True])
    encode = Codec.encode

    def stopping(self: Codec, *arguments: object) -> object:
        if next(calls):
            raise KeyboardInterrupt
        return encode(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Codec, "encode", stopping)
    assert cli("encode", *names, "-m", MNIST).code == 130
    assert sum(name.endswith(".atlc") for name in files_in(Path())) == 16


def test_a_batch_is_about_a_second_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLC_THREADS", "1")
    sizes = [encoder.batch_size([Codec.load(MNIST)], effort) for effort in range(10)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1000
    assert sizes[9] <= 64


def test_progress_has_an_estimate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr("atlcodec.cli.common.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with common.meter("encoding") as show:
        for done in range(0, 90, 10):
            show(done, 600)
            now[0] += 1
    drawn = capsys.readouterr().err.split("\r")
    assert drawn[1] == "encoding  0/600  0 %"
    assert drawn[3].rstrip() == "encoding  20/600  3 %  10/s  0:00:58 left"
    with common.meter("few") as show:
        show(0, 3)
    assert capsys.readouterr().err == ""
