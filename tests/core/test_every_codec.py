"""Every bundled codec, and one of a user's, passes the kit of checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import zoo
from atlcodec.card import Model
from atlcodec.codec import Codec
from check_codec import check_codec
from drawings import sample

MODELS = [model for model in zoo.installed() if isinstance(model, Model) and model.bundled]


@pytest.fixture
def images(draw: Callable[..., NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.stack([draw(slant) for slant in np.linspace(-2, 2, 12)])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_bundled_codec(model: Model, images: NDArray[np.uint8]) -> None:
    check_codec(Codec(model), np.stack([sample(model.card.shape, image) for image in images]))


def test_the_codec_of_a_user(own_model: Path, images: NDArray[np.uint8]) -> None:
    check_codec(Codec.load(own_model), images)
