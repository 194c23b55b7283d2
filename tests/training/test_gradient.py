"""The gradient inside a refiner is the decompressor's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atlcodec import engine, record
from atlcodec.training import export
from atlcodec.training.networks import Networks
from kit import SHAPE

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("architecture", ["lenet", "mixer"])
def test_the_refiner_gives_the_error_and_its_gradient(architecture: str) -> None:
    torch.manual_seed(2)
    decompressor = Networks(architecture, [2]).eval().part("decompressor")
    for parameter in decompressor.parameters():  # some start as zeros, which would hide mistakes
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 / 2)
    symbols = RNG.integers(0, 16, (6, 16, 5, 5)).astype(np.float32)
    images = RNG.integers(0, 256, (6, 28, 28), np.uint8)

    leaf = torch.from_numpy(symbols.copy()).requires_grad_()
    decoded = decompressor(leaf).squeeze(1)
    difference = decoded.detach().clamp(0, 255) - torch.from_numpy(images)
    decoded.backward(2 * difference)
    assert leaf.grad is not None

    signature = engine.refiner(SHAPE, record.BOTTLENECK, ("errors", "gradient"))
    errors, gradient = engine.Graph(export.refiner(decompressor), signature, "r").run(symbols, images)
    np.testing.assert_allclose(errors, (difference**2).sum((1, 2)).numpy(), rtol=1e-4)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-3, atol=1e-4 * float(leaf.grad.abs().max()))
