"""PSNR and accuracy, as the paper measures them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR = 0.01  # squared grey levels: an image without error counts as 68 dB where PSNRs are averaged


def squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared error of each image: uint8 (N, ...) twice -> float64 (N,)."""
    difference = a.astype(np.int32) - b.astype(np.int32)
    axes = tuple(range(1, difference.ndim))
    return np.asarray((difference * difference).mean(axis=axes, dtype=np.float64))


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error over 8-bit pixels; infinite for an error of zero.

    The paper's PSNR is that of the error pooled over the whole test set (Section 3.3)."""
    return float("inf") if mse == 0 else float(10 * np.log10(255.0**2 / mse))


def psnr_each(mse: NDArray[np.float64]) -> NDArray[np.float64]:
    """The PSNR in dB of each mean squared error, float64 (N,) twice; at most 68 dB."""
    return np.asarray(-10 * np.log10(np.maximum(mse, FLOOR) / 255**2))


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax: float32 (N, classes) -> the same; each row sums to 1."""
    columns = np.ascontiguousarray(logits.T)  # classes first: sums over few rows are quick
    columns -= columns.max(axis=0)
    np.exp(columns, out=columns)
    found: NDArray[np.float32] = columns / columns.sum(axis=0)
    return found.T


def accuracy(scores: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """Share of rows whose highest score is the label's: float32 (N, classes), integers (N,) -> 0..1."""
    return float((scores.argmax(axis=1) == labels).mean())
