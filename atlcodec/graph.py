"""What an ONNX file from a stranger may hold: feed-forward arithmetic on its own weights, and nothing else.

ONNX Runtime would read other files that a graph names as "external data", would run loops for as long as they like, and
takes far more memory for a node than its bytes in the file. So the file is looked through before it is loaded: its
protobuf fields, of which only the few below matter (numbers as in onnx.proto). How much memory the tensors may take is
the engine's to limit."""

from __future__ import annotations

from collections.abc import Iterator

from atlcodec.errors import BadModel

# No Div: the smallest integer over -1 kills the process. Mul by a Reciprocal does the same for floats.
OPERATORS = frozenset(
    "Add AveragePool BatchNormalization BitShift BitwiseAnd Cast Clip Concat Constant Conv ConvTranspose DepthToSpace "
    "Elu Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool HardSigmoid HardSwish Identity LayerNormalization "
    "LeakyRelu Log LogSoftmax MatMul MatMulInteger Max MaxPool Min Mul Neg PRelu Pad Pow Reciprocal ReduceMean "
    "ReduceSum Relu Reshape Resize Round Shape Sigmoid Sign Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub "
    "Tanh Transpose Unsqueeze".split()
)
FIELDS = 100_000  # in nodes, attributes and weights; a network of a thousand layers has a tenth of that
DESCRIPTION = 4 << 20  # bytes of everything that is neither node nor weight
TYPES = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16))  # plain numbers; text would take any memory


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
                graphs.append(_bytes(value))
            elif number in (20, 25):
                raise self._refused("training data or functions of its own")
            else:
                self._other(value)
        if len(graphs) != 1:
            raise BadModel(f"{self._name}: not an ONNX file with one graph")
        for number, value in self._fields(graphs[0]):
            if number == 1:
                self._node(_bytes(value))
            elif number == 5:
                self._tensor(_bytes(value))
            elif number == 15:
                raise self._refused("sparse weights")
            else:
                self._other(value)

    def _node(self, node: memoryview) -> None:
        operator, domain = "", ""
        for number, value in self._fields(node):
            if number == 4:
                operator = bytes(_bytes(value)).decode()
            elif number == 7:
                domain = bytes(_bytes(value)).decode()
            elif number == 5:
                self._attribute(_bytes(value))
            else:
                self._other(value)
        if operator not in OPERATORS or domain not in ("", "ai.onnx"):
            raise self._refused(f"the operator {(domain + '.' + operator).lstrip('.')[:80]!a}")

    def _attribute(self, attribute: memoryview) -> None:
        names, integers = set(), set()
        for number, value in self._fields(attribute):
            if number == 1:
                names.add(bytes(_bytes(value)))
            elif number == 3:
                integers.add(value)
            elif number in (5, 10):
                self._tensor(_bytes(value))
            elif number in (6, 11):
                raise self._refused("loops or branches")
            elif number in (22, 23):
                raise self._refused("sparse weights")
            elif number == 9:
                raise self._refused("text")
            elif number not in (2, 7, 8):
                self._other(value)
        if b"value_string" in names or (b"to" in names and not integers <= TYPES):
            raise self._refused("text")

    def _tensor(self, tensor: memoryview) -> None:
        for number, value in self._fields(tensor):
            if number == 13 or (number == 14 and value != 0):
                raise self._refused("weights in another file")
            if number == 6 or (number == 2 and value not in TYPES):
                raise self._refused("weights that are no plain numbers")
            if number > 14:
                self._other(value)

    def _other(self, value: int | memoryview) -> None:
        """Names and remarks: they may be anything, but not much."""
        self._bytes_left -= 1 if isinstance(value, int) else len(value)
        if self._bytes_left < 0:
            raise self._refused(f"more than {DESCRIPTION} bytes of names and remarks")

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """The fields of a protobuf message: number, and the value as an integer or as bytes."""
        at = 0
        while at < len(data):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise self._refused(f"more than {FIELDS} fields")
            tag, at = _varint(data, at)
            if tag >> 32 or not tag >> 3:  # other readers would drop the high bits and see another field
                raise ValueError("not protobuf")
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            if wire == 2:
                size, at = _varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("not protobuf")
            if at + size > len(data):
                raise ValueError("not protobuf")
            yield number, data[at : at + size]
            at += size

    def _refused(self, what: str) -> BadModel:
        return BadModel(f"{self._name}: holds {what}: not allowed in a model")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 63:
            raise ValueError("not protobuf")
    if value >> 64:
        raise ValueError("not protobuf")
    return value, at


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("not the field it should be")
    return value
