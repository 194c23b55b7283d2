"""Training, the only part that uses PyTorch. Install it with `pip install atlcodec[train]`.

codec = atlcodec.training.load("mnist-lenet")                                  # its three networks, as PyTorch modules
data = atlcodec.training.records.RecordDataset("set.atlc", labels="set.csv")   # records, for a DataLoader
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from atlcodec.errors import AtlcError

if TYPE_CHECKING:
    from atlcodec.training import records as records
    from atlcodec.training.pretrained import Modules
else:

    def __getattr__(name: str) -> Any:
        if name == "records":
            return importlib.import_module(f"{__name__}.records")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["load"]


def load(which: str | os.PathLike[str], head: str | None = None) -> Modules:
    """A codec's compressor, decompressor and classifier as PyTorch modules, with the weights of its ONNX files.

    `which` and `head` are as for `atlcodec.Codec.load`, and so are the errors."""
    try:
        from atlcodec.training.pretrained import Modules
    except ModuleNotFoundError as error:
        raise AtlcError(f"{error.name} is not installed: pip install 'atlcodec[train]'") from error
    return Modules.load(which, head)
