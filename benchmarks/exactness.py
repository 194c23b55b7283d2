"""Whether exact networks give the same bits here: ONNX Runtime in all its ways and plain JavaScript, beside NumPy.

    python benchmarks/exactness.py [--records N] FILE.onnx ...

Prints the SHA-256 of what each file makes of random records, and how many numbers of each way differ from it. Under an
emulator (qemu-x86_64 -cpu Haswell python ...) or with another version of ONNX Runtime, the SHA-256 must be the same."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which would start it
import onnxruntime

from atlcodec import bounds, exact, graph

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
BATCHES = (1, 2, 255, 256)
WEB = Path(__file__).parents[1] / "web/index.js"
READ = """
const { load } = await import(process.argv[1]);
const { readFileSync, writeSync } = await import("node:fs");
const decoder = await load(process.argv[2]);
const records = readFileSync(0);
const found = decoder.shape ? decoder.decode(records, { sealed: false }) : decoder.classify(records).logits;
let bytes = new Uint8Array(found.buffer);
while (bytes.length) bytes = bytes.subarray(writeSync(1, bytes));
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--records", type=int, default=512)
    options = parser.parse_args()
    records = np.random.default_rng(0).integers(0, 256, (options.records, 200)).astype(np.uint8)
    records[0], records[1] = 0, 255
    print(f"ONNX Runtime {onnxruntime.__version__}, {options.records} records")
    failed = 0
    for path in options.files:
        file = path.read_bytes()
        graph.check(file, str(path))
        print(f"{path}: {bounds.check(file, str(path))}")
        wanted = exact.Network(file, str(path))(records)
        print(f"    NumPy: SHA-256 {hashlib.sha256(wanted.tobytes()).hexdigest()}")
        for level, threads, packed in itertools.product(LEVELS, (1, 2), (True, False)):
            different = differing(file, records, wanted, level, threads, packed)
            failed += different
            print(f"    {level}, {threads} threads, {'' if packed else 'not '}packed before: {different} differ")
        if node := shutil.which("node"):
            different = int((javascript(node, path, records, wanted) != wanted).sum())
            failed += different
            print(f"    plain JavaScript: {different} differ")
    raise SystemExit(failed > 0)


def differing(
    file: bytes, records: NDArray[np.uint8], wanted: NDArray[Any], level: str, threads: int, packed: bool
) -> int:
    """How many numbers are wrong, in batches of all sizes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.disable_prepacking", "0" if packed else "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    wrong = 0
    for size in BATCHES:
        some = records[:64] if size < 8 else records
        parts = [session.run(None, {"records": some[at : at + size]})[0] for at in range(0, len(some), size)]
        wrong += int((np.concatenate(parts) != wanted[: len(some)]).sum())
    return wrong


def javascript(node: str, path: Path, records: NDArray[np.uint8], wanted: NDArray[Any]) -> NDArray[Any]:
    command = [node, "--input-type=module", "-e", READ, WEB.as_uri(), str(path)]
    out = subprocess.run(command, input=records.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, wanted.dtype).reshape(wanted.shape)


if __name__ == "__main__":
    main()
