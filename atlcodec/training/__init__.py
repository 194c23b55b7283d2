"""Training, the only part that uses PyTorch. Install it with `pip install atlcodec[train]`.

codec = atlcodec.training.load("mnist-lenet")                                  # its three networks, as PyTorch modules
data = atlcodec.training.records.RecordDataset("set.atlc", labels="set.csv")   # records, for a DataLoader
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from atlcodec.errors import AtlcError

if TYPE_CHECKING:
    from atlcodec.training.pretrained import Modules

__all__ = ["load"]


def load(which: str | os.PathLike[str], head: str | None = None) -> Modules:
    """A codec's compressor, decompressor and classifier as PyTorch modules, with the weights of its ONNX files.

    `which` and `head` are as for `atlcodec.Codec.load`, and so are the errors."""
    try:
        from atlcodec.training.pretrained import Modules
    except ModuleNotFoundError as error:
        raise AtlcError(f"{error.name} is not installed: pip install 'atlcodec[train]'") from error
    return Modules.load(which, head)
