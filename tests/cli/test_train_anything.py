"""`atlc train` on images of any sizes: fitted or cut into crops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlcodec.codec import Codec
from kit import Cli, put
from shape_kit import write_codec

QUICK = ["--recipe", "joint", "--epochs", "1", "--warmup", "0", "--tune", "0", "--batch-size", "16"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slopes of colours, brighter at the left or at the right, of different sizes."""
    root = tmp_path_factory.mktemp("photos") / "set"
    rng = np.random.default_rng(0)
    for number in range(40):
        slope = np.linspace(0, 1, 30 + number % 5)[None, :, None] * np.ones((24, 1, 1)) * rng.uniform(100, 250, 3)
        put(root / ("left", "right")[number % 2] / f"{number}.png", (slope[:, :: 1 - number % 2 * 2]).astype(np.uint8))
    return root


def card_of(folder: Path) -> dict[str, Any]:
    card = json.loads((folder / "card.json").read_text())
    assert isinstance(card, dict)
    return card


def test_images_of_any_sizes_with_a_fit(photos: Path, cli: Cli, tmp_path: Path) -> None:
    begin = ["train", "--data", str(photos), "-o", str(tmp_path / "mine")]
    assert "--fit contain, cover or stretch" in cli(*begin, *QUICK).complaint
    done = cli(*begin, *QUICK, "--resize", "--shape", "12x16x3", "--range", "0", "4095")
    assert done.code == 0, done.err
    card = card_of(tmp_path / "mine")
    assert card["shape"] == [12, 16, 3]
    assert card["recipe"]["fit"] == {"fit": "contain", "range": [0.0, 4095.0]}
    assert "--shape 12x16x3 --fit contain --range 0.0 4095.0 --" in card["command"]
    assert "--resize" not in card["command"]
    other = cli(
        *begin[:-1], str(tmp_path / "other"), *QUICK, "--fit", "contain", "--shape", "12x16x3", "--range", "0", "4095"
    )
    assert other.code == 0, other.err
    assert Codec.load(tmp_path / "other").model.sha256 == Codec.load(tmp_path / "mine").model.sha256
    refused = cli(*begin, "-f", *QUICK, "--fit", "cover", "--shape", "12x16x3")
    assert "holds a run with other settings or data" in refused.err
    assert "PSNR" in cli("evaluate", tmp_path / "mine", "--data", photos, "--resize").out.decode()


def test_crops(photos: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("train", "--data", photos, "-o", tmp_path / "mine", *QUICK, "--crops", "3", "--shape", "8x8", "--gray")
    assert done.code == 0, done.err
    card = card_of(tmp_path / "mine")
    assert card["shape"] == [8, 8]
    assert card["recipe"]["crops"] == 3
    assert card["recipe"]["fit"] == {"gray": True}
    assert (card["data"][0]["train"], card["data"][0]["test"]) == (36 * 3, 4)


def test_a_test_set_without_labels(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bars = np.repeat(rng.integers(0, 256, (50, 8, 1), np.uint8), 8, axis=2)
    np.savez(tmp_path / "bars.npz", x_train=bars[:40], y_train=np.arange(40) % 2, x_test=bars[40:])
    done = cli("train", "--data", tmp_path / "bars.npz", "-o", tmp_path / "mine", *QUICK)
    assert done.code == 0, done.err
    card = card_of(tmp_path / "mine")
    assert card["figures"]["measured on"] == "bars, validation"
    assert card["data"][0]["test"] == 10


@pytest.mark.parametrize("shape", ["7x8", "28", "28x28x4", "300x8", "axb", "28x28x3x1"])
def test_other_shapes_are_usage_errors(shape: str, cli: Cli) -> None:
    assert "is not ROWSxCOLUMNS" in cli("train", "--data", "x", "-o", "y", "--shape", shape).misuse


def test_a_classifier_of_fitted_images(photos: Path, cli: Cli, tmp_path: Path) -> None:
    model = write_codec(tmp_path / "clouds", (16, 20, 3))
    begin = ["train-head", "--data", str(photos), "-m", str(model), "--epochs", "1", "-o", str(tmp_path / "head")]
    assert "pixels, not 20 x 16; --fit contain" in cli(*begin).complaint
    done = cli(*begin, "--fit", "stretch")
    assert done.code == 0, done.err
    assert card_of(tmp_path / "head")["recipe"]["fit"] == {"fit": "stretch"}
    records = tmp_path / "some.atlc"
    records.write_bytes(bytes(200))
    refused = cli("train-head", "--records", records, "--fit", "stretch", "-o", tmp_path / "other")
    assert "the options of --fit are for --data" in refused.misuse


def test_minutes(photos: Path, cli: Cli, tmp_path: Path) -> None:
    begin = ["train", "--data", str(photos), "--shape", "8x8", "--fit", "stretch", "--gray", "--batch-size", "16"]
    begin += ["--recipe", "joint", "--warmup", "0"]
    done = cli(*begin, "-o", str(tmp_path / "mine"), "--minutes", "0.001")
    assert done.code == 0, done.err
    assert "0.001 minutes: --epochs 1, --tune 1" in done.err
    recipe = card_of(tmp_path / "mine")["recipe"]
    assert (recipe["minutes"], recipe["epochs"], recipe["tune"]) == (0.001, 1, 1)
    command = card_of(tmp_path / "mine")["command"]
    assert command.endswith("--grey --batch-size 16 --warmup 0 --tune 1 --exact-epochs 0 --epochs 1")
    assert "--minutes" not in command
    done = cli(*begin, "-o", str(tmp_path / "again"), "--epochs", "1", "--tune", "1", "--exact-epochs", "0")
    assert done.code == 0, done.err
    mine, again = (Codec.load(tmp_path / name).model for name in ("mine", "again"))
    assert mine.sha256 == again.sha256
    resumed = cli(*begin, "-o", str(tmp_path / "mine"), "-f", "--minutes", "0.001")
    assert "resuming after" in resumed.err
    assert Codec.load(tmp_path / "mine").model.sha256 == mine.sha256
    both = cli(*begin, "-o", str(tmp_path / "x"), "--minutes", "1", "--epochs", "3")
    assert "--minutes decides --epochs; give one of them" in both.misuse
