"""The layers of a network as ONNX nodes, one rule for each kind of layer."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from atlcodec import record
from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from atlcodec.training import onnx_grid
from atlcodec.training.grid import Join, MixChannels, MixTokens, Patches, Tokens, Unpatches, Unshuffle
from atlcodec.training.layers import (
    Add,
    BatchNorm,
    Concatenate,
    ConvNorm,
    ConvPool2d,
    FixedLinear,
    Last,
    Levels,
    Linear8,
    PhasesConv2d,
    Scale,
    Standardise,
    UpscaleConv2d,
)
from atlcodec.training.onnx_builder import GraphBuilder
from atlcodec.training.onnx_packing import pieces
from atlcodec.training.resample import Resample

Floats = NDArray[np.float32]
Linear = nn.Conv2d | nn.Linear | FixedLinear | UpscaleConv2d | PhasesConv2d | ConvPool2d

MOST = 2**30  # of a bias, in steps
# A factor goes through these as it is.
UNSCALED = (nn.Flatten, nn.ZeroPad2d, nn.ReLU, nn.PixelUnshuffle, Unshuffle, Patches)


def add_layers(
    g: GraphBuilder,
    network: nn.Module,
    x: str,
    *,
    integers: Packing | None = None,
    prefix: str = "",
    step: float = 0.0,
) -> str:
    """Add the layers of a network behind the value `x`; returns the last value. With `integers`, `x` are the latents of
    records as `onnx_packing.integers` gives them, which a dense layer takes. `prefix` begins the names of weights.
    `step` is that of the `Levels` before the network.

    A Scale is folded into the linear layer behind it, or into the one before it; a Standardise into the one behind it.
    Raises `BadModel` for layers that cannot be exported."""
    children = network.named_children()
    named = [(prefix + name, layer) for name, layer in children if not isinstance(layer, nn.Dropout)]
    writer = _Layers(g, x, integers, step)
    for index, (name, layer) in enumerate(named):
        if not isinstance(layer, nn.ReLU):  # a ReLU goes before the shuffle, as in the files of released models
            writer.shuffle()
        if isinstance(layer, Scale):
            if index == 0 or not isinstance(named[index - 1][1], Linear):
                writer.factor *= layer.factor
            continue  # otherwise the layer before has taken it in
        if isinstance(layer, Linear):
            behind = named[index + 1][1] if index + 1 < len(named) else None
            after = behind.factor if isinstance(behind, Scale) else 1.0
            if isinstance(layer, Linear8):
                writer.integer_linear(name, layer, after)
            else:
                writer.linear(name, layer, after)
        elif isinstance(layer, MixChannels | MixTokens):
            writer.mix(name, layer)
        elif isinstance(layer, Add):
            main = add_layers(g, layer.main, writer.x, prefix=f"{name}.main.")
            writer.x = g.add(
                "Add", main, add_layers(g, layer.beside, writer.x, prefix=f"{name}.beside.", step=writer.step)
            )
        elif isinstance(layer, BatchNorm):
            writer.normalise(name, layer)
        elif isinstance(layer, Concatenate):
            first = add_layers(g, layer.first, writer.x, prefix=f"{name}.first.")
            second = add_layers(g, layer.second, writer.x, prefix=f"{name}.second.")
            writer.x = g.add("Concat", first, second, axis=1)
        elif isinstance(layer, Standardise):
            writer.standardise = layer
        elif isinstance(layer, Levels):
            writer.levels(layer)
        elif isinstance(layer, ConvNorm):
            writer.integer_conv(name, layer)
        elif writer.factor != 1 and not isinstance(layer, UNSCALED):
            raise BadModel(f"a Scale before {type(layer).__name__} cannot be folded")
        else:
            writer.other(name, layer)
    if writer.factor != 1:
        raise BadModel("a Scale must have a convolution or a dense layer before or after it")
    writer.shuffle()
    return writer.x


class _Layers:
    """The current value and its layout.

    Tokens lie one after another, each with its images, each with its channels: every layer takes the view that it
    needs."""

    def __init__(self, g: GraphBuilder, x: str, integers: Packing | None, step: float) -> None:
        self.g, self.x, self.integers = g, x, integers
        self.step = step  # of the last Levels
        self.standardise: Standardise | None = None  # waits for a linear layer
        self.factor = 1.0  # of Scales that wait for a linear layer
        self.phases = False  # whether the value is four phases that wait to become one image
        self.tokens = False
        self.side = record.BOTTLENECK[-1]

    def shuffle(self) -> None:
        if self.phases:
            self.x, self.phases, self.side = self.g.shuffled(self.x, self.side), False, 2 * self.side

    def linear(self, name: str, layer: Linear, after: float) -> None:
        """A layer with weights; `after` is the factor of the Scale behind it."""
        g, scale, self.factor = self.g, self.factor * after, 1.0
        weights, biases = _array(layer.weight), _array(layer.bias)
        mean = np.zeros(0, np.float32)
        if self.standardise is not None:
            weights, mean = weights * _array(self.standardise.factor), _array(self.standardise.mean)
        if self.integers is not None:
            product, offset = _rounded_product(g, self.x, f"{name}.weight", weights, scale, self.integers, mean)
        else:
            weight = g.scaled(g.weight(f"{name}.weight", weights), scale)
            offset = weights @ mean if len(mean) else mean
        if self.standardise is not None:
            biases, self.standardise = biases - offset, None
        bias = g.scaled(g.weight(f"{name}.bias", biases), after)
        match layer:
            case nn.Conv2d():
                pads, strides = [_pixels(layer.padding)] * 4, list(layer.stride)
                more = {} if strides == [1, 1] else {"strides": strides}
                self.x = g.add("Conv", self.x, weight, bias, kernel_shape=list(layer.kernel_size), pads=pads, **more)
            case UpscaleConv2d() | PhasesConv2d():
                self.x = _merged_conv(g, self.x, weight, bias, layer.merge.cpu().numpy(), layer.weight.shape)
                self.phases = not isinstance(layer, UpscaleConv2d) or layer.shuffle
                self.side += 1
            case ConvPool2d():  # here the plain way is the faster one
                self.x = g.add("Conv", self.x, weight, bias, kernel_shape=list(layer.weight.shape[2:]))
                self.x = g.add("MaxPool", self.x, kernel_shape=[2, 2], strides=[2, 2])
            case nn.Linear() | FixedLinear():
                if self.tokens:
                    self.x = g.add("Reshape", self.x, g.ints(-1, layer.weight.shape[1]))
                if self.integers is not None:
                    self.x, self.integers = g.add("Add", product, bias), None
                else:
                    self.x = g.add("Gemm", self.x, weight, bias, transB=1)

    def mix(self, name: str, layer: MixChannels | MixTokens) -> None:
        g, outputs = self.g, layer.weight.shape[1]
        weight, bias = g.weight(f"{name}.weight", _array(layer.weight)), g.weight(f"{name}.bias", _array(layer.bias))
        if isinstance(layer, MixChannels):
            x = g.add("Reshape", self.x, g.ints(-1, outputs))
            hidden = g.add("Relu", g.add("Gemm", x, weight, bias, transB=1))
            self.x = g.add("Gemm", hidden, g.weight(f"{name}.back", _array(layer.back)), x, transB=1)
        else:
            x = g.add("Reshape", self.x, g.ints(outputs, -1))
            hidden = g.add("Relu", g.add("Gemm", weight, x, g.add("Unsqueeze", bias, g.ints(1))))
            self.x = g.add("Gemm", g.weight(f"{name}.back", _array(layer.back)), hidden, x)

    def levels(self, layer: Levels) -> None:
        """Quantise, and take the result as floats again: ONNX Runtime computes with integers between two of these."""
        g, zero = self.g, self.g.constant(np.array(layer.zero, np.uint8))
        self.x = g.add("QuantizeLinear", self.x, g.constant(np.array(layer.step / self.factor, np.float32)), zero)
        self.step, self.factor = layer.step, 1.0
        self.x = g.add("DequantizeLinear", self.x, g.constant(np.array(self.step, np.float32)), zero)

    def integer_conv(self, name: str, layer: ConvNorm) -> None:
        weights, biases = layer.folded()
        whole, steps = _integers(weights)
        weight = self._dequantised(f"{name}.weight", whole, steps)
        steps = steps * np.float32(self.step)
        bias = self._dequantised(f"{name}.bias", np.rint(biases / steps).clip(-MOST, MOST).astype(np.int32), steps)
        more = {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [layer.stride] * 2}
        self.x = self.g.add("Conv", self.x, weight, bias, **more)

    def _dequantised(self, name: str, whole: NDArray[np.integer], steps: Floats) -> str:
        g = self.g
        return g.add("DequantizeLinear", g.weight(f"{name}.whole", whole), g.weight(f"{name}.step", steps), axis=0)

    def integer_linear(self, name: str, layer: Linear8, after: float) -> None:
        """`after` is the factor of the Scale behind it."""
        g, levels = self.g, layer.levels
        zero, factor = g.constant(np.array(levels.zero, np.uint8)), levels.step * after
        x = g.add("QuantizeLinear", self.x, g.constant(np.array(levels.step, np.float32)), zero)
        whole, steps = _integers(_array(layer.weight))
        columns = g.add("Transpose", g.weight(f"{name}.weight.whole", whole), perm=[1, 0])
        product = g.add("Cast", g.add("MatMulInteger", x, columns, zero), to=TensorProto.FLOAT)
        product = g.add("Mul", product, g.scaled(g.weight(f"{name}.weight.step", steps), factor))
        self.x = g.add("Add", product, g.scaled(g.weight(f"{name}.bias", _array(layer.bias)), after))

    def normalise(self, name: str, layer: BatchNorm) -> None:
        parts = ("weight", "bias", "running_mean", "running_var")
        values = [self.g.weight(f"{name}.{part}", _array(getattr(layer, part))) for part in parts]
        self.x = self.g.add("BatchNormalization", self.x, *values, epsilon=layer.eps)

    def other(self, name: str, layer: nn.Module) -> None:
        """A layer without weights that are learned."""
        g, x = self.g, self.x
        match layer:
            case Patches():
                x, self.tokens = onnx_grid.patches(g, x, layer), True
            case Unshuffle():
                x = onnx_grid.unshuffle(g, x, layer)
            case Resample():
                x = onnx_grid.resample(g, x, name, layer)
            case nn.PixelUnshuffle():  # of one channel: of several, ONNX would order them otherwise
                x = g.add("SpaceToDepth", x, blocksize=layer.downscale_factor)
            case Unpatches():
                x, self.tokens = onnx_grid.unpatches(g, x, layer), False
            case Tokens():
                x = g.add("Transpose", g.add("Reshape", x, g.ints(0, layer.tokens, -1)), perm=[1, 0, 2])
                self.tokens = True
            case Join():
                x = g.add("Reshape", x, g.ints(layer.tokens, -1, layer.channels))
                x = g.add("Transpose", x, perm=[1, 0, 2])
                x, self.tokens = g.add("Reshape", x, g.ints(-1, layer.tokens * layer.channels)), False
            case Last():
                x = g.add("Slice", x, g.ints(-layer.count), g.ints(MOST), g.ints(1)) if layer.count else x
            case nn.Unflatten():
                x = g.add("Reshape", x, g.ints(-1, *layer.unflattened_size))
            case nn.ReLU():
                x = g.add("Relu", x)
            case nn.ZeroPad2d():
                left, right, top, bottom = layer.padding
                x = g.add("Pad", x, g.ints(0, 0, top, left, 0, 0, bottom, right))
            case nn.Flatten():
                x = x if self.integers is not None else g.add("Flatten", x, axis=1)
            case _:
                raise BadModel(f"a layer {type(layer).__name__} cannot be exported; use those of training/layers.py")
        self.x = x


def _rounded_product(
    g: GraphBuilder, x: str, name: str, weight: NDArray[np.float32], scale: float, packing: Packing, mean: Floats
) -> tuple[str, Floats]:
    """Latents in pieces, uint8 (N, P), as `pieces` says, times weights (outputs, M) rounded to eight bits: for each
    output, 255 levels from its largest weight to the opposite one. The steps have 16 bits, so that all levels are exact
    floats, and a network with these weights gives the same file again: the lower pieces of a latent follow from its
    highest one. Returns the product; and, if `mean` is not empty, what it is for latents that are `mean`, (M,)."""
    latent, factor, top, highest = pieces(packing)
    first = weight * factor[highest]
    step = _few_digits(np.abs(first).max(axis=1) / np.float32(127))
    levels = np.rint(np.rint(first / step[:, None])[:, latent] * (factor / factor[highest][latent]))
    product = g.add("MatMulInteger", x, g.weight(f"{name}.levels", levels.astype(np.int8).T))
    product = g.add("Cast", product, to=TensorProto.FLOAT)
    product = g.add("Mul", product, g.scaled(g.weight(f"{name}.step", step), scale))
    return product, step * (levels @ (mean[latent] * top / packing.top[latent])) if len(mean) else mean


def _merged_conv(g: GraphBuilder, x: str, weight: str, bias: str, merge: NDArray[np.float32], shape: torch.Size) -> str:
    """A 3 x 3 convolution that gives its four phases as channels, by 2 x 2 kernels (see `layers._Phased`)."""
    outputs, inputs = shape[:2]
    kernels = g.add("MatMul", g.add("Reshape", weight, g.ints(outputs * inputs, 9)), g.constant(merge))
    phases = merge.shape[1] // 16  # of the input
    kernels = g.add("Transpose", g.add("Reshape", kernels, g.ints(outputs, inputs, 4, phases * 4)), perm=[0, 2, 1, 3])
    kernels = g.add("Reshape", kernels, g.ints(outputs * 4, inputs * phases, 2, 2))
    biases = g.add("MatMul", g.add("Reshape", bias, g.ints(outputs, 1)), g.constant(np.ones((1, 4), np.float32)))
    return g.add("Conv", x, kernels, g.add("Reshape", biases, g.ints(-1)), kernel_shape=[2, 2], pads=[1, 1, 1, 1])


def _integers(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Weights (outputs, ...) in whole steps of seven bits, and the step of each output."""
    flat = weights.reshape(len(weights), -1)
    steps = _few_digits(np.abs(flat).max(axis=1) / np.float32(63))
    return np.rint(flat / steps[:, None]).astype(np.int8).reshape(weights.shape), steps


def _few_digits(steps: Floats) -> Floats:
    """Steps rounded up to 16 bits, so that small multiples of them are exact; a step of zero becomes a tiny one."""
    steps = np.maximum(steps, np.float32(1e-30))
    return (steps.view(np.int32) + 0xFF & ~0xFF).view(np.float32)


def _array(parameter: torch.Tensor | None) -> NDArray[np.float32]:
    assert parameter is not None
    return parameter.detach().cpu().numpy().astype(np.float32)


def _pixels(padding: str | tuple[int, ...]) -> int:
    if isinstance(padding, str) or len(set(padding)) != 1:
        raise BadModel("give the padding of a convolution in pixels, the same on all sides")
    return padding[0]
