"""Which files are exact networks within their bounds (`bounds.py`): found out once for each file, since it takes half a
second, and kept in the user's cache under the SHA-256 of the file."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from atlcodec import atomic, bounds
from atlcodec.errors import AtlcError, BadModel

RULES = 2  # the number of the bounds: with another one, all files are checked again


def is_exact(file: bytes, name: str, *, claimed: bool = False) -> bool:
    """Whether a file that `graph.check` has accepted is an exact network within its bounds. Raises `BadModel`, which
    names the layer, if it is not and its card claims it."""
    path = _folder() / f"{RULES}-{hashlib.sha256(file).hexdigest()}"
    with contextlib.suppress(OSError):
        known = path.read_bytes()
        if known == b"exact" or (known == b"other" and not claimed):
            return known == b"exact"
    try:
        bounds.check(file, name)
    except BadModel:
        if claimed:
            raise
        _keep(path, b"other")
        return False
    _keep(path, b"exact")
    return True


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("atlcodec", appauthor=False)) / "exact"


def _keep(path: Path, what: bytes) -> None:
    """Without a folder that can be written, a file is checked at each start."""
    with contextlib.suppress(OSError, AtlcError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(path, sync=False) as file:
            file.write(what)
