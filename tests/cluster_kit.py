"""Images and records as columns, for the tests of the batch functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kit import ROOT

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
MNIST, FASHION = "mnist-lenet", "fashion-lenet"
PAGE = ROOT / "docs" / "cluster.md"
COUNT = 400
PATHS = [f"7/{number:03}.png" for number in range(COUNT)]
Array = NDArray[Any]


def tensors(images: Array) -> Any:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(images)


def packed(column: Any) -> Array:
    """A column of records as uint8 (N, 200)."""
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, 200)
