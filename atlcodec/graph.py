"""What an ONNX file from a stranger may hold: feed-forward arithmetic on its own weights, and nothing else.

ONNX Runtime would read other files that a graph names as "external data", would run loops for as long as they like, and
takes far more memory for a node than its bytes in the file. Some operators abort, or never end, with absurd attributes.
So this walks through the protobuf fields of a file before it is loaded (their numbers are those of onnx.proto). How
much memory the tensors may take is the engine's to limit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from atlcodec.errors import BadModel
from atlcodec.protobuf import Value, content, fields, signed, varint

# No Div: the smallest integer over -1 kills the process. Mul by a Reciprocal does the same for floats.
OPERATORS = frozenset(
    "Add AveragePool BatchNormalization BitShift BitwiseAnd Cast Clip Concat Constant Conv ConvTranspose DepthToSpace "
    "DequantizeLinear Elu Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool HardSigmoid HardSwish Identity "
    "LayerNormalization LeakyRelu Log LogSoftmax MatMul MatMulInteger Max MaxPool Min Mul Neg PRelu Pad Pow "
    "QuantizeLinear Reciprocal ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Sign Slice Softmax "
    "Softplus SpaceToDepth Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze".split()
)
# What an element takes, by its type: plain numbers only; text would take any memory.
BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
FIELDS = 100_000  # in nodes, attributes, weights and lists; a network of a thousand layers has a tenth of that
# Bytes of everything that is neither node nor weight; in memory some of it takes a hundred times as much.
DESCRIPTION = 1 << 20
DIMENSIONS = 8  # of a weight or a kernel
# Integers in attributes are sizes, steps and axes. Beyond these limits pooling never ends, and convolution may abort.
INTEGER = 1 << 16
KERNEL = 1 << 12  # elements
POSITIVE = frozenset(("blocksize", "dilations", "group", "kernel_shape", "strides"))


def check(file: bytes, name: str) -> None:
    """Raise `BadModel` if an ONNX file holds more than a plain graph of the operators above."""
    if file[4:8] == b"ORTM":
        raise BadModel(f"{name}: holds a model in ONNX Runtime's own format; save it as ONNX")
    try:
        _Check(name).model(memoryview(file))
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"{name}: not an ONNX file") from error


class _Check:
    """One walk through a file, with what is left of its limits."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._fields_left = FIELDS
        self._bytes_left = DESCRIPTION

    def model(self, file: memoryview) -> None:
        graphs = []
        for number, value in self._fields(file):
            if number == 7:
                graphs.append(content(value))
            elif number in (20, 25):
                raise self._refused("training data or functions of its own")
            else:
                self._other(value)
        if len(graphs) != 1:
            raise BadModel(f"{self._name}: not an ONNX file with one graph")
        for number, value in self._fields(graphs[0]):
            if number == 1:
                self._node(content(value))
            elif number == 5:
                self._tensor(content(value))
            elif number == 15:
                raise self._refused("sparse weights")
            else:
                self._other(value)

    def _node(self, node: memoryview) -> None:
        operator, domain, outputs = "", "", 0
        attributes: dict[str, list[int]] = {}
        for number, value in self._fields(node):
            if number == 4:
                operator = self._text(value)
            elif number == 7:
                domain = self._text(value)
            elif number == 5:
                name, integers = self._attribute(content(value))
                attributes.setdefault(name, []).extend(integers)
            else:
                outputs += number == 2
                self._other(value)
        if operator not in OPERATORS or domain not in ("", "ai.onnx"):
            raise self._refused(f"the operator {(domain + '.' + operator).lstrip('.')[:80]!a}")
        if operator != "Constant":  # its integers are a weight, and may be as large as they like
            self._integers(operator, attributes, outputs)

    def _integers(self, operator: str, attributes: dict[str, list[int]], outputs: int) -> None:
        for name, integers in attributes.items():
            if any(abs(integer) > INTEGER for integer in integers):
                raise self._refused(f"an integer above {INTEGER} in {name[:80]!a} of {operator}")
            if name in POSITIVE and min(integers, default=1) < 1:
                raise self._refused(f"an integer below 1 in {name!a} of {operator}")
        if not BYTES.keys() >= set(attributes.get("to", [])):
            raise self._refused("text")
        kernel = attributes.get("kernel_shape", [])
        if len(kernel) > DIMENSIONS or math.prod(kernel) > KERNEL:
            raise self._refused(f"a kernel of more than {KERNEL} elements in {operator}")
        if operator == "Split" and not {outputs} >= set(attributes.get("num_outputs", [])):
            raise self._refused("a Split whose num_outputs is not the number of its outputs")

    def _attribute(self, attribute: memoryview) -> tuple[str, list[int]]:
        """Its name and its integers."""
        name, integers, tensors = "", list[int](), 0
        for number, value in self._fields(attribute):
            if number == 1:
                name = self._text(value)
            elif number in (3, 8):
                integers += self._list(value)
            elif number in (5, 10):
                tensors += number == 5
                self._tensor(content(value))
            elif number in (6, 11):
                raise self._refused("loops or branches")
            elif number in (22, 23):
                raise self._refused("sparse weights")
            elif number == 9:
                raise self._refused("text")
            else:
                self._other(value)
        if name == "value_string":
            raise self._refused("text")
        if tensors > 1:  # protobuf would make one of them, with the dimensions of all
            raise self._refused("several tensors in one attribute")
        return name, integers

    def _tensor(self, tensor: memoryview) -> None:
        shape, item, room = list[int](), 8, 0
        for number, value in self._fields(tensor):
            if number == 13 or (number == 14 and value != 0):
                raise self._refused("weights in another file")
            if number == 6 or (number == 2 and value not in BYTES):
                raise self._refused("weights that are not plain numbers")
            if number == 1:
                shape += self._list(value)
            elif number == 2 and isinstance(value, int):
                item = BYTES[value]
            elif number in (4, 9, 10):
                room += len(content(value))
            else:
                self._other(value)
                if number in (5, 7, 11):  # a byte in these lists may stand for eight in memory
                    room += 8 * _size(value)
        if len(shape) > DIMENSIONS or min(shape, default=0) < 0 or math.prod(shape) * item > room:
            raise self._refused("weights whose shape does not fit their data")
        if math.prod(filter(None, shape)) > max(room, INTEGER):  # empty; but some operators count to it
            raise self._refused("empty weights of a large shape")

    def _list(self, value: Value) -> list[int]:
        """A field of a list of integers: one of them, or many packed together. Each counts as a field."""
        if isinstance(value, int):
            return [signed(value)]
        integers, at = [], 0
        while at < len(value):
            self._count()
            integer, at = varint(value, at)
            integers.append(signed(integer))
        return integers

    def _text(self, value: Value) -> str:
        self._other(value)
        return bytes(content(value)).decode()

    def _other(self, value: Value) -> None:
        """Names, remarks and lists: anything, but not much."""
        self._bytes_left -= _size(value)
        if self._bytes_left < 0:
            raise self._refused(f"more than {DESCRIPTION} bytes of names, remarks and lists")

    def _count(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise self._refused(f"more than {FIELDS} fields")

    def _fields(self, message: memoryview) -> Iterator[tuple[int, Value]]:
        for number, value, _ in fields(message):
            self._count()
            yield number, value

    def _refused(self, what: str) -> BadModel:
        return BadModel(f"{self._name}: contains {what}, which is not allowed in a model")


def _size(value: Value) -> int:
    return 1 if isinstance(value, int) else len(value)
