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
    path, name = Path(where), official_name(where)
    if path.exists():
        if name is not None:
            log(f"{where}: the one in this folder, not the official {name}, is read")
        return path
    if len(path.parts) == 1:
        below = _below(str(where))
        if below is not None:
            return below
        if name is not None:
            return official.download(name, log=log)
    names = ", ".join(official.OFFICIAL)
    hint = f"; {CIFAR} is not downloaded: give its folder {CIFAR_FOLDER}" if _plain(where) == CIFAR.lower() else ""
    raise MissingData(f"{where}: no such file or folder; give {KNOWN_FORMS}; or one of: {names}{hint}")


def is_known(where: str | os.PathLike[str]) -> bool:
    """Whether a path that does not exist is the name of a set: a folder below `$ATLC_DATA`, or an official set."""
    below = _below(str(where)) if len(Path(where).parts) == 1 else None
    return official_name(where) is not None or (below is not None and below.is_dir())


def _below(name: str) -> Path | None:
    """What has this name below `$ATLC_DATA`; a folder in any case, and with or without a hyphen."""
    data = os.environ.get("ATLC_DATA")
    if not data:
        return None
    if (Path(data) / name).exists():
        return Path(data) / name
    try:
        folders = sorted(entry.name for entry in os.scandir(data) if entry.is_dir())
    except OSError:
        return None
    return next((Path(data) / folder for folder in folders if _plain(folder) == _plain(name)), None)


def official_name(where: str | os.PathLike[str]) -> str | None:
    """The official set of this name, in any case and with or without a hyphen."""
    return {_plain(name): name for name in official.OFFICIAL}.get(_plain(where))


def _plain(name: str | os.PathLike[str]) -> str:
    return str(name).lower().replace("-", "").replace("_", "")
