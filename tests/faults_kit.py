"""What is done to commands on purpose: each is a scene with a state before it, and the states in which it may leave the
folder when it is stopped."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import card, picture, sets, zoo
from atlcodec.codec import Codec
from kit import files_below

MODEL = "mnist-lenet"  # its networks are small, so that a command spends its time on files
BATCH = 16  # images, so that a set has several batches
OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Scene:
    """`prepare` fills the current folder; `state` says whether it is as before or as after the command, and fails for
    anything between."""

    prepare: Callable[[], None]
    command: list[str]
    state: Callable[[], str]
    again: tuple[str, ...] = ()  # what the command may say when it is given again, though nothing is wrong


def run(command: list[str]) -> int:
    """In this process: a command of atlc, or a call of the library. Returns the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atlcodec.sets.run.batch_size", lambda *_: BATCH)
        return _run(command)


def _run(command: list[str]) -> int:
    if command[0] in CALLS:
        try:
            CALLS[command[0]]()
        except atlcodec.AtlcError as error:
            print(f"atlc: {error}", file=sys.stderr)
            return 1
        return 0
    from atlcodec import cli

    sys.argv = ["atlc", *command]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def result() -> dict[str, str]:
    """The SHA-256 of each file in the current folder, hidden ones too; without caches, and without what a training run
    keeps."""
    return {
        name: hashlib.sha256(Path(name).read_bytes()).hexdigest()
        for name in files_below(".")
        if not name.startswith(("out.run/", "atlcodec/exact")) and name != "out/card.json"  # it says how long it took
    }


def enter(folder: Path) -> None:
    """Go to a folder, which is the user's home, too."""
    os.chdir(folder)
    os.environ.update(dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), str(folder)))


def whole_result(scene: Scene, folder: Path) -> dict[str, str]:
    """What the command makes if nothing happens, in a new folder."""
    folder.mkdir(parents=True)
    enter(folder)
    scene.prepare()
    assert scene.state() == OLD
    assert run(scene.command) == 0
    assert scene.state() == NEW
    return result()


# -- scenes ------------------------------------------------------------------------------------------------------------


def _images(folder: str, count: int, first: int = 0) -> None:
    Path(folder).mkdir()
    for number in range(first, first + count):
        rows = np.random.default_rng(number).integers(0, 2, (4, 4)).astype(np.uint8) * 255
        (Path(folder) / f"{number:03}.png").write_bytes(picture.png(np.kron(rows, np.ones((7, 7), np.uint8))))


def _set_state(old: int, new: int) -> str:
    """Of set.atlc and its list: as many of both; or a run that stopped between them is known, and no list is used."""
    if not Path("set.atlc").exists() and not Path("set.csv").exists():
        assert old == 0
        return OLD
    if Path(".set.atlc.part/done").exists():
        if Path("set.atlc").exists():
            assert not sets.open("set.atlc").has_list
        return OLD
    opened = sets.open("set.atlc")
    for part in opened:
        assert part.problem == ""
    count = len(opened)
    assert count in (old, new)
    assert [len(opened.paths), len(set(opened.paths))] == [count, count]
    records, images = opened.file.array, Codec.load(MODEL).encode(_pixels(opened.paths), effort=0)
    assert np.array_equal(records, images)  # each beside its own path
    return NEW if count == new else OLD


def _pixels(paths: list[str]) -> np.ndarray:
    return np.stack([picture.read(next(Path(".").glob(f"*/{path}"))) for path in paths])


def _encoded() -> None:
    _images("in", 40)


def _appended() -> None:
    _images("first", 30)
    _images("in", 40, 100)
    atlcodec.encode_folder("first", "set.atlc", model=MODEL, effort=0, jobs=1)
    shutil.rmtree(".set.atlc.part", ignore_errors=True)


def _model_state() -> str:
    """Of the model in the user's folder."""
    folder = zoo.user_folder() / "mine"
    if not folder.exists():
        return OLD
    model = card.read_model(folder)
    for part in ("compressor", "decompressor", "refiner"):
        model.file(part)  # which checks its SHA-256
    for head in zoo.heads(model).values():
        head.file()
    return NEW


def _trained_state() -> str:
    if not Path("out").exists():
        return OLD
    codec = Codec.load(Path("out"))
    assert codec.decode(codec.encode(np.zeros((1, 28, 28), np.uint8), effort=0)).shape == (1, 28, 28)
    return NEW


def _bars() -> None:
    for label in ("upright", "lying"):
        Path("data", label).mkdir(parents=True)
        for at in range(20):
            image = np.zeros((28, 28), np.uint8)
            (image.T if label == "upright" else image)[at : at + 4, 2:20] = 200
            Path("data", label, f"{at}.png").write_bytes(picture.png(image))


def _own_model() -> None:
    """A folder with a model to install: another codec than the bundled one, since its file is another one."""
    from atlcodec.card_writer import write_model

    plain = card.BUNDLED / MODEL
    files = {f"{part}.onnx": (plain / f"{part}.onnx").read_bytes() for part in ("compressor", "refiner")}
    files["decompressor.onnx"] = (plain / "decompressor.onnx").read_bytes() + b"\x32\x01x"  # a remark more
    files["classifier.onnx"] = (plain / "heads/digits/classifier.onnx").read_bytes()
    about = {"name": "mine", "shape": [28, 28], "exact": True}
    write_model(Path("source"), files, about, {"name": "digits", "labels": list("0123456789"), "exact": True})


def _write_state() -> str:
    held = Path("x.atlc").read_bytes()
    assert held in (_records(1), _records(2))
    return NEW if held == _records(2) else OLD


def _added_state() -> str:
    """An append may be torn; the older records stay."""
    held, old, new = Path("x.atlc").read_bytes(), _records(1), _records(2)
    assert (old + new).startswith(held)
    assert len(held) >= len(old)
    if (len(held) - len(old)) % 200 > 0:
        atlcodec.write("x.atlc", b"", append=True, repair=True)
    if len(old) < len(held) < len(old + new):
        Path("x.atlc").write_bytes(old)  # so that the same call gives the same file
    return NEW if held == old + new else OLD


def _records(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(200 * 20_000)


def _wrote() -> None:
    Path("x.atlc").write_bytes(_records(1))


def _add() -> None:
    held = Path("x.atlc").read_bytes()
    if held == _records(1):
        atlcodec.write("x.atlc", _records(2), append=True)


CALLS: dict[str, Callable[[], None]] = {"write": lambda: atlcodec.write("x.atlc", _records(2)), "add": _add}
ENCODE = ["encode", "in", "-o", "set.atlc", "-m", MODEL, "--effort", "0"]
SCENES = {
    "encode": Scene(_encoded, ENCODE, lambda: _set_state(0, 40), ("already exists",)),
    "append": Scene(_appended, [*ENCODE, "--append"], lambda: _set_state(30, 70), ("are in the set already",)),
    "models add": Scene(_own_model, ["models", "add", "source"], _model_state, ("is installed already",)),
    "write": Scene(_wrote, ["write"], _write_state),
    "write append": Scene(_wrote, ["add"], _added_state),
    "train": Scene(
        _bars,
        [
            "train",
            "--data",
            "data",
            "-o",
            "out",
            "--recipe",
            "ae-driven",
            "--epochs",
            "1",
            "--batch-size",
            "16",
            "--no-comparison",
        ],
        _trained_state,
        ("exists",),
    ),
}
