"""The figures of a model: what was measured, under which conditions, and why something was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlcodec import evaluation
from atlcodec.codec import Codec, Images
from drawings import seven
from model_kit import change

IMAGES: Images = np.stack([seven(slant) for slant in (-2, 0, 2)])
SEVENS = np.full(3, 7)
DIGITS = tuple("0123456789")


def test_the_line_says_that_the_second_figures_are_without_seal_and_refinement() -> None:
    codec = Codec.load("mnist-lenet")
    plain = evaluation.measure(codec, IMAGES, SEVENS, DIGITS, effort=0)
    refined = evaluation.measure(codec, IMAGES, SEVENS, DIGITS, effort=5)
    assert refined.errors.mean() < plain.errors.mean()
    assert np.array_equal(refined.errors_unsealed, plain.errors_unsealed)
    summary = refined.summary()
    assert refined.line().endswith(
        f"(effort 0, no seal: {summary['psnr_unsealed']:.2f} dB, {summary['accuracy_unsealed']:.2f} %)"
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_the_line_says_why_there_is_no_accuracy(labelled: bool) -> None:
    codecs = [Codec.load("mnist-lenet"), Codec.load("kmnist-lenet")]
    labels = np.zeros(3, int) if labelled else None
    found = evaluation.measure(codecs[0], IMAGES, labels, ("ink",))
    assert found.right is None
    assert "accuracy" not in found.summary()
    why = "the labels of these images are not those of mnist-lenet" if labelled else "the images have no labels"
    assert found.line().endswith(f" dB); no accuracy: {why}")
    chosen = evaluation.automatic(codecs, IMAGES, labels, ("ink",))
    assert f"; no accuracy: {why}" in chosen.line()


def test_a_codec_without_a_classifier_has_no_accuracy(mine: Path) -> None:
    change(mine, default_head=None)
    assert evaluation.measure(Codec.load(mine), IMAGES, SEVENS, DIGITS).no_accuracy == "mine has no classifier"
