"""The choice of a model for images where the user names none."""

from __future__ import annotations

import os

import numpy as np
import pytest

from atlcodec import choice, zoo
from atlcodec.choice import Suited, scores, suited
from atlcodec.codec import UNSURE
from atlcodec.sets.dataset import load
from atlcodec.zoo import Choice
from kit import SHAPE


def test_the_default_models_are_chosen_by_weights_of_these_very_models() -> None:
    """Whoever replaces one has to make the weights again: python benchmarks/choice.py."""
    codecs = choice.defaults(SHAPE)
    assert zoo.choice().heads == [choice.head_digest(codec) for codec in codecs]
    assert np.shape(zoo.choice().weights) == (len(codecs), 2 * len(codecs) + 1)


def test_the_weights_decide_where_the_chosen_codec_is_sure_of_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = choice.defaults(SHAPE)
    heads = [choice.head_digest(codec) for codec in codecs]
    last = [[0.0] * 6 + [float(number)] for number in range(3)]  # always the last codec
    monkeypatch.setattr(zoo, "choice", lambda: Choice(heads, last))
    evidence = np.zeros((3, 2, 2))
    evidence[:, 0] = [[40], [30], [20]]
    evidence[2, 1, 1] = -2  # the second image: unsure
    assert Suited(codecs, [], scores(codecs, evidence)).each.tolist() == [2, 0]


def test_other_codecs_are_compared_by_what_they_reproduce() -> None:
    codecs = choice.defaults(SHAPE)[:2]
    evidence = np.array([[[40.0], [-1.0]], [[30.0], [0.0]]])
    assert scores(codecs, evidence).tolist() == [[40 - UNSURE], [30]]


@pytest.mark.skipif(not os.environ.get("ATLC_DATA"), reason="needs the data sets below $ATLC_DATA")
def test_an_image_of_a_data_set_gets_the_model_of_that_set() -> None:
    for number, name in enumerate(("MNIST", "FashionMNIST", "KMNIST")):
        chosen = suited(load(name).train.images[-300:]).each
        assert (chosen == number).mean() > 0.99
