"""The paper's Table 1, and rounding that lets gradients through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from atlcodec import record
from atlcodec.latents import Packing
from atlcodec.training import lenet
from atlcodec.training.layers import Scale
from atlcodec.training.networks import Networks, quantise
from atlcodec.training.start import blank


def test_shapes_are_those_of_table_1() -> None:
    def shapes(network: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
        found = []
        for layer in network:
            x = layer(x)
            if not isinstance(layer, Scale | nn.ReLU | nn.Dropout):
                found.append(tuple(x.shape[1:]))
        return found

    assert shapes(lenet.compressor(), torch.zeros(1, 1, 28, 28)) == [
        (6, 12, 12),
        (6, 14, 14),
        (16, 5, 5),
    ]
    assert shapes(lenet.decompressor(), torch.zeros(1, 16, 5, 5)) == [(16, 12, 12), (24, 13, 13), (1, 28, 28)]
    assert shapes(lenet.classifier(10), torch.zeros(1, 16, 5, 5)) == [(400,), (120,), (84,), (10,)]


def test_the_parameters_are_those_of_table_1() -> None:
    nets = Networks("lenet", [10])
    kernels = {name: tuple(p.shape) for name, p in nets.named_parameters() if p.dim() > 1}
    assert sorted(kernels.values()) == sorted(
        [(6, 1, 5, 5), (16, 6, 5, 5), (16, 16, 3, 3), (6, 16, 3, 3), (1, 6, 3, 3), (120, 400), (84, 120), (10, 84)]
    )


def test_rounding_gives_the_16_levels_and_lets_the_gradient_through() -> None:
    latents = torch.tensor([-0.4, 0.4, 7.5, 14.6, 15.4], requires_grad=True)
    symbols = quantise(latents, torch.tensor(15.0))
    assert symbols.tolist() == [0, 0, 8, 15, 15]
    (symbols * torch.tensor([-1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert latents.grad is not None
    assert latents.grad.tolist() == [-1, 2, 3, 4, 5]


def test_a_latent_out_of_range_is_pushed_back_and_never_further_out() -> None:
    latents = torch.tensor([-3.0, -3.0, 20.0, 20.0], requires_grad=True)
    # Descent goes against the gradient: -1 raises a latent, +1 lowers it.
    (quantise(latents, torch.tensor(15.0)) * torch.tensor([-1.0, 1.0, -1.0, 1.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert latents.grad is not None
    assert latents.grad.tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize(
    "packing", [Packing(((8, 20), (6, 40), (4, 100), (3, 80), (2, 280)), 8), Packing(((7, 8), (5, 8), (1, 1504)))]
)
def test_latents_of_several_widths_are_packed_as_the_format_says(packing: Packing) -> None:
    nets = Networks("pca", [2], ("classifier",), blank(packing))
    latents = np.random.default_rng(0).integers(0, 2**packing.bits, (50, packing.count)).astype(np.uint8)
    records = record.pack(packing.pack(latents))
    assert np.array_equal(nets.pack(torch.from_numpy(latents).float()).numpy(), records)
    assert np.array_equal(nets.unpack(torch.from_numpy(records)).numpy(), latents)
