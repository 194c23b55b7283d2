"""Where a data set is that you name: a path, a folder below `$ATLC_DATA`, or an official set by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from atlcodec.errors import BadData
from atlcodec.sets import official

CIFAR, CIFAR_FOLDER = "CIFAR10", "cifar-10-batches-bin"  # the folder that its archive holds
KNOWN_FORMS = (
    "image files, or a data set: IDX files, .npz, .npy, a CSV of pixels, Parquet, CIFAR-10 in its binary version"
)


class MissingData(BadData, FileNotFoundError):
    """There is no data set of this name."""


def locate(where: str | os.PathLike[str], log: Callable[[str], None] = lambda _: None) -> Path:
    """The path of a set. Raises `MissingData`, `BadData`."""
    path = Path(where)
    if path.exists():
        return path
    if len(path.parts) == 1:
        below = Path(os.environ.get("ATLC_DATA", "")) / path
        if os.environ.get("ATLC_DATA") and below.exists():
            return below
        name = official_name(where)
        if name is not None:
            return official.download(name, log=log)
    names = ", ".join(official.OFFICIAL)
    hint = f"; {CIFAR} is not downloaded: give its folder {CIFAR_FOLDER}" if _plain(where) == CIFAR.lower() else ""
    raise MissingData(f"{where}: no such file or folder; give {KNOWN_FORMS}; or one of: {names}{hint}")


def is_known(where: str | os.PathLike[str]) -> bool:
    """Whether something that is no path is the name of a set: of a folder below `$ATLC_DATA`, or of an official one."""
    data = os.environ.get("ATLC_DATA")
    return official_name(where) is not None or bool(
        data and len(Path(where).parts) == 1 and (Path(data) / where).is_dir()
    )


def official_name(where: str | os.PathLike[str]) -> str | None:
    """The official set of this name, in any case and with or without a hyphen."""
    return {_plain(name): name for name in official.OFFICIAL}.get(_plain(where))


def _plain(name: str | os.PathLike[str]) -> str:
    return str(name).lower().replace("-", "").replace("_", "")
