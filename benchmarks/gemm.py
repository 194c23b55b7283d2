"""The matrix products in a network, alone: the least that its arithmetic costs with NumPy's BLAS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CACHE = 1 << 20  # bytes of operands at a time, so that the product is measured and not the memory


def products(file: bytes) -> list[tuple[int, int, int]]:
    """Rows, inner length and columns of the products in an ONNX file for one image: its dense layers, and its
    convolutions as products of patches (im2col)."""
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
            found.append((int(np.prod(shapes[node.output[0]][2:])), int(np.prod(kernel)), columns))
        elif node.op_type in ("Gemm", "MatMulInteger"):
            images_left = node.input[0] not in weights
            inner = shapes[node.input[0]][1]
            rows, columns = shapes[node.output[0]][:: 1 if images_left else -1]
            found.append((rows, inner, columns))
    if not np.all(found):
        raise SystemExit(f"a product has no fixed shape: {found}")
    return found


def multiplications(file: bytes) -> int:
    """Of an ONNX file, for one image."""
    return sum(rows * inner * columns for rows, inner, columns in products(file))


def floor(file: bytes, images: int) -> Callable[[], None]:
    """A call that does the products of an ONNX file for so many images, float32, in blocks that stay in the cache."""
    rng, work = np.random.default_rng(0), []
    for rows, inner, columns in products(file):
        total = images * rows
        block = min(total, max(1, CACHE // (4 * (inner + columns))))
        patches, weights = rng.random((block, inner), np.float32), rng.random((inner, columns), np.float32)
        work.append((total, patches, weights, np.empty((block, columns), np.float32)))

    def run() -> None:
        for total, patches, weights, result in work:
            for start in range(0, total, len(patches)):
                size = min(len(patches), total - start)
                np.matmul(patches[:size], weights, out=result[:size])

    return run
