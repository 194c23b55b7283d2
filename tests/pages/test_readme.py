"""README.md: what it shows is what is printed today, and what it promises is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atlcodec import picture, zoo
from atlcodec.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def block(after: str) -> list[str]:
    """The lines of the first indented block behind a phrase."""
    lines = README[README.index(after) :].split("\n\n", 1)[1].splitlines()
    kept = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        kept.append(line[4:])
    return "\n".join(kept).strip().splitlines()


def without_decibels(line: str) -> str:
    """Another machine may round a pixel the other way."""
    return re.sub(r"\d+\.\d dB|\(\d+\.\d%\)", "#", line)


def test_the_demo_prints_what_is_shown(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, str(ROOT / "examples/demo.py"), str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout
    shown = block("`make demo` prints this")
    assert shown[0] == "$ atlc encode digit.png"
    assert [
        line for line in map(without_decibels, shown) if line not in map(without_decibels, printed.splitlines())
    ] == []
    assert (tmp_path / "x.png").stat().st_size > 0


def test_the_quick_start_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("node_modules"))
    check = "assert (len(record), image.shape, records.shape, scores.shape) == (200, (28, 28), (1, 200), (1, 10))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    ).stdout
    assert printed == "7\n"


def test_the_sample_image_is_the_one_that_the_example_draws(tmp_path: Path) -> None:
    drawing = str(ROOT / "examples/draw.py")
    subprocess.run([sys.executable, drawing, str(tmp_path / "digit.png")], check=True)
    assert np.array_equal(picture.read(tmp_path / "digit.png"), picture.read(ROOT / "examples/digit.png"))


def test_the_way_around_cuda_is_said() -> None:
    guide = " ".join((ROOT / "docs/guide.md").read_text("utf-8").split())
    assert "without a GPU, see the guide first" in README
    section = guide[guide.index("## A codec of your own") :]
    assert section.index("--index-url https://download.pytorch.org/whl/cpu`") < section.index("```console")


def test_the_page_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("name", [model.name for model in zoo.default()])
def test_the_figures_are_those_of_the_cards(name: str) -> None:
    figures = zoo.find(name).card.figures
    (row,) = [line for line in README.splitlines() if line.startswith("|") and f"`{name}`" in line]
    assert f"{figures['psnr']:.1f}" in row
    assert f"{figures['accuracy']:.1f}" in row


def test_commands_and_links_exist() -> None:
    for command in re.findall(r"\batlc ([a-z]+)", README):
        assert command in COMMANDS
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^    )make ([a-z]+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
