"""The matrix products in a network, alone: the least that its arithmetic costs with NumPy's BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CACHE = 1 << 20  # bytes of operands at a time, so that the product is measured and not the memory


@dataclass(frozen=True)
class Product:
    """For each image, a matrix of `rows` x `inner` times the weights, `inner` x `columns`."""

    rows: int
    inner: int
    columns: int


def products(file: bytes) -> list[Product]:
    """The products in an ONNX file: its dense layers, and its convolutions as products of patches (im2col)."""
    import onnx

    model = onnx.load_model_from_string(file)
    for source in model.graph.input:  # for one image
        source.type.tensor_type.shape.dim[0].dim_value = 1
    for target in (*model.graph.value_info, *model.graph.output):
        target.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    weights = {weight.name: list(weight.dims) for weight in graph.initializer}
    values = (*graph.value_info, *graph.output)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values} | weights
    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            columns, *kernel = shapes[node.input[1]]
            found.append(Product(int(np.prod(shapes[node.output[0]][2:])), int(np.prod(kernel)), columns))
        elif node.op_type in ("Gemm", "MatMulInteger"):
            left, right = shapes[node.input[0]], shapes[node.input[1]]
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            rows, inner, columns = *left, right[0] if transposed else right[1]
            # Where the weights are on the left, the images are the columns.
            found.append(Product(columns, inner, rows) if node.input[0] in weights else Product(rows, inner, columns))
    if not all(p.rows and p.inner and p.columns for p in found):
        raise SystemExit(f"a product has no fixed shape: {found}")
    return found


def multiplications(file: bytes) -> int:
    """Of an ONNX file, for one image."""
    return sum(p.rows * p.inner * p.columns for p in products(file))


def floor(file: bytes, images: int) -> Callable[[], None]:
    """A call that does the products of an ONNX file for so many images, float32, in blocks that stay in the cache."""
    rng = np.random.default_rng(0)
    work = []
    for p in products(file):
        total = images * p.rows
        block = min(total, max(1, CACHE // (4 * (p.inner + p.columns))))
        patches, weights = rng.random((block, p.inner), np.float32), rng.random((p.inner, p.columns), np.float32)
        work.append((total, block, patches, weights, np.empty((block, p.columns), np.float32)))

    def run() -> None:
        for total, block, patches, weights, result in work:
            for start in range(0, total, block):
                size = min(block, total - start)
                np.matmul(patches[:size], weights, out=result[:size])

    return run
