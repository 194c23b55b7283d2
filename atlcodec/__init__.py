"""atlcodec: small images of one kind in records of 200 bytes, which can be classified without being decoded.

One image, one record:

    record = atlcodec.encode("seven.png")        # 200 bytes; also arrays, Pillow images, bytes, open files
    image = atlcodec.decode(record)              # uint8, of the codec's shape
    answer = atlcodec.classify(record)           # Prediction(label="7", ...)

Many at once, with one model:

    codec = atlcodec.Codec.load("mnist")
    records = codec.encode(images)               # uint8 (N, 28, 28) -> uint8 (N, 200)
    answers = codec.predict(records)             # list[Prediction]

An image of any other size, as a grid of records:

    scan = atlcodec.encode_image("scan.png")     # bytes
    page = atlcodec.decode_image(scan)           # uint8, of the same size

Files of records:

    atlcodec.encode_folder("images", "set.atlc")
    records = atlcodec.open("set.atlc")          # len, [0], [10:20], .paths, .labels
    atlcodec.write("copy.atlc", records.array)

Every error is an `AtlcError`; for a missing file it is a `FileNotFoundError` too. The modules `arrow`, `cluster`,
`evaluation`, `neighbours`, `sets`, `training` and `zarr` do more. Each name is imported when it is first used."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False  # for tools that check types; `typing` takes a while to import, and few wait for it in vain
if TYPE_CHECKING:
    from typing import Any

    from atlcodec import arrow as arrow
    from atlcodec import cluster as cluster
    from atlcodec import evaluation as evaluation
    from atlcodec import neighbours as neighbours
    from atlcodec import sets as sets
    from atlcodec import training as training
    from atlcodec import zarr as zarr
    from atlcodec.api import classify, decode, decode_image, encode, encode_image
    from atlcodec.codec import Codec, Prediction
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
    from atlcodec.sets.encode import encode_folder
else:
    _HOMES = {
        **dict.fromkeys(("encode", "decode", "classify", "encode_image", "decode_image"), "api"),
        **dict.fromkeys(("Codec", "Prediction"), "codec"),
        "encode_folder": "sets.encode",
        **dict.fromkeys(("open", "write", "RecordFile"), "files"),
        **dict.fromkeys(("pack", "unpack", "seal"), "record"),
        **dict.fromkeys(
            (
                "AtlcError",
                "BadData",
                "BadImage",
                "BadModel",
                "DamagedRecord",
                "LossWarning",
                "NotARecord",
                "UnknownModel",
            ),
            "errors",
        ),
    }

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
            globals()[name] = found
            return found
        try:  # a module, as after an import of its own
            return importlib.import_module(f"{__name__}.{name}" if name[:1] != "_" else "")
        except (ModuleNotFoundError, ValueError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]


def register_pillow() -> None:
    """Let Pillow open and save `.atlc` files, each record as a frame: `Image.open("x.atlc")`, `image.save("x.atlc",
    model=...)`. Processes that are spawned must call it themselves."""
    from atlcodec import pillow  # imported only when needed

    pillow.register()


# In the order of use, which `help(atlcodec)` keeps.
__all__ = [  # noqa: RUF022
    "encode",
    "decode",
    "classify",
    "encode_image",
    "decode_image",
    "Prediction",
    "Codec",
    "encode_folder",
    "open",
    "RecordFile",
    "write",
    "pack",
    "unpack",
    "seal",
    "register_pillow",
    "AtlcError",
    "BadImage",
    "NotARecord",
    "DamagedRecord",
    "UnknownModel",
    "BadModel",
    "BadData",
    "LossWarning",
]
