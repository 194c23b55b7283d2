"""Stretches of a file: where records are, and where there are other bytes."""

from __future__ import annotations

from dataclasses import dataclass

from atlcodec.record import RECORD_BYTES


@dataclass(frozen=True)
class Span:
    """A stretch of a file: `count` records from byte `start` on, or `skipped` bytes without a valid record, and why."""

    start: int
    count: int
    skipped: int = 0
    why: str = ""


def skipped(start: int, count: int, why: str) -> Span:
    """A span of `count` bytes without a valid record. Without a `why`, that follows from their number."""
    if not why and count % RECORD_BYTES:
        what = f"{count} bytes are not records" if count > 1 else "1 byte is not a record"
        why = f"{what}: bytes were lost or inserted; get another copy"
    elif not why:
        why = f"{count // RECORD_BYTES} damaged or foreign record{'s' if count > RECORD_BYTES else ''}"
    return Span(start, 0, count, why)
