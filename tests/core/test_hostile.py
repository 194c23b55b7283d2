"""Model files made to do harm are refused before ONNX Runtime sees them: quickly, in one line, with little memory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import atlcodec
from atlcodec import card, card_writer, engine, graph, record, zoo
from atlcodec.errors import BadModel
from hostile import (
    DISGUISES,
    LISTS,
    OPERATORS,
    decompressor,
    division,
    field,
    in_own_format,
    loop,
    number,
    operator,
    polyglot,
    varint,
    with_part,
)
from kit import PEAK, SHAPE, Cli, environment

# -- whole folders, and the commands that take them from anyone --------------------------------------------------------

FORMATS: dict[str, Callable[[Path], bytes]] = {
    "a division": lambda _: division(),
    "a loop": lambda _: loop(),
    "a division in another format": lambda folder: in_own_format(division(), folder),
    "a graph in disguise": lambda folder: polyglot(in_own_format(decompressor(), folder), "a long tag"),
    "a division in disguise": lambda folder: polyglot(in_own_format(division(), folder), "field 0"),
    "a loop in disguise": lambda folder: polyglot(in_own_format(loop(), folder), "a long tag"),
}
MEASURED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # a test that fails must not take the machine's memory
from atlcodec.cli import main
for arguments in (["models", "add", "models/hostile"], ["decode", "gift.atlc"]):
    sys.argv = ["atlc", *arguments]
    try:
        main()
    except SystemExit as ended:
        print(ended.code)
{PEAK}
print(peak())
"""


def hostile(folder: Path, file: bytes) -> Path:
    """A model whose decompressor is the file; all that its cards say is true."""
    plain = card.BUNDLED / "mnist-lenet"
    files = {
        "compressor.onnx": (plain / "compressor.onnx").read_bytes(),
        "decompressor.onnx": file,
        "classifier.onnx": (plain / "heads/digits/classifier.onnx").read_bytes(),
    }
    card_writer.write_model(
        folder, files, {"name": folder.name, "shape": SHAPE}, {"name": "digits", "labels": list("0123456789")}
    )
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.parametrize("what", [*FORMATS, *OPERATORS, *LISTS])
def test_a_folder_is_refused_in_one_line(what: str, cli: Cli, tmp_path: Path) -> None:
    if what in FORMATS:
        file = FORMATS[what](tmp_path)
    else:
        file = OPERATORS[what]() if what in OPERATORS else with_part(LISTS[what]())
    folder = hostile(tmp_path / "models" / "hostile", file)
    id = card.read_model(folder).id
    symbols = np.zeros((1, 400), np.uint8)
    sealed = record.seal(symbols, symbols + np.uint8(1), np.ones((1, 400), np.float32), id)
    atlcodec.write(tmp_path / "gift.atlc", record.pack(sealed))
    environ = environment(ATLC_MODELS=str(folder.parent))
    ran = cli.process(command=[sys.executable, "-c", MEASURED], cwd=tmp_path, env=environ, timeout=20)
    shutil.rmtree(folder)
    assert ran.code == 0, ran
    assert [line.count("decompressor.onnx") for line in ran.err.splitlines()] == [1, 1]  # one for each command
    *codes, peak = ran.lines
    assert codes == ["1", "1"]
    assert int(peak) < 300_000  # kilobytes
    assert not (tmp_path / "gift.atlc.png").exists()
    assert not zoo.user_folder().exists()


# -- ONNX Runtime's own format, which no check of protobuf fields can look into ----------------------------------------


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("make", [decompressor, division, loop])
def test_own_format_in_disguise(make: Callable[[], bytes], disguise: str, tmp_path: Path) -> None:
    file = polyglot(in_own_format(make(), tmp_path), disguise)
    with pytest.raises(BadModel, match="own format"):
        graph.check(file, "x")


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_engine_loads_no_other_format_either(disguise: str, tmp_path: Path) -> None:
    file = polyglot(in_own_format(decompressor(), tmp_path), disguise)
    onnxruntime.InferenceSession(file)  # which takes it, unless told
    with pytest.raises(BadModel, match="cannot be loaded"):
        engine.Graph(file, engine.decompressor(SHAPE), "x", trusted=True)


def test_own_format_undisguised(tmp_path: Path) -> None:
    file = in_own_format(decompressor(), tmp_path)
    for trusted in (False, True):
        with pytest.raises(BadModel):
            engine.Graph(file, engine.decompressor(SHAPE), "x", trusted=trusted)


def test_field_0_is_not_protobuf() -> None:
    graph.check(decompressor(), "x")
    with pytest.raises(BadModel, match="not an ONNX file"):
        graph.check(decompressor() + b"\x02\x00", "x")


# -- the attributes of operators ---------------------------------------------------------------------------------------


def attribute(name: str, *fields: bytes) -> bytes:
    """A file with one more node, of the operator Transpose, whose attribute has these protobuf fields."""
    content = field(1, name.encode()) + b"".join(fields)
    return with_part(field(1, field(5, content) + field(4, b"Transpose")))


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (operator("MaxPool", kernel_shape=[1, 65537]), "integer above 65536"),
        (operator("MaxPool", kernel_shape=[2, 2], pads=[0, 0, 0, -65537]), "integer above 65536"),
        (operator("MaxPool", kernel_shape=[65, 64]), "kernel of more than 4096"),
        (operator("MaxPool", kernel_shape=[1 << 16] * 90_000), "kernel of more than 4096"),
        (operator("MaxPool", kernel_shape=[2, 2], strides=[1, 0]), "integer below 1"),
        (operator("AveragePool", kernel_shape=[-1, 2]), "integer below 1"),
        (operator("DepthToSpace", blocksize=1 << 20), "integer above 65536"),
        (operator("Split", 3, num_outputs=2, axis=2), "num_outputs"),
        (operator("Split", 1, num_outputs=2, axis=2), "num_outputs"),
        (attribute("perm", number(8, 1 << 17)), "integer above 65536"),
        (attribute("perm", field(8, varint(0) + varint(1 << 17))), "integer above 65536"),
        (attribute("perm", number(3, -(1 << 63))), "integer above 65536"),
        (attribute("perm", number(3, 1 << 17), number(3, 0)), "integer above 65536"),
        (attribute("perm", field(8, b"\x00" * 100_001)), "more than 100000 fields"),
        (attribute("p", field(7, bytes(1 << 20))), "bytes of names"),
        (attribute("p" * (1 << 20)), "bytes of names"),
        (attribute("value", *[field(5, number(1, 1) + number(2, 1) + field(9, bytes(4)))] * 2), "tensors"),
    ],
)
def test_attributes_with_no_sensible_value(file: bytes, why: str) -> None:
    with pytest.raises(BadModel, match=why):
        graph.check(file, "x")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Split", ["x"], ["a", "b"], num_outputs=2, axis=2),
        helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Concat", ["x", "x"], ["a"], axis=-1),
        helper.make_node("Constant", [], ["a"], value_ints=[0, 1 << 63 - 1, -(1 << 63)]),
        helper.make_node("Constant", [], ["a"], value_int=1 << 40),
        helper.make_node("Constant", [], ["a"], value_floats=[0.5]),
        helper.make_node("Constant", [], ["a"], value=helper.make_tensor("t", TensorProto.INT64, [2], [-1, 784])),
    ],
)
def test_sensible_attributes(node: onnx.NodeProto) -> None:
    graph.check(with_part(field(1, node.SerializeToString())), "x")


# -- the shapes of weights ---------------------------------------------------------------------------------------------


def tensor(type: int, shape: bytes, data: bytes) -> bytes:
    return with_part(field(5, shape + number(2, type) + data))


def dims(*lengths: int) -> bytes:
    return b"".join(number(1, length) for length in lengths)


def packed(*lengths: int) -> bytes:
    return field(1, b"".join(map(varint, lengths)))


F32, I64, U8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8


@pytest.mark.parametrize("write", [dims, packed])
@pytest.mark.parametrize(
    ("type", "shape", "data"),
    [
        (U8, (5,), field(9, bytes(4))),
        (F32, (2, 2), field(9, bytes(15))),
        (F32, (2, 2), field(4, bytes(12))),
        (F32, (1 << 40, 1 << 40), field(9, bytes(16))),
        (F32, (1,) * 9, field(9, bytes(4))),
        (F32, (-1, -1), field(9, bytes(4))),
        (F32, (0, -1), field(9, b"")),
        (F32, (0, 1 << 40), field(9, b"")),
        (F32, (1 << 16, 0, 1 << 16), field(9, b"")),
        (I64, (3,), field(7, b"\0\0")),
        (TensorProto.DOUBLE, (2,), field(10, bytes(8))),
        (TensorProto.UINT64, (1 << 62,), field(11, b"\0")),
    ],
)
def test_shapes_larger_than_the_data(
    write: Callable[..., bytes], type: int, shape: tuple[int, ...], data: bytes
) -> None:
    with pytest.raises(BadModel, match="weights"):
        graph.check(tensor(type, write(*shape), data), "x")


@pytest.mark.parametrize("write", [dims, packed])
@pytest.mark.parametrize(
    ("type", "shape", "data"),
    [
        (U8, (4,), field(9, bytes(4))),
        (F32, (), field(9, bytes(4))),
        (F32, (2, 2), field(4, bytes(16))),
        (F32, (0, 3), field(9, b"")),
        (F32, (1,) * 8, field(9, bytes(4))),
        (I64, (3,), field(7, varint(-1) + varint(28) * 2)),
        (I64, (2,), number(7, -1) + number(7, 784)),
        (U8, (3,), field(5, varint(255) * 3)),
    ],
)
def test_shapes_of_the_data(write: Callable[..., bytes], type: int, shape: tuple[int, ...], data: bytes) -> None:
    graph.check(tensor(type, write(*shape), data), "x")


def test_the_bundled_models_pass() -> None:
    files = sorted(card.BUNDLED.rglob("*.onnx"))
    assert len(files) >= 24
    for file in files:
        graph.check(file.read_bytes(), file.name)
