"""A new codec beside what else keeps the same images in 200 bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atlcodec import metrics, picture, zoo
from atlcodec.card import read_model
from atlcodec.codec import Codec
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.shape import Shape
from atlcodec.training import rivals, start
from atlcodec.training.rivals import Rival
from kit import Cli, put
from shape_kit import pictures, write_codec
from training_kit import bars

SHAPES: list[Shape] = [(28, 28), (16, 20, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("format", ["WEBP", "JPEG"])
def test_the_best_file_that_fits(shape: Shape, format: str) -> None:
    image = pictures(shape, 3)[1]
    sizes = [len(rivals._encoded(image, format, quality)) for quality in range(96)]
    limit = (min(sizes) + max(sizes)) // 2
    file = rivals.best_that_fits(image, format, limit)
    assert len(file) <= limit
    decoded = picture.decoded(file, format, shape)
    assert decoded.shape == shape
    fitting = [
        picture.decoded(rivals._encoded(image, format, q), format, shape) for q in range(96) if sizes[q] <= limit
    ]
    errors = [float(metrics.squared_error(image[None], one[None])[0]) for one in fitting]
    assert float(metrics.squared_error(image[None], decoded[None])[0]) <= 1.3 * min(errors)
    smallest = rivals.best_that_fits(image, format, 10)
    assert len(smallest) == sizes[0]
    blank = np.zeros(shape, np.uint8)
    lossless = rivals.best_that_fits(blank, "WEBP", 200, rivals.WEBP_LOSSLESS)
    assert np.array_equal(picture.decoded(lossless, "WEBP", shape), blank)


@pytest.mark.parametrize("shape", [*SHAPES, (70, 64)], ids=str)
def test_the_linear_path_is_what_training_begins_with(shape: Shape) -> None:
    images = pictures(shape, 60)
    found = rivals.linear(start.fit(images), images)
    assert found.shape == images.shape
    assert metrics.squared_error(images, found).mean() < images.var() / 20


def test_a_codec_of_any_shape_is_compared(tmp_path: Path) -> None:
    shape = (16, 20, 3)
    images = pictures(shape, 60)
    data = Dataset("clouds", Split(images, np.arange(60) % 2), None, ("ant", "bee"))
    codec = Codec(read_model(write_codec(tmp_path / "mine", shape)))
    found = rivals.compare(codec, data, data.train[-20:], "./mine")
    assert [row.name for row in found.rows] == ["yours", "PCA", "WebP", "JPEG"]
    assert found.images == 20
    assert "20 of 20 do not fit" in found.rows[3].note
    assert found.advice
    lines = found.lines()
    assert lines[0].startswith("20 images, 200 bytes each")
    assert lines[-1] == found.advice
    assert len(lines) == 6


def test_bundled_codecs_of_the_shape_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "default", lambda: [zoo.find("mnist"), zoo.find("mnist-lenet")])
    monkeypatch.setattr(rivals, "HEAD_EPOCHS", 3)
    data = replace(bars(200), test=bars(40).train)
    codec = Codec(read_model(write_codec(tmp_path / "mine", (28, 28))))
    found = rivals.compare(codec, data, data.train[-20:], "./mine")
    names = [row.name for row in found.rows]
    assert names == ["yours", "mnist", "mnist-lenet", "mnist + new head", "PCA", "WebP", "JPEG"]
    assert found.images == 40
    head = found.rows[3]
    assert head.accuracy is not None
    assert head.accuracy > 60
    assert found.rows[1].accuracy is None  # it has other labels
    assert "atlc encode -m mnist" in found.advice
    assert "train-head -m mnist" in found.advice


@pytest.mark.parametrize(
    ("mine", "other", "webp", "advice"),
    [
        ((30, 90), (25, None), (20, ""), "yours is the best of these codecs: atlc encode -m ./new"),
        ((30, 90), None, (20, ""), "yours is the best of these"),
        ((26, 90), None, (20, ""), "principal components alone reproduce these images better: train longer"),
        (
            (30, 90),
            (25, None),
            (33, ""),
            "WebP reproduces these images best; for labels and search from the",
        ),
        ((30, 90), (25, None), (33, "3 of 9 do not fit"), "yours is the best of these"),
        ((30, 90), (35, 95), (20, ""), "these images better (35.0 dB, yours 30.0): atlc encode -m old"),
        (
            (30, 97),
            (35, 95),
            (20, ""),
            "labels better: -m old for the images, -m ./new for labels",
        ),
    ],
)
def test_the_advice(
    mine: tuple[float, float],
    other: tuple[float, float | None] | None,
    webp: tuple[float, str],
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = replace(zoo.find("mnist"), card=replace(zoo.find("mnist").card, name="old"))
    old = [Rival("old", *other)] if other else []
    rows = [Rival("yours", *mine), *old, Rival("PCA", 27), Rival("WebP", webp[0], note=webp[1])]
    assert advice in rivals._advice(rows, model if other else None, None, "./new")


def test_the_command_prints_the_table(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, image in enumerate(pictures((16, 20, 3), 40)):
        put(Path("set", "ab"[number % 2], f"{number}.png"), image)
    quick = ["--recipe", "joint", "--epochs", "1", "--tune", "0", "--warmup", "0"]
    done = cli("train", "--data", "set", "-o", "mine", *quick)
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    assert lines[-6].startswith("4 images, 200 bytes each")
    assert lines[-5].startswith("yours")
    kept = json.loads(Path("mine.run/comparison.json").read_text())
    assert kept["images"] == 4
    assert kept["rows"][0]["name"] == "yours"
    assert kept["advice"] == lines[-1]
    done = cli("train", "--data", "set", "-o", "mine", "-f", "--no-comparison", *quick)
    assert "200 bytes each" not in done.err
    assert "comparison" not in json.loads(Path("mine/card.json").read_text())["command"]
