"""A list from a stranger: unsafe paths are refused, and a list of another file is not used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kit import Cli, files_below, json_lines


@pytest.mark.parametrize(
    "path",
    [
        "../out.png",
        "/tmp/x.png",
        "a/../../x.png",
        "good.png",
        "good",
        "",
        "x\x1b.png",
    ],
)
def test_an_unsafe_path_is_refused_before_anything_is_written(path: str, cli: Cli, packed: Callable[..., None]) -> None:
    packed("good.png", "also.png", path)
    Path("sub").mkdir()
    said = cli("decode", "set.atlc", "-o", "sub/out", "-f").complaint
    assert "set.csv: " in said
    assert said.isprintable()
    assert os.listdir("sub") == []
    assert sorted(os.listdir()) == ["set.atlc", "set.csv", "sub"]
    ran = cli("classify", "--json", "set.atlc")
    assert ran.code == 1
    assert "set.csv: " in ran.err
    assert [line["record"] for line in json_lines(ran)] == [0, 1, 2]
    assert all("path" not in line for line in json_lines(ran))
    assert cli("classify", "set.atlc").code == 0


def test_links_in_the_target_are_not_followed(cli: Cli, packed: Callable[..., None]) -> None:
    packed("first.png", "a/b/x.png", "a/y.png")
    Path("victim").mkdir()
    Path("victim/kept.png").write_text("mine")
    for link, to in (
        ("out/a", "victim"),
        ("out/a/b", "victim"),
        ("out/a/y.png", "victim/kept.png"),
        ("out/first.png", "victim/new.png"),
    ):
        Path(link).parent.mkdir(parents=True)
        Path(link).symlink_to(Path(to).resolve())
        assert f"{link}: is a link" in cli("decode", "set.atlc", "-o", "out", "-f").complaint
        assert files_below("victim") == ["kept.png"]
        assert Path("victim/kept.png").read_text() == "mine"
        assert files_below("out") == [link.removeprefix("out/")] or link in ("out/a", "out/a/b")
        shutil.rmtree("out")
    Path("real").mkdir()
    Path("out").symlink_to("real")  # the folder that was named may be a link
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("real") == ["a/b/x.png", "a/y.png", "first.png"]


def test_a_list_of_another_file(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a.png", "b.png", "c.png")
    records = Path("set.atlc").read_bytes()
    for content in (records[:400], records + records[:200], records[:-1]):
        Path("set.atlc").write_bytes(content)
        complaint = cli("decode", "set.atlc", "-o", "out").complaint
        assert "the file was cut or replaced; to decode without paths, rename the list" in complaint
        assert not Path("out").exists()
    Path("set.csv").write_text("name,age\nx,7\n")  # not a list
    Path("set.atlc").write_bytes(records)
    ran = cli("decode", "set.atlc", "-o", "out")
    assert ran.code == 0
    assert "warning: set.csv: is not used" in ran.err
    assert files_below("out") == [f"set.atlc.{n:06d}.png" for n in range(3)]


def test_after_lost_bytes_no_image_gets_the_name_of_another(cli: Cli, packed: Callable[..., None]) -> None:
    packed(*(f"{letter}.jpg" for letter in "abcdefgh"))
    records = Path("set.atlc").read_bytes()
    Path("set.atlc").write_bytes(records[:450] + records[451:1100] + b"!" + records[1100:])
    lines = json_lines(cli("classify", "--json", "set.atlc"))
    assert [line.get("path") for line in lines] == ["a.jpg", "b.jpg", None, None, None, None]
    assert cli("decode", "set.atlc", "-o", "out").code == 1
    assert {"a.jpg.png", "b.jpg.png"} == {path for path in files_below("out") if not path.startswith("set.")}


def test_two_lists_into_one_folder(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a.png", "b.png")
    for suffix in ("atlc", "csv"):
        shutil.copy(f"set.{suffix}", f"two.{suffix}")
    ran = cli("decode", "set.atlc", "two.atlc", "-o", "out", "-f")
    assert ran.code == 1
    assert "two.atlc: has paths" in ran.err
    assert files_below("out") == ["a.png", "b.png"]


def test_a_set_of_one(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a/b.png")
    assert cli("decode", "set.atlc", "-o", "out/").code == 0
    assert files_below("out") == ["a/b.png"]
    assert cli("decode", "set.atlc").code == 0
    assert cli("decode", "set.atlc", "-o", "x.png").code == 0
    assert Path("set.atlc.png").read_bytes() == Path("x.png").read_bytes() == Path("out/a/b.png").read_bytes()
