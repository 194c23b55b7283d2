"""The decoder in plain JavaScript computes what `exact.py` computes, bit for bit, and refuses all else in a line."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from unit_graphs import extremes, unit_graph

from atlcodec import bounds, exact
from web_kit import NODE, RECORDS, WEB, exact_file, program, run_all, seal

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")


@pytest.mark.parametrize(
    "name",
    ["mnist", "mnist-lenet", "20x31x3", "100x70x3", "12x30", "mnist/digits", "mnist-lenet/digits", "fashion/accurate"],
)
def test_the_bits_are_those_of_numpy(name: str, tmp_path: Path) -> None:
    """All at once, one by one, and in batches that are not a multiple of four."""
    file, records = exact_file(name), RECORDS[:15] if name == "fashion/accurate" else RECORDS
    found = run_all(tmp_path, {"x": file}, records, len(records), 1, 7)["x"]
    wanted = exact.Network(file, name)(records).tobytes()
    assert len(np.unique(np.frombuffer(wanted, np.uint8))) > 20
    digests = [hashlib.sha256(out).hexdigest() for out in found["out"]]
    assert digests == [hashlib.sha256(wanted).hexdigest()] * 3


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_single_products(unsigned: bool, relu: bool, tmp_path: Path) -> None:
    """All four kinds, with sums just below 2^24 units."""
    rng, files, rows = np.random.default_rng(4), dict[str, bytes](), [RECORDS]
    for kind, width in (("gemm", 200), ("matmul", 200), ("left", 50), ("conv", 18)):
        signs, scale = rng.choice([-127, 127], (7, width)), 2.0**-13 if relu else (5 if unsigned else 9) * 2.0**-10
        most = 255 if unsigned and kind != "left" else 127
        whole = unsigned or kind == "left"  # uint8 comes first
        files[kind] = unit_graph(kind, signs, most, unsigned=whole, scale=scale, relu=relu)
        if width == 200:
            rows.append(extremes(rng, width, signs))
            cost = bounds.check(files[kind], kind)
            assert relu or cost.sum > 0.85 * 2**24
    records = np.concatenate(rows)
    found = run_all(tmp_path, files, records, 32)
    for kind, file in files.items():
        wanted = exact.Network(file, kind)(records)
        assert found[kind]["out"] == [wanted.tobytes()], kind
        assert len(np.unique(wanted)) > 5


# -- what programs call ------------------------------------------------------------------------------------------------


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    """On sealed records, with a head and its card."""
    page = (WEB / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```js\n(.*?)```", page, re.S)
    decoder, classifier = exact_file("mnist-lenet"), exact_file("mnist-lenet/digits")
    id = hashlib.sha256(decoder).hexdigest()[:8]
    records = seal(RECORDS[:9], decoder)
    card = {"sha256": hashlib.sha256(classifier).hexdigest(), "labels": [f"a {label}" for label in range(10)]}
    (tmp_path / "set.atlc").write_bytes(records.tobytes())
    (tmp_path / "decompressor.onnx").write_bytes(decoder)
    (tmp_path / "classifier.onnx").write_bytes(classifier)
    (tmp_path / "card.json").write_text(json.dumps(card))
    best = exact.Network(classifier, "x")(records).argmax(axis=1)
    assert program(tmp_path, example) == f"9 images of 28 x 28, codec {id}\na {best[0]} 90\n"
