"""The encoder's search: its gradient is the decompressor's, it finds better symbols, and what it writes is sealed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from atlcodec import codec, metrics, record, refine
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from drawings import seven

RNG = np.random.default_rng(11)


def test_more_effort_gives_better_images(images: codec.Images) -> None:
    own = Codec.load("mnist-lenet")
    error = [
        float(metrics.squared_error(images, own.decode(own.encode(images, effort))).mean())
        for effort in (0, 1, 3, 6, 8)
    ]
    assert error == sorted(error, reverse=True)
    assert error[3] < error[0] * 0.7


def test_the_default_is_an_effort_and_each_is_deterministic(images: codec.Images) -> None:
    own = Codec.load("mnist-lenet")
    records = own.encode(images)
    assert np.array_equal(records, own.encode(images, 5))
    assert np.array_equal(records[7:20], own.encode(images[7:20]))
    assert (record.ids(records) == own.id).all()
    assert np.array_equal(
        own.encode(images, 0), record.pack(record.seal(*record.quantise(own.latents(images)), own.id))
    )


def test_a_long_search_keeps_the_best_of_several_sealed_points(images: codec.Images) -> None:
    own = Codec.load("mnist-lenet")
    latents, refiner, sealed = own.latents(images), own._refiner(("errors", "gradient")).run, []

    def spy(symbols: refine.Floats, pictures: codec.Images) -> Sequence[refine.Floats]:
        found = refiner(symbols, pictures)
        if (record.ids(record.pack(symbols.astype(np.uint8))) == own.id).all():
            sealed.append(found[0])
        return found

    symbols = refine.symbols(images, latents, spy, 24, own.id)
    errors, _ = refiner(symbols.reshape(latents.shape).astype(np.float32), images)
    assert len(sealed) == 3
    assert np.array_equal(errors, np.min(sealed, axis=0))
    assert len({tuple(each.tolist()) for each in sealed}) == 3


@pytest.mark.parametrize("effort", [-1, 10, 2.5])
def test_another_effort_is_refused(images: codec.Images, effort: float) -> None:
    with pytest.raises(ValueError, match=r"effort must be a whole number from 0 to 9"):
        Codec.load("mnist-lenet").encode(images, effort)  # type: ignore[arg-type]


def test_a_model_without_a_refiner_encodes_without_search(images: codec.Images, own_model: Path) -> None:
    own = Codec.load(own_model)
    assert np.array_equal(own.encode(images), own.encode(images, 0))
    with pytest.raises(BadModel, match=r"no refiner\.onnx"):
        own.encode(images, 1)


def test_every_move_lowers_the_error_or_raises_it_least_to_first_order() -> None:
    symbols = RNG.integers(0, 16, (50, 16, 5, 5)).astype(np.float32)
    gradient = RNG.normal(size=symbols.shape).astype(np.float32)
    gradient[0] = 0
    flat = (array.reshape(len(array), -1) for array in (symbols, gradient))
    before, after, costs = Packing().moves(*flat)
    step = after.astype(int) - before
    assert set(np.unique(step)) == {-1, 1}
    assert after.max() <= 15
    np.testing.assert_allclose(costs, gradient.reshape(50, 400) * step, rtol=1e-6)
    inside = (before > 0) & (before < 15)
    assert (costs[inside] <= 0).all()


@pytest.fixture(scope="module")
def images() -> codec.Images:

    return np.stack([np.roll(seven(), tuple(RNG.integers(-3, 4, 2)), (0, 1)) for _ in range(40)])


def test_a_refiner_is_checked_like_the_rest_of_a_model(images: codec.Images, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(BUNDLED / "mnist-lenet", folder)
    own = Codec.load(folder)
    assert np.array_equal(own.encode(images, 2), Codec.load("mnist-lenet").encode(images, 2))
    refiner = folder / "refiner.onnx"
    refiner.write_bytes(refiner.read_bytes()[:-1] + b"\0")
    again = Codec.load(folder)
    assert np.array_equal(again.encode(images, 0), own.encode(images, 0))
    with pytest.raises(BadModel, match=r"refiner\.onnx"):
        again.encode(images, 2)
    refiner.unlink()
    with pytest.raises(BadModel, match=r"refiner\.onnx"):
        again.encode(images, 2)
