"""atlcodec: small images of one kind in records of 200 bytes, which can be classified without being decoded.

record = atlcodec.encode("seven.png")        # 200 bytes
image = atlcodec.decode(record)              # uint8, of the codec's shape
answer = atlcodec.classify(record)           # Prediction(label="7", ...)

Every error is an `AtlcError`; for a missing file it is a `FileNotFoundError` too. The modules `arrow`, `cluster`,
`evaluation`, `neighbours`, `sets`, `training` and `zarr` are imported when they are first used."""

import importlib
from typing import TYPE_CHECKING, Any

from atlcodec.api import Prediction, classify, decode, encode
from atlcodec.codec import Codec
from atlcodec.errors import (
    AtlcError,
    BadData,
    BadImage,
    BadModel,
    DamagedRecord,
    LossWarning,
    NotARecord,
    UnknownModel,
)
from atlcodec.files import RecordFile, open, write
from atlcodec.record import pack, seal, unpack

__version__ = "0.1.0"


if TYPE_CHECKING:
    from atlcodec import arrow as arrow
    from atlcodec import cluster as cluster
    from atlcodec import evaluation as evaluation
    from atlcodec import neighbours as neighbours
    from atlcodec import sets as sets
    from atlcodec import training as training
    from atlcodec import zarr as zarr
    from atlcodec.sets.encode import encode_folder
else:
    _MODULES = ("arrow", "cluster", "evaluation", "neighbours", "sets", "training", "zarr")

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name == "encode_folder":
            return importlib.import_module("atlcodec.sets.encode").encode_folder
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register_pillow() -> None:
    """Let Pillow open and save `.atlc` files, each record as a frame: `Image.open("x.atlc")`, `image.save("x.atlc",
    model=...)`."""
    from atlcodec import pillow  # imported only when needed

    pillow.register()


__all__ = [
    "AtlcError",
    "BadData",
    "BadImage",
    "BadModel",
    "Codec",
    "DamagedRecord",
    "LossWarning",
    "NotARecord",
    "Prediction",
    "RecordFile",
    "UnknownModel",
    "classify",
    "decode",
    "encode",
    "encode_folder",
    "open",
    "pack",
    "register_pillow",
    "seal",
    "unpack",
    "write",
]
