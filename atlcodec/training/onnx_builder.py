"""An ONNX graph under construction, written with `onnx.helper`: the same nodes give the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18  # the first with BitwiseAnd on uint8
IR_VERSION = 10
Port = tuple[int, list[int | str]]  # element type and shape


class GraphBuilder:
    """Nodes in order. A value is known by its name; methods that add nodes return it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.sides: dict[str, tuple[int, int]] = {}  # rows and columns of some values, for `gradient`
        self._constants: dict[bytes, str] = {}

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str, value: NDArray[np.float32] | NDArray[np.integer]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        key = str(value.dtype).encode() + str(value.shape).encode() + value.tobytes()
        if key not in self._constants:
            self._constants[key] = f"c{len(self._constants)}"
            self.initializers.append(numpy_helper.from_array(value, self._constants[key]))
        return self._constants[key]

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def padded(self, x: str, sides: tuple[int, int], to: tuple[int, int]) -> str:
        """Images (N, C, *sides), filled up with zeros at the right and below: (N, C, *to)."""
        y = self.add("Pad", x, self.ints(0, 0, 0, 0, 0, 0, to[0] - sides[0], to[1] - sides[1]))
        self.sides[x], self.sides[y] = sides, to
        return y

    def cropped(self, x: str, sides: tuple[int, int], to: tuple[int, int]) -> str:
        """Back again: the first rows and columns of images (N, C, *sides)."""
        y = self.add("Slice", x, self.ints(0, 0), self.ints(*to), self.ints(2, 3))
        self.sides[x], self.sides[y] = sides, to
        return y

    def shuffled(self, x: str, side: int) -> str:
        """Four phases, each `side` x `side`, as one image. `gradient` needs to know the side."""
        self.sides[x] = (side, side)
        return self.add("DepthToSpace", x, blocksize=2, mode="CRD")

    def scaled(self, weight: str, factor: float) -> str:
        return weight if factor == 1 else self.add("Mul", weight, self.constant(np.array(factor, np.float32)))

    def finish(self, sources: dict[str, Port], targets: dict[str, tuple[str, Port]]) -> bytes:
        """The file, from its inputs and outputs. No node may read the value of an output."""
        for name, (value, _) in targets.items():
            (node,) = [node for node in self.nodes if value in node.output]
            node.output[0] = name
        graph = helper.make_graph(
            self.nodes,
            "atlcodec",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in sources.items()],
            [helper.make_tensor_value_info(name, kind, shape) for name, (_, (kind, shape)) in targets.items()],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.ClearField("producer_name")
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
