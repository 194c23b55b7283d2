"""Images and records as columns, for the tests of the batch functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drawings import seven
from kit import ROOT

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
MNIST, FASHION = "mnist-lenet", "fashion-lenet"
PAGE = ROOT / "docs" / "cluster.md"
COUNT = 400
PATHS = [f"7/{number:03}.png" for number in range(COUNT)]
Array = NDArray[Any]


def moved_sevens() -> Array:
    """Sevens that differ, moved about: uint8 (400, 28, 28)."""
    rng = np.random.default_rng(0)
    some = [seven(slant) for slant in np.linspace(-2, 2, 20)]
    return np.stack([np.roll(some[n % 20], rng.integers(-3, 4, 2), (0, 1)) for n in range(COUNT)])


def tensors(images: Array) -> Any:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(images)


def packed(column: Any) -> Array:
    """A column of records as uint8 (N, 200)."""
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, 200)
