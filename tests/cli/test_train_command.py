"""`atlc train`: from a folder of labelled images to a model folder that -m takes, stopped and resumed."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from atlcodec import picture, zoo
from atlcodec.card import BUNDLED
from atlcodec.cli import atlc, parameters
from atlcodec.cli.train import train
from atlcodec.codec import Codec
from atlcodec.errors import UnknownModel
from atlcodec.training import export
from atlcodec.training.settings import RECIPES, Settings
from kit import Cli

QUICK = ["--warmup", "1", "--sets", "1", "--tune", "1", "--batch-size", "16", "--seed", "3", "--head", "bars"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled images: vertical and horizontal bars."""
    root = tmp_path_factory.mktemp("bars")
    for label in ("upright", "lying"):
        (root / "data" / label).mkdir(parents=True)
        for at in range(30):
            image = np.zeros((28, 28), np.uint8)
            (image.T if label == "upright" else image)[at % 24 : at % 24 + 4, 2 + at // 10 : 20] = 200
            (root / "data" / label / f"{at}.png").write_bytes(picture.png(image))
    (root / "more").symlink_to(root / "data")
    return root


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_of_images_becomes_a_model_that_is_used_at_once(here: Path, cli: Cli) -> None:
    done = cli.process("train", "--data", "data", "-o", "bars", *QUICK)
    assert done.code == 0, done.err
    card = json.loads((here / "bars/card.json").read_text())
    assert (
        card["command"]
        == "atlc train --data data --output bars --head bars --seed 3 --batch-size 16 --warmup 1 --sets 1 --tune 1"
    )
    assert card["recipe"]["recipe"] == "atl"
    assert card["recipe"]["sets"] == 1
    assert card["data"][0]["train"] == 54
    assert card["figures"]["images"] == 6
    metrics = [json.loads(line) for line in (here / "bars.run/metrics.jsonl").read_text().splitlines()]
    assert [m["name"] for m in metrics][-2:] == ["accuracy", "psnr"]

    # Not in the folder of the data: a decoded image there would be data, too.
    (here / "x.png").write_bytes((here / "data/lying/3.png").read_bytes())
    assert cli.process("encode", "-m", "./bars", "x.png").code == 0
    assert (here / "x.atlc").stat().st_size == 200
    assert cli.process("decode", "-m", "./bars", "x.atlc").code == 0
    answer = json.loads(cli.process("classify", "-m", "./bars", "--json", "x.atlc").out)
    assert answer["model"] == "bars"
    assert answer["label"] in ("upright", "lying")

    refused = cli.process("train", "--data", "data", "-o", "bars", *QUICK)
    assert refused.code == 1
    assert "-f replaces it" in refused.err

    # The finished run is still there: the same command exports it again, to the same bytes.
    before = Codec.load(here / "bars").id
    again = cli.process("train", "--data", "data", "-o", "bars", "-f", *QUICK)
    assert again.code == 0, again.err
    assert "resuming after" in again.err
    assert Codec.load(here / "bars").id == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere", "-o", "x"], "no such file or folder"),
        (["--data", "data", "-o", "data", "-f"], "is not a model folder, so -f does not replace it; choose another -o"),
        (["--data", "data", "-o", "x", "--name", "../x"], "cannot name a model"),
        (["--data", "data", "-o", "x", "--device", "abacus"], "'abacus' is not available"),
        (["--data", "data", "-o", "x", "--learning-rate", "1e30", *QUICK], "diverged"),
    ],
)
def test_failures_are_one_line(here: Path, cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("train", *arguments)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (here / "x").exists()


@pytest.mark.parametrize(
    ("recipe", "arguments"),
    [
        ("baseline", ["--epochs", "1"]),
        ("ae-driven", ["--epochs", "1"]),
        ("classifier-driven", ["--epochs", "1"]),
        ("transfer", ["--epochs", "1", "--start", "mnist-lenet"]),
        ("joint", ["--epochs", "1", "--tune", "0", "--tune-class", "1", "--outliers", "more"]),
        ("interleave", ["--epochs", "1", "--tune", "1", "--interleave-steps", "2"]),
        ("multi-domain", ["--data", "more", "--sets", "1", "--tune", "1", "--name", "two"]),
    ],
)
def test_every_recipe_gives_models_that_are_used_at_once(
    here: Path, cli: Cli, recipe: str, arguments: list[str]
) -> None:
    done = cli("train", "--data", "data", "-o", recipe, "--recipe", recipe, "--batch-size", "16", *arguments)
    assert done.code == 0, done.err
    made = [here / recipe] if recipe != "multi-domain" else sorted((here / recipe).iterdir())
    assert len(made) == (2 if recipe == "multi-domain" else 1)
    for path in made:
        codec = Codec.load(path)
        records = codec.encode(np.zeros((1, 28, 28), np.uint8))
        assert codec.decode(records).shape == (1, 28, 28)
        assert codec.model.card.recipe["recipe"] == recipe
        assert [one["name"] for one in codec.model.card.recipe.get("outliers", [])] == (
            ["more"] if recipe == "joint" else []
        )
        if recipe == "baseline":  # its classifier reads the records of another compressor
            assert zoo.heads(codec.model) == {}
            with pytest.raises(UnknownModel, match="has no classifier"):
                codec.classify(records)
        else:
            assert codec.classify(records).shape == (1, 2)
    if recipe == "transfer":
        kept = export.weights(zoo.find("mnist-lenet").file("compressor"))
        now = export.weights((here / recipe / "compressor.onnx").read_bytes())
        assert all(torch.equal(kept[name], now[name]) for name in kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "joint", "--sets", "3"], "--sets does not apply to --recipe joint"),
        (["--epochs", "3"], "--epochs does not apply to --recipe atl"),
        (["--recipe", "transfer"], "needs --start"),
        (["--recipe", "multi-domain"], "two or more"),
        (["--recipe", "multi-domain", "--data", "data"], "two data sets are named data"),
        (["--data", "data"], "are for the recipe multi-domain"),
        (["--recipe", "magic"], "magic"),
        (["--recipe", "joint", "--records", "set.atlc"], "No such option"),
        (["--recipe", "joint", "--tune", "0", "--outliers", "more"], "--outliers needs epochs of the classifier alone"),
    ],
)
def test_options_of_another_recipe_are_usage_errors(here: Path, cli: Cli, arguments: list[str], message: str) -> None:
    assert message in cli("train", "--data", "data", "-o", "x", *arguments).misuse


def test_data_must_be_named(cli: Cli) -> None:
    assert "Missing option '--data'" in cli("train", "-o", "x").misuse


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*/card.json")), ids=lambda path: path.parent.name)
def test_the_command_in_a_bundled_card_gives_its_recipe(path: Path) -> None:
    card = json.loads(path.read_text("utf-8"))
    program, command, *words = shlex.split(card["command"])
    assert (program, command) == ("atlc", "train")
    context = train.make_context("atlc train", words, **atlc.context_settings)
    given = parameters.asked(context)
    name = given.get("recipe", "atl")
    recipe = {
        **asdict(parameters.filled(Settings, given)),
        **asdict(parameters.filled(RECIPES[name].parameters, given)),
    }
    if "start" in given and "size" not in given:  # that of the model it starts with
        recipe["size"] = card["recipe"]["pictures"]["recipe"].get("size", recipe["size"])
    assert card["recipe"]["recipe"] == name
    assert {key: card["recipe"].get(key, value) for key, value in recipe.items()} == recipe
    beside = {"recipe", "limit", "unlabelled_limit", "outliers", "start", "pictures", "exact"}  # exact: made so later
    assert card["recipe"].keys() <= recipe.keys() | beside
