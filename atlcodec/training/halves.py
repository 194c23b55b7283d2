"""Files of half the size: weights of the encoder's networks in 16 bits. ONNX Runtime makes 32 bits of them again when
it loads a file. A decompressor or a classifier is never changed so: its bytes are what records refer to."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST = 4096  # elements of a weight that is worth it
LARGEST = float(np.finfo(np.float16).max)


def halved(file: bytes) -> bytes:
    """An ONNX file with its large float32 weights as float16, each behind a Cast. Weights that float16 cannot hold stay
    as they are."""
    model = onnx.load_model_from_string(file)
    wide = {}
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < LEAST:
            continue
        values = numpy_helper.to_array(weight)
        if np.abs(values).max() > LARGEST:
            continue
        wide[weight.name] = f"{weight.name}/32"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), weight.name))
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = wide.get(name, name)
    casts = [helper.make_node("Cast", [name], [again], to=TensorProto.FLOAT) for name, again in wide.items()]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
