"""Model folders and their cards: each that is invalid is refused in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlcodec import zoo
from atlcodec.card import read_model
from atlcodec.errors import BadModel
from kit import Cli
from model_kit import FILES, change, put_file, refusal, use


def test_an_unchanged_folder_is_accepted(mine: Path, cli: Cli) -> None:
    use(mine)
    for name in FILES:
        put_file(mine, name, (mine / name).read_bytes())
    use(mine)
    assert cli("models", "add", mine).code == 0


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_noticed(name: str, mine: Path, cli: Cli) -> None:
    file = bytearray((mine / name).read_bytes())
    file[len(file) // 2] ^= 1
    (mine / name).write_bytes(file)
    assert "does not match its SHA-256 in card.json" in refusal(mine, cli)


@pytest.mark.parametrize("name", [*FILES, "card.json", "heads/letters/card.json"])
def test_only_regular_files_of_limited_size_are_read(name: str, mine: Path, cli: Cli, tmp_path: Path) -> None:
    path, kept = mine / name, tmp_path / "kept"
    path.rename(kept)
    if name == "heads/letters/card.json":
        assert "its folder is missing" in refusal(mine, cli)
    elif name == "card.json":
        assert "mine: is not a model folder (no card.json)" in refusal(mine, cli)
    else:
        assert "No such file" in refusal(mine, cli)
    path.symlink_to(kept)
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in refusal(mine, cli)
    path.unlink()
    path.mkdir()
    assert "not a regular file" in refusal(mine, cli)
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(65 << 20)
    assert "is larger than" in refusal(mine, cli)


@pytest.mark.parametrize("link", ["heads", "heads/letters"])
def test_a_link_out_of_the_folder_is_refused(link: str, mine: Path, cli: Cli, tmp_path: Path) -> None:
    (mine / link).rename(tmp_path / "elsewhere")
    (mine / link).symlink_to(tmp_path / "elsewhere")
    assert "is a symbolic link; links are not followed" in refusal(mine, cli)


NAMES = [
    "../mine",
    "/etc",
    "a/b",
    "..",
    ".",
    "",
    "heads",
    "x" * 65,
    "a\nb",
    "a\x00",
    "é",
    " ",
    None,
    7,
    ["mine"],
    {"a": 1},
    True,
    "0123abcd",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_that_could_lead_elsewhere(name: object, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for entry in ("name", "default_head"):
        if entry == "default_head" and name is None:
            continue  # a codec without a classifier
        folder = Path(shutil.copytree(own_model, tmp_path / entry))
        change(folder, **{entry: name})
        assert "name" in refusal(folder, cli)
    folder = Path(shutil.copytree(own_model, tmp_path / "head"))
    change(folder / "heads/letters", name=name)
    assert "name" in refusal(folder, cli)


WRONG: dict[str, list[Any]] = {
    "id": [..., None, 7, "", "00000000", "0000000g", ["x"], "41544c00"],
    "sha256": [
        ...,
        None,
        "x",
        [],
        {},
        {"compressor.onnx": "0" * 64},
        {"compressor.onnx": None, "decompressor.onnx": None},
        {"../x": "0" * 64},
    ],
    "figures": [
        None,
        [],
        "good",
        {"psnr": "24"},
        {"psnr": None},
        {"accuracy": [1]},
        {"psnr_low": {}},
        {"psnr": 10**400},
        {"psnr_low": -1e300},
    ],
    "default_head": [..., "digits"],
    "name": [...],
}
WRONG_HEAD: dict[str, list[Any]] = {
    "labels": [
        ...,
        None,
        "abc",
        [],
        ["a"],
        ["a", "b", 3],
        ["a", None, "c"],
        [["a"], "b", "c"],
        ["a", "b"],
        ["a"] * 20_000,
        ["a", "b", "c" * 300],
    ],
    "sha256": [..., None, 7, "", "0" * 64, "G" * 64, {"classifier.onnx": "0" * 64}],
    "codec": [..., None, "0" * 64, "x", 7, ["0" * 64]],
    "name": [..., "signs"],
}


@pytest.mark.parametrize("entry", WRONG)
def test_cards_with_missing_or_wrong_entries(entry: str, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for number, value in enumerate(WRONG[entry]):
        folder = Path(shutil.copytree(own_model, tmp_path / f"m{number}"))
        change(folder, **{entry: value})
        assert f"m{number}" in refusal(folder, cli)


@pytest.mark.parametrize("entry", WRONG_HEAD)
def test_cards_of_heads_with_missing_or_wrong_entries(entry: str, own_model: Path, tmp_path: Path, cli: Cli) -> None:
    for number, value in enumerate(WRONG_HEAD[entry]):
        folder = Path(shutil.copytree(own_model, tmp_path / f"m{number}"))
        change(folder / "heads/letters", **{entry: value})
        assert f"m{number}" in refusal(folder, cli)


CARDS: dict[str, bytes] = {
    "empty": b"",
    "text": b"a model\n",
    "half": b'{"name": "mine", ',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "zeros": bytes(100),
    "deep": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge": b'{"name": "' + b"x" * (2 << 20) + b'"}',
    "a huge number": b'{"id": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"figures": {"psnr": NaN}}',
    "infinite": b'{"figures": {"psnr": -Infinity}}',
    "too large a number": b'{"figures": {"psnr": 1e999}}',
}


@pytest.mark.parametrize("kind", CARDS)
@pytest.mark.parametrize("place", ["card.json", "heads/letters/card.json"])
def test_invalid_cards(kind: str, place: str, mine: Path, cli: Cli) -> None:
    (mine / place).write_bytes(CARDS[kind])
    assert "card" in refusal(mine, cli)


def test_a_card_changed_anywhere_is_read_or_refused(mine: Path) -> None:
    rng = np.random.default_rng(4)
    refused = 0
    for place in ("card.json", "heads/letters/card.json"):
        whole = (mine / place).read_bytes()
        for _ in range(300):
            card = bytearray(whole)
            card[rng.integers(len(card))] = rng.integers(256)
            (mine / place).write_bytes(card)
            try:
                use_cards(mine)
            except BadModel:
                refused += 1
        (mine / place).write_bytes(whole)
    assert 100 < refused < 600


def use_cards(folder: Path) -> None:
    model = read_model(folder)
    for part in ("compressor", "decompressor"):
        model.file(part)
    zoo.head(model).file()
