"""The matrix products in a network, and nothing else of it: the least that its arithmetic costs with NumPy's BLAS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

CACHE = 1 << 20  # bytes of operands at a time, so that the product is measured and not the memory


@dataclass(frozen=True)
class Product:
    """For each picture, a matrix of `rows` x `inner` times the weights, `inner` x `columns`."""

    rows: int
    inner: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows} x {self.inner} x {self.columns}"


def products(file: bytes) -> list[Product]:
    """What an ONNX file multiplies: its dense layers, and its convolutions as products of patches (im2col)."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise SystemExit(
            "reading the shapes of a network needs the package onnx: pip install 'atlcodec[train]'"
        ) from error
    model = onnx.load_model_from_string(file)
    for source in model.graph.input:  # of one picture
        source.type.tensor_type.shape.dim[0].dim_value = 1
    for target in (*model.graph.value_info, *model.graph.output):
        target.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    constants = {i.name: list(i.dims) for i in graph.initializer}
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.value_info, *graph.output)
    } | constants
    found = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMulInteger"):
            continue
        left, right = (shapes.get(name, []) for name in node.input[:2])
        if node.op_type == "Conv":
            outputs, *kernel = right
            found.append(Product(int(np.prod(shapes[node.output[0]][2:])), int(np.prod(kernel)), outputs))
        else:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            rows, inner, columns = *left, right[0] if turned else right[1]
            # Where the weights stand on the left, the pictures are the columns.
            found.append(Product(columns, inner, rows) if node.input[0] in constants else Product(rows, inner, columns))
        if not (found[-1].rows and found[-1].inner and found[-1].columns):
            raise SystemExit(f"cannot tell the shapes of {node.op_type} -> {node.output[0]}")
    return found


def floor(shapes: Sequence[Product], pictures: int) -> Callable[[], None]:
    """A call that does these products for so many pictures, float32, in blocks that stay in the cache."""
    rng = np.random.default_rng(0)
    work = []
    for p in shapes:
        total = pictures * p.rows
        block = min(total, max(1, CACHE // (4 * (p.inner + p.columns))))
        patches = rng.random((block, p.inner), np.float32)
        weights = rng.random((p.inner, p.columns), np.float32)
        work.append((total, block, patches, weights, np.empty((block, p.columns), np.float32)))

    def run() -> None:
        for total, block, patches, weights, result in work:
            for start in range(0, total, block):
                size = min(block, total - start)
                np.matmul(patches[:size], weights, out=result[:size])

    return run
