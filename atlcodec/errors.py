"""The errors of atlcodec: one family, each message says what was wrong, where, and what to do."""

from __future__ import annotations

import errno
import os


class AtlcError(Exception):
    """Base of every error that atlcodec raises on purpose."""


class MissingFile(AtlcError, FileNotFoundError):
    """The file does not exist. It is a `FileNotFoundError`, with `filename` and `errno`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"

    def __reduce__(self) -> tuple[type[MissingFile], tuple[str]]:
        return type(self), (self.filename,)  # what OSError gives has three arguments


class NotARecord(AtlcError, ValueError):
    """The bytes cannot be records: the length is not a multiple of 200, or the array has the wrong shape or type."""


class UnknownModel(AtlcError, LookupError):
    """No installed codec has this name or id; for a record: it is damaged, or was made with another codec."""


class DamagedRecord(AtlcError, ValueError):
    """A codec was named, and the seal of the record does not match it."""


class BadImage(AtlcError, ValueError):
    """An image of the wrong size or mode, or one that cannot be read."""


class LossWarning(UserWarning):
    """An image became blank or dark, or much smaller, or some of its values were cut off."""


class BadModel(AtlcError, ValueError):
    """A model folder that does not match its card."""


class MissingModel(BadModel, FileNotFoundError):
    """The folder of a model does not exist or has no card. It is a `FileNotFoundError`, as `MissingFile` is."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # ValueError comes first among the bases, and its __init__ would not set `filename`.
        OSError.__init__(self, errno.ENOENT, "is not a model folder (no card.json)", os.fspath(folder))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"

    def __reduce__(self) -> tuple[type[MissingModel], tuple[str]]:
        return type(self), (self.filename,)


class BadData(AtlcError, ValueError):
    """A data set that is missing, incomplete, or not what its name promises."""
