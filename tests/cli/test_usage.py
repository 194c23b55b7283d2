"""Wrong usage, bad inputs and help: one line says what is wrong, and the other inputs are still read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import atlcodec
from atlcodec.cli import COMMANDS, atlc
from kit import ROOT, Cli, environment, files_in, json_lines, records


def test_a_bad_input_is_reported_and_the_others_are_read(cli: Cli, here: Path) -> None:
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


def test_train_head_says_what_is_wrong_before_it_works(cli: Cli, here: Path) -> None:
    (here / "x.atlc").write_bytes(records(30).tobytes())
    (here / "set.parquet").write_bytes(b"")
    complaint = cli("train-head", "--records", "set.parquet", "-o", "head1").complaint
    assert "set.parquet: train-head reads .atlc files; encode the images to one with -o set.atlc" in complaint
    complaint = cli("train-head", "--records", "x.atlc", "-o", "head1", "--device", "abacus").complaint
    assert "device 'abacus' is not available" in complaint


MORE = ("models add", "models check", "models list", "models remove")


@pytest.mark.parametrize("words", [*COMMANDS, *MORE])
def test_help_begins_with_a_sentence_and_two_examples(words: str, cli: Cli) -> None:
    """And many options are in groups."""
    lines = cli(*words.split(), "-h").lines
    assert lines[0].startswith(f"Usage: atlc {words}")
    sentence = " ".join(lines[2 : lines.index("", 2)])
    assert sentence.endswith(".")
    examples = [line.strip() for line in lines[lines.index("Examples:") + 1 :][:2]]
    assert all(f"atlc {words.split()[0]}" in line for line in examples)
    assert lines.index("Examples:") <= 6
    options = sum(line.startswith(("  -", "      --")) for line in lines)
    assert options <= 4 or "Options:" not in lines


def test_the_first_help(cli: Cli) -> None:
    """It shows the three verbs first, and every variable that the code reads."""
    lines = cli("-h").lines
    assert cli().err.splitlines() == lines
    assert [line.split()[0] for line in lines[lines.index("Commands:") + 1 :][:3]] == ["encode", "decode", "classify"]
    read = {
        name
        for file in (ROOT / "atlcodec").rglob("*.py")
        for name in re.findall(r"os\.environ\S*?\W+\"([A-Z_]+)\"", file.read_text("utf-8"))
    }
    assert {"ATLC_MODELS", "ATLC_THREADS"} <= read
    for variable in read:
        assert any(line.startswith(f"  {variable} ") for line in lines), variable
    assert any("_ATLC_COMPLETE=bash_source" in line for line in lines)


def test_python_m(cli: Cli) -> None:
    ran = cli.process("--version", command=[sys.executable, "-m", "atlcodec"])
    assert ran.lines == [f"atlc, version {atlcodec.__version__}"]


def test_a_shell_completes_models(cli: Cli) -> None:
    env = environment(_ATLC_COMPLETE="bash_complete", COMP_WORDS="atlc encode -m mni", COMP_CWORD="3")
    ran = cli.process(env=env)
    assert {"plain,mnist", "plain,mnist-lenet"} <= {*ran.lines}
    env |= {"COMP_WORDS": "atlc evaluate fash", "COMP_CWORD": "2"}
    assert "plain,fashion" in cli.process(env=env).lines


@pytest.mark.parametrize(
    "words",
    [
        *(f"{verb} {word}" for verb in ("encode", "decode", "classify", "info") for word in ("se", "--files-from se")),
        "encode a -o se",
        "decode a -o se",
        "similar a se",
        "evaluate mnist --data se",
        "train --data se",
        "train --outliers se",
        "train-head --data se",
    ],
)
def test_a_shell_completes_names_of_files(words: str, cli: Cli) -> None:
    """A shell that asks `atlc` what to complete completes no names of files by itself."""
    from click.shell_completion import BashComplete

    arguments = words.split()
    found = BashComplete(atlc, {}, "atlc", "_ATLC_COMPLETE").get_completions(arguments[:-1], arguments[-1])
    assert [(item.type, item.value) for item in found] == [("file", "se")]


def test_an_effort_in_words(cli: Cli, here: Path) -> None:
    assert "'max' is not a number from 0 (fast) to 9 (best)" in cli("encode", "seven.png", "--effort", "max").misuse


def test_help_and_version(cli: Cli) -> None:
    assert cli("--version").lines == [f"atlc, version {atlcodec.__version__}"]
    assert cli("-h").code == cli("--help").code == 0
    for command in ("encode", "decode", "classify", "info", "models", "train", "train-head", "evaluate"):
        assert command in cli("-h").out.decode()
        ran = cli(command, "-h")
        assert ran.code == 0
        assert ran.lines[0].startswith(f"Usage: atlc {command}")
