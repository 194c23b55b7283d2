"""Weights -> the ONNX files of a model folder, and back.

The graphs are built node by node with `onnx.helper`, because the bytes of a decompressor are its identity: they must
follow from the weights alone, and PyTorch's exporter writes what its release happens to write. The initialisers are the
parameters, bit for bit, under the names that PyTorch gives them. Folded scales and merged kernels are computed from
them by nodes on constants, which ONNX Runtime folds once when it loads the file. Only the first dense layer of a
classifier is rounded."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from atlcodec import record
from atlcodec.training import gradient
from atlcodec.training.layers import Scale
from atlcodec.training.networks import Networks
from atlcodec.training.onnx_builder import GraphBuilder, Port
from atlcodec.training.onnx_layers import add_layers

RECORDS: Port = (TensorProto.UINT8, ["N", record.RECORD_BYTES])
IMAGES: Port = (TensorProto.UINT8, ["N", 28, 28])
SYMBOLS: Port = (TensorProto.FLOAT, ["N", *record.BOTTLENECK])


def compressor(network: nn.Module) -> bytes:
    """ONNX: images uint8 (N, 28, 28) -> latents float32 (N, 16, 5, 5) in 0..15, before rounding."""
    g = GraphBuilder()
    x = g.add("Cast", g.add("Unsqueeze", "images", g.ints(1)), to=TensorProto.FLOAT)
    x = add_layers(g, network, x)
    x = g.add("Clip", x, g.constant(np.array(0, np.float32)), g.constant(np.array(15, np.float32)))
    return g.finish({"images": IMAGES}, {"latents": (x, SYMBOLS)})


def decompressor(network: nn.Module, nonce: int = 0) -> bytes:
    """ONNX: records uint8 (N, 200) -> images uint8 (N, 28, 28)."""
    g = GraphBuilder()
    x = add_layers(g, network, _symbols(g))
    # A cast to uint8 wraps around, so the clip must come before it.
    x = g.add("Clip", x, g.constant(np.array(0, np.float32)), g.constant(np.array(255, np.float32)))
    x = g.add("Cast", g.add("Round", x), to=TensorProto.UINT8)
    x = g.add("Squeeze", x, g.ints(1))
    file = g.finish({"records": RECORDS}, {"images": (x, IMAGES)})
    if not nonce:
        return file
    model = onnx.load_model_from_string(file)
    model.metadata_props.add(key="nonce", value=str(nonce))
    return bytes(model.SerializeToString(deterministic=True))


def refiner(decompressor: nn.Module) -> bytes:
    """ONNX: symbols float32 (N, 16, 5, 5) and images uint8 (N, 28, 28) -> the squared error of the decoded images,
    float32 (N,), and its gradient with respect to the symbols, float32 (N, 16, 5, 5), by which an encoder refines them.

    The gradient passes straight through the clip to 0..255, so that pixels outside can come back."""
    g = GraphBuilder()
    pixels = add_layers(g, decompressor, "symbols")
    clipped = g.add("Clip", pixels, g.constant(np.array(0, np.float32)), g.constant(np.array(255, np.float32)))
    wanted = g.add("Cast", g.add("Unsqueeze", "images", g.ints(1)), to=TensorProto.FLOAT)
    difference = g.add("Sub", clipped, wanted)
    error = g.add("ReduceSum", g.add("Mul", difference, difference), g.ints(1, 2, 3), keepdims=0)
    slope = g.add("Mul", difference, g.constant(np.array(2, np.float32)))
    slope = gradient.backward(g, "symbols", pixels, slope)
    return g.finish(
        {"symbols": SYMBOLS, "images": IMAGES},
        {"errors": (error, (TensorProto.FLOAT, ["N"])), "gradient": (slope, SYMBOLS)},
    )


def classifier(network: nn.Module, classes: int) -> bytes:
    """ONNX: records uint8 (N, 200) -> logits float32 (N, classes)."""
    g = GraphBuilder()
    layers = [layer for layer in network.children() if not isinstance(layer, Scale | nn.Dropout)]
    if isinstance(layers[0], nn.Flatten) and isinstance(layers[1], nn.Linear):
        # A dense layer takes the symbols in any order: here all high nibbles, then all low ones. And they are small
        # integers, so that its product can be one of integers, which is four times as fast.
        x = add_layers(g, network, g.add("Concat", _high(g), _low(g), axis=1), nibbles=True)
    else:
        x = add_layers(g, network, _symbols(g))
    return g.finish({"records": RECORDS}, {"logits": (x, (TensorProto.FLOAT, ["N", classes]))})


def _high(g: GraphBuilder) -> str:
    return g.add("BitShift", "records", g.constant(np.array([4], np.uint8)), direction="RIGHT")


def _low(g: GraphBuilder) -> str:
    return g.add("BitwiseAnd", "records", g.constant(np.array([15], np.uint8)))


def _symbols(g: GraphBuilder) -> str:
    high, low = (g.add("Unsqueeze", half, g.ints(2)) for half in (_high(g), _low(g)))
    x = g.add("Reshape", g.add("Concat", high, low, axis=2), g.ints(-1, *record.BOTTLENECK))
    return g.add("Cast", x, to=TensorProto.FLOAT)


def acceptable(id: int, taken: Collection[int]) -> bool:
    """Whether a new codec may have this id.

    It may not be reserved, taken, or the CRC-32 of 200 equal bytes (a zero-filled block of a disk would be a record).
    Nor may it be one flipped bit of a record away from a taken id: one flip would then turn a record of one codec into
    a valid record of the other."""
    blank = record.ids(np.repeat(np.arange(256, dtype=np.uint8)[:, None], record.RECORD_BYTES, axis=1))
    flips = record.syndromes()[:, [1, 2, 4, 8]].ravel()
    if id in record.RESERVED or id in set(blank.tolist()) or id in taken:
        return False
    return not any(np.any(flips == (id ^ other)) for other in taken)


def files(nets: Networks, taken: Collection[int], domain: int = 0) -> dict[str, bytes]:
    """The ONNX files of the codec of one domain, by name. Its id differs from the `taken` ones (see `acceptable`)."""
    nets = nets.cpu().eval()
    nonce = 0
    while True:
        file = decompressor(nets.part("decompressor", domain), nonce)
        if acceptable(struct.unpack(">I", hashlib.sha256(file).digest()[:4])[0], taken):
            break
        nonce += 1
    return {
        "compressor.onnx": compressor(nets.compressor),
        "decompressor.onnx": file,
        "refiner.onnx": refiner(nets.part("decompressor", domain)),
        "classifier.onnx": classifier(nets.part("classifier", domain), nets.classes[domain]),
    }


def weights(file: bytes) -> dict[str, torch.Tensor]:
    """The parameters in an exported file, by name, for `load_state_dict` of the same network."""
    model = onnx.load_model_from_string(file)
    found = {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer if "." in i.name
    }
    for name in [name.removesuffix(".levels") for name in found if name.endswith(".levels")]:
        high_low = found.pop(f"{name}.levels").t().chunk(2, dim=1)
        levels = torch.stack(high_low, dim=2).flatten(1)  # in the order of the symbols
        found[name] = levels * found.pop(f"{name}.step").unsqueeze(1)
    return found
