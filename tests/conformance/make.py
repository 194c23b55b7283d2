"""Make the conformance set: `python tests/conformance/make.py` writes tests/conformance/cases.json.

docs/conformance.md says what it holds and how a reader in another language uses it. Everything is computed by the
reference in NumPy (`atlcodec/exact.py`), so the set is the same on every machine. Run it again when models were
added."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from atlcodec import description, exact, grid, record, zoo
from atlcodec.card import Model
from atlcodec.description import Description
from atlcodec.errors import NotARecord
from atlcodec.files import RecordFile
from atlcodec.grid import Tiles

CASES = Path(__file__).with_name("cases.json")
FIXTURES = Path(__file__).parents[1] / "fixtures"
TILES = "mnist-lenet"  # whose records the grids and the damaged files have
Bytes = NDArray[np.uint8]


def main() -> None:
    CASES.write_text(json.dumps(made(), indent=1) + "\n")
    print(f"{CASES}: {CASES.stat().st_size} bytes")


def made() -> dict[str, Any]:
    """The whole set."""
    models = [model for model in zoo.models().values() if model.bundled]
    codecs = [codec(model) for model in sorted(models, key=lambda model: model.name)]
    (tiles,) = [model for model in models if model.name == TILES]
    known = sorted(model.id for model in models)
    return {
        "codecs": codecs,
        "grids": grids(tiles),
        "descriptions": descriptions(),
        "files": [damaged(name, data, known) for name, data in damages(tiles).items()],
    }


# -- records -----------------------------------------------------------------------------------------------------------


def codec(model: Model) -> dict[str, Any]:
    """What a codec's records mean: pixels, and for each of its classifiers logits and label."""
    rows = records(model)
    pixels = exact.Network(model.file("decompressor"), model.name)(rows)
    return {
        "name": model.name,
        "id": f"{model.id:08x}",
        "decompressor": f"{model.name}/decompressor.onnx",
        "sha256": model.sha256,
        "shape": list(model.card.shape),
        "records": [
            {"record": row.tobytes().hex(), "symbols": symbols(row), "pixels": digest(image)}
            for row, image in zip(rows, pixels, strict=True)
        ],
        "heads": [head(model, name, rows) for name in sorted(zoo.heads(model))],
    }


def head(model: Model, name: str, rows: Bytes) -> dict[str, Any]:
    found = zoo.heads(model)[name]
    logits = exact.Network(found.file(), name)(rows)
    return {
        "name": name,
        "classifier": f"{model.name}/heads/{name}/classifier.onnx",
        "sha256": hashlib.sha256(found.file()).hexdigest(),
        "logits": logits.astype(int).tolist(),
        "labels": [found.labels[best] for best in logits.argmax(axis=1)],
    }


def records(model: Model) -> Bytes:
    """Sealed records of a codec: drawn at random, the ends of the range, and the one that is frozen for it."""
    some = np.random.default_rng(model.id).integers(0, 16, (2, record.SYMBOLS))
    ends = [np.zeros(record.SYMBOLS), np.full(record.SYMBOLS, 15), np.arange(record.SYMBOLS) % 16]
    rows = sealed(np.array([*some, *ends], np.uint8), model.id)
    frozen = FIXTURES / f"{model.id:08x}.json"
    if not frozen.exists():
        return rows
    one = np.frombuffer(bytes.fromhex(json.loads(frozen.read_text())["record"]), np.uint8)
    return np.concatenate([rows, one[None]])


def sealed(values: Bytes, id: int) -> Bytes:
    """Symbols (N, 400), a few of the last ones moved so that the record has the id."""
    moved = np.where(values < 15, values + 1, 14).astype(np.uint8)
    costs = np.broadcast_to(np.arange(record.SYMBOLS, 0, -1, dtype=np.float32), values.shape)
    return record.pack(record.seal(values, moved, costs, id))


def symbols(row: Bytes) -> str:
    """400 hexadecimal digits, one for each symbol in channel, row, column order."""
    return "".join(f"{symbol:x}" for symbol in record.unpack(row[None]).reshape(-1).tolist())


def digest(pixels: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels, np.uint8).tobytes()).hexdigest()


# -- grids -------------------------------------------------------------------------------------------------------------

SHAPES = {  # rows, columns, overlap, seams, and the tiles that are damaged
    "side by side": (60, 45, 0, description.BESIDE, ()),
    "filtered": (57, 90, 0, description.FILTERED, ()),
    "blended": (75, 50, 4, description.BLENDED, ()),
    "half of a tile blended": (43, 61, 14, description.BLENDED, ()),
    "one tile, cut": (9, 28, 0, description.BESIDE, ()),
    "a tile lost": (84, 84, 0, description.FILTERED, (4,)),
    "neighbours lost": (60, 90, 3, description.BLENDED, (0, 1, 4)),
}


def grids(model: Model) -> list[dict[str, Any]]:
    network, found = exact.Network(model.file("decompressor"), model.name), []
    for name, (height, width, overlap, seams, lost) in SHAPES.items():
        plain = Description(height, width, 1, model.id, (28, 28), overlap, seams)
        rng = np.random.default_rng(height * width)
        tiles = sealed(rng.integers(4, 12, (plain.tiles, record.SYMBOLS)).astype(np.uint8), model.id)
        digest_of_tiles = hashlib.sha256(tiles.tobytes()).digest()[:16]
        described = Description(height, width, 1, model.id, (28, 28), overlap, seams, digest_of_tiles)
        pixels = joined(described, network(tiles), lost)
        tiles[list(lost), 100] ^= 1
        data = described.pack() + tiles.tobytes()
        found.append({"name": name, "file": data.hex(), "shape": [height, width], "lost": list(lost), "pixels": pixels})
    return found


def joined(described: Description, images: Bytes, lost: tuple[int, ...]) -> str:
    there = np.ones(described.tiles, bool)
    there[list(lost)] = False
    across = described.columns
    rows = (Tiles(images[k : k + across], there[k : k + across]) for k in range(0, described.tiles, across))
    whole = grid.Region(0, 0, described.height, described.width)
    return digest(np.concatenate(list(grid.join(described, rows, grid.around(described, whole), whole))))


def descriptions() -> list[dict[str, Any]]:
    """Records with the id of a description, and whether a reader of version 1 reads them."""
    plain = Description(100, 200, 1, 0x01020304, (28, 28)).pack()
    changed = {
        "as it should be": {},
        "another version": {4: 2},
        "two channels": {5: 2},
        "seams of a later kind": {6: 3},
        "a byte that must be zero": {7: 1},
        "another such byte": {26: 1},
        "the last such byte": {195: 255},
        "no rows": {10: 0, 11: 0},
        "tiles too small": {21: 7},
        "an overlap without blending": {25: 2},
        "blending without an overlap": {6: 1},
        "an overlap of more than half a tile": {6: 1, 25: 15},
        "other first bytes": {0: 0x42},
    }
    return [{"name": name, **_described(plain, bytes_)} for name, bytes_ in changed.items()]


def _described(plain: bytes, changes: dict[int, int]) -> dict[str, Any]:
    head_ = bytearray(plain[:196])
    for at, value in changes.items():
        head_[at] = value
    whole = bytes(head_) + description.closing(bytes(head_), description.ID)
    try:
        description.unpack(whole)
    except NotARecord:
        return {"record": whole.hex(), "valid": False}
    return {"record": whole.hex(), "valid": True}


# -- damaged files -----------------------------------------------------------------------------------------------------


def damages(model: Model) -> dict[str, bytes]:
    rng = np.random.default_rng(5)
    rows = sealed(rng.integers(0, 16, (6, record.SYMBOLS)).astype(np.uint8), model.id)
    whole = rows.tobytes()
    other = sealed(rng.integers(0, 16, (1, record.SYMBOLS)).astype(np.uint8), 0x0A0B0C0D).tobytes()
    reserved = sealed(rng.integers(0, 16, (1, record.SYMBOLS)).astype(np.uint8), 0x41544C77).tobytes()
    return {
        "whole": whole,
        "empty": b"",
        "cut in a record": whole[:1077],
        "cut between records": whole[:800],
        "a bit flipped": whole[:333] + bytes([whole[333] ^ 8]) + whole[334:],
        "two records damaged": whole[:333] + b"\x55" + whole[334:777] + b"\x55" + whole[778:],
        "a byte lost": whole[:450] + whole[451:],
        "a byte inserted": whole[:450] + b"\x00" + whole[450:],
        "a byte inserted between records": whole[:400] + b"\x00" + whole[400:],
        "the first bytes lost": whole[150:],
        "zeros between": whole[:400] + bytes(400) + whole[400:],
        "a record of an unknown codec": whole[:400] + other + whole[400:],
        "a record of a reserved kind": whole[:400] + reserved + whole[400:],
        "many bytes lost": whole[:250] + whole[777:],
    }


def damaged(name: str, data: bytes, known: list[int]) -> dict[str, Any]:
    """A file, and what a reader must find in it: runs of records, and bytes that it must report."""
    spans = RecordFile(np.frombuffer(data, np.uint8), name).spans(known)
    found = [
        {"at": span.start, "records": span.count} if span.count else {"at": span.start, "skipped": span.skipped}
        for span in spans
    ]
    return {"name": name, "file": data.hex(), "spans": found}


if __name__ == "__main__":
    main()
