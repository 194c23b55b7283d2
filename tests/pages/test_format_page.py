"""docs/format.md quotes the reference and a record as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import freeze
import reference
from atlcodec import zoo
from atlcodec.codec import Codec

PAGE = freeze.FORMAT.read_text("utf-8")


def test_the_quoted_reference_is_the_one_that_the_tests_use() -> None:
    source = Path(reference.__file__).read_text("utf-8")
    assert source[source.index("import zlib") :].rstrip() in PAGE


def test_the_known_record_is_up_to_date_and_decodes_to_the_pixels() -> None:
    assert PAGE.endswith(freeze.example())
    _, record, _, pixels, _ = PAGE[PAGE.index(freeze.HEADING) :].split("```")
    codec = Codec(zoo.default()[0])
    decoded = codec.decode(bytes.fromhex(record))[0]
    expected = np.array([list(bytes.fromhex(row)) for row in pixels.split()])
    assert np.array_equal(decoded, expected)
