"""Weights -> the ONNX files of a model folder, and back.

The graphs are built node by node with `onnx.helper`, because the bytes of a decompressor are its identity: they must
follow from the weights alone, and PyTorch's exporter writes what its release happens to write. The initialisers are the
parameters, bit for bit, under the names that PyTorch gives them; whatever is derived from them (folded scales, merged
kernels) is computed by nodes on constants, which ONNX Runtime folds once when it loads the file. Only the first dense
layer of a classifier is rounded."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from atlcodec import record
from atlcodec.errors import BadModel
from atlcodec.training import gradient
from atlcodec.training.layers import (
    ConvPool2d,
    Join,
    MixChannels,
    MixTokens,
    Patches,
    PhasesConv2d,
    Scale,
    Tokens,
    Unpatches,
    UpscaleConv2d,
)
from atlcodec.training.networks import Networks

OPSET = 18  # the first with BitwiseAnd on uint8
IR_VERSION = 10
Port = tuple[int, list[int | str]]  # element type and shape
RECORDS: Port = (TensorProto.UINT8, ["N", record.RECORD_BYTES])
IMAGES: Port = (TensorProto.UINT8, ["N", 28, 28])
SYMBOLS: Port = (TensorProto.FLOAT, ["N", *record.BOTTLENECK])

LINEAR = (nn.Conv2d, nn.Linear, UpscaleConv2d, PhasesConv2d, ConvPool2d)
MIXING = (MixChannels, MixTokens)


class _Graph:
    """Nodes in order; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.sides: dict[str, tuple[int, int]] = {}
        self._constants: dict[bytes, str] = {}

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str, value: NDArray[np.float32] | NDArray[np.int8]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        key = str(value.dtype).encode() + str(value.shape).encode() + value.tobytes()
        if key not in self._constants:
            self._constants[key] = f"c{len(self._constants)}"
            self.initializers.append(numpy_helper.from_array(value, self._constants[key]))
        return self._constants[key]

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def shuffled(self, x: str, side: int) -> str:
        """Four phases as one image; a phase is `side` x `side`, if that is ever asked."""
        self.sides[x] = (side, side)
        return self.add("DepthToSpace", x, blocksize=2, mode="CRD")

    def scaled(self, weight: str, factor: float) -> str:
        return weight if factor == 1 else self.add("Mul", weight, self.constant(np.array(factor, np.float32)))

    def finish(self, sources: dict[str, Port], targets: dict[str, tuple[str, Port]]) -> bytes:
        """The file: inputs, and outputs with the values that they are; nothing else may need those values."""
        for name, (value, _) in targets.items():
            (node,) = [node for node in self.nodes if value in node.output]
            node.output[0] = name
        graph = helper.make_graph(
            self.nodes,
            "atlcodec",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in sources.items()],
            [helper.make_tensor_value_info(name, kind, shape) for name, (_, (kind, shape)) in targets.items()],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.ClearField("producer_name")
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def compressor(network: nn.Module) -> bytes:
    """ONNX: images uint8 (N, 28, 28) -> latents float32 (N, 16, 5, 5) in 0..15, before rounding."""
    g = _Graph()
    x = g.add("Cast", g.add("Unsqueeze", "images", g.ints(1)), to=TensorProto.FLOAT)
    x = _layers(g, network, x)
    x = g.add("Clip", x, g.constant(np.array(0, np.float32)), g.constant(np.array(15, np.float32)))
    return g.finish({"images": IMAGES}, {"latents": (x, SYMBOLS)})


def decompressor(network: nn.Module, nonce: int = 0) -> bytes:
    """ONNX: records uint8 (N, 200) -> images uint8 (N, 28, 28)."""
    g = _Graph()
    x = _layers(g, network, _symbols(g))
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
    """ONNX: symbols float32 (N, 16, 5, 5) and images uint8 (N, 28, 28) -> the squared error of the decoded pictures,
    float32 (N,), and its gradient with respect to the symbols, float32 (N, 16, 5, 5): what an encoder needs to search
    for better symbols.

    The gradient passes straight through the clip to 0..255, so that a pixel beyond it can be called back."""
    g = _Graph()
    pixels = _layers(g, decompressor, "symbols")
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
    g = _Graph()
    layers = [layer for layer in network.children() if not isinstance(layer, Scale | nn.Dropout)]
    if isinstance(layers[0], nn.Flatten) and isinstance(layers[1], nn.Linear):
        # A dense layer need not see the symbols in their order: it takes all high nibbles, then all low ones. And they
        # are small integers, so that it may be a product of integers, which is four times as fast.
        x = _layers(g, network, g.add("Concat", _high(g), _low(g), axis=1), nibbles=True)
    else:
        x = _layers(g, network, _symbols(g))
    return g.finish({"records": RECORDS}, {"logits": (x, (TensorProto.FLOAT, ["N", classes]))})


def _high(g: _Graph) -> str:
    return g.add("BitShift", "records", g.constant(np.array([4], np.uint8)), direction="RIGHT")


def _low(g: _Graph) -> str:
    return g.add("BitwiseAnd", "records", g.constant(np.array([15], np.uint8)))


def _symbols(g: _Graph) -> str:
    high, low = (g.add("Unsqueeze", half, g.ints(2)) for half in (_high(g), _low(g)))
    x = g.add("Reshape", g.add("Concat", high, low, axis=2), g.ints(-1, *record.BOTTLENECK))
    return g.add("Cast", x, to=TensorProto.FLOAT)


def _layers(g: _Graph, network: nn.Module, x: str, *, nibbles: bool = False) -> str:
    """The layers of a network as nodes; a scale is folded into the linear layer behind it, or the one before it. The
    input may be the nibbles of records, which a dense layer takes."""
    named = [(name, layer) for name, layer in network.named_children() if not isinstance(layer, nn.Dropout)]
    before, shuffle, tokens, side = 1.0, False, False, record.BOTTLENECK[-1]
    for index, (name, layer) in enumerate(named):
        if shuffle and not isinstance(layer, nn.ReLU):  # a ReLU goes first, as in the files there are
            x, shuffle, side = g.shuffled(x, side), False, 2 * side
        if isinstance(layer, Scale):
            if index == 0 or not isinstance(named[index - 1][1], LINEAR):
                before *= layer.factor
            continue  # otherwise the layer before has taken it in
        if isinstance(layer, LINEAR):
            behind = named[index + 1][1] if index + 1 < len(named) else None
            after = behind.factor if isinstance(behind, Scale) else 1.0
            scale, before = before * after, 1.0
            if nibbles:
                product = _rounded_product(g, x, f"{name}.weight", _array(layer.weight), scale)
            else:
                weight = g.scaled(g.weight(f"{name}.weight", _array(layer.weight)), scale)
            bias = g.scaled(g.weight(f"{name}.bias", _array(layer.bias)), after)
        elif isinstance(layer, MIXING):
            weight, bias = (
                g.weight(f"{name}.weight", _array(layer.weight)),
                g.weight(f"{name}.bias", _array(layer.bias)),
            )
        elif before != 1 and not isinstance(layer, nn.Flatten | nn.ZeroPad2d | nn.ReLU | Patches):
            raise BadModel(f"a Scale before {type(layer).__name__} cannot be folded")
        match layer:
            case nn.Conv2d():
                x = g.add(
                    "Conv", x, weight, bias, kernel_shape=list(layer.kernel_size), pads=[_pixels(layer.padding)] * 4
                )
            case UpscaleConv2d() | PhasesConv2d():
                x = _merged_conv(g, x, weight, bias, layer.merge.cpu().numpy(), layer.weight.shape)
                shuffle, side = not isinstance(layer, UpscaleConv2d) or layer.shuffle, side + 1
            case ConvPool2d():  # here the plain way is the faster one
                x = g.add("Conv", x, weight, bias, kernel_shape=list(layer.weight.shape[2:]))
                x = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
            case nn.Linear():
                if tokens:
                    x = g.add("Reshape", x, g.ints(-1, layer.in_features))
                x = g.add("Add", product, bias) if nibbles else g.add("Gemm", x, weight, bias, transB=1)
                nibbles = False
            # Tokens lie one after another, each with its images, each with its channels: every layer takes the view
            # that it needs.
            case Patches():
                side = 28 // layer.size
                x = g.add("Reshape", x, g.ints(-1, side, layer.size, side, layer.size))
                x, tokens = g.add("Transpose", x, perm=[1, 3, 0, 2, 4]), True
            case Unpatches():
                side = 28 // layer.size
                x = g.add("Reshape", x, g.ints(side, side, -1, layer.size, layer.size))
                x = g.add("Reshape", g.add("Transpose", x, perm=[2, 0, 3, 1, 4]), g.ints(-1, 1, 28, 28))
                tokens = False
            case Tokens():
                x = g.add("Transpose", g.add("Reshape", x, g.ints(0, layer.tokens, -1)), perm=[1, 0, 2])
                tokens = True
            case Join():
                x = g.add("Reshape", x, g.ints(layer.tokens, -1, layer.channels))
                x = g.add("Transpose", x, perm=[1, 0, 2])
                x, tokens = g.add("Reshape", x, g.ints(-1, layer.tokens * layer.channels)), False
            case MixChannels():
                x = g.add("Reshape", x, g.ints(-1, layer.weight.shape[1]))
                hidden = g.add("Relu", g.add("Gemm", x, weight, bias, transB=1))
                x = g.add("Gemm", hidden, g.weight(f"{name}.back", _array(layer.back)), x, transB=1)
            case MixTokens():
                x = g.add("Reshape", x, g.ints(layer.weight.shape[1], -1))
                hidden = g.add("Relu", g.add("Gemm", weight, x, g.add("Unsqueeze", bias, g.ints(1))))
                x = g.add("Gemm", g.weight(f"{name}.back", _array(layer.back)), hidden, x)
            case nn.Unflatten():
                x = g.add("Reshape", x, g.ints(-1, *layer.unflattened_size))
            case nn.ReLU():
                x = g.add("Relu", x)
            case nn.ZeroPad2d():
                left, right, top, bottom = layer.padding
                x = g.add("Pad", x, g.ints(0, 0, top, left, 0, 0, bottom, right))
            case nn.Flatten():
                x = x if nibbles else g.add("Flatten", x, axis=1)
            case _:
                raise BadModel(
                    f"a layer {type(layer).__name__} cannot be exported yet; use those of training/layers.py"
                )
    if before != 1:
        raise BadModel("a Scale must have a convolution or a dense layer before or behind it")
    return g.shuffled(x, side) if shuffle else x


def _rounded_product(g: _Graph, x: str, name: str, weight: NDArray[np.float32], scale: float) -> str:
    """Nibbles uint8 (N, 400), the high ones first, times weights (outputs, 400) rounded to eight bits: for each output,
    255 levels from its largest weight to the opposite one. The steps have 16 bits, so that all levels are exact floats,
    and a network with these weights gives the same file again."""
    step = np.maximum(np.abs(weight).max(axis=1) / np.float32(127), np.float32(1e-30))
    step = (step.view(np.int32) + 0xFF & ~0xFF).view(np.float32)
    levels = np.rint(weight / step[:, None]).astype(np.int8)
    levels = np.concatenate([levels[:, 0::2], levels[:, 1::2]], axis=1)
    product = g.add("MatMulInteger", x, g.weight(f"{name}.levels", levels.T))
    return g.add("Mul", g.add("Cast", product, to=TensorProto.FLOAT), g.scaled(g.weight(f"{name}.step", step), scale))


def _merged_conv(g: _Graph, x: str, weight: str, bias: str, merge: NDArray[np.float32], shape: torch.Size) -> str:
    """A 3 x 3 convolution that gives its four phases as channels, by 2 x 2 kernels (see `layers._Phased`)."""
    outputs, inputs = shape[:2]
    kernels = g.add("MatMul", g.add("Reshape", weight, g.ints(outputs * inputs, 9)), g.constant(merge))
    phases = merge.shape[1] // 16  # of the input
    kernels = g.add("Transpose", g.add("Reshape", kernels, g.ints(outputs, inputs, 4, phases * 4)), perm=[0, 2, 1, 3])
    kernels = g.add("Reshape", kernels, g.ints(outputs * 4, inputs * phases, 2, 2))
    biases = g.add("MatMul", g.add("Reshape", bias, g.ints(outputs, 1)), g.constant(np.ones((1, 4), np.float32)))
    return g.add("Conv", x, kernels, g.add("Reshape", biases, g.ints(-1)), kernel_shape=[2, 2], pads=[1, 1, 1, 1])


def _array(parameter: torch.Tensor | None) -> NDArray[np.float32]:
    assert parameter is not None
    return parameter.detach().cpu().numpy().astype(np.float32)


def _pixels(padding: str | tuple[int, ...]) -> int:
    if isinstance(padding, str) or len(set(padding)) != 1:
        raise BadModel("give the padding of a convolution in pixels, the same on all sides")
    return padding[0]


def acceptable(id: int, taken: Collection[int]) -> bool:
    """Whether a codec may have this id: not another codec's, nor one flipped bit away from it (one flip would then turn
    a record into a valid one of the other codec), not reserved, and not the CRC-32 of 200 equal bytes (a zero-filled
    block of a disk is no record)."""
    blank = record.ids(np.repeat(np.arange(256, dtype=np.uint8)[:, None], record.RECORD_BYTES, axis=1))
    flips = record.syndromes()[:, [1, 2, 4, 8]].ravel()
    if id in record.RESERVED or id in set(blank.tolist()) or id in taken:
        return False
    return not any(np.any(flips == (id ^ other)) for other in taken)


def files(nets: Networks, taken: Collection[int], domain: int = 0) -> dict[str, bytes]:
    """The three ONNX files of the codec of one domain, whose id is none of `taken`."""
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
    """The parameters in an exported file, by name: what `load_state_dict` of the same network takes."""
    model = onnx.load_model_from_string(file)
    found = {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer if "." in i.name
    }
    for name in [name.removesuffix(".levels") for name in found if name.endswith(".levels")]:
        levels = torch.stack(found.pop(f"{name}.levels").t().chunk(2, dim=1), dim=2).flatten(
            1
        )  # in the order of the symbols
        found[name] = levels * found.pop(f"{name}.step").unsqueeze(1)
    return found
