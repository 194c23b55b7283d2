"""Records as they arrive: from a pipe, a device, or a file that still grows (`tail -f`). In bounded memory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, overload

import numpy as np

from atlcodec import description, record
from atlcodec.errors import NotARecord
from atlcodec.files import BATCH, LARGEST_PIPE, PARQUET, Bytes, RecordFile
from atlcodec.record import RECORD_BYTES, Records
from atlcodec.spans import Span, skipped

STEP = 1 << 20  # bytes read at a time at most
LARGEST_GAP = 1 << 20  # bytes without a record that are kept


class RecordStream:
    """A `files.RecordSource` that is read once, from its beginning to its end. `len` counts what has arrived.

    `spans` gives records as soon as they arrive; what is damaged is told when the next records show where it ends."""

    def __init__(self, stream: BinaryIO | io.FileIO, name: str, *, close: bool = False) -> None:
        """`close` closes the stream when its end or an error has come."""
        self.name = name
        self._close = close
        self.torn = self.size = 0
        self._file: RecordFile | None = None  # what is kept
        self._stream = stream
        self._base = 0  # bytes that were forgotten
        self._kept = bytearray()
        self._ended = False

    def __len__(self) -> int:
        return self.size // RECORD_BYTES

    def peek(self, count: int) -> None:
        """Wait until this many records have arrived, or the end."""
        while not self._ended and self.size < count * RECORD_BYTES:
            self._more()

    def begins_with_grid(self) -> bool:
        """Whether the first record, for which this waits, describes a grid."""
        self.peek(1)
        return self.size >= RECORD_BYTES and bool(description.found(self.bytes(0, RECORD_BYTES)[None])[0])

    def whole(self) -> RecordFile:
        """All records, when the end has come. Raises `NotARecord` for very many bytes."""
        while not self._ended:
            self._more()
            if self.size > LARGEST_PIPE:
                raise NotARecord(f"{self.name}: is larger than {LARGEST_PIPE} bytes; save it as a file first")
        return RecordFile(np.frombuffer(bytes(self._kept), np.uint8), self.name)

    @property
    def array(self) -> Records:
        raise self._once()

    @overload
    def __getitem__(self, which: int) -> Bytes: ...
    @overload
    def __getitem__(self, which: slice) -> Records: ...
    def __getitem__(self, which: Any) -> Any:
        raise self._once()

    def batches(self, size: int = BATCH) -> Iterator[Records]:
        raise self._once()

    def bytes(self, start: int, count: int) -> Bytes:
        """Bytes of the spans that came last."""
        at = start - self._base
        return np.frombuffer(bytes(self._kept[at : at + count]), np.uint8)

    def spans(self, known: Collection[int]) -> Iterator[Span]:
        """As `files.RecordFile.spans`. Raises `NotARecord` for what is certainly not a stream of records."""
        try:
            yield from self._spans(known)
        finally:
            if self._close:
                self._stream.close()

    def _spans(self, known: Collection[int]) -> Iterator[Span]:
        good = np.array(sorted(known), np.uint32)
        fine = {*known, *record.RESERVED}
        at = scanned = 0  # in the bytes that are kept
        while True:
            self._file = self._file or RecordFile(np.frombuffer(bytes(self._kept), np.uint8), self.name)
            run, why = self._file.run(at, good)
            if run:
                yield Span(self._base + at, run)
                at += run * RECORD_BYTES
                continue
            # Before the first record nothing is forgotten: what is wrong with it is told when one has come.
            if at and at * 2 > len(self._kept):
                self._base += at
                del self._kept[:at]
                scanned, at, self._file = max(0, scanned - at), 0, None
            after, scanned = self._next(at, max(scanned, at + 1), fine)
            if after is not None:
                yield skipped(self._base + at, after - at, why)
                at, scanned = after, 0
            elif self._ended:
                break
            elif len(self._kept) - at > LARGEST_GAP:
                raise NotARecord(f"{self.name}: has no record in {LARGEST_GAP} bytes; is it a stream of records?")
            else:
                self._more()
        if 0 < self.size < RECORD_BYTES:
            raise NotARecord(f"{self.name}: {self.size} bytes, but a record has {RECORD_BYTES}")
        self.torn = (len(self._kept) - at) % RECORD_BYTES
        for span in RecordFile(self.bytes(self._base + at, len(self._kept) - at), self.name).spans(known):
            yield Span(self._base + at + span.start, span.count, span.skipped, span.why)

    def _next(self, bad: int, start: int, fine: set[int]) -> tuple[int | None, int]:
        """The first offset from `start` on where reading can continue after a `bad` one, if it has arrived; and where
        to look on when more has."""
        kept, end = memoryview(self._kept), len(self._kept)
        for at in range(start, end - RECORD_BYTES + 1):
            if zlib.crc32(kept[at : at + RECORD_BYTES]) in fine:
                if (at - bad) % RECORD_BYTES == 0:
                    return at, at
                if at + 2 * RECORD_BYTES > end:
                    return None, at
                if zlib.crc32(kept[at + RECORD_BYTES : at + 2 * RECORD_BYTES]) in fine:
                    return at, at
        return None, max(start, end - RECORD_BYTES + 1)

    def _more(self) -> None:
        """Wait for some more bytes."""
        read = getattr(self._stream, "read1", self._stream.read)
        part = read(STEP)
        self._kept += part or b""
        self.size += len(part or b"")
        self._ended, self._file = not part, None
        if not self._base and self._kept[:4] == PARQUET:
            raise NotARecord(f"{self.name}: is a Parquet file; save it as a file, and name that")

    def _once(self) -> NotARecord:
        return NotARecord(f"{self.name}: can be read only once, in order; save it as a file first")
