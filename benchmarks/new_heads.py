"""A classifier that the command line trains from the records of pictures alone, for benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inputs import ATLC, Labels

import atlcodec
from atlcodec.codec import Codec
from atlcodec.record import Records


@dataclass(frozen=True)
class NewHead:
    """A codec with its new head, the steps of the training, and the seconds of the whole command."""

    codec: Codec
    steps: list[dict[str, Any]]
    seconds: float


@contextmanager
def trained(codec: Codec, records: Records, labels: Labels, *options: str) -> Iterator[NewHead]:
    """A new head of a codec, by `atlc train-head` with its defaults and these options, from records uint8 (N, 200) and
    labels (N,). It is gone after the block."""
    before = os.environ.get("ATLC_MODELS")
    with tempfile.TemporaryDirectory() as folder:
        held, numbers = Path(folder, "set.atlc"), Path(folder, "train-labels-idx1-ubyte")
        out = Path(folder, "heads", f"{codec.id:08x}", "new")  # found through ATLC_MODELS
        atlcodec.write(held, records)
        numbers.write_bytes(np.array([0x801, len(records)], ">u4").tobytes() + labels.astype("u1").tobytes())
        given = ["--records", held, "--labels", numbers, "-m", codec.model.folder, "-o", out]
        begun = time.perf_counter()
        subprocess.run([*ATLC, "train-head", *map(str, given), *options], check=True)
        seconds = time.perf_counter() - begun
        lines = (out.with_name("new.run") / "metrics.jsonl").read_text().splitlines()
        os.environ["ATLC_MODELS"] = folder
        try:
            yield NewHead(Codec(codec.model, "new"), [json.loads(line) for line in lines], seconds)
        finally:
            del os.environ["ATLC_MODELS"]
            if before is not None:
                os.environ["ATLC_MODELS"] = before
