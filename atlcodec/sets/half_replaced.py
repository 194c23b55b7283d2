"""A set whose two files a run was replacing when it stopped: the list may be of another run than the records."""

from __future__ import annotations

import os
from pathlib import Path

from atlcodec.sets import manifest

DONE = "done"  # a file in the journal while a run replaces the set


def journal_of(output: Path) -> Path:
    """The folder in which a run keeps what it has encoded of a set: see `journal`."""
    return output.with_name(f".{output.name}.part")


def why_half(output: Path) -> str:
    """Why the list beside a set may be of another run than its records; "" if it is not."""
    folder = journal_of(output)
    if not os.path.exists(folder / DONE):  # False for a name that is too long, where Path.exists() fails
        return ""
    return (
        f"{manifest.beside(output)}: is not used, for a run stopped while it replaced {output.name}; give the same "
        f"command again, or delete {folder}"
    )
