"""What an ONNX file from a stranger may hold: feed-forward arithmetic on its own weights, and nothing else.

ONNX Runtime would read other files that a graph names as "external data", and would run loops for as long as they like. So the
file is looked through before it is loaded: its protobuf fields, of which only the few below matter (numbers as in onnx.proto).
How much memory a graph may ask for is the engine's to limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from atlcodec.errors import BadModel

OPERATORS = frozenset(
    "Add AveragePool BatchNormalization BitShift BitwiseAnd Cast Clip Concat Constant Conv ConvTranspose DepthToSpace Div Elu Erf "
    "Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool HardSigmoid HardSwish Identity LayerNormalization LeakyRelu Log "
    "LogSoftmax MatMul Max MaxPool Min Mul Neg PRelu Pad Pow Reciprocal ReduceMean ReduceSum Relu Reshape Resize Round Sigmoid "
    "Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze".split()
)


def check(file: bytes, name: str) -> None:
    """Raise `BadModel` if an ONNX file holds more than a plain graph of the operators above."""
    try:
        graphs = [value for number, value in _fields(memoryview(file)) if number == 7]
        if any(number in (20, 25) for number, _ in _fields(memoryview(file))):
            raise BadModel(f"{name}: holds training data or functions of its own, which are not allowed")
        if len(graphs) != 1:
            raise BadModel(f"{name}: not an ONNX file with one graph")
        for number, value in _fields(_bytes(graphs[0])):
            if number == 1:
                _check_node(_bytes(value), name)
            elif number == 5:
                _check_tensor(_bytes(value), name)
            elif number == 15:
                raise BadModel(f"{name}: sparse weights are not allowed")
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"{name}: not an ONNX file") from error


def _check_node(node: memoryview, name: str) -> None:
    operator, domain = "", ""
    for number, value in _fields(node):
        if number == 4:
            operator = bytes(_bytes(value)).decode()
        elif number == 7:
            domain = bytes(_bytes(value)).decode()
        elif number == 5:
            for inner, content in _fields(_bytes(value)):
                if inner in (6, 11, 22, 23):  # graphs within graphs, sparse tensors
                    raise BadModel(f"{name}: loops, branches and sparse tensors are not allowed")
                if inner in (5, 10):
                    _check_tensor(_bytes(content), name)
    if operator not in OPERATORS or domain not in ("", "ai.onnx"):
        raise BadModel(f"{name}: the operator {ascii(domain + '.' + operator).strip('.')} is not allowed")


def _check_tensor(tensor: memoryview, name: str) -> None:
    for number, value in _fields(tensor):
        if number == 13 or (number == 14 and value != 0):
            raise BadModel(f"{name}: takes weights from another file, which is not allowed")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: number, and the value as an integer or as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
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


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("not protobuf")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("not the field it should be")
    return value
