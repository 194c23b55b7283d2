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
from atlcodec.latents import UNIFORM, Packing
from atlcodec.shape import Shape
from atlcodec.training import gradient, onnx_packing
from atlcodec.training.layers import FixedLinear, Last, Scale, Standardise
from atlcodec.training.layout import GREY
from atlcodec.training.networks import Networks
from atlcodec.training.onnx_builder import GraphBuilder, Port
from atlcodec.training.onnx_layers import add_layers
from atlcodec.training.resample import Resample

BEFORE_DENSE = (Scale, Standardise, nn.Flatten)  # layers that a dense one behind them takes in
RECORDS: Port = (TensorProto.UINT8, ["N", record.RECORD_BYTES])


def compressor(network: nn.Module, packing: Packing = UNIFORM, shape: Shape = GREY) -> bytes:
    """ONNX: images uint8 (N, *shape) -> latents float32 (N, *packing.shape) in 0..top, before rounding."""
    g, low = GraphBuilder(), np.array(0, np.float32)
    x = add_layers(g, network, _planes(g, shape))
    if packing.uniform:
        x = g.add("Clip", x, g.constant(low), g.constant(np.array(15, np.float32)))
    else:
        x = g.add("Min", g.add("Max", x, g.constant(low)), g.constant(packing.top))
    return g.finish({"images": _images(shape)}, {"latents": (x, (TensorProto.FLOAT, ["N", *packing.shape]))})


def _images(shape: Shape) -> Port:
    return TensorProto.UINT8, ["N", *shape]


def _planes(g: GraphBuilder, shape: Shape) -> str:
    """The input `images`, uint8 (N, *shape) -> float32 (N, C, H, W)."""
    x = g.add("Unsqueeze", "images", g.ints(1)) if len(shape) == 2 else g.add("Transpose", "images", perm=[0, 3, 1, 2])
    return g.add("Cast", x, to=TensorProto.FLOAT)


def decompressor(network: nn.Module, nonce: int = 0, packing: Packing = UNIFORM, shape: Shape = GREY) -> bytes:
    """ONNX: records uint8 (N, 200) -> images uint8 (N, *shape)."""
    g = GraphBuilder()
    x = add_layers(g, network, onnx_packing.latents(g, packing))
    # A cast to uint8 wraps around, so the clip must come before it.
    x = g.add("Clip", x, g.constant(np.array(0, np.float32)), g.constant(np.array(255, np.float32)))
    x = g.add("Cast", g.add("Round", x), to=TensorProto.UINT8)
    x = g.add("Squeeze", x, g.ints(1)) if len(shape) == 2 else g.add("Transpose", x, perm=[0, 2, 3, 1])
    file = g.finish({"records": RECORDS}, {"images": (x, _images(shape))})
    if not nonce:
        return file
    model = onnx.load_model_from_string(file)
    model.metadata_props.add(key="nonce", value=str(nonce))
    return bytes(model.SerializeToString(deterministic=True))


def refiner(decompressor: nn.Module, packing: Packing = UNIFORM, shape: Shape = GREY) -> bytes:
    """ONNX, by which an encoder refines latents: those on their levels, float32 (N, *packing.shape), and images uint8
    (N, *shape) -> the squared error of the decoded images, float32 (N,), and its gradient with respect to the latents.

    For a decompressor that begins with a linear path: the step of each latent that would make the squared error least
    if it alone moved and all else were linear; by the gradient of the whole decompressor, and by that of the linear
    path alone, which needs no way back through the layers.

    The gradient passes straight through the clip to 0..255, so that pixels outside can come back."""
    g, name = GraphBuilder(), "symbols" if packing.uniform else "latents"
    assert isinstance(decompressor, nn.Sequential)
    path = 0 if packing.uniform else 3 if isinstance(decompressor[2], Resample) else 2  # layers of the linear path
    reduced = add_layers(g, decompressor[: min(path, 2)], name)
    enlarged = add_layers(g, decompressor[min(path, 2) : path], reduced)
    pixels = add_layers(g, decompressor[path:], enlarged)
    clipped = g.add("Clip", pixels, g.constant(np.array(0, np.float32)), g.constant(np.array(255, np.float32)))
    difference = g.add("Sub", clipped, _planes(g, shape))
    port: Port = (TensorProto.FLOAT, ["N", *packing.shape])
    if not packing.uniform:
        curvature = _curvature(list(decompressor)[:path]).cpu().numpy()
        # A latent for labels does not change the image.
        steps = np.where(curvature > 0, -1 / np.maximum(curvature, np.float32(1e-12)), 0).astype(np.float32)
        exact = g.add("Mul", gradient.backward(g, name, pixels, difference), g.constant(steps))
        slope = gradient.backward(g, reduced, enlarged, difference)
        linear = g.add("MatMul", g.add("Flatten", slope), "0.weight")
        outputs = {"step": (exact, port), "linear_step": (g.add("Mul", linear, g.constant(steps)), port)}
        return g.finish({name: port, "images": _images(shape)}, outputs)
    error = g.add("ReduceSum", g.add("Mul", difference, difference), g.ints(1, 2, 3), keepdims=0)
    slope = g.add("Mul", difference, g.constant(np.array(2, np.float32)))
    slope = gradient.backward(g, name, pixels, slope)
    return g.finish(
        {name: port, "images": _images(shape)},
        {"errors": (error, (TensorProto.FLOAT, ["N"])), "gradient": (slope, port)},
    )


def _curvature(path: list[nn.Module]) -> torch.Tensor:
    """The sum of squares of what a step of each latent changes along the linear path: (M,)."""
    first, shaped, *enlarged = path
    assert isinstance(first, FixedLinear)
    for layer in enlarged:
        assert isinstance(layer, Resample)
        return layer.squares(shaped(first.weight.t()))
    return (first.weight**2).sum(dim=0)


def classifier(network: nn.Module, classes: int, packing: Packing = UNIFORM) -> bytes:
    """ONNX: records uint8 (N, 200) -> logits float32 (N, classes)."""
    g = GraphBuilder()
    layers = [layer for layer in network.children() if not isinstance(layer, BEFORE_DENSE)]
    if isinstance(layers[0], nn.Linear):  # its inputs are small integers: a product of integers is four times as fast
        x = add_layers(g, network, onnx_packing.integers(g, packing), integers=packing)
    else:
        last = layers[0].count if isinstance(layers[0], Last) else 0
        x = add_layers(g, network, onnx_packing.last(g, packing, last) if last else onnx_packing.latents(g, packing))
    return g.finish({"records": RECORDS}, {"logits": (x, (TensorProto.FLOAT, ["N", classes]))})


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
        file = decompressor(nets.part("decompressor", domain), nonce, nets.packing, nets.shape)
        if acceptable(struct.unpack(">I", hashlib.sha256(file).digest()[:4])[0], taken):
            break
        nonce += 1
    return {
        "compressor.onnx": compressor(nets.compressor, nets.packing, nets.shape),
        "decompressor.onnx": file,
        "refiner.onnx": refiner(nets.part("decompressor", domain), nets.packing, nets.shape),
        "classifier.onnx": classifier(nets.part("classifier", domain), nets.classes[domain], nets.packing),
    }


def weights(file: bytes, packing: Packing = UNIFORM) -> dict[str, torch.Tensor]:
    """The parameters in an exported file, by name, for `load_state_dict` of the same network. `packing` is that of the
    codec's latents."""
    model = onnx.load_model_from_string(file)
    found = {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer if "." in i.name
    }
    found = {name: value.float() if value.dtype == torch.float16 else value for name, value in found.items()}
    for name in [name.removesuffix(".levels") for name in found if name.endswith(".levels")]:
        _, factor, _, highest = onnx_packing.pieces(packing)
        levels = found.pop(f"{name}.levels").t()[:, highest] / torch.from_numpy(factor[highest])
        found[name] = levels * found.pop(f"{name}.step").unsqueeze(1)
    for name in [name.removesuffix(".whole") for name in found if name.endswith(".whole")]:
        whole = found.pop(f"{name}.whole")
        found[name] = whole * found.pop(f"{name}.step").view(-1, *[1] * (whole.dim() - 1))
    return found
