"""Which models are installed: found by name, id and path, and a broken one does not stop the others."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest

import atlcodec
from atlcodec import picture, record, zoo
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


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_a_model_is_a_missing_file(made: bool, workplace: Path) -> None:
    if made:
        (workplace / "nosuch").mkdir()
    for which in ("./nosuch", Path("nosuch"), f"{workplace}/nosuch"):
        with pytest.raises(FileNotFoundError) as caught:
            Codec.load(which)
        assert isinstance(caught.value, BadModel)
        assert str(caught.value) == f"{which}: is not a model folder (no card.json)"
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_messages_show_the_path_as_it_was_given(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine / "card.json").write_text("{")
    monkeypatch.chdir(mine.parent)
    with pytest.raises(BadModel, match=r"^mine: card\.json is not valid JSON"):
        Codec.load("./mine")


def test_a_misspelt_name_gets_a_proposal() -> None:
    with pytest.raises(UnknownModel, match=r"^no model 'mnst' is installed; did you mean mnist\?; installed: "):
        Codec.load("mnst")
    with pytest.raises(UnknownModel, match=r"^no model 'xyz' is installed; installed: "):
        Codec.load("xyz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(400), "only zeros, not records"),
        (b"\xff" * 200, "only one repeated byte, not a record"),
        (
            bytes(range(200)) * 2,
            "of a codec that is not installed; install it with atlc models add, or name its folder with -m",
        ),
        (bytes(range(200)) + bytes(200), "not records of an installed codec; is it an .atlc file?"),
    ],
)
def test_what_was_not_written_by_a_codec_is_explained(data: bytes, message: str) -> None:
    assert zoo.explain(record.ids(data), zoo.models()).endswith(message)


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
    heading, *models = ran.lines
    assert heading.startswith("model ")
    assert len(models) == sum(model.bundled for model in zoo.models().values()) == len(zoo.models())
    for name in ("text", "list", "none", "folder", "link", "piped", "extra"):
        assert f"/{name}" in ran.err
    assert len(ran.err.splitlines()) == 7
    with pytest.raises(BadModel, match=r"text: card\.json is not valid JSON"):
        zoo.find("text")
    with pytest.raises(BadModel, match="labels"):
        Codec.load(bundled.name, "extra")
