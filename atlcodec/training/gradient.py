"""Reverse-mode differentiation of an ONNX graph, node by node, for `refiner.onnx`.

It knows the operators of decompressors only, and the gradient of the input only: weights are constants here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from atlcodec.errors import BadModel
from atlcodec.training.onnx_builder import GraphBuilder


def backward(g: GraphBuilder, source: str, result: str, gradient: str) -> str:
    """Add nodes that compute the gradient of the value `source` from `gradient`, that of the value `result`. Returns
    its name. Raises `BadModel` for an unknown operator."""
    path = {source}
    forward = []
    for node in g.nodes:
        if path & set(node.input):
            path |= set(node.output)
            forward.append(node)
        if result in node.output:
            break
    gradients = {result: gradient}
    for node in reversed(forward):
        arriving = gradients.get(node.output[0])
        if arriving is None:
            continue  # does not influence the result
        for place, name in enumerate(node.input):
            if name in path:
                own = _RULES[node.op_type](g, node, place, arriving) if node.op_type in _RULES else _unknown(node)
                gradients[name] = g.add("Add", gradients[name], own) if name in gradients else own
    return gradients[source]


def _unknown(node: onnx.NodeProto) -> str:
    raise BadModel(f"{node.op_type} has no gradient rule; add one to training/gradient.py")


def _attributes(node: onnx.NodeProto) -> dict[str, Sequence[int]]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _reshape(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return g.add("Reshape", gradient, g.add("Shape", node.input[0]))


def _transpose(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    order = _attributes(node)["perm"]
    return g.add("Transpose", gradient, perm=[list(order).index(axis) for axis in range(len(order))])


def _gemm(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    a, b, _ = node.input
    transposed = bool(_attributes(node).get("transB", 0))
    if place == 0:  # y = a b: gradient b^T; with b transposed already: gradient b
        return g.add("Gemm", gradient, b, transB=int(not transposed))
    if place == 1 and not transposed:
        return g.add("Gemm", a, gradient, transA=1)
    if place == 2:  # what is added has the shape of the result, or it would be no function of the input
        return gradient
    return _unknown(node)


def _relu(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return g.add("Mul", gradient, g.add("Sign", node.output[0]))


def _conv(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return g.add("ConvTranspose", gradient, node.input[1], pads=list(_attributes(node)["pads"]))


def _depth_to_space(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    # SpaceToDepth leaves the channels in another order: phases first. (N, 4, C, h, w) -> (N, C, 4, h, w) makes it the
    # right one.
    height, width = g.sides[node.input[0]]
    phases = g.add("Reshape", g.add("SpaceToDepth", gradient, blocksize=2), g.ints(0, 4, -1, height, width))
    return _reshape(g, node, place, g.add("Transpose", phases, perm=[0, 2, 1, 3, 4]))


def _matmul(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    """Of images times a constant matrix, or a constant matrix times images."""
    constant = g.add("Transpose", node.input[1 - place], perm=[1, 0])
    return g.add("MatMul", gradient, constant) if place == 0 else g.add("MatMul", constant, gradient)


def _pad(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return g.cropped(gradient, g.sides[node.output[0]], g.sides[node.input[0]])


def _slice(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return g.padded(gradient, g.sides[node.output[0]], g.sides[node.input[0]])


def _add(g: GraphBuilder, node: onnx.NodeProto, place: int, gradient: str) -> str:
    return gradient  # both have the shape of the sum


_RULES: dict[str, Callable[[GraphBuilder, onnx.NodeProto, int, str], str]] = {
    "Add": _add,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Transpose": _transpose,
    "Gemm": _gemm,
    "Relu": _relu,
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "MatMul": _matmul,
    "Pad": _pad,
    "Slice": _slice,
}
