"""The bundled codecs made exact: all their networks that read records, as they are, without tuning."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from atlcodec import exact, metrics
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from atlcodec.latents import UNIFORM
from atlcodec.training import exact_codec, mixer
from atlcodec.training.pretrained import Modules
from drawings import drawn
from exact_kit import LEVELS, run

COUNT = 64


def strokes() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rng = np.random.default_rng(3)
    return np.stack([drawn(*(tuple(point) for point in rng.uniform(5, 23, (3, 2)))) for _ in range(COUNT)])


@pytest.mark.parametrize(
    ("name", "head"), [("mnist", "digits"), ("kmnist", "hiragana"), ("kmnist", "accurate"), ("mnist-lenet", "digits")]
)
def test_a_bundled_codec_stays_what_it_is(name: str, head: str) -> None:
    """Close to itself in floats: the same labels, and a PSNR that is hardly lower."""
    images, codec, modules = strokes(), Codec.load(name, head), Modules.load(name, head)
    records, packing = codec.encode(images, effort=0), codec.model.card.packing
    latents = torch.from_numpy(packing.read(records).astype(np.float32)).view(COUNT, *packing.shape)
    assert modules.classifier is not None
    decoder = exact_codec.file(exact_codec.decompressor(modules.decompressor, packing, latents))
    labels = exact_codec.file(exact_codec.classifier(modules.classifier, packing, latents))
    pixels, logits = run(decoder, records, LEVELS[-1]), run(labels, records, LEVELS[-1])
    assert np.array_equal(pixels[:9], exact.Network(decoder, "decompressor.onnx")(records[:9]))
    assert np.array_equal(logits[:9], exact.Network(labels, "classifier.onnx")(records[:9]))
    was, now = (metrics.psnr(metrics.squared_error(images, each).mean()) for each in (codec.decode(records), pixels))
    assert now > was - 0.3
    assert (logits.argmax(axis=1) == codec.classify(records).argmax(axis=1)).mean() > 0.96
    assert len(decoder) < 1.4 * len(codec.model.file("refiner"))  # which has floats of 16 bits


def test_an_id_is_not_taken_twice() -> None:
    modules = Modules.load("mnist-lenet")
    made = exact_codec.decompressor(modules.decompressor, UNIFORM, torch.zeros(2, 16, 5, 5))
    first = exact_codec.file(made)
    id = int.from_bytes(hashlib.sha256(first).digest()[:4], "big")
    second = exact_codec.file(made, [id])
    assert hashlib.sha256(second).digest()[:4] != hashlib.sha256(first).digest()[:4]


def test_mixers_without_a_linear_path_are_refused() -> None:
    with pytest.raises(BadModel):
        exact_codec.decompressor(mixer.decompressor(), UNIFORM, torch.zeros(2, 16, 5, 5))
