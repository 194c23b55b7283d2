"""The shape of what each operator gives, and what it costs: the rules of ONNX, without computing anything but sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import cost_moves
from atlcodec.cost_values import FEW, Call, Given, Shape, Unfit, Value, span
from atlcodec.graph import OPERATORS

SLOW = 8  # multiply-adds that a transcendental function of one element counts for


def run(call: Call) -> tuple[list[Value], int]:
    """What a node gives, and its multiply-adds. Raises `Unfit`, or any of Python's errors for absurd inputs."""
    shapes, cost = _RULES[call.operator](call)
    if any(side < 0 for shape in shapes for side in shape):
        raise Unfit
    moved = sum(value.size for value in call.inputs if value is not None) + sum(map(math.prod, shapes))
    known = _known(call, shapes[0])
    return [Value(shape, known if at == 0 else None) for at, shape in enumerate(shapes)], cost + moved


def _known(call: Call, shape: Shape) -> NDArray[Any] | None:
    """The elements of a small result that follows from sizes alone."""
    if call.operator == "Constant":
        return call.constant.known if call.constant else None
    if call.operator not in _FOLDED or math.prod(shape) > FEW:
        return None
    if call.operator == "Shape":
        full = call.value(0).shape
        return np.array(full[call.integer("start", 0) : call.integer("end", len(full))], np.int64)
    some = [value.known for value in call.inputs if value is not None]
    if any(each is None or each.dtype.kind != "i" for each in some):
        return None
    arrays = [each for each in some if each is not None]
    with np.errstate(all="ignore"):
        found = _FOLDED[call.operator](call, arrays)
    return None if found is None else np.asarray(found).reshape(shape)


def _slice(call: Call, arrays: list[NDArray[Any]]) -> NDArray[Any] | None:
    (starts, ends), axes, steps = arrays[1:3], call.sizes(3), call.sizes(4)
    if arrays[0].ndim != 1 or axes not in (None, [0], [-1]):
        return None
    return np.asarray(arrays[0][slice(*span(int(starts[0]), int(ends[0]), (steps or [1])[0], len(arrays[0])))])


_FOLDED: dict[str, Callable[[Call, list[NDArray[Any]]], NDArray[Any] | None]] = {
    "Shape": lambda call, arrays: None,
    "Identity": lambda call, arrays: arrays[0],
    "Reshape": lambda call, arrays: arrays[0],
    "Squeeze": lambda call, arrays: arrays[0],
    "Unsqueeze": lambda call, arrays: arrays[0],
    "Add": lambda call, arrays: arrays[0] + arrays[1],
    "Sub": lambda call, arrays: arrays[0] - arrays[1],
    "Mul": lambda call, arrays: arrays[0] * arrays[1],
    "Concat": lambda call, arrays: np.concatenate(arrays, call.integer("axis", 0)),
    "Gather": lambda call, arrays: arrays[0].take(arrays[1], call.integer("axis", 0)),
    "Slice": _slice,
    # To 32 bits a large number would wrap; nobody needs that.
    "Cast": lambda call, arrays: arrays[0] if call.integer("to", 0) == 7 else None,
}


# -- the rules ---------------------------------------------------------------------------------------------------------


def _same(call: Call) -> Given:
    return [call.value(0).shape] * call.outputs, 0


def _slow(call: Call) -> Given:
    return [call.value(0).shape] * call.outputs, SLOW * call.value(0).size


def _broadcast(call: Call) -> Given:
    shape = np.broadcast_shapes(*(value.shape for value in call.inputs if value is not None))
    return [shape], (SLOW if call.operator == "Pow" else 1) * math.prod(shape)


def _window(call: Call) -> tuple[Shape, int, int]:
    """The kernel of a convolution or of pooling, with what attributes say."""
    if call.texts.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or call.integer("ceil_mode", 0):
        raise Unfit("pads by itself; write the pads out")
    x = call.value(0).shape
    kernel = tuple(call.integers.get("kernel_shape") or call.value(1).shape[2:])
    if len(x) < 3 or len(kernel) != len(x) - 2:
        raise Unfit
    return kernel, len(kernel), math.prod(kernel)


def _steps(call: Call, rank: int) -> list[tuple[int, int, int]]:
    """Stride, dilation and the sum of the pads, for each axis."""
    strides, dilations = (call.integers.get(name) or [1] * rank for name in ("strides", "dilations"))
    pads = call.integers.get("pads") or [0] * 2 * rank
    if call.texts.get("auto_pad") == "VALID":
        pads = [0] * 2 * rank
    if len(pads) != 2 * rank:
        raise Unfit
    return list(zip(strides, dilations, [a + b for a, b in zip(pads[:rank], pads[rank:], strict=True)], strict=True))


def _windows(call: Call, channels: int) -> Shape:
    kernel, rank, _ = _window(call)
    batch, _, *sides = call.value(0).shape
    steps = zip(sides, kernel, _steps(call, rank), strict=True)
    return (
        batch,
        channels,
        *((side + pad - dilation * (k - 1) - 1) // by + 1 for side, k, (by, dilation, pad) in steps),
    )


def _conv(call: Call) -> Given:
    weights = call.value(1).shape
    shape = _windows(call, weights[0])
    return [shape], math.prod(shape) * math.prod(weights[1:])


def _transposed(call: Call) -> Given:
    kernel, rank, _ = _window(call)
    if call.integers.get("output_shape"):
        raise Unfit("pads by itself; write the pads out")
    batch, _, *sides = call.value(0).shape
    weights, extra = call.value(1).shape, call.integers.get("output_padding") or [0] * rank
    steps = zip(sides, kernel, _steps(call, rank), extra, strict=True)
    shape = [by * (side - 1) + more + dilation * (k - 1) + 1 - pad for side, k, (by, dilation, pad), more in steps]
    cost = call.value(0).size * math.prod(weights[1:])
    return [(batch, weights[1] * call.integer("group", 1), *shape)], cost


def _pool(call: Call) -> Given:
    shape = _windows(call, call.value(0).shape[1])
    return [shape] * call.outputs, math.prod(shape) * _window(call)[2]


def _global(call: Call) -> Given:
    x = call.value(0).shape
    return [(*x[:2], *[1] * (len(x) - 2))], 0


def _matmul(call: Call) -> Given:
    a, b = call.value(0).shape, call.value(1).shape
    left, right = a if len(a) > 1 else (1, *a), b if len(b) > 1 else (*b, 1)
    if left[-1] != right[-2]:
        raise Unfit
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    cost = math.prod(shape) * left[-1]
    if len(a) == 1:
        shape = (*shape[:-2], shape[-1])
    if len(b) == 1:
        shape = shape[:-1]
    return [shape], cost


def _gemm(call: Call) -> Given:
    (m, k), (j, n) = call.value(0).shape, call.value(1).shape
    m, k = (k, m) if call.integer("transA", 0) else (m, k)
    j, n = (n, j) if call.integer("transB", 0) else (j, n)
    if j != k:
        raise Unfit
    return [(m, n)], m * k * n


def _constant(call: Call) -> Given:
    if call.constant is None:
        raise Unfit("has no value")
    return [call.constant.shape], 0


_RULES: dict[str, Callable[[Call], Given]] = {
    **dict.fromkeys(
        "Cast Clip DequantizeLinear Floor HardSigmoid HardSwish Identity LeakyRelu Neg QuantizeLinear Reciprocal Relu "
        "Round Sign BatchNormalization".split(),
        _same,
    ),
    **dict.fromkeys("Elu Erf Exp Gelu Log LogSoftmax Sigmoid Softmax Softplus Sqrt Tanh".split(), _slow),
    **dict.fromkeys("Add BitShift BitwiseAnd Max Min Mul Pow PRelu Sub".split(), _broadcast),
    "AveragePool": _pool,
    "Concat": cost_moves.concat,
    "Constant": _constant,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "DepthToSpace": cost_moves.depth_to_space,
    "Flatten": cost_moves.flatten,
    "Gather": cost_moves.gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global,
    "LayerNormalization": _slow,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "MaxPool": _pool,
    "Pad": cost_moves.pad,
    "ReduceMean": cost_moves.reduce,
    "ReduceSum": cost_moves.reduce,
    "Reshape": cost_moves.reshape,
    "Resize": cost_moves.resize,
    "Shape": cost_moves.shape,
    "Slice": cost_moves.sliced,
    "SpaceToDepth": cost_moves.space_to_depth,
    "Split": cost_moves.split,
    "Squeeze": cost_moves.squeeze,
    "Transpose": cost_moves.transpose,
    "Unsqueeze": cost_moves.unsqueeze,
}
assert _RULES.keys() == OPERATORS, "an operator lacks its rule"
