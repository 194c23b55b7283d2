"""Stronger networks: MLP-Mixers (Tolstikhin et al. 2021) without normalisation, on 7 x 7 patches of 4 x 4 pixels.

Nothing but large matrix products, on a layout (tokens, images, channels) in which neither kind of mixing needs a copy:
that is what processors do best, in training (bfloat16) and in use. Residual branches start at zero, which takes the
place of normalisation. A dense layer stands between the patches and the 400 symbols, so that each symbol may describe
the whole image."""

from __future__ import annotations

import torch
from torch import nn

from atlcodec.training.grid import Join, MixChannels, MixTokens, Patches, Tokens, Unpatches
from atlcodec.training.layers import Scale, dense_classifier

PATCH, TOKENS = 4, 49
WIDTH, HIDDEN, DEPTH = 64, 256, 3


def _mixing() -> list[nn.Module]:
    return [layer for _ in range(DEPTH) for layer in (MixTokens(TOKENS, 2 * TOKENS), MixChannels(WIDTH, HIDDEN))]


def compressor() -> nn.Sequential:
    """1x28x28 -> 49 tokens of 16 pixels -> 49x64 -> ... -> latents 16x5x5."""
    last = nn.Linear(TOKENS * WIDTH, 400)
    nn.init.constant_(last.bias, 7.5 / 4)  # start in the middle of the 16 levels
    return nn.Sequential(
        Scale(1 / 128),
        Patches(PATCH),
        nn.Linear(PATCH**2, WIDTH),
        *_mixing(),
        Join(TOKENS, WIDTH),
        last,
        Scale(4),
        nn.Unflatten(1, (16, 5, 5)),
    )


def decompressor() -> nn.Sequential:
    """16x5x5 -> 49x64 -> ... -> 49 tokens of 16 pixels -> 1x28x28."""
    first = nn.Linear(400, TOKENS * WIDTH)
    with torch.no_grad():  # as if the symbols were centred
        first.bias.sub_(first.weight.sum(1) * (7.5 / 4))
    return nn.Sequential(
        Scale(1 / 4),
        nn.Flatten(),
        first,
        Tokens(TOKENS),
        *_mixing(),
        nn.Linear(WIDTH, PATCH**2),
        Scale(256),
        Unpatches(PATCH),
    )


def classifier(classes: int) -> nn.Sequential:
    """400 -> 256 -> 64 -> classes: small: about a million records a second; the compressor does most of the work."""
    return dense_classifier(256, 64, classes, 0.2)
