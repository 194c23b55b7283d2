"""What the tests share: the command line in this process or another, and small helpers for files and records."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from atlcodec import cli as command_line
from atlcodec import picture, record, zoo
from drawings import Pixels

MNIST, FASHION = (model.name for model in zoo.default()[:2])
ROOT = Path(__file__).parents[1]
SHAPE = (28, 28)  # of the bundled models
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
    """For child processes: that of this one, with this copy of the package first."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def records(count: int, model: str = MNIST) -> record.Records:
    """Different records of a model: uint8 (count, 200)."""
    latents = np.random.default_rng(count).uniform(0, 15, (count, *record.BOTTLENECK)).astype(np.float32)
    return record.pack(record.seal(*record.quantise(latents), zoo.find(model).id))


def json_lines(ran: Ran) -> list[dict[str, Any]]:
    """What a command printed, one object a line; NaN and Infinity are not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in ran.lines]


def put(path: Path, pixels: Pixels) -> None:
    """Write an image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture.png(pixels))


def shown(path: Path | str) -> Pixels:
    """The pixels of an image file."""
    return np.asarray(Image.open(path))


def files_in(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(os.listdir(folder))


def files_below(folder: Path | str) -> list[str]:
    """The paths of all files below a folder, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if not path.is_dir())
