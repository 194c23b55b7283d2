"""Where the results of `atlc encode` and `atlc decode` go, and that nothing is overwritten."""

from __future__ import annotations

import io
import shutil
import stat
from pathlib import Path

import numpy as np
from PIL import Image

import atlcodec
from atlcodec import picture
from drawings import Pixels
from kit import Cli, files_in, records, shown


def test_an_image_there_and_back(cli: Cli, here: Path, digit: Pixels) -> None:
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
    assert cli("classify", "-", stdin=packed.out).lines[0].startswith("standard input[0]: ")
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
    for output, place in (
        ("x.ATLC", "x.ATLC"),
        ("x", "x"),
        ("old", "old/seven.atlc"),
        ("new/one/", "new/one/seven.atlc"),
    ):
        assert cli("encode", "seven.png", "-o", output).code == 0
        assert (here / place).read_bytes() == packed
    for output, place in (
        ("x.png", "x.png"),
        ("old", "old/x.png"),
        ("new/two/", "new/two/x.png"),
        ("two", "two/x.png"),
    ):
        assert cli("decode", "x", "-o", output).code == 0
        assert np.array_equal(shown(place), atlcodec.decode(packed))
    shutil.copy("x", "y.bin")
    assert cli("decode", "x", "y.bin", "-o", "new/three").code == 0
    assert files_in(here / "new/three") == ["x.png", "y.bin.png"]


def test_nothing_is_overwritten_without_force(cli: Cli, here: Path) -> None:
    for name in ("seven.atlc", "set.atlc", "x.atlc.png", "set.png", "dangling"):
        (here / name).write_bytes(b"mine")
    (here / "x.atlc").write_bytes(records(1).tobytes())
    (here / "dangling").unlink()
    (here / "dangling").symlink_to("nowhere")
    for arguments in (
        ["encode", "seven.png"],
        ["encode", "seven.png", "-o", "set.atlc"],
        ["encode", "seven.png", "-o", "dangling"],
        ["decode", "x.atlc"],
        ["decode", "x.atlc", "-o", "set.png"],
    ):
        assert "already exists; -f replaces it" in cli(*arguments).complaint
    assert all((here / name).read_bytes() == b"mine" for name in ("seven.atlc", "set.atlc", "x.atlc.png", "set.png"))
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


def test_an_input_is_not_overwritten_by_a_numbered_image(cli: Cli, here: Path) -> None:
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
        ["encode", "seven.png", "sub/seven.png", "-o", "out/"],
        ["decode", "a/x.atlc", "b/x.atlc", "-o", "out/"],
    ):
        assert "would both be written to" in cli(*arguments, "-f").misuse
        assert files_in(here) == before
    assert "./seven.png is given twice" in cli("encode", "seven.png", "./seven.png").misuse
    assert "x.atlc is given twice" in cli("decode", "x.atlc", "x.atlc").misuse
    assert files_in(here) == before


def test_the_ending_of_an_output_is_that_of_what_is_written(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(1).tobytes())
    before = files_in(here)
    for arguments, message in (
        (["encode", "seven.png", "-o", "x.jpg"], "x.jpg: encode writes records; name a file that ends in .atlc"),
        (["encode", ".", "-o", "x.csv"], "x.csv: encode writes records; name a file that ends in .atlc or .parquet"),
        (["encode", "seven.png", "x.atlc", "-o", "out"], "out: end it in / for a folder, or in .atlc for one file"),
        (
            ["encode", ".", "seven.png", "-o", "y.atlc"],
            ".: is a folder; encode one folder in each call, and add others",
        ),
        (["decode", "x.atlc", "-o", "x.jpg"], "x.jpg: decode writes PNG; name a file that ends in .png"),
        (["decode", "x.atlc", "-o", "out.v2"], "or a folder that ends in /"),
    ):
        assert message in cli(*arguments).misuse
        assert files_in(here) == before


def test_decode_looks_before_it_writes(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(3).tobytes())
    assert cli("decode", "x.atlc", "-o", "out").code == 0
    (here / "out/x.atlc.000001.png").unlink()
    (here / "out/x.atlc.000002.png").write_bytes(b"mine")
    assert "out: 2 of 3 images already exist; -f replaces them" in cli("decode", "x.atlc", "-o", "out").complaint
    assert files_in(here / "out") == ["x.atlc.000000.png", "x.atlc.000002.png"]
    assert cli("decode", "x.atlc", "-o", "out", "-f").code == 0
    assert shown("out/x.atlc.000002.png").shape == (28, 28)
    (here / "bad.atlc").write_bytes(bytes(400))
    assert cli("decode", "bad.atlc", "-o", "new").code == 1
    assert not (here / "new").exists()


def test_a_link_stays_a_link_and_its_target_keeps_the_mode(cli: Cli, here: Path) -> None:
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


def test_folders_that_cannot_be_written_to(cli: Cli, here: Path) -> None:
    (here / "file").write_bytes(b"")
    assert "nowhere/x: cannot be written (No such file" in cli("encode", "seven.png", "-o", "nowhere/x").complaint
    assert "cannot be written (Not a directory)" in cli("encode", "seven.png", "-o", "file/x").complaint
    assert "file/: cannot create the folder" in cli("encode", "seven.png", "-o", "file/").complaint
    (here / "x.atlc").write_bytes(records(2).tobytes())
    assert "file/: cannot create the folder" in cli("decode", "x.atlc", "-o", "file/").complaint
    (here / "seven.atlc").mkdir()
    assert "seven.atlc: is a folder" in cli("encode", "seven.png", "-f").complaint
