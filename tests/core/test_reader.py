"""What a damaged file of several codecs gives: its records in parts, and the bytes between them with the reason."""

from __future__ import annotations

import numpy as np

from atlcodec.codec import Codec
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from drawings import seven


def test_the_parts_of_a_file_with_two_codecs_a_damaged_record_and_a_lost_byte() -> None:
    """The example in the docstring of `Reader.parts`."""
    first, second = sorted((Codec.load("mnist-lenet"), Codec.load("fashion-lenet")), key=lambda codec: codec.id)
    images = np.stack([seven(slant) for slant in np.linspace(-3, 3, 8)])
    records = first.encode(images)
    records[1] = second.encode(images[1:2])[0]
    records[2, 7] ^= 1
    data = np.delete(records.reshape(-1), 1050)
    found = [
        (part.numbers.tolist(), part.codec.name if part.codec else part.problem, part.more, part.in_step)
        for part in Reader().parts(RecordFile(data, "x"))
    ]
    flipped = f"damaged: bit 0 of byte 7 of a record of {first.name} is flipped; get another copy"
    assert found == [
        ([0], first.name, True, True),
        ([1], second.name, False, True),
        ([], f"record 2: {flipped}", False, True),
        ([3, 4], first.name, False, True),
        ([], "byte 1000: 199 bytes are not records: bytes were lost or inserted; get another copy", False, False),
        ([5, 6], first.name, False, False),
    ]
