"""What the tests share: a picture of a seven, the command line, and a user's folder with nothing in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before anything loads PyTorch: on batches as small as those of the tests, threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Some tests import ONNX Runtime before the engine does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from atlcodec import cli as command_line
from atlcodec.card import write_model

ROOT = Path(__file__).parents[1]
PEAK = """
def peak():  # kilobytes of memory that this process ever took; what getrusage says counts the parent's, too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""
COMMAND = [sys.executable, "-c", "from atlcodec.cli import main; main()"]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def complaint(self) -> str:
        """The one line on stderr with which it refused its only input."""
        assert self.code == 1, self
        assert self.out == b"", self
        assert self.err.startswith("atlc: "), self
        assert self.err.count("\n") == 1, self
        return self.err.strip()

    @property
    def misuse(self) -> str:
        """What it said of wrong usage."""
        assert self.code == 2, self
        assert self.out == b"", self
        assert "Error: " in self.err, self
        return self.err


class Cli:
    """`atlc`, in this process, or in one of its own where that matters (signals, pipes, devices)."""

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Ran:
        before = sys.argv, sys.stdin, sys.stdout, sys.stderr
        out, err = (
            io.TextIOWrapper(io.BytesIO(), "utf-8"),
            io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace"),
        )
        sys.argv, sys.stdin, sys.stdout, sys.stderr = (
            ["atlc", *map(str, arguments)],
            io.TextIOWrapper(io.BytesIO(stdin)),
            out,
            err,
        )
        code: Any = 0
        try:
            command_line.main()
        except SystemExit as error:
            code = error.code
        finally:
            sys.argv, sys.stdin, sys.stdout, sys.stderr = before
        assert isinstance(code, int)
        return Ran(code, _written(out), _written(err).decode())

    def process(self, *arguments: str | Path, command: list[str] = COMMAND, **options: Any) -> Ran:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(), "timeout": 60, **options}
        done = subprocess.run([*command, *map(str, arguments)], stdin=subprocess.DEVNULL, check=False, **options)
        return Ran(done.returncode, done.stdout or b"", done.stderr.decode())


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.seek(0)
    return bytes(stream.buffer.read())


def environment(**more: str) -> dict[str, str]:
    """For child processes: that of this one, with the package in reach from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folders without anything in them, for every test; this is where `atlc models add` puts models."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("ATLC_MODELS", raising=False)
    return home / "atlcodec" / "models"


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def digit() -> NDArray[np.uint8]:
    """A seven, uint8 (28, 28), white on black as in MNIST: two strokes, drawn at 8 times the size and scaled down."""
    return seven()


@pytest.fixture(scope="session")
def draw() -> Callable[..., NDArray[np.uint8]]:
    """Sevens that differ: `draw(slant)`."""
    return seven


def seven(slant: float = 0.0) -> NDArray[np.uint8]:
    image = Image.new("L", (28 * 8, 28 * 8))
    pen = ImageDraw.Draw(image)
    corner = (20 * 8, 7 * 8)
    for end in ((7 * 8, 7 * 8), ((12 + slant) * 8, 22 * 8)):
        pen.line([end, corner], fill=255, width=3 * 8)
        for x, y in (end, corner):
            pen.ellipse([x - 12, y - 12, x + 12, y + 12], fill=255)
    return np.array(image.resize((28, 28), Image.Resampling.BOX), np.uint8)


@pytest.fixture(scope="session")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a codec of one's own, not installed: "mine", untrained, with a classifier "letters". Not to be
    changed."""
    import torch

    from atlcodec.training import export
    from atlcodec.training.networks import CLASSIFIERS, COMPRESSORS, DECOMPRESSORS

    torch.manual_seed(0)
    files = {
        "compressor.onnx": export.compressor(COMPRESSORS["lenet"]().eval()),
        "decompressor.onnx": export.decompressor(DECOMPRESSORS["lenet"]().eval()),
        "classifier.onnx": export.classifier(CLASSIFIERS["lenet"](3).eval(), 3),
    }
    folder = tmp_path_factory.mktemp("models") / "mine"
    write_model(folder, files, {"name": "mine", "licence": "none"}, {"name": "letters", "labels": ["a", "b", "c"]})
    return folder


@pytest.fixture
def mine(own_model: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(own_model, tmp_path / "mine"))
