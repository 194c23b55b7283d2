"""What a graph may hold: operators, weights and fields that are not on the list are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from atlcodec import graph
from atlcodec.errors import BadModel
from kit import Cli
from model_kit import external, fine, put_file, refusal, with_extra


def altered(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    altered = fine()
    change(altered)
    return altered


def branch() -> onnx.ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])], "i", [], [helper.make_tensor_value_info("y", 1, [3])]
    )
    node = helper.make_node("If", ["yes"], ["extra"], then_branch=inner, else_branch=inner)
    return with_extra(node, w=np.ones(3, np.float32), yes=np.array(True))


def loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["yes"], ["again"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]),
        ],
    )
    return with_extra(
        helper.make_node("Loop", ["", "go", "w"], ["extra"], body=body), w=np.ones(3, np.float32), go=np.array(True)
    )


def hidden_loop() -> onnx.ModelProto:
    """The subgraph in an attribute of a node that has no use for one."""
    file, inner = fine(), helper.make_graph([], "i", [], [])
    file.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(inner)
    return file


def function() -> onnx.ModelProto:
    file = fine()
    file.functions.append(
        helper.make_function(
            "own", "Relu", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])], [helper.make_opsetid("", 18)]
        )
    )
    return file


def sparse() -> onnx.ModelProto:
    file = fine()
    values, indices = (
        numpy_helper.from_array(np.ones(1, np.float32), "s"),
        numpy_helper.from_array(np.zeros(1, np.int64)),
    )
    file.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 40]))
    return file


NOT_ALLOWED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "external data": (external, "another file"),
    "a branch": (branch, "branches"),
    "a loop": (loop, "loops"),
    "a hidden loop": (hidden_loop, "loops"),
    "functions": (function, "functions"),
    "training data": (lambda: altered(lambda m: m.training_info.add()), "training"),
    "sparse weights": (sparse, "sparse"),
    "an operator of one's own": (
        lambda: with_extra(helper.make_node("Relu", ["w"], ["extra"], domain="own"), w=np.ones(3, np.float32)),
        "operator 'own.Relu'",
    ),
    "an operator of ONNX Runtime's own": (
        lambda: with_extra(
            helper.make_node("FusedGemm", ["w", "w"], ["extra"], domain="com.microsoft"), w=np.ones((3, 3), np.float32)
        ),
        "operator",
    ),
    "random numbers": (lambda: with_extra(helper.make_node("RandomNormal", [], ["extra"], shape=[3])), "operator"),
    "a division that kills": (
        lambda: with_extra(
            helper.make_node("Div", ["least", "minus"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["extra"], to=TensorProto.FLOAT),
            least=np.array([-(2**31)], np.int32),
            minus=np.array([-1], np.int32),
        ),
        "operator 'Div'",
    ),
    "text": (
        lambda: with_extra(helper.make_node("Cast", ["t"], ["extra"], to=1), t=np.array(["1"], np.object_)),
        "plain numbers",
    ),
    "text by a cast": (
        lambda: with_extra(
            helper.make_node("Cast", ["w"], ["t"], to=TensorProto.STRING),
            helper.make_node("Cast", ["t"], ["extra"], to=TensorProto.FLOAT),
            w=np.ones(3, np.float32),
        ),
        "text",
    ),
    "text in a node": (
        lambda: with_extra(
            helper.make_node("Constant", [], ["t"], value_string=b"1"), helper.make_node("Cast", ["t"], ["extra"], to=1)
        ),
        "text",
    ),
    "a million nodes": (
        lambda: altered(lambda m: m.graph.node.extend([helper.make_node("Relu", ["w"], [""])] * 60_000)),
        "fields",
    ),
    "long remarks": (lambda: altered(lambda m: setattr(m.graph, "doc_string", "x" * (5 << 20))), "remarks"),
    "no graph": (lambda: altered(lambda m: m.ClearField("graph")), "not an ONNX file"),
}


@pytest.mark.parametrize("what", NOT_ALLOWED)
def test_what_a_graph_may_not_hold(what: str, mine: Path, cli: Cli) -> None:
    make, word = NOT_ALLOWED[what]
    put_file(mine, "decompressor.onnx", make().SerializeToString())
    assert word in refusal(mine, cli)


def test_a_field_that_other_readers_would_see_is_not_passed_over() -> None:
    """Protobuf drops the bits of a tag above 32: external data can be written so that a careless reader sees another
    field."""
    file = external().SerializeToString()
    at = file.index(b"\x0a\x08location") - 2
    assert file[at] == 13 << 3 | 2
    # Bit 32 of the tag set. The lengths around it are those of before: the tag takes four bytes of the file's name.
    name = file.index(b"/etc/hostname")
    assert at < name
    long = file[:at] + bytes([file[at] | 0x80, 0x80, 0x80, 0x80, 0x10, file[at + 1] - 4]) + file[at + 2 : name - 1]
    hidden = long + bytes([file[name - 1] - 4]) + file[name + 4 :]
    with pytest.raises(Exception, match="External data"):  # what ONNX Runtime sees there
        onnxruntime.InferenceSession(hidden, providers=["CPUExecutionProvider"], enable_fallback=0)
    with pytest.raises(BadModel, match="not an ONNX file"):
        graph.check(hidden, "x")
