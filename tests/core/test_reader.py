"""What a damaged file of several codecs gives: its records in parts, and the bytes between them with the reason."""

from __future__ import annotations

import numpy as np

from atlcodec import zoo
from atlcodec.codec import Codec
from atlcodec.description import ID, Description, closing
from atlcodec.files import RecordFile
from atlcodec.reader import Reader
from drawings import seven
from kit import MNIST, records


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


def test_descriptions_are_not_images_and_not_damage() -> None:
    described = Description(28, 56, 1, zoo.find(MNIST).id, (28, 28)).pack()
    later = described[:4] + b"\2" + described[5:196]
    later += closing(later, ID)
    forged = b"not one of them".ljust(196, b"\0")
    forged += closing(forged, ID)
    tiles = records(5)
    data = described + tiles[:2].tobytes() + later + tiles[2:4].tobytes() + forged + tiles[4:].tobytes()
    parts = list(Reader().parts(RecordFile(np.frombuffer(data, np.uint8), "x")))
    assert [part.problem for part in parts if part.codec is None] == [
        "record 3: is a description of version 2; a newer atlcodec may read it",
        "record 6: is not a description of a grid",
    ]
    read = [part for part in parts if part.codec is not None]
    assert np.concatenate([part.numbers for part in read]).tolist() == [1, 2, 4, 5, 7]
    assert np.array_equal(np.concatenate([part.records for part in read]), tiles)
    assert list(Reader().parts(RecordFile(np.frombuffer(described, np.uint8), "x"))) == []
