"""atlcodec: 28 x 28 grey pictures in records of 200 bytes, which can be classified without being decoded.

record = atlcodec.encode("seven.png")        # 200 bytes
image = atlcodec.decode(record)              # uint8 (28, 28)
answer = atlcodec.classify(record)           # Prediction(label="7", ...)
"""

from typing import TYPE_CHECKING, Any

from atlcodec.api import Prediction, classify, decode, encode
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData, BadImage, BadModel, DamagedRecord, NotARecord, UnknownModel
from atlcodec.files import RecordFile, open, write
from atlcodec.record import pack, seal, unpack

__version__ = "0.1.0"


if TYPE_CHECKING:
    from atlcodec.sets.encode import encode_folder
else:

    def __getattr__(name: str) -> Any:
        if name == "encode_folder":  # most programs need no sets
            from atlcodec.sets.encode import encode_folder

            return encode_folder
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register_pillow() -> None:
    """Let Pillow open and save `.atlc` files, every record a frame: `Image.open("x.atlc")`, `image.save("x.atlc",
    model=...)`."""
    from atlcodec import pillow  # nobody who does not ask for it waits for Pillow

    pillow.register()


__all__ = [
    "AtlcError",
    "BadData",
    "BadImage",
    "BadModel",
    "Codec",
    "DamagedRecord",
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
