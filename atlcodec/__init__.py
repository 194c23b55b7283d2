"""atlcodec: 28 x 28 grey pictures in records of 200 bytes, which can be classified without being decoded.

record = atlcodec.encode("seven.png")        # 200 bytes
image = atlcodec.decode(record)              # uint8 (28, 28)
answer = atlcodec.classify(record)           # Prediction(label="7", ...)
"""

from atlcodec.codec import Codec, Prediction, classify, decode, encode
from atlcodec.errors import AtlcError, BadData, BadImage, BadModel, DamagedRecord, NotARecord, UnknownModel
from atlcodec.files import RecordFile, open, write
from atlcodec.record import pack, seal, unpack

__version__ = "0.1.0"
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
    "open",
    "pack",
    "seal",
    "unpack",
    "write",
]
