"""Runs exact networks with the ONNX Runtime of any environment, for `exactness.py`. NumPy and ONNX Runtime are all that
it needs.

    python exactness_worker.py FOLDER

FOLDER/job.json says what to do; FOLDER holds `file.onnx`, `records` and `wanted`. Prints a line of JSON: the version,
how many numbers of all ways differ from those that are wanted, and the SHA-256 of what the first way gave."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which would start it
import onnxruntime

SMALL, FEW = 8, 64  # batches below so many records, and how many records are enough for them


def main() -> None:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    records = np.fromfile(folder / "records", np.uint8).reshape(-1, job["length"])
    wanted = np.fromfile(folder / "wanted", job["type"]).reshape(-1, *job["shape"])
    file, differ, compared, digest = (folder / "file.onnx").read_bytes(), 0, 0, ""
    for way in job["ways"]:
        found = computed(file, records, **way)
        digest = digest or hashlib.sha256(found.tobytes()).hexdigest()
        differ += int((found != wanted[: len(found)]).sum())
        compared += found.size
    said = {"version": onnxruntime.__version__, "machine": platform.machine(), "sha256": digest}
    print(json.dumps({**said, "differ": differ, "compared": compared}))


def computed(file: bytes, records: Any, level: str, threads: int, packed: bool, batch: int, count: int) -> Any:
    """What becomes of the first `count` records, in batches, in one way; -0, which some ways give, as 0."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.disable_prepacking", "0" if packed else "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    some = records[: min(count, FEW) if batch < SMALL else count]
    parts = [some[at : at + batch] for at in range(0, len(some), batch)]
    found = np.concatenate([session.run(None, {"records": part})[0] for part in parts])
    return found + found.dtype.type(0)


if __name__ == "__main__":
    main()
