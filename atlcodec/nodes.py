"""The nodes and the weights of an ONNX file, for those who compute with them without ONNX Runtime (the numbers of
fields are those of onnx.proto). Read only files that `graph.check` has accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadModel
from atlcodec.protobuf import as_integers, as_text, content, fields

TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}  # of weights


@dataclass(frozen=True)
class Node:
    """One operation. `integers` are its attributes that are whole numbers or lists of them, `texts` those that are
    text."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    integers: dict[str, tuple[int, ...]]
    texts: dict[str, str]

    def integer(self, name: str, default: int) -> int:
        return self.integers.get(name, (default,))[0]


@dataclass(frozen=True)
class Nodes:
    """A whole graph, in the order of computing. `source` is the name of its one input; `targets` those of its
    outputs."""

    source: str
    targets: tuple[str, ...]
    nodes: tuple[Node, ...]
    weights: dict[str, NDArray[Any]]


def read(file: bytes, name: str) -> Nodes:
    """Raises `BadModel`. `name` is that of the file, for messages."""
    try:
        return _Reader(name).model(memoryview(file))
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"{name}: not an ONNX file") from error


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name

    def model(self, file: memoryview) -> Nodes:
        (graph,) = [content(value) for number, value, _ in fields(file) if number == 7]
        nodes, weights, sources, targets = list[Node](), dict[str, NDArray[Any]](), list[str](), list[str]()
        for number, value, _ in fields(graph):
            if number == 1:
                nodes.append(self._node(content(value)))
            elif number == 5:
                weight_name, weight = self._tensor(content(value))
                weights[weight_name] = weight
            elif number in (11, 12):
                (port,) = [as_text(each) for which, each, _ in fields(content(value)) if which == 1]
                (sources if number == 11 else targets).append(port)
        sources = [source for source in sources if source not in weights]
        if len(sources) != 1:
            raise BadModel(f"{self._name}: must have one input, not {len(sources)}")
        return Nodes(sources[0], tuple(targets), tuple(nodes), weights)

    def _node(self, node: memoryview) -> Node:
        inputs, outputs, operator = list[str](), list[str](), ""
        integers, texts = dict[str, tuple[int, ...]](), dict[str, str]()
        for number, value, _ in fields(node):
            if number == 1:
                inputs.append(as_text(value))
            elif number == 2:
                outputs.append(as_text(value))
            elif number == 4:
                operator = as_text(value)
            elif number == 5:
                self._attribute(content(value), integers, texts)
        if len(outputs) != 1:
            raise BadModel(f"{self._name}: {operator} has {len(outputs)} outputs, not one")
        return Node(operator, tuple(inputs), outputs[0], integers, texts)

    def _attribute(self, attribute: memoryview, integers: dict[str, tuple[int, ...]], texts: dict[str, str]) -> None:
        name, found = "", list[int]()
        for number, value, _ in fields(attribute):
            if number == 1:
                name = as_text(value)
            elif number in (3, 8):
                found += as_integers(value)
            elif number == 4:
                texts[name] = as_text(value)
            elif number not in (20, 13):
                raise BadModel(f"{self._name}: the attribute {name[:80]!a} is not a whole number or text")
        if name not in texts:
            integers[name] = tuple(found)

    def _tensor(self, tensor: memoryview) -> tuple[str, NDArray[Any]]:
        name, shape, kind, raw = "", list[int](), 0, memoryview(b"")
        for number, value, _ in fields(tensor):
            if number == 1:
                shape += as_integers(value)
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 8:
                name = as_text(value)
            elif number == 9:
                raw = content(value)
        if kind not in TYPES:
            raise BadModel(f"{self._name}: the weights {name[:80]!a} have a type that exact networks do not have")
        return name, np.frombuffer(raw, np.dtype(TYPES[kind]).newbyteorder("<")).reshape(shape)
