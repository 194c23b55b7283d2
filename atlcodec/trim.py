"""Leaves out of an ONNX file what only other outputs need.

ONNX Runtime computes all outputs of a graph, even with its option `only_execute_path_to_fetches`. A short search needs
one output of a refiner, which takes less than half of the time of both."""

from __future__ import annotations

from collections.abc import Collection

from atlcodec.protobuf import Value, content, field, fields

# Numbers of fields in onnx.proto.
GRAPH = 7  # of a model
NODE, WEIGHT, OUTPUT = 1, 5, 12  # of a graph
INPUTS, RESULTS = 1, 2  # of a node: names
NAME = {WEIGHT: 8, OUTPUT: 1}


def trim(file: bytes, outputs: Collection[str]) -> bytes:
    """The same ONNX file with these outputs only, and the nodes and weights that they need. Nodes stand in the order in
    which they run, as ONNX demands. Raises `ValueError` or `IndexError` if the file is not protobuf."""
    return b"".join(
        field(GRAPH, _trimmed(content(value), outputs)) if number == GRAPH else bytes(raw)
        for number, value, raw in fields(memoryview(file))
    )


def _trimmed(graph: memoryview, outputs: Collection[str]) -> bytes:
    parts = [(number, value, raw) for number, value, raw in fields(graph)]
    needed, nodes = set(outputs), []
    for number, value, raw in reversed(parts):
        if number == NODE and needed & _names(value, RESULTS):
            needed |= _names(value, INPUTS)
            nodes.append(raw)
    named = {WEIGHT: needed, OUTPUT: set(outputs)}
    others = [
        raw
        for number, value, raw in parts
        if number != NODE and (number not in named or named[number] & _names(value, NAME[number]))
    ]
    return b"".join([*reversed(nodes), *others])


def _names(message: Value, field: int) -> set[str]:
    return {bytes(content(value)).decode() for number, value, _ in fields(content(message)) if number == field}
