"""Grids and distances in plain JavaScript: the same bits as in Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from atlcodec import description, grid, neighbours
from atlcodec.codec import Codec
from atlcodec.description import BESIDE, BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.grid import Region, Tiles
from atlcodec.latents import Packing
from web_kit import NODE, program

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")

GRIDS = [
    Description(50, 61, 1, 7, (20, 24), 0, BESIDE),
    Description(50, 61, 3, 7, (20, 24), 0, FILTERED),
    Description(57, 100, 1, 7, (20, 24), 5, BLENDED),
    Description(64, 90, 3, 7, (16, 20), 8, BLENDED),
    Description(9, 5, 1, 7, (16, 20), 4, BLENDED),
    Description(40, 48, 1, 7, (20, 24), 0, FILTERED),
    Description(57, 100, 1, 7, (20, 24), 5, SMOOTHED),
    Description(64, 90, 3, 7, (16, 20), 8, SMOOTHED),
    Description(9, 23, 1, 7, (16, 20), 3, SMOOTHED),
    Description(21, 18, 1, 7, (16, 16), 2, SMOOTHED),
]


@pytest.mark.parametrize(
    ("described", "colours"),
    [(one, colours) for one in GRIDS for colours in (False, True) if colours or one.channels == 1],
)
def test_tiles_are_joined_to_the_same_bits(described: Description, colours: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(described.tiles)
    shape = (described.rows, described.columns, *described.tile, *([3] if colours else []))
    tiles = np.clip(rng.integers(0, 256) + rng.integers(-34, 34, shape), 0, 255).astype(np.uint8)
    there = rng.random(shape[:2]) > 0.2
    (tmp_path / "tiles").write_bytes(tiles.tobytes())
    (tmp_path / "description").write_bytes(described.pack())
    out = program(
        tmp_path,
        f"""import {{ readFileSync, writeFileSync }} from "node:fs"; import {{ describe, join }} from "atlcodec";
        const described = describe(readFileSync("description"));
        writeFileSync("pixels", join(described, new Uint8Array(readFileSync("tiles")), {there.ravel().tolist()!r}
            .map(Boolean)));
        console.log(JSON.stringify(described));""".replace("True", "1").replace("False", "0"),
    )
    said = json.loads(out)
    assert (said["rows"], said["columns"], said["id"]) == (described.rows, described.columns, "00000007")
    whole = Region(0, 0, described.height, described.width)
    at = grid.around(described, whole)
    strips = grid.join(described, map(Tiles, tiles, there), at, whole)
    assert (tmp_path / "pixels").read_bytes() == np.concatenate(list(strips)).tobytes()


def test_descriptions_are_checked(tmp_path: Path) -> None:
    packed = GRIDS[2].pack()
    later = packed[:4] + bytes([2]) + packed[5:196]
    unknown = packed[:100] + b"\1" + packed[101:196]
    for name, head in (("later", later), ("unknown", unknown)):
        (tmp_path / name).write_bytes(head + description.closing(head, description.ID))
    (tmp_path / "damaged").write_bytes(packed[:50] + b"x" + packed[51:])
    out = program(
        tmp_path,
        """import { readFileSync } from "node:fs"; import { describe } from "atlcodec";
        for (const name of ["later", "unknown", "damaged"]) {
            try { console.log(describe(readFileSync(name))); } catch (error) { console.log(error.message); }
        }""",
    )
    said = "a description that is damaged, or of a later version"
    assert out.splitlines() == [said, said, "null"]


def test_latents_of_any_width_are_compared(tmp_path: Path) -> None:
    """No bundled codec has 1, 5 or 7 bits."""
    widths = ((8, 10), (7, 40), (6, 20), (5, 48), (4, 40), (3, 80), (2, 100), (1, 280))
    packing = Packing(widths)
    records = np.random.default_rng(1).integers(0, 256, (30, 200)).astype(np.uint8)
    (tmp_path / "x.atlc").write_bytes(records.tobytes())
    out = program(
        tmp_path,
        f"""import {{ readFileSync }} from "node:fs"; import {{ distances }} from "atlcodec";
        const records = readFileSync("x.atlc");
        console.log(JSON.stringify([...distances(records, records.subarray(0, 200), {json.dumps(widths)})]));""",
    )
    latents = packing.read(records).astype(np.float64)
    wanted = np.sqrt(((latents - latents[0]) ** 2).sum(axis=1)).astype(np.float32)
    assert np.array_equal(np.array(json.loads(out), np.float32), wanted)


@pytest.mark.parametrize("name", ["mnist-lenet", "mnist", "kmnist"])
def test_distances_are_those_of_similar(name: str, tmp_path: Path) -> None:
    codec = Codec.load(name)
    images = np.random.default_rng(5).integers(0, 256, (40, *codec.shape)).astype(np.uint8)
    images[20:] //= 4
    records = codec.encode(images, effort=0)
    (tmp_path / "x.atlc").write_bytes(records.tobytes())
    widths = json.dumps([list(width) for width in codec.model.card.packing.widths])
    out = program(
        tmp_path,
        f"""import {{ readFileSync }} from "node:fs"; import {{ distances }} from "atlcodec";
        const records = readFileSync("x.atlc");
        console.log(JSON.stringify([...distances(records, records.subarray(600, 800), {widths})]));""",
    )
    numbers, wanted = neighbours.nearest(codec, records[3:4], records, top=40)
    found = np.array(json.loads(out), np.float32)
    assert found.argsort(kind="stable").tolist() == numbers[0].tolist()
    assert np.array_equal(np.sort(found), wanted[0])
