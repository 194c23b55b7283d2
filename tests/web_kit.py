"""The decoder in plain JavaScript for tests: files to run it on, and what it makes of them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from atlcodec import bounds, graph, record
from atlcodec.codec import Codec
from atlcodec.errors import BadModel
from atlcodec.training import exact_codec, onnx_exact
from atlcodec.training.pretrained import Modules
from exact_kit import HIGH, random_decompressor, random_records
from kit import ROOT

WEB = ROOT / "web"
NODE = shutil.which("node") or "node"

Bytes = NDArray[np.uint8]

RECORDS = random_records(70)  # two batches and the rest
RECORDS[2:4] = [0x0F], [0xF0]
RECORDS[4:12] = np.eye(8, 200, 192).astype(np.uint8) * 255


@functools.cache
def exact_file(name: str) -> bytes:
    """An exact network made of a bundled codec, "mnist", or of its head, "mnist/digits"; or one with random weights for
    images of a shape, "20x31x3"."""
    if name[0].isdigit():
        return onnx_exact.decompressor(random_decompressor(tuple(map(int, name.split("x"))), HIGH))
    codec, _, head = name.partition("/")
    packing = Codec.load(codec).model.card.packing
    latents = torch.from_numpy(packing.read(random_records()).reshape(-1, *packing.shape).astype(np.float32))
    modules = Modules.load(codec, head or None)
    if not head:
        return exact_codec.file(exact_codec.decompressor(modules.decompressor, packing, latents))
    assert modules.classifier is not None
    return exact_codec.file(exact_codec.classifier(modules.classifier, packing, latents))


def seal(records: Bytes, decompressor: bytes) -> Bytes:
    """As the codec of a decompressor seals them."""
    symbols = record.unpack(records).reshape(-1, record.SYMBOLS)
    id = int.from_bytes(hashlib.sha256(decompressor).digest()[:4], "big")
    return record.pack(record.seal(symbols, symbols ^ np.uint8(1), np.zeros(symbols.shape, np.float32), id))


def node(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]}
    command = [NODE, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


def program(folder: Path, text: str) -> str:
    """What a module prints that runs in a folder. It may import "atlcodec"."""
    (folder / "program.mjs").write_text(text.replace('"atlcodec"', json.dumps((WEB / "index.js").as_uri())))
    done = subprocess.run([NODE, "program.mjs"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run_all(folder: Path, files: dict[str, bytes], records: Bytes, *sizes: int) -> dict[str, dict[str, Any]]:
    """What it says of each file; "out" is a list of what it computed, for each size of batches, as bytes. A file that
    it refuses has "refused" instead. It fails if the program does not end in time, or with another error."""
    folder.mkdir(exist_ok=True)
    (folder / "records").write_bytes(records.tobytes())
    for name, file in files.items():
        (folder / f"{name}.onnx").write_bytes(file)
    done = node(ROOT / "tests/web_driver.mjs", folder, ",".join(map(str, sizes)))
    assert (done.returncode, done.stderr) == (0, "")
    said = {line["name"].removesuffix(".onnx"): line for line in map(json.loads, done.stdout.splitlines())}
    assert said.keys() == files.keys()
    for name, line in said.items():
        assert "crash" not in line, line
        if "refused" not in line:
            line["out"] = [(folder / f"{name}.{size}.bin").read_bytes() for size in sizes]
    return said


def is_exact(file: bytes) -> bool:
    try:
        graph.check(file, "x")
        bounds.check(file, "x")
    except BadModel:
        return False
    return True


def small(*nodes: onnx.NodeProto, **weights: NDArray[Any]) -> bytes:
    """A decompressor of few nodes; the last one computes `images`."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", *sizes])
        for name, sizes in (("records", (200,)), ("images", (20, 10)))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    return bytes(helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)).SerializeToString())
