"""`atlc models`: the list of models, and adding models and classifiers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from atlcodec import zoo
from kit import MNIST, Cli, files_in, json_lines
from model_kit import change


def test_models(cli: Cli, user_folder: Path, own_model: Path) -> None:
    ran = cli("models")
    assert ran.code == 0
    assert ran.out == cli("models", "list").out
    bundled = list(zoo.models().values())
    assert ran.lines[0].split() == ["model", "id", "PSNR", "accuracy", "classifiers", "(where)"]
    assert [line.split()[:2] for line in ran.lines[1:]] == [[model.name, f"{model.id:08x}"] for model in bundled]
    assert all("bundled" in line for line in ran.lines[1:])
    shutil.copytree(own_model, user_folder / "mine")
    lines = json_lines(cli("models", "--json"))
    assert lines == json_lines(cli("models", "list", "--json"))
    assert [line["name"] for line in lines] == [model.name for model in bundled] + ["mine"]
    assert [line["default"] for line in lines] == [model in zoo.default() for model in bundled] + [False]
    assert lines[-1]["heads"] == ["letters"]
    assert lines[-1]["folder"] == str(user_folder / "mine")
    assert all(set(line["figures"]) >= {"psnr", "accuracy"} for line in lines[:-1])


def test_a_model_is_added_once_and_then_used(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    ran = cli("models", "add", "mine")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == f"installed in {user_folder / 'mine'}\n"
    assert {str(p.relative_to(user_folder)) for p in user_folder.rglob("*.*")} == {
        "mine/card.json",
        "mine/compressor.onnx",
        "mine/decompressor.onnx",
        "mine/heads/letters/card.json",
        "mine/heads/letters/classifier.onnx",
    }
    shutil.rmtree(mine)
    assert cli("encode", "seven.png", "-m", "mine").code == 0
    assert cli("decode", "seven.atlc").code == 0
    assert json_lines(cli("classify", "--json", "seven.atlc"))[0]["label"] in "abc"
    shutil.copytree(user_folder / "mine", mine)
    assert "installed already, as mine" in cli("models", "add", "mine").complaint
    assert "(chosen)" in (said := cli("encode", "seven.png", "-f").err)
    assert "mine" not in said  # a user's model is chosen only by its name


def test_a_user_folder_that_cannot_be_written_to(
    cli: Cli, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert "Not a directory" in cli("models", "add", mine).complaint
    assert cli("models").code == 0


def test_a_model_whose_name_or_id_is_taken_is_refused(cli: Cli, mine: Path, user_folder: Path) -> None:
    for name in (MNIST, "heads", "deadbeef", f"{zoo.find(MNIST).id:08x}", "../x", ".x", "", "a b"):
        change(mine, name=name)
        assert name[:2] in cli("models", "add", mine).complaint
    change(mine, name="mine")
    # Another model of the same id: none is known, so one that only its card gives.
    id = json.loads((mine / "card.json").read_text())["id"]
    shutil.copytree(mine, user_folder / "other")
    change(
        user_folder / "other", name="other", sha256={"compressor.onnx": "0" * 64, "decompressor.onnx": id + "0" * 56}
    )
    assert f"another codec, other, has the same id {id}" in cli("models", "add", mine).complaint
    shutil.rmtree(user_folder / "other")
    (user_folder / "mine").mkdir()
    assert "already exists" in cli("models", "add", mine).complaint
    assert files_in(user_folder) == ["mine"]


def test_a_classifier_is_added_once_and_then_used(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    head = mine / "heads" / "letters"
    assert "a codec that is not installed" in cli("models", "add", head).complaint
    assert cli("models", "add", mine).code == 0
    assert "a classifier letters already" in cli("models", "add", head).complaint
    change(head, name="signs", labels=["x", "y", "z"])
    assert cli("models", "add", head).code == 0
    assert "a classifier signs already" in cli("models", "add", head).complaint
    assert cli("encode", "seven.png", "-m", "mine").code == 0
    (first,), (second,) = (
        json_lines(cli("classify", "--json", "seven.atlc", *options)) for options in ([], ["--head", "signs"])
    )
    assert (first["head"], second["head"]) == ("letters", "signs")
    assert "xyz"["abc".index(first["label"])] == second["label"]
    assert json_lines(cli("models", "--json"))[-1]["heads"] == ["letters", "signs"]
    assert "it has: letters, signs" in cli("classify", "--head", "other", "seven.atlc").complaint
    assert "cannot name a model" in cli("classify", "--head", "../letters", "seven.atlc").complaint


def test_a_damaged_model_is_found_and_repaired(cli: Cli, mine: Path, user_folder: Path) -> None:
    assert cli("models", "add", mine).code == 0
    assert cli("models", "check", "mine").lines == ["mine: valid"]
    (user_folder / "mine/decompressor.onnx").write_bytes(b"cut")
    ran = cli("models", "check")
    assert ran.code == 1
    assert "mine/decompressor.onnx: does not match its SHA-256" in ran.err
    assert "add it again with --force, or remove it" in ran.err
    assert f"{MNIST}: valid" in ran.lines
    listed = cli("models")  # it is not listed as if it were valid
    assert "mine/decompressor.onnx: does not match its SHA-256" in listed.err
    assert listed.lines[-1].endswith(f"({user_folder / 'mine'}, damaged)")
    assert [line["valid"] for line in json_lines(cli("models", "--json"))][-2:] == [True, False]
    assert f"atlc models add --force --name mine {mine}" in cli("models", "add", mine).complaint
    assert cli("models", "add", mine, "--force").code == 0
    assert cli("models", "check", "mine").lines == ["mine: valid"]
    (user_folder / "mine/card.json").write_text("{")
    assert cli("models", "check", "mine").code == 1
    assert cli("models", "add", mine, "--force").code == 0
    assert cli("models", "check", "mine").code == 0


def test_a_model_gets_another_name(cli: Cli, here: Path, mine: Path, user_folder: Path) -> None:
    assert cli("models", "add", mine, "--name", "yours").code == 0
    assert cli("encode", "seven.png", "-m", "yours").code == 0
    assert cli("models", "add", mine / "heads/letters", "--name", "signs").code == 0
    assert json_lines(cli("models", "--json"))[-1]["heads"] == ["letters", "signs"]
    assert (
        "a classifier signs already; --force replaces it"
        in cli("models", "add", mine / "heads/letters", "--name", "signs").complaint
    )
    assert cli("models", "add", mine / "heads/letters", "--name", "signs", "-f").code == 0
    for name in ("../x", MNIST, ""):
        assert cli("models", "add", mine, "-f", "--name", name).code == 1
    assert files_in(user_folder) == ["heads", "yours"]


def test_models_and_classifiers_are_removed(cli: Cli, mine: Path, user_folder: Path) -> None:
    assert cli("models", "add", mine).code == 0
    assert cli("models", "add", mine / "heads/letters", "--name", "signs").code == 0
    ran = cli("models", "remove", "mine/signs")
    assert (ran.code, ran.err.startswith("removed ")) == (0, True)
    assert cli("models", "add", mine / "heads/letters", "--name", "signs").code == 0
    (user_folder / "mine/card.json").write_text("{")  # one that is damaged, too
    assert cli("models", "remove", "mine").code == 0
    assert "mine" not in files_in(user_folder)
    assert "is part of atlcodec, and cannot be removed" in cli("models", "remove", MNIST).complaint
    assert "mine: is not in " in cli("models", "remove", "mine").complaint
    assert cli("models", "remove", "../mine").code == 1
    assert mine.exists()


def test_a_folder_of_models_that_is_missing_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLC_MODELS", "/nowhere/models")
    ran = cli("models")
    assert ran.code == 0
    assert "warning: /nowhere/models: is named by ATLC_MODELS, but does not exist" in ran.err
    ran = cli("models", "check", MNIST)
    assert (ran.code, "does not exist" in ran.err) == (0, True)
    monkeypatch.setenv("ATLC_MODELS", __file__)
    assert f"warning: {__file__}: is named by ATLC_MODELS, but is not a folder" in cli("models").err
