"""Sealed records of two codecs that do not exist, for the tests of files."""

from __future__ import annotations

import numpy as np

from atlcodec import record
from atlcodec.files import RecordFile
from atlcodec.spans import Span

A, B = 0x11111111, 0x22222222
KNOWN = {A, B}


def sealed(n: int, id: int = A, seed: int = 0) -> record.Records:
    latents = np.random.default_rng(seed).uniform(0, 15, (n, 16, 5, 5)).astype(np.float32)
    return record.pack(record.seal(*record.quantise(latents), id))


def spans(data: bytes, known: set[int] = KNOWN) -> list[Span]:
    found = list(RecordFile(np.frombuffer(data, np.uint8), "x").spans(known))
    at = 0
    for span in found:  # nothing is passed over in silence, and nothing is reported twice
        assert span.start == at
        assert bool(span.skipped) != bool(span.count)
        at += span.count * 200 + span.skipped
    assert at == len(data)
    return found
