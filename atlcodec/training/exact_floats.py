"""A classifier in floats from the file of an exact one, to build upon. It says nearly the same: the weights of an exact
one have seven bits. (The weights of an exact decompressor need no such thing: the refiner has them in floats.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from atlcodec import nodes
from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from atlcodec.training.exact import GREY, PICTURE, ExactHead, head_layers
from atlcodec.training.exact_path import FINE
from atlcodec.training.layers import Add, BatchNorm, Concatenate, FixedLinear
from atlcodec.training.quantise import Columns, Operand, Product

HIDDEN = 2.0**-4  # what a step of a hidden channel is in floats: any power of two would do
Weights = Mapping[str, NDArray[np.generic]]


@torch.no_grad()
def load_classifier(
    network: nn.Sequential, file: bytes, name: str, packing: Packing, step: float, linear: Mapping[str, Tensor]
) -> None:
    """Give a network the weights of an exact classifier of the same architecture. `step` is the scale of its logits,
    `linear` are the weights of its codec's decompressor. Raises `BadModel` if they do not fit."""
    weights = nodes.read(file, name).weights
    try:
        if isinstance(network[0], Concatenate):
            _load_conv(network, weights, packing, step, linear)
        else:
            _load_dense(network, weights, packing, step)
    except (KeyError, IndexError, RuntimeError) as error:
        raise BadModel(f"{name}: its weights do not fit the architecture in its card") from error


def _load_dense(network: nn.Sequential, weights: Weights, packing: Packing, step: float) -> None:
    products = [each for each in ExactHead(network, packing).products if isinstance(each, Product)]
    before, dense = head_layers(network)
    for number, (product, layer) in enumerate(zip(products, dense, strict=True)):
        last = number == len(dense) - 1
        steps = HIDDEN if number else 1.0, step if last else HIDDEN
        _fill(layer, weights, f"products.{number}", product, steps)
        if not number:
            layer.bias.add_(layer.weight @ before.mean)
            layer.weight.div_(before.factor)


def _load_conv(
    network: nn.Sequential, weights: Weights, packing: Packing, step: float, linear: Mapping[str, Tensor]
) -> None:
    both, *_, last = network
    assert isinstance(both, Concatenate)
    assert isinstance(last, nn.Linear)
    path, *layers = both.first
    assert isinstance(path, FixedLinear)
    path.weight.copy_(linear["0.weight"])
    path.bias.copy_(linear["0.bias"])
    for name, conv, norm, operand in _convolutions(layers):
        whole, bias = _numbers(weights, name)
        step_in = HIDDEN if operand is not PICTURE else 1 / (FINE * GREY)
        conv.weight.copy_(whole[:, : conv.in_channels] * (HIDDEN / step_in / operand.units[0]))
        assert conv.bias is not None
        conv.bias.copy_(bias * HIDDEN)
        norm.load_state_dict(BatchNorm(conv.out_channels).state_dict())
        assert norm.running_var is not None
        norm.running_var.sub_(norm.eps)
    (dense,) = (layer for layer in layers if isinstance(layer, nn.Linear))
    _fill(dense, weights, "dense", _plain(dense), (HIDDEN, HIDDEN))
    _fill(last, weights, "last", _plain(last), (HIDDEN, step))
    labels = nn.Sequential(*list(both.second)[:-1])
    (product,) = ExactHead(labels, packing).products
    assert isinstance(product, Product)
    before, (layer,) = head_layers(labels)
    _fill(layer, weights, "labels", product, (1.0, HIDDEN))
    layer.bias.add_(layer.weight @ before.mean)
    layer.weight.div_(before.factor)


def _convolutions(layers: list[nn.Module]) -> Iterator[tuple[str, nn.Conv2d, BatchNorm, Operand]]:
    """Each convolution under the name that it has in the file, with the normalisation behind it and its input."""
    stage, block, operand = -1, 0, PICTURE
    for number, layer in enumerate(layers):
        pairs = list[tuple[str, nn.Module, nn.Module]]()
        if isinstance(layer, nn.Conv2d):
            stage, block = stage + 1, 0
            pairs = [(f"stages.{stage}.entry", layer, layers[number + 1])]
        elif isinstance(layer, Add):
            first, first_norm, _, second, second_norm = layer.beside
            pairs = [
                (f"stages.{stage}.first.{block}", first, first_norm),
                (f"stages.{stage}.second.{block}", second, second_norm),
            ]
            block += 1
        for name, conv, norm in pairs:
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, BatchNorm)
            yield name, conv, norm, operand
            operand = Operand()


def _plain(layer: nn.Linear) -> Product:
    return Product(layer.weight, layer.bias, Columns.of(layer.in_features, Operand()))


def _fill(layer: nn.Linear, weights: Weights, name: str, product: Product, steps: tuple[float, float]) -> None:
    """The weights of a dense layer from those of its product. `steps` are the values of a step of input and output."""
    whole, bias = _numbers(weights, name)
    order = product.unit.argsort().numpy()
    best = np.zeros(layer.in_features, np.int64)
    best[product.index.numpy()[order]] = (
        order  # of the columns of an input the one with the largest unit: it rounds least
    )
    chosen = torch.from_numpy(best)
    layer.weight.copy_(whole[:, chosen] / product.unit[chosen] * (steps[1] / steps[0]))
    layer.bias.copy_(bias * steps[1])


def _numbers(weights: Weights, name: str) -> tuple[Tensor, Tensor]:
    """Weights and biases in steps of the output."""
    scale, whole, bias = (
        torch.from_numpy(weights[f"{name}.{part}"].astype(np.float32)) for part in ("scale", "weight", "bias")
    )
    return whole * scale.view(-1, *[1] * (whole.dim() - 1)), bias * scale
