"""The steps of exact networks, from what runs through the same networks in floats on some records."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from atlcodec.training.exact import GREY, ExactDecompressor, ExactHead, ExactMix
from atlcodec.training.exact_path import FINE
from atlcodec.training.quantise import MOST, Product, steps

LOGIT = 2.0**-8  # a step of logits


@torch.no_grad()
def decompressor(network: ExactDecompressor, latents: Tensor) -> None:
    """Choose the steps of a decompressor by latents (N, M): the stream's by its largest value, those of each hidden
    channel by its own."""
    grid = network.grid
    tokens, count, unit = grid.rows * grid.columns, len(latents), FINE * GREY
    patches = network.picture(latents).view(count, tokens, -1).transpose(0, 1).reshape(tokens * count, -1) / unit
    embed, out, stream = network.embed, network.out, network.form.stream
    x = functional.linear(patches, embed.weight, embed.bias).view(tokens, count, -1)
    largest, hidden = x.abs().max(), list[Tensor]()
    for mix in network.mixing:
        assert isinstance(mix, ExactMix)
        flat = x.transpose(0, 2).reshape(-1, tokens) if mix.tokens else x.reshape(-1, x.shape[2])
        active = functional.relu(functional.linear(flat, mix.first.weight, mix.first.bias))
        hidden.append(active.amax(0))
        branch = functional.linear(active, mix.second.weight)
        x = x + (branch.view(x.shape[2], count, tokens).transpose(0, 2) if mix.tokens else branch.view(x.shape))
        largest = torch.maximum(largest, x.abs().max())
    step = largest / min(abs(limit) for limit in stream.limits)
    embed.step_in.fill_(1 / unit)
    embed.step_out.fill_(step)
    for mix, most in zip(network.mixing, hidden, strict=True):
        assert isinstance(mix, ExactMix)
        _hidden(mix.first, mix.second, most)
        mix.first.step_in.fill_(step)
        mix.second.step_out.fill_(step)
    out.step_in.fill_(step)
    out.step_out.fill_(1 / unit)


@torch.no_grad()
def head(network: ExactHead, latents: Tensor) -> None:
    """Choose the steps of a head by latents (N, M)."""
    x = latents.flatten(1)[:, -network.count :]
    products = [each for each in network.products if isinstance(each, Product)]
    for product, behind in itertools.pairwise(products):
        x = functional.relu(functional.linear(x, product.weight, product.bias))
        _hidden(product, behind, x.amax(0))
    products[-1].step_out.fill_(LOGIT)


def _hidden(first: Product, second: Product, most: Tensor) -> None:
    """Give each hidden channel the step that makes its largest value the largest operand."""
    first.step_out.copy_(steps(most, MOST))
    second.step_in.copy_(first.step_out)


def psnr(pixels: Tensor, images: Tensor) -> float:
    """PSNR in dB of pixels against images, both (N, C, H, W) in 0..255."""
    return float(10 * torch.log10(255**2 / functional.mse_loss(pixels.double(), images.double())))
