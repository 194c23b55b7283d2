"""The command line: what goes where, what is refused, and that no failure ends in a traceback."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import atlcodec
from atlcodec import picture, record, zoo
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec
from conftest import COMMAND, Cli, Ran, environment

Pixels = NDArray[np.uint8]
MNIST, FASHION = (model.name for model in zoo.default()[:2])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digit: Pixels) -> Path:
    """A folder to work in, with one picture in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(picture.png(digit))
    return tmp_path


def records(count: int, model: str = MNIST) -> record.Records:
    """Different records of a model."""
    latents = np.random.default_rng(count).uniform(0, 15, (count, *record.BOTTLENECK)).astype(np.float32)
    return record.pack(record.seal(*record.quantise(latents), zoo.find(model).id))


def shown(path: Path | str) -> Pixels:
    return np.asarray(Image.open(path))


def json_lines(ran: Ran) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in ran.lines]


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# -- where things go ---------------------------------------------------------------------------------------------------


def test_a_picture_there_and_back(cli: Cli, here: Path, digit: Pixels) -> None:
    ran = cli("encode", "seven.png")
    assert (ran.code, ran.out) == (0, b"")
    assert "seven.png -> seven.atlc  200 bytes" in ran.err
    assert " dB" in ran.err
    packed = (here / "seven.atlc").read_bytes()
    assert packed == atlcodec.encode(digit)
    ran = cli("decode", "seven.atlc")
    assert (ran.code, ran.out) == (0, b"")
    assert np.array_equal(shown("seven.atlc.png"), atlcodec.decode(packed))
    ran = cli("classify", "seven.atlc")
    answer = atlcodec.classify(packed)
    assert ran.lines == [f"seven.atlc: {answer.label} ({answer.probability:.1%})"]
    assert ran.err == ""
    assert files_in(here) == ["seven.atlc", "seven.atlc.png", "seven.png"]
    assert np.array_equal(shown("seven.png"), digit)


def test_pipes(cli: Cli, here: Path, digit: Pixels) -> None:
    packed = cli("encode", "-", stdin=(here / "seven.png").read_bytes())
    assert packed.code == 0
    assert packed.out == atlcodec.encode(digit)
    decoded = cli("decode", "-", stdin=packed.out)
    assert np.array_equal(picture.read(Image.open(io.BytesIO(decoded.out))), atlcodec.decode(packed.out))
    assert cli("classify", "-", stdin=packed.out).lines[0].startswith("standard input: ")
    assert cli("info", "-", stdin=packed.out).code == 0
    assert cli("encode", "seven.png", "-o", "-").out == packed.out
    assert cli("encode", "-", "-o", "x.atlc", stdin=(here / "seven.png").read_bytes()).code == 0
    assert (here / "x.atlc").read_bytes() == packed.out
    assert cli("decode", "x.atlc", "-o", "-").out == decoded.out
    (here / "out").mkdir()
    assert cli("encode", "-", "-o", "out", stdin=(here / "seven.png").read_bytes()).code == 0
    assert cli("decode", "-", "-o", "out", stdin=packed.out).code == 0
    assert cli("decode", "-", "-o", "out", stdin=packed.out * 2).code == 0
    assert files_in(here / "out") == ["stdin.000000.png", "stdin.000001.png", "stdin.atlc", "stdin.png"]


def test_outputs_named_and_folders_old_and_new(cli: Cli, here: Path, digit: Pixels) -> None:
    packed = atlcodec.encode(digit)
    (here / "old").mkdir()
    for output, place in (("x.bin", "x.bin"), ("old", "old/seven.atlc"), ("new/one/", "new/one/seven.atlc")):
        assert cli("encode", "seven.png", "-o", output).code == 0
        assert (here / place).read_bytes() == packed
    for output, place in (("x.png", "x.png"), ("old", "old/x.bin.png"), ("new/two/", "new/two/x.bin.png")):
        assert cli("decode", "x.bin", "-o", output).code == 0
        assert np.array_equal(shown(place), atlcodec.decode(packed))
    shutil.copy("x.bin", "y.bin")
    assert cli("decode", "x.bin", "y.bin", "-o", "new/three").code == 0
    assert files_in(here / "new/three") == ["x.bin.png", "y.bin.png"]


def test_several_pictures_become_one_file_and_numbered_pictures_again(
    cli: Cli, here: Path, draw: Callable[[float], Pixels]
) -> None:
    pictures = np.stack([draw(slant) for slant in (-3, 0, 3, 5)])
    for name, pixels in zip("abcd", pictures, strict=True):
        (here / f"{name}.png").write_bytes(picture.png(pixels))
    ran = cli("encode", "d.png", "a.png", "c.png", "b.png", "-o", "set.atlc", "-m", MNIST)
    assert ran.code == 0
    assert "4 images -> set.atlc  800 bytes" in ran.err
    expected = Codec.load(MNIST).encode(pictures[[3, 0, 2, 1]])
    assert (here / "set.atlc").read_bytes() == expected.tobytes()
    assert "-o DIR/" in cli("decode", "set.atlc").complaint
    assert "-o DIR/" in cli("decode", "set.atlc", "-o", "-").complaint
    assert "-o DIR/" in cli("decode", "set.atlc", "-o", "x.png").complaint
    ran = cli("decode", "set.atlc", "-o", "frames")
    assert ran.code == 0
    assert files_in(here / "frames") == [f"set.atlc.{n:06d}.png" for n in range(4)]
    decoded = np.stack([shown(here / "frames" / name) for name in files_in(here / "frames")])
    assert np.array_equal(decoded, Codec.load(MNIST).decode(expected))
    assert cli("classify", "set.atlc").lines[2].startswith("set.atlc[2]: ")


def test_the_choice_of_model_is_one_for_all_and_is_said(cli: Cli, here: Path, digit: Pixels) -> None:
    said = cli("encode", "seven.png").err
    assert " (chosen)" in said
    assert "(chosen)" not in cli("encode", "seven.png", "-f", "-m", FASHION).err
    assert atlcodec.classify((here / "seven.atlc").read_bytes()).model == FASHION
    id = f"{zoo.find(FASHION).id:08x}"
    for which in (id, id.upper(), str(BUNDLED / FASHION)):
        assert cli("encode", "seven.png", "-m", which, "-o", "-").out == (here / "seven.atlc").read_bytes()


def test_effort(cli: Cli, here: Path, digit: Pixels) -> None:
    packed = {
        effort: cli("encode", "seven.png", "-m", MNIST, "--effort", str(effort), "-o", "-").out for effort in (0, 3)
    }
    assert packed[0] != packed[3]
    assert packed[3] == Codec.load(MNIST).encode(digit[None], effort=3).tobytes()
    assert "10 is not in the range 0<=x<=9" in cli("encode", "seven.png", "--effort", "10").misuse


def test_poor_quality_is_warned_of(cli: Cli, here: Path) -> None:
    (here / "noise.png").write_bytes(picture.png(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)))
    ran = cli("encode", "noise.png", "seven.png")
    assert ran.code == 0
    assert "warning: noise.png" in ran.err


# -- nothing is overwritten --------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_without_force(cli: Cli, here: Path) -> None:
    for name in ("seven.atlc", "set.atlc", "x.atlc.png", "dangling"):
        (here / name).write_bytes(b"mine")
    (here / "x.atlc").write_bytes(records(1).tobytes())
    (here / "dangling").unlink()
    (here / "dangling").symlink_to("nowhere")
    for arguments in (
        ["encode", "seven.png"],
        ["encode", "seven.png", "-o", "set.atlc"],
        ["encode", "seven.png", "-o", "dangling"],
        ["decode", "x.atlc"],
        ["decode", "x.atlc", "-o", "set.atlc"],
    ):
        assert "exists already; -f (overwrite=True) replaces it" in cli(*arguments).complaint
    assert all((here / name).read_bytes() == b"mine" for name in ("seven.atlc", "set.atlc", "x.atlc.png"))
    assert not (here / "nowhere").exists()
    assert cli("encode", "seven.png", "-f").code == cli("encode", "seven.png", "-f", "-o", "dangling").code == 0
    assert (here / "seven.atlc").read_bytes() == (here / "nowhere").read_bytes() == atlcodec.encode("seven.png")
    assert cli("decode", "x.atlc", "-f").code == 0
    assert shown("x.atlc.png").shape == (28, 28)


def test_an_input_is_never_overwritten(cli: Cli, here: Path) -> None:
    shutil.copy("seven.png", "picture.atlc")
    (here / "x.atlc").write_bytes(records(1).tobytes())
    (here / "link.png").symlink_to("seven.png")
    (here / "sub").mkdir()
    content = {name: (here / name).read_bytes() for name in ("seven.png", "picture.atlc", "x.atlc")}
    for arguments in (
        ["encode", "picture.atlc"],
        ["encode", "seven.png", "-o", "seven.png"],
        ["encode", "seven.png", "-o", "sub/../seven.png"],
        ["encode", "link.png", "-o", "seven.png"],
        ["encode", "seven.png", "-o", "link.png"],
        ["encode", "picture.atlc", "seven.png", "-o", "seven.png"],
        ["decode", "x.atlc", "-o", "x.atlc"],
    ):
        assert "would be overwritten" in cli(*arguments, "-f").misuse
        assert all((here / name).read_bytes() == before for name, before in content.items())


def test_an_input_is_not_overwritten_by_a_numbered_picture(cli: Cli, here: Path) -> None:
    (here / "set").write_bytes(records(2).tobytes())
    (here / "set.000001.png").write_bytes(records(1).tobytes())
    ran = cli("decode", "-f", "set", "set.000001.png", "-o", ".")
    assert ran.code == 1
    assert "set.000001.png: is an input and would be overwritten" in ran.err
    assert (here / "set.000001.png").read_bytes() == records(1).tobytes()
    assert files_in(here) == ["set", "set.000000.png", "set.000001.png", "set.000001.png.png", "seven.png"]


def test_two_inputs_for_one_output_are_refused_before_any_work(cli: Cli, here: Path) -> None:
    (here / "sub").mkdir()
    shutil.copy("seven.png", "sub/seven.png")
    before = files_in(here)
    for arguments in (
        ["encode", "missing.png", "seven.png", "seven.jpg"],
        ["encode", "seven.png", "./seven.png"],
        ["encode", "seven.png", "sub/seven.png", "-o", "out/"],
        ["decode", "a/x.atlc", "b/x.atlc", "-o", "out/"],
        ["decode", "x.atlc", "x.atlc"],
    ):
        assert "would both be written to" in cli(*arguments, "-f").misuse
        assert files_in(here) == before


def test_a_link_stays_and_so_does_the_mode(cli: Cli, here: Path) -> None:
    (here / "secret.atlc").write_bytes(b"old")
    (here / "secret.atlc").chmod(0o600)
    (here / "link.atlc").symlink_to("secret.atlc")
    assert cli("encode", "seven.png", "-f", "-o", "link.atlc").code == 0
    assert (here / "link.atlc").is_symlink()
    assert (here / "secret.atlc").stat().st_size == 200
    assert stat.S_IMODE((here / "secret.atlc").stat().st_mode) == 0o600


def test_names_as_long_as_the_system_allows(cli: Cli, here: Path) -> None:
    name = "x" * 250 + ".png"
    shutil.copy("seven.png", name)
    assert cli("encode", name).code == 0
    assert "name too long" in cli("decode", "x" * 250 + ".atlc").complaint.lower()
    assert (here / ("x" * 250 + ".atlc")).stat().st_size == 200


# -- bad inputs and bad usage ------------------------------------------------------------------------------------------


def test_a_bad_input_is_reported_and_the_others_go_on(cli: Cli, here: Path) -> None:
    (here / "text.png").write_text("not an image")
    (here / "other.png").write_bytes((here / "seven.png").read_bytes())
    ran = cli("encode", "missing.png", "seven.png", "text.png", "other.png")
    assert ran.code == 1
    assert "missing.png: No such file" in ran.err
    assert "text.png: not an image" in ran.err
    assert (here / "seven.atlc").exists()
    assert (here / "other.atlc").exists()
    ran = cli("encode", "missing.png", "seven.png", "text.png", "other.png", "-o", "set.atlc")
    assert ran.code == 1
    assert (here / "set.atlc").stat().st_size == 400
    for command in ("decode", "classify", "info"):
        ran = cli(command, "missing.atlc", "seven.atlc", "text.png", "other.atlc")
        assert ran.code == 1
        assert "missing.atlc: No such file" in ran.err
        assert "text.png: 12 bytes" in ran.err
        assert ran.err.count("\natlc: ") == 1  # the second; the first is at the start
    assert (here / "other.atlc.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode"],
        ["decode"],
        ["classify"],
        ["info"],
        ["evaluate", "x"],
        ["frobnicate"],
        ["encode", "--frobnicate", "x"],
        ["encode", "-", "-"],
        ["decode", "-", "-"],
        ["classify", "-", "-"],
        ["info", "-", "-"],
        ["decode", "a", "b", "-o", "-"],
        ["decode", "a", "b", "-o", "x.png"],
        ["classify", "x", "--top", "0"],
        ["classify", "x", "--top", "many"],
        ["models", "add"],
        ["models", "add", "/nowhere"],
        ["models", "frobnicate"],
    ],
)
def test_bad_usage(arguments: list[str], cli: Cli, here: Path) -> None:
    assert cli(*arguments).misuse.startswith("Usage: atlc")
    assert files_in(here) == ["seven.png"]


def test_nothing_said_can_speak_to_the_terminal(cli: Cli, here: Path) -> None:
    evil = "\x1b]0;owned\x07\r\u202e.atlc"
    calls: list[list[str]] = [[c, evil] for c in ("decode", "classify", "info", evil)]
    calls += [
        ["models", "add", evil],
        ["classify", "x", "--top", evil],
        ["encode", f"--{evil}"],
        ["encode", "-m", evil, "seven.png"],
    ]
    calls += [
        ["encode", "seven.png", "-o", f"{evil}/x"],
        ["decode", evil, evil],
        ["evaluate", evil, "--data", evil],
        ["-" + evil],
    ]
    for arguments in calls:
        ran = cli(*arguments)
        assert ran.code in (1, 2)
        assert all(line.isprintable() for line in ran.err.split("\n")), ran
    (here / evil).write_bytes(records(2).tobytes() + b"torn")
    for ran in (cli("classify", evil), cli("info", evil), cli("decode", evil, "-o", "out/")):
        assert all(line.isprintable() for line in (ran.err + ran.out.decode()).split("\n")), ran
    assert [line["file"] for line in json_lines(cli("classify", "--json", evil))] == [evil, evil]


def test_an_unknown_model_is_refused_with_a_list(cli: Cli, here: Path, mine: Path) -> None:
    complaint = cli("encode", "-m", "nonesuch", "seven.png").complaint
    assert MNIST in complaint
    assert "write ./mine" in cli("encode", "-m", "mine", "seven.png").complaint
    assert "no model '00000000'" in cli("classify", "-m", "00000000", "seven.png").complaint
    assert "card.json: No such file" in cli("encode", "-m", "./nonesuch", "seven.png").complaint
    assert files_in(here) == ["mine", "seven.png"]
    assert cli("encode", "-m", "./mine", "seven.png").code == 0


def test_help_and_version(cli: Cli) -> None:
    assert cli("--version").lines == [f"atlc, version {atlcodec.__version__}"]
    assert cli("-h").code == cli("--help").code == 0
    for command in ("encode", "decode", "classify", "info", "models", "train", "train-head", "evaluate"):
        assert command in cli("-h").out.decode()
        ran = cli(command, "-h")
        assert ran.code == 0
        assert ran.lines[0].startswith(f"Usage: atlc {command}")


# -- streams -----------------------------------------------------------------------------------------------------------


def test_no_progress_bar_in_a_pipe(cli: Cli, here: Path) -> None:
    for number in range(30):
        shutil.copy("seven.png", f"{number}.png")
    ran = cli.process("encode", *(f"{n}.png" for n in range(30)), "-o", "set.atlc")
    assert ran.code == 0
    assert ran.out == b""
    assert "reading" not in ran.err
    assert "\r" not in ran.err
    assert "\x1b" not in ran.err


def test_whoever_has_read_enough_may_leave(here: Path) -> None:
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
    for line in ("encode - <&-", "classify - <&-", "encode seven.png -o - >&-", "classify - <&- >&- 2>&-"):
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


def test_folders_that_cannot_be_written_to(cli: Cli, here: Path) -> None:
    (here / "file").write_bytes(b"")
    assert "nowhere/x: cannot be written (No such file" in cli("encode", "seven.png", "-o", "nowhere/x").complaint
    assert "cannot be written (Not a directory)" in cli("encode", "seven.png", "-o", "file/x").complaint
    assert "file/: cannot create the folder" in cli("encode", "seven.png", "-o", "file/").complaint
    (here / "x.atlc").write_bytes(records(2).tobytes())
    assert "file/: cannot create the folder" in cli("decode", "x.atlc", "-o", "file/").complaint
    (here / "seven.atlc").mkdir()
    assert "seven.atlc: is a folder" in cli("encode", "seven.png", "-f").complaint


@pytest.mark.parametrize("threads", ["1", "0", "many", "-1", "5000", "9" * 30])
def test_any_number_of_threads_may_be_asked_for(
    threads: str, cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLC_THREADS", threads)
    assert cli("encode", "seven.png").code == 0


# -- classify, info, models --------------------------------------------------------------------------------------------


def test_classify_in_json_and_the_likeliest_few(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(3).tobytes() + records(2, FASHION).tobytes())
    lines = json_lines(cli("classify", "--json", "x.atlc"))
    assert [line["record"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["model"] for line in lines] == [MNIST] * 3 + [FASHION] * 2
    for line, packed in zip(lines, np.concatenate([records(3), records(2, FASHION)]), strict=True):
        expected = atlcodec.classify(packed)
        assert (line["label"], line["index"], line["head"]) == (expected.label, expected.index, expected.head)
        assert line["probability"] == pytest.approx(expected.probability, abs=1e-5)
    for line in json_lines(cli("classify", "--json", "--top", "3", "x.atlc")):
        chances = [entry["probability"] for entry in line["top"]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)
        assert line["top"][0]["label"] == line["label"]
    every = json_lines(cli("classify", "--json", "--top", "99", "x.atlc"))[0]["top"]
    assert {entry["label"] for entry in every} == set(Codec.load(MNIST).labels)
    assert sum(entry["probability"] for entry in every) == pytest.approx(1, abs=1e-4)
    assert cli("classify", "--top", "2", "x.atlc").lines[0].count("%") == 2


def test_info(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(3).tobytes() + records(2, FASHION).tobytes())
    ran = cli("info", "x.atlc")
    assert ran.code == 0
    assert len(ran.lines) == 6
    assert ran.lines[-1] == f"x.atlc: 1000 bytes, 5 records (3 of {MNIST}, 2 of {FASHION})"
    lines = json_lines(cli("info", "--json", "x.atlc"))
    assert [line["model"] for line in lines] == [MNIST] * 3 + [FASHION] * 2
    assert [line["id"] for line in lines] == [f"{zoo.find(line['model']).id:08x}" for line in lines]
    for line, symbols in zip(lines, record.unpack((here / "x.atlc").read_bytes()), strict=True):
        assert line["histogram"] == [int((symbols == level).sum()) for level in range(16)]


def test_models(cli: Cli, user_folder: Path, own_model: Path) -> None:
    ran = cli("models")
    assert ran.code == 0
    assert ran.out == cli("models", "list").out
    bundled = list(zoo.models().values())
    assert [line.split()[:2] for line in ran.lines] == [[model.name, f"{model.id:08x}"] for model in bundled]
    assert all("bundled" in line for line in ran.lines)
    shutil.copytree(own_model, user_folder / "mine")
    lines = json_lines(cli("models", "--json"))
    assert lines == json_lines(cli("models", "list", "--json"))
    assert [line["name"] for line in lines] == [model.name for model in bundled] + ["mine"]
    assert [line["default"] for line in lines] == [model in zoo.default() for model in bundled] + [False]
    assert lines[-1]["heads"] == ["letters"]
    assert lines[-1]["folder"] == str(user_folder / "mine")
    assert all(set(line["figures"]) >= {"psnr", "accuracy"} for line in lines[:-1])


def test_a_model_is_added_once_and_then_used(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    ran = cli("models", "add", "mine")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == f"installed in {user_folder / 'mine'}\n"
    assert {str(p.relative_to(user_folder)) for p in user_folder.rglob("*.*")} == {
        "mine/card.json",
        "mine/compressor.onnx",
        "mine/decompressor.onnx",
        "mine/heads/letters/card.json",
        "mine/heads/letters/classifier.onnx",
    }
    shutil.rmtree(mine)
    assert cli("encode", "seven.png", "-m", "mine").code == 0
    assert cli("decode", "seven.atlc").code == 0
    assert json_lines(cli("classify", "--json", "seven.atlc"))[0]["label"] in "abc"
    shutil.copytree(user_folder / "mine", mine)
    assert "installed already, as mine" in cli("models", "add", "mine").complaint
    assert "(chosen)" in (said := cli("encode", "seven.png", "-f").err)
    assert "mine" not in said  # a user's model is never chosen unasked


def test_a_user_folder_that_cannot_be_written_to(
    cli: Cli, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert "Not a directory" in cli("models", "add", mine).complaint
    assert cli("models").code == 0


def change(folder: Path, **entries: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **entries}))


def test_a_model_whose_name_or_id_is_taken_is_refused(cli: Cli, mine: Path, user_folder: Path) -> None:
    for name in (MNIST, "heads", "deadbeef", f"{zoo.find(MNIST).id:08x}", "../x", ".x", "", "a b"):
        change(mine, name=name)
        assert name[:2] in cli("models", "add", mine).complaint
    change(mine, name="mine")
    # Another model of the same id: none is known, so one that only its card gives.
    id = json.loads((mine / "card.json").read_text())["id"]
    shutil.copytree(mine, user_folder / "other")
    change(
        user_folder / "other", name="other", sha256={"compressor.onnx": "0" * 64, "decompressor.onnx": id + "0" * 56}
    )
    assert f"another codec, other, has the same id {id}" in cli("models", "add", mine).complaint
    shutil.rmtree(user_folder / "other")
    (user_folder / "mine").mkdir()
    assert "exists already" in cli("models", "add", mine).complaint
    assert files_in(user_folder) == ["mine"]


def test_a_classifier_is_added_once_and_then_used(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    head = mine / "heads" / "letters"
    assert "a codec that is not installed" in cli("models", "add", head).complaint
    assert cli("models", "add", mine).code == 0
    assert "a classifier letters already" in cli("models", "add", head).complaint
    change(head, name="signs", labels=["x", "y", "z"])
    assert cli("models", "add", head).code == 0
    assert "a classifier signs already" in cli("models", "add", head).complaint
    assert cli("encode", "seven.png", "-m", "mine").code == 0
    (first,), (second,) = (
        json_lines(cli("classify", "--json", "seven.atlc", *options)) for options in ([], ["--head", "signs"])
    )
    assert (first["head"], second["head"]) == ("letters", "signs")
    assert "xyz"["abc".index(first["label"])] == second["label"]
    assert json_lines(cli("models", "--json"))[-1]["heads"] == ["letters", "signs"]
    assert "it has: letters, signs" in cli("classify", "--head", "other", "seven.atlc").complaint
    assert "cannot name a model" in cli("classify", "--head", "../letters", "seven.atlc").complaint


# -- evaluate ----------------------------------------------------------------------------------------------------------


def idx(array: Pixels) -> bytes:
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_idx(folder: Path, images: Pixels) -> None:
    folder.mkdir()
    for half in ("train", "t10k"):
        (folder / f"{half}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{half}-labels-idx1-ubyte.gz").write_bytes(idx(np.full(len(images), 7, np.uint8)))


def test_evaluate(cli: Cli, here: Path, draw: Callable[[float], Pixels]) -> None:
    images = np.stack([draw(slant) for slant in (-2, -1, 0, 1, 2, 3)])
    write_idx(here / "sevens", images)
    ran = cli("evaluate", MNIST, "--data", "sevens")
    assert ran.code == 0
    assert len(ran.lines) == 2
    assert f"{MNIST} on 6 test images of sevens: PSNR " in ran.lines[0]
    (result,) = json_lines(cli("evaluate", MNIST, "--data", "sevens", "--json"))
    codec = Codec.load(MNIST)
    assert result["effort"] == 0
    packed = codec.encode(images, effort=0)
    mse = ((codec.decode(packed).astype(float) - images) ** 2).mean()
    assert result["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-3)
    right = [codec.labels[index] == "7" for index in codec.classify(packed).argmax(axis=1)]
    assert result["accuracy"] == pytest.approx(100 * np.mean(right), abs=1e-3)
    assert result["automatic"]["images"] == result["images"] == 6
    (result,) = json_lines(cli("evaluate", FASHION, "--data", "sevens", "--json", "--limit", "2", "--split", "train"))
    assert result["images"] == 2


def test_evaluate_on_pictures_that_come_back_exactly_or_not_at_all(cli: Cli, here: Path) -> None:
    write_idx(here / "black", np.zeros((3, 28, 28), np.uint8))
    assert cli("evaluate", MNIST, "--data", "black").code == 0
    assert json_lines(cli("evaluate", MNIST, "--data", "black", "--json"))[0]["images"] == 3
    assert "nowhere: no such folder" in cli("evaluate", MNIST, "--data", "nowhere").complaint
    write_idx(here / "none", np.zeros((0, 28, 28), np.uint8))
    assert "no test images" in cli("evaluate", MNIST, "--data", "none").complaint


# -- damaged and mixed files -------------------------------------------------------------------------------------------


def test_mixed_models_are_decoded_each_with_its_own(cli: Cli, here: Path) -> None:
    digits, clothes = records(3), records(3, FASHION)
    mixed = np.stack([digits[0], clothes[0], digits[1], clothes[1], clothes[2], digits[2]])
    (here / "x.atlc").write_bytes(mixed.tobytes())
    assert cli("decode", "x.atlc", "-o", "out/").code == 0
    decoded = np.stack([shown(here / "out" / name) for name in files_in(here / "out")])
    assert np.array_equal(decoded, np.stack([atlcodec.decode(packed) for packed in mixed]))
    ran = cli("classify", "-m", MNIST, "x.atlc")
    assert ran.code == 1
    assert [line.split(":")[0] for line in ran.lines] == ["x.atlc[0]", "x.atlc[2]", "x.atlc[5]"]
    assert f"written by {FASHION}, not by {MNIST}" in ran.err


def spoilt(data: bytes) -> dict[str, tuple[bytes, list[int], str]]:
    """Ways to spoil a file of five records: what is left, which records still read, and a word of the report."""
    flipped = bytearray(data)
    flipped[2 * 200 + 123] ^= 0x10
    return {
        "torn": (data[:-1], [0, 1, 2, 3], "torn record of 199 bytes"),
        "one byte lost": (data[:450] + data[451:], [0, 1, 3, 4], "byte 400: 199 bytes out of step"),
        "one byte inserted": (data[:450] + b"!" + data[450:], [0, 1, 3, 4], "byte 400: 201 bytes out of step"),
        "one byte inserted between": (data[:400] + b"!" + data[400:], [0, 1, 2, 3, 4], "byte 400: 1 byte out of step"),
        "one bit flipped": (
            bytes(flipped),
            [0, 1, 3, 4],
            f"record 2: damaged: bit 4 of byte 123 of a record of {MNIST} is flipped",
        ),
        "one record foreign": (
            data[:400] + bytes(200) + data[600:],
            [0, 1, 3, 4],
            "record 2: no installed codec has the id",
        ),
    }


@pytest.mark.parametrize("how", spoilt(bytes(1000)))
def test_a_spoilt_file_is_reported_and_the_rest_is_read(how: str, cli: Cli, here: Path) -> None:
    whole = records(5)
    data, left, word = spoilt(whole.tobytes())[how]
    (here / "x.atlc").write_bytes(data)
    labels = [atlcodec.classify(packed).label for packed in whole]
    for ran in (cli("classify", "--json", "x.atlc"), cli("classify", "--json", "-", stdin=data)):
        assert ran.code == 1
        assert word in ran.err
        assert ran.err.count("\n") == 1
        assert [line["label"] for line in json_lines(ran)] == [labels[number] for number in left]
    ran = cli("decode", "x.atlc", "-o", "out/")
    assert ran.code == 1
    assert word in ran.err
    decoded = [shown(here / "out" / name) for name in files_in(here / "out")]
    assert np.array_equal(np.stack(decoded), np.stack([atlcodec.decode(whole[number]) for number in left]))
    ran = cli("info", "x.atlc")
    assert ran.code == 1
    assert word in ran.err
    assert f"{len(left)} records" in ran.lines[-1]


def test_an_empty_file_is_valid(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(b"")
    for command in ("decode", "classify", "info"):
        for arguments, stdin in ((["x.atlc"], b""), (["-"], b"")):
            ran = cli(command, *arguments, stdin=stdin)
            assert ran.code == 0
            assert "empty" in ran.err or "0 records" in ran.out.decode()
    assert files_in(here) == ["seven.png", "x.atlc"]


def test_other_files_are_refused(cli: Cli, here: Path, own_model: Path) -> None:
    foreign = Codec.load(own_model)
    (here / "foreign.atlc").write_bytes(foreign.encode(np.zeros((3, 28, 28), np.uint8)).tobytes())
    (here / "random.bin").write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())
    (here / "zeros.bin").write_bytes(bytes(2000))
    (here / "short").write_bytes(bytes(199))
    for command in (["classify"], ["decode", "-o", "out/"]):
        said = cli(*command, "foreign.atlc").err
        assert f"all have the id {foreign.id:08x} of a codec that is not installed (atlc models add)" in said
        assert "not records" in cli(*command, "random.bin").err
        assert cli(*command, "zeros.bin").code == 1
        assert "199 bytes, but a record has 200" in cli(*command, "short").complaint
        assert "directory" in cli(*command, ".").complaint
    said = cli("classify", "-m", MNIST, "foreign.atlc").complaint
    assert f"{foreign.id:08x}" in said
    assert "not installed" in said


def test_a_model_that_did_not_write_it_says_which_did(cli: Cli, here: Path) -> None:
    for count in (1, 4):
        (here / "x.atlc").write_bytes(records(count).tobytes())
        for command in ("classify", "decode"):
            said = cli(command, "-m", FASHION, "x.atlc", *(["-o", "out/"] if command == "decode" else [])).err
            assert f"written by {MNIST}, not by {FASHION}" in said
    assert not (here / "out").exists() or files_in(here / "out") == []


def test_a_broken_model_costs_only_its_own_records(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    assert cli("models", "add", mine).code == 0
    own = Codec.load("mine").encode(np.zeros((2, 28, 28), np.uint8))
    (here / "x.atlc").write_bytes(records(1).tobytes() + own.tobytes() + records(2, FASHION).tobytes())
    assert cli("classify", "x.atlc").code == 0
    for name in ("decompressor.onnx", "heads/letters/classifier.onnx"):
        with (user_folder / "mine" / name).open("ab") as file:
            file.write(b"!")
    ran = cli.process("classify", "--json", "x.atlc")  # a new process: this one keeps the codec loaded
    assert ran.code == 1
    assert [line["record"] for line in json_lines(ran)] == [0, 3, 4]
    assert "x.atlc: 2 records of mine: " in ran.err
    ran = cli.process("decode", "x.atlc", "-o", "out/")
    assert ran.code == 1
    assert files_in(here / "out") == [f"x.atlc.{n:06d}.png" for n in (0, 3, 4)]


def test_a_file_of_another_kind_is_one_line_and_damage_before_a_torn_end_is_not_lost_in_it(
    cli: Cli, here: Path
) -> None:
    assert "is it an .atlc file?" in cli("decode", "seven.png").complaint
    data = records(3)
    data[0, 0] ^= 1
    Path("torn.atlc").write_bytes(data.tobytes()[:-9])
    ran = cli("info", "torn.atlc")
    assert ran.code == 1
    assert "torn.atlc: record 0: damaged" in ran.err
    assert "torn record of 191 bytes" in ran.err
    assert len([line for line in ran.lines if "torn.atlc[1]" in line]) == 1
