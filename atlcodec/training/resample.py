"""Large images reduced, and enlarged again, by fixed matrices: so the linear path of a network has few pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def averages(side: int, by: int) -> NDArray[np.float32]:
    """The matrix that reduces `side` pixels to their averages over `by` of them, float32 (ceil(side / by), side). The
    last average is that of the pixels that are left."""
    own = (np.arange(side) // by == np.arange(-(-side // by))[:, None]).astype(np.float64)
    return np.asarray(own / own.sum(axis=1, keepdims=True), np.float32)


def enlarging(side: int, by: int) -> NDArray[np.float32]:
    """The matrix that makes `side` pixels of such averages, float32 (side, ceil(side / by)): each average stands at the
    middle of its pixels, with straight lines in between, and does not change beyond the first and the last one."""
    middles = averages(side, by).astype(np.float64) @ np.arange(side)
    steps = [np.interp(np.arange(side), middles, row) for row in np.eye(len(middles))]
    return np.stack(steps, axis=1).astype(np.float32)


def nearest(side: int, by: int) -> NDArray[np.float32]:
    """The matrix that reduces `side` pixels to those that `enlarging` brings nearest to them, float32 (ceil(side / by),
    side): up to 1 dB better than averages, at the start of training."""
    return np.asarray(np.linalg.pinv(enlarging(side, by).astype(np.float64)), np.float32)


class Resample(nn.Module):
    """Images of another size, by one fixed matrix for the rows, (H', H), and one for the columns, (W', W): (N, C, H, W)
    -> (N, C, H', W'). Always in float32."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(rows))
        self.register_buffer("columns", torch.from_numpy(np.ascontiguousarray(columns.T)))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.rows @ x.float() @ self.columns

    def squares(self, x: Tensor) -> Tensor:
        """The sums of squares of the pixels that become of images (N, C, H, W): (N,)."""
        return (x * (self.rows.t() @ self.rows @ x @ self.columns @ self.columns.t())).sum(dim=(1, 2, 3))
