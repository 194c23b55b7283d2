"""Whether exact networks give the same bits here: ONNX Runtime in all its ways and plain JavaScript, beside NumPy.

    python benchmarks/exactness.py [--records N] [--output DIR] [FILE.onnx ...]

Prints the SHA-256 of what each file makes of random records, and how many numbers of each way differ from it. Under an
emulator (qemu-x86_64 -cpu Haswell python ...) or with another version of ONNX Runtime, the SHA-256 must be the same.

Without a file, it takes all files of the bundled codecs that read records, and half of the records are those of test
images; the result goes into DIR."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which would start it
import onnxruntime

from atlcodec import bounds, exact, graph, zoo

Records = NDArray[np.uint8]

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
BATCHES = (1, 2, 255, 256)
DIFFER = "differ"  # the column
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
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    print(f"ONNX Runtime {onnxruntime.__version__}, {options.records} records of each")
    if options.files:
        records = random_records(options.records)
        rows = [row for path in options.files for row in compared(path.name, path.read_bytes(), records)]
    else:
        rows = bundled(options.records, options.output)
    raise SystemExit(any(row[DIFFER] != 0 for row in rows))


def random_records(count: int) -> Records:
    records = np.random.default_rng(0).integers(0, 256, (count, 200)).astype(np.uint8)
    records[0], records[1] = 0, 255
    return records


def bundled(count: int, output: Path) -> list[dict[str, Any]]:
    """All files of the bundled codecs, published."""
    import inputs
    import report

    rows, half = list[dict[str, Any]](), count // 2
    for codec in inputs.bundled():
        images = inputs.labelled_set(codec.model.card.data[0]["name"], count - half).test
        records = np.concatenate([random_records(half), codec.encode(images, effort=0)])
        rows += compared(f"{codec.name}, decompressor", codec.model.file("decompressor"), records)
        for name, head in zoo.heads(codec.model).items():
            rows += compared(f"{codec.name}, {name}", head.file(), records)
    note = f"""{count} records of each model, half of them random and half of test images; in batches of {BATCHES}, with
        one and two threads, weights packed before or not. What differs is counted over all of these."""
    table = report.Table("Numbers that differ from those of NumPy", rows, note)
    report.publish("exactness", "The same bits in all ways of ONNX Runtime", [table], output)
    return rows


def compared(name: str, file: bytes, records: Records) -> list[dict[str, Any]]:
    """A row for each level of optimisation."""
    graph.check(file, name)
    print(f"{name}: {bounds.check(file, name)}", flush=True)
    wanted = exact.Network(file, name)(records)
    digest = hashlib.sha256(wanted.tobytes()).hexdigest()
    print(f"    NumPy: SHA-256 {digest}", flush=True)
    rows = []
    for level in LEVELS:
        ways = itertools.product((1, 2), (True, False))
        wrong = sum(differing(file, records, wanted, level, threads, packed) for threads, packed in ways)
        print(f"    {level}: {wrong} differ", flush=True)
        rows.append({"": name, "level": level, "numbers": wanted.size, DIFFER: wrong, "SHA-256": digest[:16]})
    if node := shutil.which("node"):
        wrong = int((javascript(node, file, records, wanted) != wanted).sum())
        print(f"    plain JavaScript: {wrong} differ", flush=True)
        rows.append({"": name, "level": "JavaScript", "numbers": wanted.size, DIFFER: wrong, "SHA-256": digest[:16]})
    return rows


def differing(file: bytes, records: Records, wanted: NDArray[Any], level: str, threads: int, packed: bool) -> int:
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


def javascript(node: str, file: bytes, records: Records, wanted: NDArray[Any]) -> NDArray[Any]:
    """What the decoder in `web/` makes of the records."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as kept:
        kept.write(file)
        kept.flush()
        command = [node, "--input-type=module", "-e", READ, WEB.as_uri(), kept.name]
        out = subprocess.run(command, input=records.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, wanted.dtype).reshape(wanted.shape)


if __name__ == "__main__":
    main()
