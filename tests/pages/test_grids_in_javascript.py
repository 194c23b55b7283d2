"""Tiles are joined to the same bits in JavaScript and in Python. The networks are not needed for that."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import grid
from atlcodec.description import BESIDE, BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.grid import Region, Tiles

Pixels = NDArray[np.uint8]
READER = Path(__file__).parents[2] / "examples/javascript/atlc.mjs"
NODE = shutil.which("node")
PROGRAM = """
import { readFileSync, writeFileSync } from "node:fs";
import { assemble, describe } from "./atlc.mjs";
const shapes = JSON.parse(readFileSync("shapes.json", "utf8"));
shapes.forEach((shape, n) => {
  const made = describe(new Uint8Array(readFileSync(`${n}.description`)));
  const bytes = new Uint8Array(readFileSync(`${n}.tiles`));
  const size = shape.slice(1).reduce((product, side) => product * side, 1);
  const tile = (k) => ({ pixels: bytes.subarray(k * size, (k + 1) * size), shape: shape.slice(1) });
  writeFileSync(`${n}.pixels`, assemble(made, Array.from({ length: shape[0] }, (_, k) => tile(k))).pixels);
});
"""


@pytest.mark.skipif(NODE is None, reason="there is no Node.js here")
def test_the_same_bits(tmp_path: Path) -> None:
    assert NODE is not None
    shutil.copy(READER, tmp_path)
    package = tmp_path / "node_modules/onnxruntime-node"  # what the reader imports for its networks
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "onnxruntime-node", "type": "module", "main": "index.js"}')
    (package / "index.js").write_text("export default {};")
    rng, shapes, expected = np.random.default_rng(3), list[tuple[int, ...]](), list[Pixels]()
    kinds = [(0, BESIDE), (0, FILTERED), (1, BLENDED), (4, BLENDED), (1, SMOOTHED), (3, SMOOTHED), (6, SMOOTHED)]
    for overlap, seams in kinds:
        for channels, (height, width) in ((1, (61, 47)), (3, (30, 66)), (1, (9, 80)), (3, (1, 1)), (1, (13, 15))):
            made = Description(height, width, channels, 1, (12, 14), overlap, seams)
            shape = (made.tiles, 12, 14, 3) if channels == 3 or len(shapes) % 2 else (made.tiles, 12, 14)
            around = rng.integers(0, 230, (made.tiles, *[1] * (len(shape) - 1)))
            tiles = np.clip(around + rng.integers(-40, 60, shape), 0, 255).astype(np.uint8)
            (tmp_path / f"{len(shapes)}.description").write_bytes(made.pack())
            (tmp_path / f"{len(shapes)}.tiles").write_bytes(tiles.tobytes())
            shapes.append(shape)
            rows = (Tiles(row, np.ones(len(row), bool)) for row in tiles.reshape(made.rows, -1, *shape[1:]))
            whole, crop = Region(0, 0, made.rows, made.columns), Region(0, 0, height, width)
            expected.append(np.concatenate(list(grid.join(made, rows, whole, crop))))
    (tmp_path / "shapes.json").write_text(json.dumps(shapes))
    (tmp_path / "join.mjs").write_text(PROGRAM)
    subprocess.run([NODE, "join.mjs"], cwd=tmp_path, check=True, timeout=60)
    for number, pixels in enumerate(expected):
        assert (tmp_path / f"{number}.pixels").read_bytes() == pixels.tobytes(), (kinds[number // 5], shapes[number])
