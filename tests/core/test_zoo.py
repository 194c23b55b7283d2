"""Which models are installed: found by name, id and path, and a broken one does not stop the others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import atlcodec
from atlcodec import picture, zoo
from atlcodec.card import read_model
from atlcodec.codec import Codec
from atlcodec.errors import BadModel, UnknownModel
from drawings import Pixels
from kit import Cli
from model_kit import BLANK, change


def test_models_are_found_by_name_id_and_path(
    own_model: Path, user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = read_model(own_model).id
    for which in ("mine", f"{id:08x}"):
        with pytest.raises(UnknownModel, match="no model"):
            zoo.find(which)
    assert zoo.find(own_model).id == zoo.find(str(own_model)).id == id
    monkeypatch.chdir(own_model.parent)
    with pytest.raises(UnknownModel, match=r"write \./mine"):
        zoo.find("mine")  # a name is not searched in the current folder
    here = Codec.load("./mine")
    monkeypatch.chdir(tmp_path)
    assert here.encode(BLANK).shape == (3, 200)
    monkeypatch.setenv("ATLC_MODELS", os.pathsep.join(["/nowhere", "", str(own_model.parent)]))
    assert zoo.find("mine").folder == own_model
    assert zoo.find(f"{id:08X}").folder == own_model
    shutil.copytree(own_model, user_folder / "again")
    assert [model.folder for model in zoo.models().values() if not model.bundled] == [own_model]


def test_a_user_cannot_shadow_a_bundled_model(mine: Path, user_folder: Path) -> None:
    bundled = zoo.default()[0]
    change(mine, name=bundled.name)
    shutil.copytree(mine, user_folder / bundled.name)
    assert zoo.find(bundled.name).bundled
    assert all(model.bundled for model in zoo.default())
    # The same id in a card, with any file.
    change(
        user_folder / bundled.name,
        id=f"{bundled.id:08x}",
        sha256=dict.fromkeys(bundled.card.digests, f"{bundled.id:08x}" + "0" * 56),
    )
    assert zoo.models()[bundled.id].bundled


def test_a_broken_model_does_not_stop_the_others(
    mine: Path, user_folder: Path, cli: Cli, tmp_path: Path, digit: Pixels
) -> None:
    bundled = zoo.default()[0]
    user_folder.mkdir(parents=True)
    for name, content in (("text", b"not JSON"), ("list", b"[]"), ("none", b"")):
        (user_folder / name).mkdir()
        (user_folder / name / "card.json").write_bytes(content)
    (user_folder / "folder" / "card.json").mkdir(parents=True)
    (user_folder / "link").symlink_to("link")
    (user_folder / "file").write_bytes(b"")
    os.mkfifo(user_folder / "pipe")
    (user_folder / "piped").mkdir()
    os.mkfifo(user_folder / "piped" / "card.json")
    shutil.copytree(mine, user_folder / "unpacking.part")
    (user_folder / "unpacking.part").rename(user_folder / ".mine.part")
    head = user_folder / "heads" / f"{bundled.id:08x}" / "extra"
    head.mkdir(parents=True)
    (head / "card.json").write_bytes(b"{}")
    (tmp_path / "seven.png").write_bytes(picture.png(digit))
    assert cli("encode", tmp_path / "seven.png").code == 0
    record = (tmp_path / "seven.atlc").read_bytes()
    assert atlcodec.decode(record).shape == (28, 28)
    assert atlcodec.classify(record).label
    ran = cli("models")
    assert ran.code == 0
    assert len(ran.lines) == sum(model.bundled for model in zoo.models().values()) == len(zoo.models())
    for name in ("text", "list", "none", "folder", "link", "piped", "extra"):
        assert f"/{name}" in ran.err
    assert len(ran.err.splitlines()) == 7
    with pytest.raises(BadModel, match=r"text: card\.json is not valid JSON"):
        zoo.find("text")
    with pytest.raises(BadModel, match="labels"):
        Codec.load(bundled.name, "extra")
