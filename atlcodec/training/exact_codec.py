"""The networks of a codec that read records, made exact, of any architecture: one call each.

decompressor(network, packing, latents)     calibrated, ready to be tuned (`tuning.py`)
classifier(network, packing, latents)       the same
give_back(made, network)                    what a decompressor has learned, for the network in floats
file(network)                               its ONNX file, whose bounds are checked"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from atlcodec.shape import Shape
from atlcodec.training import calibrate, onnx_exact
from atlcodec.training.calibrate import LOGIT
from atlcodec.training.exact import STREAM, ExactDecompressor, ExactHead, ExactMix, Form, parts
from atlcodec.training.exact_conv import ExactConvHead
from atlcodec.training.exact_lenet import ExactLenet
from atlcodec.training.layers import Concatenate, FixedLinear
from atlcodec.training.layout import GREY

# Both parts of the stream for tokens, too, although it takes 13 % longer to decode. Of MNIST, the high part alone loses
# 0.5 dB at effort 0 before tuning, and 0.12 dB at effort 3 after two epochs of it; both parts lose 0.25 and 0.06.
FORM = Form(tokens=STREAM)

Decompressor = ExactDecompressor | ExactLenet
Classifier = ExactHead | ExactConvHead


def decompressor(network: nn.Sequential, packing: Packing, latents: Tensor) -> Decompressor:
    """A decompressor of the architecture pca or lenet, with steps for latents (N, *packing.shape). Raises `BadModel`
    for others."""
    if isinstance(network[0], FixedLinear):
        made = ExactDecompressor(network, packing, FORM)
        calibrate.decompressor(made, latents)
        return made
    simple = ExactLenet(network)
    simple.calibrate(latents)
    return simple


def classifier(network: nn.Sequential, packing: Packing, latents: Tensor, shape: Shape = GREY) -> Classifier:
    """A classifier of dense layers, or of the architecture conv. Raises `BadModel` for others."""
    if isinstance(network[0], Concatenate):
        if len(shape) != 2:
            raise BadModel("a classifier of the architecture conv takes grey images only")
        accurate = ExactConvHead(network, packing, shape)
        accurate.calibrate(latents, LOGIT)
        return accurate
    head = ExactHead(network, packing)
    calibrate.head(head, latents)
    return head


@torch.no_grad()
def give_back(made: Decompressor, network: nn.Module) -> None:
    """Give the network that a decompressor was made from what that one has learned since. It loses the biases of the
    branches, which are small, and which it has not."""
    if isinstance(made, ExactLenet):
        return  # its layers are those of the network
    assert isinstance(network, nn.Sequential)
    own = parts(network)
    for product, layer in ((made.embed, own.embed), (made.out, own.out)):
        layer.weight.copy_(product.weight)
        layer.bias.copy_(product.bias)
    for mix, mixing in zip(made.mixing, own.mixing, strict=True):
        assert isinstance(mix, ExactMix)
        mixing.weight.copy_(mix.first.weight)
        mixing.bias.copy_(mix.first.bias)
        mixing.back.copy_(mix.second.weight)


def file(network: Decompressor | Classifier, taken: Collection[int] = ()) -> bytes:
    """The ONNX file. The id of a decompressor differs from the `taken` ones. Raises `BadModel` if it breaks one of the
    bounds."""
    match network:
        case ExactDecompressor():
            return onnx_exact.with_id(lambda nonce: onnx_exact.decompressor(network, nonce), taken)
        case ExactLenet():
            return onnx_exact.with_id(lambda nonce: onnx_exact.lenet(network, nonce), taken)
        case ExactConvHead():
            return onnx_exact.conv_classifier(network)
        case ExactHead():
            return onnx_exact.classifier(network)
