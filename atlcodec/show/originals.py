"""The originals of a set: the images that its list names, in the folder that was encoded."""

from __future__ import annotations

from pathlib import Path

from atlcodec import picture
from atlcodec.errors import AtlcError
from atlcodec.fit import Fit
from atlcodec.show.items import Item, Originals, Pixels, Report


def folder(where: str, how: Fit, report: Report) -> Originals:
    """The function from items to their originals, made to fit as `how` says. One that cannot be read is reported."""
    root, complained = Path(where), set[str]()

    def read(item: Item) -> Pixels | None:
        if item.path is None or item.grid is not None:
            if item.file not in complained:
                complained.add(item.file)
                report(f"{item.file}: has no list of paths, so no original is shown")
            return None
        if item.original is not None:
            return item.original
        try:
            return picture.read(root / item.path, how, shape=item.codec.shape)
        except AtlcError as error:
            if item.path not in complained:
                complained.add(item.path)
                report(error)
            return None

    return read
