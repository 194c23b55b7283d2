"""How good: PSNR and accuracy, as the paper measures them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared error of each picture: uint8 (N, 28, 28) twice -> float64 (N,)."""
    difference = a.astype(np.int32) - b.astype(np.int32)
    return np.asarray((difference * difference).mean(axis=(1, 2), dtype=np.float64))


def psnr(mse: float) -> float:
    """Peak signal to noise ratio in dB of a mean squared error over 8-bit pixels; infinite where the error is zero.

    The paper's PSNR is that of the error pooled over the whole test set (Section 3.3)."""
    return float("inf") if mse == 0 else float(10 * np.log10(255.0**2 / mse))


def accuracy(scores: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """Share of rows whose highest score is the label's: float32 (N, classes), integers (N,) -> 0..1."""
    return float((scores.argmax(axis=1) == labels).mean())
