"""Model files made to do harm, built byte by byte where the onnx package would refuse to."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

DISGUISES = {  # the first bytes of a polyglot, with the mark of ONNX Runtime's own format at byte 4
    # Field 1, a number; then field 0 with "O" = 79 bytes.
    "field 0": b"\x08\x80\x00\x02ORTM" + bytes(76),
    # Field 1, the number "O" = 79, after a tag with three bytes too many; then field 10 with "T" = 84 bytes.
    "a long tag": b"\x88\x80\x80\x00ORTM" + bytes(83),
}


def varint(value: int) -> bytes:
    """A number as protobuf writes it, seven bits a byte."""
    value &= (1 << 64) - 1
    low = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(bits | 128 for bits in low[:-1]), low[-1]])


def number(field: int, value: int) -> bytes:
    """A protobuf field that holds a number."""
    return varint(field << 3) + varint(value)


def field(number: int, content: bytes) -> bytes:
    """A protobuf field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def decompressor(*nodes: NodeProto, **weights: np.ndarray) -> bytes:
    """A plain decompressor whose symbols have `extra` added to them, if the nodes before it give one."""
    values = {"w": np.zeros((200, 784), np.float32), "shape": np.array([-1, 28, 28]), **weights}
    total = [helper.make_node("Add", ["f", "extra"], ["sum"])] if nodes else []
    graph = helper.make_graph(
        [
            *nodes,
            helper.make_node("Cast", ["records"], ["f"], to=TensorProto.FLOAT),
            *total,
            helper.make_node("MatMul", ["sum" if nodes else "f", "w"], ["g"]),
            helper.make_node("Reshape", ["g", "shape"], ["i"]),
            helper.make_node("Cast", ["i"], ["images"], to=TensorProto.UINT8),
        ],
        "g",
        [helper.make_tensor_value_info("records", TensorProto.UINT8, ["N", 200])],
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 28, 28])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    return bytes(model.SerializeToString())


# -- operators that no model may hold, in disguise ---------------------------------------------------------------------


def division() -> bytes:
    """The smallest integer over -1 ends the process."""
    return decompressor(
        helper.make_node("Div", ["least", "minus"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["extra"], to=TensorProto.FLOAT),
        least=np.array([-(2**31)], np.int32),
        minus=np.array(-1, np.int32),
    )


def loop() -> bytes:
    """Four times 10^18 turns."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [1])],
        [value("again", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, [1])],
    )
    return decompressor(
        helper.make_node("Loop", ["turns", "yes", "zero"], ["extra"], body=body),
        turns=np.array(2**62),
        yes=np.array(True),
        zero=np.zeros(1, np.float32),
    )


def in_own_format(model: bytes, folder: Path) -> bytes:
    """The same graph in ONNX Runtime's own format, a flatbuffer."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return (folder / "model.ort").read_bytes()


def polyglot(own: bytes, disguise: str) -> bytes:
    """A file that is to a reader of protobuf a graph of one weight, and to ONNX Runtime the flatbuffer `own`.

    A flatbuffer begins with the place of its root table and a mark, `ORTM`. Here the same eight bytes are protobuf
    fields that nobody knows, and the root table lies in the weight."""
    head = DISGUISES[disguise]
    (place,) = struct.unpack_from("<I", head)
    (root,) = struct.unpack_from("<I", own)
    fields = root - struct.unpack_from("<i", own, root)[0]  # where the table's own table of fields lies
    fields_size, size = struct.unpack_from("<HH", own, fields)
    shift = -(-(place + size) // 16) * 16  # the flatbuffer as a whole moves so far; its root table is copied to `place`
    table = bytearray(own[root : root + size])
    struct.pack_into("<i", table, 0, place - (fields + shift))
    for at in struct.unpack_from(f"<{(fields_size - 4) // 2}H", own, fields + 4):
        if at:  # a reference, relative to where it stands
            (reference,) = struct.unpack_from("<I", own, root + at)
            struct.pack_into("<I", table, at, root + reference + shift - place)
    hidden = bytes(table).ljust(shift - place, b"\0") + own

    def file(padding: int) -> bytes:
        weight = number(2, TensorProto.UINT8) + field(8, b"w") + field(9, bytes(padding) + hidden)
        return head + field(7, field(5, weight))

    return file(place - (len(file(place)) - len(hidden) - place))


# -- operators that abort, never end or take any memory ----------------------------------------------------------------


def operator(name: str, outputs: int = 1, **attributes: Any) -> bytes:
    """A decompressor that first applies one operator to a constant of 1 x 1 x 4 x 4 zeros."""
    results = [f"y{n}" for n in range(outputs)]
    return decompressor(
        helper.make_node(name, ["x"], results, **attributes),
        helper.make_node("ReduceMean", ["y0"], ["extra"], keepdims=0),
        x=np.zeros((1, 1, 4, 4), np.float32),
    )


def convolution_of_no_groups() -> bytes:
    return decompressor(
        helper.make_node("Conv", ["x", "kernel"], ["y"], group=0),
        helper.make_node("ReduceMean", ["y"], ["extra"], keepdims=0),
        x=np.zeros((1, 0, 4, 4), np.float32),
        kernel=np.zeros((1, 2, 2, 2), np.float32),
    )


OPERATORS: dict[str, Callable[[], bytes]] = {
    "a split that aborts": lambda: operator("Split", 2, num_outputs=1, axis=2),
    "a split that takes all memory": lambda: operator("Split", num_outputs=10**9, axis=2),
    "maximum pooling that never ends": lambda: operator("MaxPool", kernel_shape=[3, 2**40], auto_pad="SAME_UPPER"),
    "average pooling that never ends": lambda: operator("AveragePool", kernel_shape=[3, 2**40], auto_pad="SAME_LOWER"),
    "a convolution that ends the process": convolution_of_no_groups,
}


# -- few bytes in the file, many in memory -----------------------------------------------------------------------------

MANY = 60 << 20


def with_part(part: bytes) -> bytes:
    """A plain decompressor with one more part in its graph, which ends the file."""
    model = onnx.load_from_string(decompressor())
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    return bytes(model.SerializeToString()) + field(7, graph + part)


def tensor(type: int, data: bytes, shape: bytes = number(1, MANY)) -> bytes:
    """Field 5 of a graph is a weight, and field 5 of an attribute, too. Its shape and data are protobuf fields."""
    return field(5, shape + number(2, type) + field(8, b"many") + data)


def constant(attribute: bytes) -> bytes:
    """A node of the operator Constant."""
    return field(1, field(2, b"many") + field(4, b"Constant") + field(5, attribute))


LISTS: dict[str, Callable[[], bytes]] = {  # sixty million entries of a byte each
    "bytes as a list of integers": lambda: tensor(TensorProto.UINT8, field(5, bytes(MANY))),
    "signed integers": lambda: tensor(TensorProto.INT64, field(7, bytes(MANY))),
    "unsigned integers": lambda: tensor(TensorProto.UINT64, field(11, bytes(MANY))),
    "dimensions": lambda: tensor(TensorProto.UINT8, b"", field(1, bytes(MANY))),
    "a constant tensor": lambda: constant(
        field(1, b"value") + number(20, 4) + tensor(TensorProto.INT64, field(7, bytes(MANY)))
    ),
    "a constant list": lambda: constant(field(1, b"value_ints") + number(20, 7) + field(8, bytes(MANY))),
}
