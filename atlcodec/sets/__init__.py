"""Whole sets: many images in one file of records, with their paths and labels.

    from atlcodec import sets

    data = sets.load("mnist")                                   # images in memory: Dataset
    sets.encode_folder("images", "set.atlc", model="mnist")     # image files to records
    for part in sets.open("set.atlc"):                          # records, with their codec, paths and labels
        images = part.codec.decode(part.records)

Each name is imported when it is first used: `import atlcodec` and commands for one image do not wait for them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atlcodec.sets.dataset import Dataset, Split, load
    from atlcodec.sets.encode import EncodedSet, encode_folder
    from atlcodec.sets.manifest import Entry
    from atlcodec.sets.record_set import RecordSet, SetPart, open
else:
    _HOMES = {
        "Dataset": "dataset",
        "EncodedSet": "encode",
        "Entry": "manifest",
        "RecordSet": "record_set",
        "SetPart": "record_set",
        "Split": "dataset",
        "encode_folder": "encode",
        "load": "dataset",
        "open": "record_set",
    }

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Dataset",
    "EncodedSet",
    "Entry",
    "RecordSet",
    "SetPart",
    "Split",
    "encode_folder",
    "load",
    "open",
]
