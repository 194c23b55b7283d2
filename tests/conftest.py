"""The fixtures of all rooms: the command line, a drawn seven, empty user folders, and a user's codec."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

# Before anything loads PyTorch: on batches as small as those of the tests, threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Some tests import ONNX Runtime before the engine does.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import pytest

from atlcodec.card_writer import write_model
from drawings import Pixels, seven
from kit import SHAPE, Cli, put

pytest_plugins = ["sets_kit"]

# The files that take longest begin first, so that no process works on one of them alone at the end.
SLOWEST = ("bundled_models", "package", "train_command", "heads", "atl", "hostile", "guide_page", "export", "recipes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {f"test_{name}": number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(SLOWEST)))


@pytest.fixture(autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has empty user folders of its own; `atlc models add` puts models into this one."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("ATLC_MODELS", raising=False)
    return home / "atlcodec" / "models"


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def digit() -> Pixels:
    """A seven, uint8 (28, 28)."""
    return seven()


@pytest.fixture(scope="session")
def draw() -> Callable[..., Pixels]:
    """Sevens that differ: `draw(slant)`."""
    return seven


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def here(workplace: Path, digit: Pixels) -> Path:
    """The current folder, with one image in it: seven.png."""
    put(workplace / "seven.png", digit)
    return workplace


@pytest.fixture(scope="session")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user's codec, not installed: "mine", untrained, with a classifier "letters". Do not change it."""
    import torch

    from atlcodec.training import export
    from atlcodec.training.networks import CLASSIFIERS, COMPRESSORS, DECOMPRESSORS, NO_START

    torch.manual_seed(0)
    files = {
        "compressor.onnx": export.compressor(COMPRESSORS["lenet"](NO_START).eval()),
        "decompressor.onnx": export.decompressor(DECOMPRESSORS["lenet"](NO_START).eval()),
        "classifier.onnx": export.classifier(CLASSIFIERS["lenet"](NO_START, 3).eval(), 3),
    }
    folder = tmp_path_factory.mktemp("models") / "mine"
    write_model(
        folder,
        files,
        {"name": "mine", "shape": SHAPE, "licence": "none"},
        {"name": "letters", "labels": ["a", "b", "c"]},
    )
    return folder


@pytest.fixture
def mine(own_model: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which a test may change."""
    return Path(shutil.copytree(own_model, tmp_path / "mine"))
