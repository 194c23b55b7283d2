"""What a graph from anyone costs at most, computed from its file for a number of images before they run: the shape of
every value, its elements, and multiply-adds.

Every size must follow from the file and from the number of images. A graph that takes one from the pixels or from the
record (the length of a Pad, say) is refused: with a few bytes it could keep the machine busy for hours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec import cost_rules
from atlcodec.cost_values import FEW, Call, Unfit, Value
from atlcodec.errors import BadModel
from atlcodec.protobuf import as_integers, as_text, content, fields

MULTIPLY_ADDS = 10**9  # of an image; those of the bundled codecs take a fiftieth
MOST = 10**11  # of a call: some seconds, after which Ctrl-C is heard
ELEMENTS = 1 << 18  # of a value, per image
FEWEST = 1 << 24  # elements that are always allowed: weights, and few images
KEPT = 64  # numbers of images whose costs are remembered

# By their numbers in onnx.proto: how a list of values is stored beside the raw bytes.
_TYPES: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64}
_RAW, _FLOATS, _INT32, _INT64 = 9, 4, 5, 7


@dataclass
class _Node:
    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    integers: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    constant: Value | None = None  # of the operator Constant


class Costs:
    """Of one file that `graph.check` has accepted. Raises `BadModel`."""

    def __init__(self, file: bytes, name: str) -> None:
        self._name = name
        self._nodes: list[_Node] = []
        self._weights: dict[str, Value] = {}
        self._known: dict[int, int] = {}
        try:
            (graph,) = [content(value) for number, value, _ in fields(memoryview(file)) if number == 7]
            for number, value, _ in fields(graph):
                if number == 1:
                    self._nodes.append(_node(content(value)))
                elif number == 5:
                    weight, found = _tensor(content(value))
                    self._weights[weight] = found
        except (IndexError, UnicodeDecodeError, ValueError) as error:
            raise BadModel(f"{name}: not an ONNX file") from error

    def check(self, count: int, inputs: dict[str, tuple[int, ...]]) -> int:
        """The multiply-adds for so many images, whose inputs have these shapes, each without the number of images.
        Raises `BadModel` if they are too many, or cannot be known."""
        if count not in self._known:
            if len(self._known) == KEPT:
                self._known.clear()
            self._known[count] = self._walk(count, inputs)
        return self._known[count]

    def _walk(self, count: int, inputs: dict[str, tuple[int, ...]]) -> int:
        values = {**self._weights, **{name: Value((count, *shape)) for name, shape in inputs.items()}}
        most, adds = max(FEWEST, ELEMENTS * count), 0
        for node in self._nodes:
            try:
                some = [values[name] if name else None for name in node.inputs]
                call = Call(node.operator, some, node.integers, node.texts, len(node.outputs), node.constant)
                found, cost = cost_rules.run(call)
            except KeyError as error:
                raise self._refused(node, f"takes {str(error)[:80]}, which nothing computes before it") from error
            except Unfit as error:
                raise self._refused(node, str(error)) from error
            except (ArithmeticError, IndexError, TypeError, ValueError) as error:
                raise self._refused(node, "has inputs that do not fit") from error
            if any(value.size > most for value in found):
                raise self._refused(node, f"makes a value of more than {most} elements for {count} images")
            adds += cost
            if adds > min(MULTIPLY_ADDS * count, MOST):
                raise self._refused(node, f"is reached after {adds:.3g} multiply-adds for {count} images: too many")
            values.update(zip(node.outputs, found, strict=False))
        return adds

    def _refused(self, node: _Node, why: str) -> BadModel:
        of = node.outputs[0] if node.outputs else ""
        return BadModel(f"{self._name}: {node.operator} of {of[:80]!a} {why}")


# -- the file ----------------------------------------------------------------------------------------------------------


def _node(message: memoryview) -> _Node:
    node = _Node()
    for number, value, _ in fields(message):
        if number == 1:
            node.inputs.append(as_text(value))
        elif number == 2:
            node.outputs.append(as_text(value))
        elif number == 4:
            node.operator = as_text(value)
        elif number == 5:
            _attribute(content(value), node)
    return node


def _attribute(message: memoryview, node: _Node) -> None:
    name, integers, floats, text, tensor = "", list[int](), 0, None, None
    for number, value, _ in fields(message):
        if number == 1:
            name = as_text(value)
        elif number in (3, 8):
            integers += as_integers(value)
        elif number in (2, 7):
            floats += 1 if isinstance(value, int) else len(value) // 4
        elif number == 4:
            text = as_text(value)
        elif number == 5:
            _, tensor = _tensor(content(value))
    if name in node.integers or name in node.texts or node.constant is not None:
        raise ValueError("an attribute is given twice")
    if text is not None:
        node.texts[name] = text
    elif node.operator != "Constant" and tensor is None:
        node.integers[name] = integers
    if tensor is not None:
        node.constant = tensor
    elif name in ("value_int", "value_ints"):
        shape = () if name == "value_int" else (len(integers),)
        known = np.array(integers, np.int64).reshape(shape) if len(integers) <= FEW else None
        node.constant = Value(shape, known)
    elif name in ("value_float", "value_floats"):
        node.constant = Value(() if name == "value_float" else (floats,))


def _tensor(message: memoryview) -> tuple[str, Value]:
    name, shape, kind = "", list[int](), 0
    stored: dict[int, bytes] = {}
    listed: dict[int, list[int]] = {}
    for number, value, _ in fields(message):
        if number == 1:
            shape += as_integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = as_text(value)
        elif number in (_RAW, _FLOATS):
            part = content(value)
            if len(part) > 8 * FEW:
                stored.setdefault(number, b"")
                continue
            stored[number] = bytes(part) if number == _RAW else stored.get(number, b"") + bytes(part)
        elif number in (_INT32, _INT64) and (isinstance(value, int) or len(value) <= 10 * FEW):
            listed.setdefault(number, []).extend(as_integers(value))
    return name, Value(tuple(shape), _small(tuple(shape), kind, stored, listed))


def _small(
    shape: tuple[int, ...], kind: int, stored: dict[int, bytes], listed: dict[int, list[int]]
) -> NDArray[Any] | None:
    """The values of a small tensor of integers or of floats; None for others."""
    if math.prod(shape) > FEW or kind not in _TYPES or len(stored) + len(listed) != 1:
        return None
    if listed:
        ((number, numbers),) = listed.items()
        if (number, kind) not in ((_INT32, 6), (_INT64, 7)) or len(numbers) != math.prod(shape):
            return None
        wrapped = np.array(numbers, np.int64)
        return wrapped.astype(_TYPES[kind]).reshape(shape)
    ((number, raw),) = stored.items()
    if (number == _FLOATS and kind != 1) or len(raw) != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
        return None
    return np.frombuffer(raw, np.dtype(_TYPES[kind]).newbyteorder("<")).astype(_TYPES[kind]).reshape(shape)
