"""Moved to `atlcodec.sets`."""

from collections.abc import Callable
from pathlib import Path

from atlcodec.sets import dataset
from atlcodec.sets.dataset import Dataset, Images, Labels, Split
from atlcodec.sets.idx import read as read_idx
from atlcodec.sets.official import DIGITS, OFFICIAL

__all__ = ["DIGITS", "OFFICIAL", "Dataset", "Images", "Labels", "Split", "load", "read_idx"]


def load(where: str | Path, *, say: Callable[[str], None] = lambda _: None) -> Dataset:
    return dataset.load(where, log=say)
