"""Operators with hostile attributes and weights, as a stranger's model may have: each is refused, fails or runs, in a
process of its own with little memory. None ends it, hangs, or takes gigabytes."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import engine, graph
from atlcodec.costs import Costs
from atlcodec.errors import BadModel

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory, and forks")

CASES = int(os.environ.get("ATLC_OPERATOR_CASES", "160"))
NUMBERS = [0, 1, -1, 2, 3, 5, 28, 200, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, -(2**63)]
SHAPES: list[tuple[int, ...]] = [(), (0,), (3,), (1, 1), (0, 3), (2, 3), (1, 1, 4, 4), (1, 2, 5, 5), (1, 4, 2, 2)]
KINDS = [np.float32] * 5 + [np.int64, np.int32, np.uint8, np.int8]
LISTS = "kernel_shape strides dilations pads perm axes output_padding output_shape".split()
SINGLE = "axis group blocksize num_outputs keepdims ceil_mode start end allowzero transA transB to".split()
OPERATOR_SET = 20


def case(rng: np.random.Generator) -> bytes:
    """A graph of one operator."""

    def number() -> int:
        return int(rng.choice(4)) if rng.random() < 0.6 else NUMBERS[rng.integers(len(NUMBERS))]

    def array() -> NDArray[Any]:
        if rng.random() < 0.35:
            return np.array([number() for _ in range(rng.integers(5))], np.int64)
        shape, kind = SHAPES[rng.integers(len(SHAPES))], KINDS[rng.integers(len(KINDS))]
        values = np.array([number() for _ in range(int(np.prod(shape)))], np.int64)
        return values.astype(kind).reshape(shape)

    operator = str(rng.choice(sorted(graph.OPERATORS - {"Constant"})))
    known = onnx.defs.get_schema(operator, OPERATOR_SET).attributes
    attributes: dict[str, Any] = {name: number() for name in SINGLE if name in known}
    attributes |= {name: [number() for _ in range(rng.integers(1, 5))] for name in LISTS if name in known}
    attributes |= {"auto_pad": str(rng.choice(["NOTSET", "SAME_UPPER", "VALID"]))} if "auto_pad" in known else {}
    given = {name: value for name, value in attributes.items() if rng.random() < 0.6 or name in ("to", "blocksize")}
    inputs = {f"x{at}": array() for at in range(rng.integers(1, 5))}
    outputs = [f"y{at}" for at in range(rng.integers(1, 4) if operator == "Split" else 1)]
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, list(inputs), outputs, **given)],
        "g",
        [],
        [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in inputs.items()],
    )
    sets = [onnx.helper.make_opsetid("", OPERATOR_SET)]
    return bytes(onnx.helper.make_model(made, opset_imports=sets, ir_version=10).SerializeToString())


def use(file: bytes) -> int:
    """As the engine does with a stranger's graph: 1 if it is refused, 2 if it fails, 3 if it runs."""
    try:
        graph.check(file, "x")
        Costs(file, "x").check(1, {})
    except BadModel:
        return 1
    runtime = engine._runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"], enable_fallback=0).run(None, {})
    except Exception:
        return 2
    return 3


def test_no_operator_ends_the_process() -> None:
    import resource

    engine._runtime()
    rng, ends = np.random.default_rng(int(os.environ.get("ATLC_OPERATOR_SEED", "3"))), set()
    for _ in range(CASES):
        file = case(rng)
        process = os.fork()
        if not process:
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            signal.setitimer(signal.ITIMER_PROF, 10)  # of processor time; its signal ends the process
            code = use(file)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            os._exit(code if peak < 1 << 20 else 77)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert code in (1, 2, 3), onnx.load_from_string(file)
        ends.add(code)
    assert ends == {1, 2, 3}
