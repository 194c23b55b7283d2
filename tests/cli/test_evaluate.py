"""`atlc evaluate`: PSNR and accuracy on a data set."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atlcodec.codec import Codec
from drawings import Pixels
from kit import FASHION, MNIST, Cli, json_lines
from sets_kit import idx


def write_idx(folder: Path, images: Pixels) -> None:
    folder.mkdir()
    for half in ("train", "t10k"):
        (folder / f"{half}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{half}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.full(len(images), 7, np.uint8))))


def test_evaluate(cli: Cli, here: Path, draw: Callable[[float], Pixels]) -> None:
    images = np.stack([draw(slant) for slant in (-2, -1, 0, 1, 2, 3)])
    write_idx(here / "sevens", images)
    ran = cli("evaluate", MNIST, "--data", "sevens")
    assert ran.code == 0
    assert len(ran.lines) == 2
    assert f"{MNIST} on 6 test images of sevens: PSNR " in ran.lines[0]
    (result,) = json_lines(cli("evaluate", MNIST, "--data", "sevens", "--json"))
    codec = Codec.load(MNIST)
    assert result["effort"] == 0
    packed = codec.encode(images, effort=0)
    mse = ((codec.decode(packed).astype(float) - images) ** 2).mean()
    assert result["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-3)
    right = [codec.labels[index] == "7" for index in codec.classify(packed).argmax(axis=1)]
    assert result["accuracy"] == pytest.approx(100 * np.mean(right), abs=1e-3)
    assert result["automatic"]["images"] == result["images"] == 6
    (result,) = json_lines(cli("evaluate", FASHION, "--data", "sevens", "--json", "--limit", "2", "--split", "train"))
    assert result["images"] == 2


def test_evaluate_on_black_images_and_on_an_empty_set(cli: Cli, here: Path) -> None:
    write_idx(here / "black", np.zeros((3, 28, 28), np.uint8))
    assert cli("evaluate", MNIST, "--data", "black").code == 0
    assert json_lines(cli("evaluate", MNIST, "--data", "black", "--json"))[0]["images"] == 3
    assert "nowhere: no such file or folder" in cli("evaluate", MNIST, "--data", "nowhere").complaint
    write_idx(here / "none", np.zeros((0, 28, 28), np.uint8))
    assert "none: has no images" in cli("evaluate", MNIST, "--data", "none").complaint
