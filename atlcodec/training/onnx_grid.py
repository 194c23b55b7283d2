"""Grids of patches and reduced images as ONNX nodes: the same as the layers of `grid.py` and `resample.py`. Images of
one channel need a dimension less."""

from __future__ import annotations

from atlcodec.training.grid import Patches, Unpatches, Unshuffle
from atlcodec.training.onnx_builder import GraphBuilder
from atlcodec.training.resample import Resample


def patches(g: GraphBuilder, x: str, layer: Patches) -> str:
    """Images (N, C, H, W) -> (rows, columns, N, C, size, size), without the C if there is one channel."""
    x, size = _filled(g, x, layer), layer.size
    if layer.channels == 1:
        x = g.add("Reshape", x, g.ints(-1, layer.rows, size, layer.columns, size))
        return g.add("Transpose", x, perm=[1, 3, 0, 2, 4])
    x = g.add("Reshape", x, g.ints(-1, layer.channels, layer.rows, size, layer.columns, size))
    return g.add("Transpose", x, perm=[2, 4, 0, 1, 3, 5])


def unpatches(g: GraphBuilder, x: str, layer: Unpatches) -> str:
    """Back again, from values in this order -> (N, C, H, W)."""
    size = layer.size
    if layer.channels == 1:
        x = g.add("Reshape", x, g.ints(layer.rows, layer.columns, -1, size, size))
        x = g.add("Transpose", x, perm=[2, 0, 3, 1, 4])
    else:
        x = g.add("Reshape", x, g.ints(layer.rows, layer.columns, -1, layer.channels, size, size))
        x = g.add("Transpose", x, perm=[2, 3, 0, 4, 1, 5])
    x = g.add("Reshape", x, g.ints(-1, layer.channels, *layer.padded))
    return x if layer.divides else g.cropped(x, layer.padded, (layer.height, layer.width))


def unshuffle(g: GraphBuilder, x: str, layer: Unshuffle) -> str:
    """ONNX has an operator for this, which orders the results of several channels otherwise."""
    x, size = _filled(g, x, layer), layer.size
    if layer.channels == 1:
        return g.add("SpaceToDepth", x, blocksize=size)
    x = g.add("Reshape", x, g.ints(-1, layer.channels, layer.rows, size, layer.columns, size))
    x = g.add("Transpose", x, perm=[0, 1, 3, 5, 2, 4])
    return g.add("Reshape", x, g.ints(-1, layer.channels * size**2, layer.rows, layer.columns))


def resample(g: GraphBuilder, x: str, name: str, layer: Resample) -> str:
    """`name` begins the names of the matrices."""
    rows, columns = (each.cpu().numpy() for each in (layer.rows, layer.columns))
    x = g.add("MatMul", g.weight(f"{name}.rows", rows), x)
    return g.add("MatMul", x, g.weight(f"{name}.columns", columns))


def _filled(g: GraphBuilder, x: str, layer: Patches | Unshuffle) -> str:
    return x if layer.divides else g.padded(x, (layer.height, layer.width), layer.padded)
