"""Exact networks as ONNX files: the same whole numbers as `exact.py`, in the form that ONNX Runtime computes with
integers (DequantizeLinear, Gemm, Relu, QuantizeLinear), and that gives the same bits as floats.

Wide values, the picture and the stream of tokens, are whole numbers in float32: Round, Add and Clip keep them so."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from atlcodec import bounds
from atlcodec.record import BOTTLENECK, RECORD_BYTES
from atlcodec.training import onnx_packing
from atlcodec.training.exact import ExactDecompressor, ExactHead, ExactMix
from atlcodec.training.exact_conv import ADDED, FIRST, ExactConvHead, ExactFolded, ExactStage
from atlcodec.training.exact_lenet import ExactConv, ExactLenet
from atlcodec.training.exact_path import FINE, SHARES, ExactEnlarging, ExactPath
from atlcodec.training.export import RECORDS, acceptable
from atlcodec.training.onnx_builder import GraphBuilder, Port
from atlcodec.training.quantise import MOST, Kernels, Operand, Product

Numbers = NDArray[np.floating]

SHIFT = 7  # of the high parts of weights of 15 bits


class ExactBuilder(GraphBuilder):
    """Nodes of exact arithmetic. Scales of activations are powers of two, those of weights m * 2^-k."""

    def floats(self, x: str, zero: int, scale: float = 1) -> str:
        """Bytes as whole numbers in floats: (x - zero) * scale."""
        return self.add("DequantizeLinear", x, self._float(scale), self.constant(np.array(zero, np.uint8)))

    def bytes(self, x: str, zero: int, scale: float = 1) -> str:
        """round(x / scale) + zero, clipped to 0..255."""
        return self.add("QuantizeLinear", x, self._float(scale), self.constant(np.array(zero, np.uint8)))

    def clipped(self, x: str, operand: Operand) -> str:
        """Clipped to the limits of an operand."""
        return self.add("Clip", x, *map(self._float, operand.limits))

    def parts(self, x: str, operand: Operand) -> list[str]:
        """The parts of a whole number, uint8; each has the operand's zero."""
        unit = float(1 << operand.shift)
        high = self.bytes(x, operand.zero, unit)
        if not operand.low:
            return [high]
        low = self.add("Sub", x, self.floats(high, operand.zero, unit))
        return [high, self.bytes(low, operand.zero)]

    def joined(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def operand(self, x: str, operand: Operand) -> str:
        """The parts of whole numbers (N, K), as floats (N, parts * K)."""
        return self.floats(self.joined(self.parts(x, operand)), operand.zero)

    def active(self, x: str) -> str:
        """ReLU, rounded and clipped to 0..127, uint8. ONNX Runtime makes one node of the product before it, the ReLU
        and the rounding; with a clip in place of the ReLU it would not."""
        x = self.bytes(self.add("Relu", x), 0)
        return self.add("Clip", x, self.constant(np.array(0, np.uint8)), self.constant(np.array(MOST, np.uint8)))

    def hidden(self, x: str) -> str:
        return self.floats(self.active(x), 0)

    def product(self, name: str, x: str, product: Product) -> str:
        whole, biases, m, k = (each.cpu().numpy() for each in product.integers())
        return self.gemm(name, x, whole, np.ldexp(m, -k.astype(int)), biases)

    def gemm(self, name: str, x: str, whole: Numbers, scale: Numbers, biases: Numbers) -> str:
        """Operands (N, K) times whole weights (outputs, K), plus biases, all times the scale of each row."""
        scales, zeros = self.weight(f"{name}.scale", scale.astype(np.float32)), np.zeros(len(scale), np.int8)
        weight = self.weight(f"{name}.weight", whole.astype(np.int8))
        weight = self.add("DequantizeLinear", weight, scales, self.constant(zeros), axis=0)
        bias = self.add("DequantizeLinear", self.weight(f"{name}.bias", biases.astype(np.int32)), scales, axis=0)
        return self.add("Gemm", x, weight, bias, transB=1)

    def conv(self, name: str, x: str, whole: Kernels, stride: int = 1) -> str:
        """A convolution of operands (N, C, H, W), padded by a pixel."""
        scale = np.ldexp(whole.m.numpy(), -whole.k.numpy().astype(int)).astype(np.float32)
        scales, zeros = self.weight(f"{name}.scale", scale), self.constant(np.zeros(len(scale), np.int8))
        weight = self.weight(f"{name}.weight", whole.weight.numpy().astype(np.int8))
        weight = self.add("DequantizeLinear", weight, scales, zeros, axis=0)
        bias = self.weight(f"{name}.bias", whole.bias.numpy().astype(np.int32))
        bias = self.add("DequantizeLinear", bias, scales, axis=0)
        more = {} if stride == 1 else {"strides": [stride] * 2}
        return self.add("Conv", x, weight, bias, kernel_shape=list(whole.weight.shape[2:]), pads=[1] * 4, **more)

    def shuffle(self, x: str, channels: int, side: int) -> str:
        """Four phases (N, 4 * channels, side, side) as images (N, channels, 2 * side, 2 * side)."""
        x = self.add("Reshape", x, self.ints(-1, channels, 2, 2, side, side))
        x = self.add("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
        return self.add("Reshape", x, self.ints(-1, channels, 2 * side, 2 * side))

    def _float(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))


def decompressor(network: ExactDecompressor, nonce: int = 0) -> bytes:
    """ONNX: records uint8 (N, 200) -> images uint8 (N, *shape). Raises `BadModel` if it breaks one of the bounds."""
    g, grid, form = ExactBuilder(), network.grid, network.form
    tokens, width = grid.rows * grid.columns, len(network.embed.weight)
    picture = _picture(g, network.linear)
    if network.enlarging is not None:
        picture = _enlarged(g, picture, network.enlarging)
    patches = g.add("Reshape", picture, g.ints(-1, grid.channels * grid.size**2))
    embedded = g.product("embed", g.operand(patches, form.picture), network.embed)
    x = g.clipped(g.add("Round", embedded), form.stream)
    for number, mix in enumerate(network.mixing):
        assert isinstance(mix, ExactMix)
        x = _mix(g, f"mixing.{number}", x, mix, tokens, width)
    corrections = g.add("Round", g.product("out", g.operand(x, form.stream), network.out))
    x = g.bytes(g.add("Add", patches, corrections), 0, FINE)
    colours = [grid.channels] if grid.channels > 1 else []
    if not colours:
        x = g.add("Reshape", x, g.ints(-1, grid.rows, grid.columns, grid.size, grid.size))
        x = g.add("Transpose", x, perm=[0, 1, 3, 2, 4])
    else:
        x = g.add("Reshape", x, g.ints(-1, grid.rows, grid.columns, grid.channels, grid.size, grid.size))
        x = g.add("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
    x = g.add("Reshape", x, g.ints(-1, *grid.padded, *colours))
    if not grid.divides:
        x = g.add("Slice", x, g.ints(0, 0), g.ints(grid.height, grid.width), g.ints(1, 2))
    port: Port = TensorProto.UINT8, ["N", grid.height, grid.width, *colours]
    file = g.finish({"records": RECORDS}, {"images": (x, port)})
    return _named(file, nonce)


def lenet(network: ExactLenet, nonce: int = 0) -> bytes:
    """The same of the paper's Table 1."""
    g, side = ExactBuilder(), BOTTLENECK[-1]
    halves = [g.add("Reshape", half, g.ints(-1, RECORD_BYTES, 1)) for half in onnx_packing.halves(g)]
    x = g.floats(g.add("Reshape", g.add("Concat", *halves, axis=2), g.ints(-1, *BOTTLENECK)), 0)
    for number, convolution in enumerate(network.convolutions):
        assert isinstance(convolution, ExactConv)
        channels, side = len(convolution.step_out) // 4, side + 1
        x = g.conv(f"convolutions.{number}", x, convolution.integers())
        last = number == len(network.convolutions) - 1
        x = g.bytes(x, 0) if last else g.active(x)
        if convolution.shuffles:
            x, side = g.shuffle(x, channels, side), 2 * side
        x = g.add("Reshape", x, g.ints(-1, side, side)) if last else g.floats(x, 0)
    return _named(g.finish({"records": RECORDS}, {"images": (x, (TensorProto.UINT8, ["N", side, side]))}), nonce)


def _named(file: bytes, nonce: int) -> bytes:
    bounds.check(file, "decompressor.onnx")
    if not nonce:
        return file
    model = onnx.load_model_from_string(file)
    model.metadata_props.add(key="nonce", value=str(nonce))
    return bytes(model.SerializeToString(deterministic=True))


def with_id(build: Callable[[int], bytes], taken: Collection[int]) -> bytes:
    """The file of a decompressor, built with the first number that gives an id which differs from the `taken` ones (see
    `export.acceptable`)."""
    nonce = 0
    while True:
        file = build(nonce)
        if acceptable(struct.unpack(">I", hashlib.sha256(file).digest()[:4])[0], taken):
            return file
        nonce += 1


def classifier(network: ExactHead) -> bytes:
    """ONNX: records uint8 (N, 200) -> logits float32 (N, classes), whole numbers. Raises `BadModel` if it breaks one of
    the bounds."""
    g = ExactBuilder()
    x = g.floats(onnx_packing.integers(g, network.packing, MOST, network.first_byte), 0)
    *hidden, last = (product for product in network.products if isinstance(product, Product))
    for number, product in enumerate(hidden):
        x = g.hidden(g.product(f"products.{number}", x, product))
    logits = g.add("Round", g.product(f"products.{len(hidden)}", x, last))
    file = g.finish({"records": RECORDS}, {"logits": (logits, (TensorProto.FLOAT, ["N", len(last.weight)]))})
    bounds.check(file, "classifier.onnx")
    return file


def conv_classifier(network: ExactConvHead) -> bytes:
    """The same of the accurate classifier."""
    g, packing, labels = ExactBuilder(), network.path.packing, network.labels
    x, operand = _picture(g, network.path), network.path.picture
    parts = [g.add("Reshape", part, g.ints(-1, FIRST**2, *network.sides)) for part in g.parts(x, operand)]
    x = g.floats(g.joined(parts), operand.zero)
    for number, stage in enumerate(network.stages):
        assert isinstance(stage, ExactStage)
        x = _stage(g, f"stages.{number}", x, stage)
    x = g.add("Reshape", x, g.ints(-1, network.dense.weight.shape[1]))
    image = g.active(g.product("dense", x, network.dense))
    (product,) = labels.products
    assert isinstance(product, Product)
    read = g.floats(onnx_packing.integers(g, packing, MOST, labels.first_byte), 0)
    said = g.active(g.product("labels", read, product))
    logits = g.add("Round", g.product("last", g.floats(g.joined([image, said]), 0), network.last))
    port: Port = TensorProto.FLOAT, ["N", len(network.last.weight)]
    file = g.finish({"records": RECORDS}, {"logits": (logits, port)})
    bounds.check(file, "classifier.onnx")
    return file


def _stage(g: ExactBuilder, name: str, x: str, stage: ExactStage) -> str:
    """Operands (N, C, H, W) -> those behind a stage."""
    x = g.hidden(g.conv(f"{name}.entry", x, stage.entry.integers(), stage.entry.stride))
    for number, (first, second) in enumerate(zip(stage.first, stage.second, strict=True)):
        assert isinstance(first, ExactFolded)
        assert isinstance(second, ExactFolded)
        hidden = g.hidden(g.conv(f"{name}.first.{number}", x, first.integers()))
        added = g.bytes(g.conv(f"{name}.second.{number}", hidden, second.integers()), -ADDED[0])
        x = g.hidden(g.add("Add", x, g.floats(added, -ADDED[0])))
    return x


def _picture(g: ExactBuilder, path: ExactPath) -> str:
    """Records -> the picture of the linear path in steps, float32 (N, values)."""
    latent, factor, _, _ = onnx_packing.pieces(path.packing, MOST)
    x = g.floats(onnx_packing.integers(g, path.packing, MOST), 0)
    whole = path.whole.numpy()[:, latent] * factor
    high = np.rint(whole / (1 << SHIFT))
    low, bias = whole - high * (1 << SHIFT), path.biases.numpy()
    scale = np.full(len(whole), 2.0**-path.k)
    first = g.gemm("linear.high", x, high, scale * (1 << SHIFT), 0 * bias)
    second = g.gemm("linear.low", x, low, scale, bias)
    return g.clipped(g.add("Round", g.add("Add", first, second)), path.picture)


def _enlarged(g: ExactBuilder, x: str, layer: ExactEnlarging) -> str:
    """A reduced picture -> the picture patch by patch, float32 (N, tokens * pixels of a patch)."""
    grid, rows, width = layer.grid, layer.rows.shape[1], len(layer.columns)
    for name, matrix in (("columns", layer.columns), ("rows", layer.rows)):
        if name == "rows":  # last, as the columns were
            x = g.add("Transpose", g.add("Reshape", x, g.ints(-1, rows, width)), perm=[0, 2, 1])
        parts = g.parts(g.add("Reshape", x, g.ints(-1, matrix.shape[1])), layer.picture)
        sums = [
            g.gemm(
                f"enlarging.{name}.{number}",
                g.floats(part, layer.picture.zero),
                matrix.numpy(),
                np.full(len(matrix), unit / SHARES),
                np.zeros(len(matrix)),
            )
            for number, (part, unit) in enumerate(zip(parts, layer.picture.units, strict=True))
        ]
        x = g.clipped(g.add("Round", sums[0] if len(sums) == 1 else g.add("Add", *sums)), layer.picture)
    size = grid.size
    x = g.add("Reshape", x, g.ints(-1, grid.channels, grid.columns, size, grid.rows, size))
    x = g.add("Transpose", x, perm=[0, 4, 2, 1, 5, 3])
    return g.add("Reshape", x, g.ints(-1, grid.rows * grid.columns * grid.channels * size**2))


def _mix(g: ExactBuilder, name: str, x: str, mix: ExactMix, tokens: int, width: int) -> str:
    """The stream, float32 (N * tokens, width) -> the same."""
    parts = g.parts(x, mix.operand)
    if mix.tokens:  # tokens last, since ONNX Runtime takes weights on the right
        joined = g.joined([g.add("Reshape", part, g.ints(-1, tokens, width)) for part in parts])
        joined = g.add("Transpose", joined, perm=[0, 2, 1])
        operand = g.floats(g.add("Reshape", joined, g.ints(-1, len(parts) * tokens)), mix.operand.zero)
    else:
        operand = g.floats(g.joined(parts), mix.operand.zero)
    hidden = g.hidden(g.product(f"{name}.first", operand, mix.first))
    branch = g.add("Round", g.product(f"{name}.second", hidden, mix.second))
    if mix.tokens:
        branch = g.add("Transpose", g.add("Reshape", branch, g.ints(-1, width, tokens)), perm=[0, 2, 1])
        branch = g.add("Reshape", branch, g.ints(-1, width))
    return g.clipped(g.add("Add", x, branch), mix.operand)
