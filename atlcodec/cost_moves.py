"""The shapes that operators give which only move, select or repeat elements, by the rules of ONNX."""

from __future__ import annotations

import math

import numpy as np

from atlcodec.cost_values import Call, Given, Unfit, axis_of, span


def reduce(call: Call) -> Given:
    x, axes = call.value(0).shape, call.sizes(1, "axes")
    if not axes:
        if call.integer("noop_with_empty_axes", 0):
            return [x], 0
        axes = list(range(len(x)))
    gone = {axis_of(axis, len(x)) for axis in axes}
    if call.integer("keepdims", 1):
        return [tuple(1 if at in gone else side for at, side in enumerate(x))], 0
    return [tuple(side for at, side in enumerate(x) if at not in gone)], 0


def reshape(call: Call) -> Given:
    x, wanted = call.value(0), call.sizes(1, "shape") or []
    shape = list(wanted)
    if not call.integer("allowzero", 0):
        shape = [x.shape[at] if side == 0 else side for at, side in enumerate(shape)]
    if shape.count(-1) == 1:
        rest = math.prod(side for side in shape if side != -1)
        shape[shape.index(-1)] = x.size // rest
    if math.prod(shape) != x.size:
        raise Unfit
    return [tuple(shape)], 0


def transpose(call: Call) -> Given:
    x = call.value(0).shape
    order = call.integers.get("perm") or list(range(len(x)))[::-1]
    if sorted(order) != list(range(len(x))):
        raise Unfit
    return [tuple(x[at] for at in order)], 0


def squeeze(call: Call) -> Given:
    x, axes = call.value(0).shape, call.sizes(1, "axes")
    gone = {axis_of(axis, len(x)) for axis in axes} if axes else {at for at, side in enumerate(x) if side == 1}
    if any(x[at] != 1 for at in gone):
        raise Unfit
    return [tuple(side for at, side in enumerate(x) if at not in gone)], 0


def unsqueeze(call: Call) -> Given:
    x, axes = call.value(0).shape, call.sizes(1, "axes") or []
    rank = len(x) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise Unfit
    sides = iter(x)
    return [tuple(1 if at in new else next(sides) for at in range(rank))], 0


def flatten(call: Call) -> Given:
    x, axis = call.value(0).shape, call.integer("axis", 1)
    if not -len(x) <= axis <= len(x):
        raise Unfit
    axis %= len(x) + (axis >= 0)
    return [(math.prod(x[:axis]), math.prod(x[axis:]))], 0


def concat(call: Call) -> Given:
    shapes = [call.value(at).shape for at in range(len(call.inputs))]
    axis = axis_of(call.integer("axis", 0), len(shapes[0]))
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1 or len({len(s) for s in shapes}) != 1:
        raise Unfit
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])], 0


def split(call: Call) -> Given:
    x, sizes = call.value(0).shape, call.sizes(1, "split")
    axis = axis_of(call.integer("axis", 0), len(x))
    if not sizes:
        each = -(-x[axis] // call.outputs)
        sizes = [min(each, x[axis] - each * at) for at in range(call.outputs)]
    if sum(sizes) != x[axis] or len(sizes) != call.outputs:
        raise Unfit
    return [(*x[:axis], size, *x[axis + 1 :]) for size in sizes], 0


def sliced(call: Call) -> Given:
    shape, starts, ends = list(call.value(0).shape), call.sizes(1, "starts") or [], call.sizes(2, "ends") or []
    axes, steps = call.sizes(3, "axes") or list(range(len(starts))), call.sizes(4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = axis_of(axis, len(shape))
        side = call.value(0).shape[at]
        shape[at] = len(range(side)[slice(*span(start, end, step, side))])
    return [tuple(shape)], 0


def gather(call: Call) -> Given:
    x, indices = call.value(0).shape, call.value(1).shape
    axis = axis_of(call.integer("axis", 0), len(x))
    return [(*x[:axis], *indices, *x[axis + 1 :])], 0


def pad(call: Call) -> Given:
    x, pads = call.value(0).shape, call.sizes(1, "pads") or []
    axes = call.sizes(3)
    places = [axis_of(axis, len(x)) for axis in axes] if axes else list(range(len(x)))
    if len(pads) != 2 * len(places):
        raise Unfit
    shape = list(x)
    for at, before, after in zip(places, pads, pads[len(places) :], strict=False):
        shape[at] += before + after
    return [tuple(shape)], 0


def resize(call: Call) -> Given:
    x = call.value(0).shape
    if call.integer("antialias", 0) or call.integers.get("axes") or "keep_aspect_ratio_policy" in call.texts:
        raise Unfit("has options that models do not have")
    sizes = call.sizes(3)
    if not sizes:
        scales = call.value(2).known
        if scales is None or scales.dtype != np.float32:
            raise Unfit("takes a size from what it computes; a size must stand in the file")
        if not (np.isfinite(scales).all() and (scales > 0).all() and (scales < 1 << 16).all()):
            raise Unfit
        sizes = [math.floor(side * np.float32(scale)) for side, scale in zip(x, scales.reshape(-1), strict=True)]
    if len(sizes) != len(x):
        raise Unfit
    return [tuple(sizes)], 16 * math.prod(sizes)


def depth_to_space(call: Call) -> Given:
    batch, channels, height, width = call.value(0).shape
    block = call.integer("blocksize", 1)
    if channels % block**2:
        raise Unfit
    return [(batch, channels // block**2, height * block, width * block)], 0


def space_to_depth(call: Call) -> Given:
    batch, channels, height, width = call.value(0).shape
    block = call.integer("blocksize", 1)
    if height % block or width % block:
        raise Unfit
    return [(batch, channels * block**2, height // block, width // block)], 0


def shape(call: Call) -> Given:
    full = call.value(0).shape
    return [(len(full[call.integer("start", 0) : call.integer("end", len(full))]),)], 0
