"""Write the folder of a codec or of a head: its files, and a card with their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atlcodec.card import PARTS, read_json, valid_name


def write_model(
    folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], head: Mapping[str, Any] | None
) -> None:
    """Fill the folder of a codec. `files` are the ONNX files by name; the hashes are added to `card` and `head`, which
    is None for a codec without a classifier."""
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in PARTS if name in files}
    sha256 = digests["decompressor.onnx"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in digests:
        (folder / name).write_bytes(files[name])
    default = head["name"] if head else None
    _write_json(folder, {**card, "id": sha256[:8], "sha256": digests, "default_head": default})
    if head:
        write_head(folder / "heads" / valid_name(head["name"]), files["classifier.onnx"], head, sha256)


def write_head(folder: Path, file: bytes, card: Mapping[str, Any], codec: str) -> None:
    """Fill the folder of a classifier, for the codec whose decompressor has this SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classifier.onnx").write_bytes(file)
    _write_json(folder, {**card, "codec": codec, "sha256": hashlib.sha256(file).hexdigest()})


def update_card(folder: Path, entries: Mapping[str, Any]) -> None:
    """Set entries of the card in a folder. Raises `BadModel` if it has no valid card."""
    _write_json(folder, {**read_json(folder), **entries})


def _write_json(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
