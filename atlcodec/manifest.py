"""Moved to `atlcodec.sets.manifest`."""

from atlcodec.sets.manifest import HEADER, Entry, append, beside, entries, read, write

__all__ = ["HEADER", "Entry", "append", "beside", "entries", "read", "write"]
