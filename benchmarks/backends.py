"""Where `exactness.py` runs exact networks: other versions of ONNX Runtime, other processors, JavaScript.

Each has an environment of its own in runs/exactness, which is made once. One that cannot be made here says why.
Emulated processors need qemu-user; for aarch64, apt and dpkg fetch a Python from Debian, and nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent / "runs" / "exactness"
WORKER, WORKER_JS = str(HERE / "exactness_worker.py"), str(HERE / "exactness_worker.mjs")
OLDEST = "1.20.0"  # of ONNX Runtime, that is supported
DEBIAN = "bookworm"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
CPUINFO = """processor\t: 0
Features\t: fp asimd asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
"""  # of a Neoverse N1: with that of this machine, which qemu shows, ONNX Runtime 1.32 breaks down
SOURCE = "deb [arch=arm64 signed-by={keys}] http://deb.debian.org/debian {name} main\n"
PACKAGES = (  # what Python, NumPy and ONNX Runtime need of Debian
    "libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libuuid1 libcrypt1 libtinfo6 "
    "libncursesw6 libreadline8 libsqlite3-0 libpython3.11-minimal libpython3.11-stdlib python3.11-minimal"
).split()

Command = list[str]


class Missing(Exception):
    """Why a place is not there."""


@dataclass(frozen=True)
class BackEnd:
    """`kind` is native, emulated, or javascript. `command` runs a worker."""

    name: str
    kind: str
    command: Callable[[], Command]


def all_of_them() -> Iterator[BackEnd]:
    yield BackEnd("ONNX Runtime of this environment", "native", lambda: [sys.executable, WORKER])
    yield BackEnd(f"ONNX Runtime {OLDEST}", "native", lambda: [*_venv(f"onnxruntime=={OLDEST}"), WORKER])
    yield BackEnd("ONNX Runtime, the newest", "native", lambda: [*_venv("onnxruntime"), WORKER])
    yield BackEnd("plain JavaScript", "javascript", lambda: [_tool("node"), WORKER_JS, "plain"])
    yield BackEnd("onnxruntime-web", "javascript", lambda: _npm("onnxruntime-web"))
    yield BackEnd("onnxruntime-node", "javascript", lambda: _npm("onnxruntime-node"))
    yield BackEnd("Haswell (AVX2)", "emulated", lambda: [*emulated("Haswell"), WORKER])
    yield BackEnd("Nehalem (SSE)", "emulated", lambda: [*emulated("Nehalem"), WORKER])
    yield BackEnd("aarch64", "emulated", lambda: [*_aarch64(), WORKER])


def emulated(processor: str) -> Command:
    """This Python on another x86 processor."""
    return [_tool("qemu-x86_64", "install qemu-user"), "-cpu", processor, sys.executable]


def _tool(name: str, advice: str = "install it") -> str:
    found = shutil.which(name)
    if not found:
        raise Missing(f"there is no {name} here; {advice}")
    return found


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Missing(f"{Path(command[0]).name} failed: {last[:200]}")


def _made(folder: Path, make: Callable[[], None]) -> None:
    """Make a folder, if that was not done before. The stamp is written last."""
    stamp = folder / ".ready"
    if not stamp.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        make()
        stamp.touch()


def _venv(requirement: str) -> Command:
    """A Python with a version of ONNX Runtime and NumPy alone."""
    folder = FOLDER / requirement.replace("==", "-")
    python = folder / "bin/python"

    def make() -> None:
        _run(sys.executable, "-m", "venv", folder)
        _run(python, "-m", "pip", "install", "--quiet", "--upgrade", requirement, "numpy")

    _made(folder, make)
    return [str(python)]


def _npm(package: str) -> Command:
    """Without the package's scripts, one of which would fetch CUDA."""
    folder = FOLDER / package

    def make() -> None:
        (folder / "package.json").write_text('{"private": true}')
        _run(_tool("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", package, cwd=folder)

    _made(folder, make)
    return [_tool("node"), WORKER_JS, str(folder / "node_modules" / package)]


def _aarch64() -> Command:
    """A Python of Debian for aarch64, unpacked into a folder, with the wheels of NumPy and ONNX Runtime."""
    folder = FOLDER / "aarch64"
    root, wheels = folder / "root", folder / "wheels"

    def make() -> None:
        _unpack(folder / "apt", root)
        system = ("--platform=manylinux_2_28_aarch64", "--platform=manylinux_2_27_aarch64", "--python-version=3.11")
        install = ("-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-deps", f"--target={wheels}")
        for name in ("numpy", "onnxruntime", "flatbuffers", "protobuf", "packaging"):
            plain = () if name in ("flatbuffers", "packaging") else system
            _run(sys.executable, *install, *plain, name)

    qemu = _tool("qemu-aarch64", "install qemu-user")
    _made(folder, make)
    variables = (f"PYTHONHOME={root / 'usr'}", f"PYTHONPATH={wheels}", "PYTHONDONTWRITEBYTECODE=1")
    given = [part for each in variables for part in ("-E", each)]
    return [qemu, "-L", str(root), *given, str(root / "usr/bin/python3.11")]


def _unpack(apt: Path, root: Path) -> None:
    """Debian packages for aarch64. The apt of this machine fetches them with lists of its own, in the folder `apt`."""
    _tool("apt-get")
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(SOURCE.format(keys=KEYS, name=DEBIAN))
    places = {
        "State::lists": apt / "lists",
        "State::status": apt / "status",
        "Cache": apt / "cache",
        "Etc::sourcelist": apt / "sources.list",
        "Etc::sourceparts": apt / "parts",
    }
    options = [part for key, path in places.items() for part in ("-o", f"Dir::{key}={path}")]
    options += ["-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64", "-o", "APT::Sandbox::User=root"]
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "download", *PACKAGES, cwd=apt)
    for package in apt.glob("*.deb"):
        _run("dpkg", "-x", package, root)
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(CPUINFO)
