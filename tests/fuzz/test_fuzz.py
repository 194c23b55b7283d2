"""The bodies of the fuzzer over a small corpus and some hundred changes of it; `make fuzz` searches for hours."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import targets

TURNS = {"graphs": 40, "pictures": 150, "parquet": 60}


def changed(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, cut out, doubled, or made large."""
    file = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(file) + 1))
        match rng.integers(5):
            case 0:
                file[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                del file[at : at + int(rng.integers(1, 20))]
            case 2:
                file[at:at] = file[at : at + int(rng.integers(1, 200))]
            case 3:
                file[at : at + 4] = b"\xff\xff\xff\x7f"
            case _:
                del file[at:]
    return bytes(file)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_corpus_and_changes_of_it(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    rng, files = np.random.default_rng(12), targets.corpus(name)
    taken = [targets.run(name, file) for file in files]
    assert any(taken)  # so that the changes begin near to files that are read
    slowest = 0.0
    for turn in range(TURNS.get(name, 300)):
        file = changed(files[turn % len(files)], rng)
        begun = time.process_time()
        targets.run(name, file)
        slowest = max(slowest, time.process_time() - begun)
    assert slowest < 10
