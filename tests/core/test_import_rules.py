"""The contracts in pyproject.toml hold the layers: here each is broken once, in a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = str(Path(sys.executable).parent / "lint-imports")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package's Python files and of the contracts."""
    only_python = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__")
    shutil.copytree(ROOT / "atlcodec", tmp_path / "atlcodec", ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder)}
    command = [LINT, "--no-cache"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_layers_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("record.py", "import atlcodec.zoo", "Each room imports only from the rooms below it"),
        ("codec.py", "import atlcodec.cli", "Each room imports only from the rooms below it"),
        ("new_room.py", "x = 1", "new_room"),  # every room has its layer
        ("refine.py", "import torch", "Only training imports PyTorch"),
        ("codec.py", "import onnxruntime", "Only engine imports ONNX Runtime"),
        (
            "card.py",
            "import PIL",
            "Only picture, convert, colours, strips, label_map, pillow and show.sheet import Pillow",
        ),
        ("codec.py", "import pyarrow", "import pyarrow"),
        ("reader.py", "import click", "Only the command line imports click"),
    ],
)
def test_a_broken_layer_is_named(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / "atlcodec" / file
    before = path.read_text("utf-8") if path.exists() else ""
    path.write_text(f"{before}\n{line}\n", "utf-8")
    done = lint(copy)
    assert done.returncode == 1, done.stdout
    text = " ".join(done.stdout.split())
    if file == "new_room.py":
        assert "atlcodec.new_room" in text
    else:
        assert f"{contract}" in text.split("Broken contracts")[1]
        assert f"atlcodec.{path.stem} -> {line.split()[1]}" in text
