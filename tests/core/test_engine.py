"""Graphs that do not do what a codec needs: other shapes, NaN, too much memory, damaged files."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from atlcodec import picture
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from kit import PEAK, Cli, environment
from model_kit import (
    BLANK,
    F32,
    IN,
    OUT,
    SHAPES,
    U8,
    Weights,
    change,
    fine,
    info,
    model,
    plain,
    put_file,
    refusal,
    use,
    with_extra,
)

WIDE: Weights = {"square": np.array([-1, 14, 56])}
WRONG_GRAPHS: dict[str, Callable[[], onnx.ModelProto | bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"decompressor",
    "cut off": lambda: fine().SerializeToString()[:-20],
    "a picture": lambda: picture.png(BLANK[0]),
    "two graphs": lambda: fine().SerializeToString() * 2,
    "other names": lambda: model(
        [helper.make_node("Slice", ["x", "zero", "side", "one"], ["some"]), *plain()[1:]],
        SHAPES,
        [info("x", U8, ["N", 200])],
    ),
    "another output name": lambda: model(plain("y"), SHAPES, None, [info("y", U8, ["N", 28, 28])]),
    "pictures of floats": lambda: model(
        [*plain("u"), helper.make_node("Cast", ["u"], ["images"], to=F32)],
        SHAPES,
        None,
        [info("images", F32, ["N", 28, 28])],
    ),
    "records of floats": lambda: model(
        [*plain("u"), helper.make_node("Cast", ["u"], ["images"], to=U8)], SHAPES, [info("records", F32, ["N", 200])]
    ),
    "wider pictures": lambda: model(plain(), SHAPES | WIDE, None, [info("images", U8, ["N", 14, 56])]),
    "wider pictures than it says": lambda: model(plain(), SHAPES | WIDE),
    "longer records": lambda: model(plain(), SHAPES, [info("records", U8, ["N", 201])]),
    "records of any length": lambda: model(plain(), SHAPES, [info("records", U8, ["N", "M"])]),
    "one at a time": lambda: model(plain(), SHAPES, [info("records", U8, [1, 200])]),
    "one for all": lambda: model(
        [*plain("u"), helper.make_node("Slice", ["u", "zero", "one", "zero"], ["images"])], SHAPES
    ),
    "another input": lambda: model(plain(), SHAPES, [IN, info("more", U8, ["N"])]),
    "another output": lambda: model(plain(), SHAPES, None, [OUT, info("some", U8, ["N", 196])]),
    "no input": lambda: model([helper.make_node("Identity", ["w"], ["images"])], {"w": BLANK}, []),
    "no output": lambda: model(plain(), SHAPES, None, []),
    "a circle": lambda: with_extra(
        helper.make_node("Relu", ["q"], ["extra"]), helper.make_node("Relu", ["extra"], ["q"])
    ),
    "a name that is no text": lambda: fine().SerializeToString().replace(b"records", b"record\xff"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_GRAPHS)
def test_graphs_that_are_not_what_they_should_be(what: str, mine: Path, cli: Cli) -> None:
    made = WRONG_GRAPHS[what]()
    put_file(mine, "decompressor.onnx", made if isinstance(made, bytes) else made.SerializeToString())
    assert "decompressor.onnx" in refusal(mine, cli)


def test_the_plain_graph_is_accepted(mine: Path) -> None:
    for file in (fine(), model(plain(), SHAPES)):
        put_file(mine, "decompressor.onnx", file.SerializeToString())
        use(mine)


def test_a_classifier_must_have_as_many_classes_as_labels(mine: Path, cli: Cli) -> None:
    change(mine / "heads/letters", labels=["a", "b", "c", "d"])
    assert "logits (4,)" in refusal(mine, cli)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("when", ["always", "only for some pictures"])
def test_infinite_values_and_nan(value: float, when: str, mine: Path) -> None:
    """A compressor that gives them, for black images or only for others."""
    nodes = [
        helper.make_node("Slice", ["images", "zero", "four", "one"], ["rows"]),
        helper.make_node("Slice", ["rows", "zero", "four", "two"], ["corner"]),
        helper.make_node("Cast", ["corner"], ["f"], to=F32),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("Concat", ["flat"] * 25, ["long"], axis=1),
        helper.make_node("Reshape", ["long", "shape"], ["x"]),
        helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["latents"]),
    ]
    usual = value if when == "always" else 1
    weights: Weights = {
        **{"zero": np.array([0]), "one": np.array([1]), "two": np.array([2]), "four": np.array([4])},
        **{"shape": np.array([-1, 16, 5, 5]), "low": np.array(0, np.float32), "high": np.array(15, np.float32)},
        "table": np.array([usual] + [value] * 15, np.float32),
    }
    graph = model(nodes, weights, [info("images", U8, ["N", 28, 28])], [info("latents", F32, ["N", 16, 5, 5])])
    put_file(mine, "compressor.onnx", graph.SerializeToString())
    codec = Codec.load(mine)
    if when != "always":
        assert codec.encode(BLANK).shape == (3, 200)
    with pytest.raises(BadModel, match="infinite values or NaN"):
        codec.encode(BLANK + np.uint8(200))


def test_a_file_changed_anywhere_is_refused_or_harmless(own_model: Path) -> None:
    """In a process of its own, because what it is about is a crash."""
    program = """
import sys
import numpy as np
from pathlib import Path
from atlcodec import engine
from atlcodec.errors import BadModel
rng = np.random.default_rng(8)
whole = Path(sys.argv[1]).read_bytes()
refused = 0
for _ in range(400):
    file = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        file[rng.integers(len(file)) if rng.integers(2) else rng.integers(3000)] = rng.integers(256)
    try:
        engine.Graph(bytes(file), engine.decompressor((28, 28)), "x")
    except BadModel:
        refused += 1
print(refused)
"""
    file = own_model / "decompressor.onnx"
    ran = subprocess.run(
        [sys.executable, "-c", program, file],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert 0 < int(ran.stdout) < 400


def doubling(start: str, axis: int, times: int, **weights: NDArray[Any]) -> onnx.ModelProto:
    names = [start, *(f"d{n}" for n in range(times - 1)), "extra"]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=axis) for a, b in itertools.pairwise(names)]
    return with_extra(helper.make_node("Cast", ["records"], ["run"], to=F32), *nodes, **weights)


def padded(start: str, rank: int, by: int) -> onnx.ModelProto:
    return with_extra(
        helper.make_node("Cast", ["records"], ["run"], to=F32),
        helper.make_node("Pad", [start, "pads"], ["extra"]),
        w=np.ones((1,) * rank, np.float32),
        pads=np.array([0] * rank + [by] * rank),
    )


def many_constants(count: int) -> onnx.ModelProto:
    """Each is made when the last is no longer needed; a reader that folds constants keeps them all."""
    nodes = []
    for number in range(count):
        nodes.append(helper.make_node("Add", [f"s{number - 1}" if number else "w", "w"], [f"w{number}"]))
        nodes.append(helper.make_node("Pad", [f"w{number}", "pads"], [f"p{number}"]))
        nodes.append(helper.make_node("ReduceMean", [f"p{number}"], [f"s{number}"]))
    nodes.append(helper.make_node("Identity", [f"s{count - 1}"], ["extra"]))
    return with_extra(*nodes, w=np.ones((1, 1), np.float32), pads=np.array([0, 0, 3000, 3000]))


HUNGRY: dict[str, tuple[Callable[[], onnx.ModelProto], bool]] = {  # and whether it is refused
    "terabytes of padding": (lambda: padded("w", 2, 1 << 20), True),
    "terabytes of padding at run time": (lambda: padded("run", 2, 1 << 20), True),
    "more than there are addresses": (lambda: padded("w", 2, 1 << 62), True),
    "doubled constants": (lambda: doubling("w", 0, 45, w=np.ones(64, np.float32)), True),
    "doubled at run time": (lambda: doubling("run", 1, 40), True),
    "many large constants": (lambda: many_constants(30), False),
}
MEASURE = f"""
import sys
import numpy as np
from pathlib import Path
from atlcodec import engine
from atlcodec.errors import BadModel
engine.MEMORY = 128 << 20  # less than it is, so that this test is quick
for path in sys.argv[1:]:
    try:
        engine.Graph(Path(path).read_bytes(), engine.decompressor((28, 28)), "x")
        print("accepted")
    except BadModel as error:
        print("refused")
{PEAK}
print(peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_the_memory_of_a_graph_is_bounded(tmp_path: Path) -> None:
    for number, (make, _) in enumerate(HUNGRY.values()):
        (tmp_path / str(number)).write_bytes(make().SerializeToString())
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *(tmp_path / str(number) for number in range(len(HUNGRY)))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    *said, peak = ran.stdout.splitlines()
    assert dict(zip(HUNGRY, said, strict=True)) == {
        name: "refused" if no else "accepted" for name, (_, no) in HUNGRY.items()
    }
    assert int(peak) < 300_000  # kilobytes
