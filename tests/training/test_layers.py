"""The layers compute what plain PyTorch layers compute, and so do their gradients."""

from __future__ import annotations

import torch
from torch import nn

from atlcodec.training.layers import ConvPool2d, PhasesConv2d, UpscaleConv2d


def test_an_upscaling_convolution_is_upscale_pad_and_convolution() -> None:
    torch.manual_seed(0)
    layer = UpscaleConv2d(6, 5)
    plain = nn.Conv2d(6, 5, 3)
    plain.weight, plain.bias = layer.weight, layer.bias
    oracle = nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d(2), plain)
    x = torch.randn(3, 6, 7, 4)
    assert layer(x).shape == (3, 5, 16, 10)
    torch.testing.assert_close(layer(x), oracle(x), atol=1e-5, rtol=1e-5)


def test_phases_carry_over_to_the_next_convolution() -> None:
    torch.manual_seed(0)
    first, second = UpscaleConv2d(6, 5, shuffle=False), PhasesConv2d(5, 3)
    whole, plain = UpscaleConv2d(6, 5), nn.Conv2d(5, 3, 3, padding=2)
    whole.weight, whole.bias = first.weight, first.bias
    plain.weight, plain.bias = second.weight, second.bias
    x = torch.randn(3, 6, 5, 7)
    assert first(x).shape == (3, 20, 6, 8)
    torch.testing.assert_close(second(first(x).relu()), plain(whole(x).relu()), atol=1e-5, rtol=1e-5)


def test_a_convolution_with_pooling_is_the_plain_one_and_so_is_its_gradient() -> None:
    torch.manual_seed(0)
    layer = ConvPool2d(3, 4)
    plain = nn.Conv2d(3, 4, 5)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 14, 10)
    got, expected = layer(x), nn.MaxPool2d(2)(plain(x))
    assert got.shape == (2, 4, 5, 3)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    for result in (got, expected):
        (result**2).sum().backward()
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad, atol=1e-4, rtol=1e-4)
    assert layer.bias is not None
    assert plain.bias is not None
    torch.testing.assert_close(layer.bias.grad, plain.bias.grad, atol=1e-4, rtol=1e-4)
