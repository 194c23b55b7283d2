"""Damaged, mixed and foreign files: each problem is one line, and all other records are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec.codec import Codec
from kit import FASHION, MNIST, Cli, files_in, json_lines, records, shown


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


def damaged(data: bytes) -> dict[str, tuple[bytes, list[int], str]]:
    """Ways to damage a file of five records: the bytes, the records that are still read, and a word of the report."""
    flipped = bytearray(data)
    flipped[2 * 200 + 123] ^= 0x10
    return {
        "torn": (data[:-1], [0, 1, 2, 3], "the last record is cut off (199 of 200 bytes)"),
        "one byte lost": (
            data[:450] + data[451:],
            [0, 1, 3, 4],
            "byte 400: 199 bytes are not records",
        ),
        "one byte inserted": (
            data[:450] + b"!" + data[450:],
            [0, 1, 3, 4],
            "byte 400: 201 bytes are not records",
        ),
        "one byte inserted between": (
            data[:400] + b"!" + data[400:],
            [0, 1, 2, 3, 4],
            "byte 400: 1 byte is not a record",
        ),
        "one bit flipped": (
            bytes(flipped),
            [0, 1, 3, 4],
            f"record 2: damaged: bit 4 of byte 123 of a record of {MNIST} is flipped",
        ),
        "one record foreign": (
            data[:400] + bytes(range(200)) + data[600:],
            [0, 1, 3, 4],
            "record 2: no installed codec has the id",
        ),
    }


@pytest.mark.parametrize("how", damaged(bytes(1000)))
def test_a_damaged_file_is_reported_and_the_rest_is_read(how: str, cli: Cli, here: Path) -> None:
    whole = records(5)
    data, left, word = damaged(whole.tobytes())[how]
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
        assert (
            f"all have the id {foreign.id:08x} of a codec that is not installed; install it with atlc models add, or "
            "name its folder with -m" in said
        )
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


def test_a_file_of_another_kind_is_one_line_and_damage_before_a_torn_end_is_reported(cli: Cli, here: Path) -> None:
    assert "is an image, not a file of records; encode it first" in cli("decode", "seven.png").complaint
    (here / "noise").write_bytes(bytes(range(1, 250)))
    assert "is it an .atlc file?" in cli("decode", "noise").complaint
    data = records(3)
    data[0, 0] ^= 1
    Path("torn.atlc").write_bytes(data.tobytes()[:-9])
    ran = cli("info", "torn.atlc")
    assert ran.code == 1
    assert "torn.atlc: record 0: damaged" in ran.err
    assert "cut off (191 of 200 bytes)" in ran.err
    assert len([line for line in ran.lines if "torn.atlc[1]" in line]) == 1
