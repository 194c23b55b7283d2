"""The entries of a card.json: typed, and checked, since a card may come from a stranger. Each raises `BadModel`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atlcodec import record
from atlcodec.errors import BadModel
from atlcodec.latents import Packing

EFFORT = 5  # of a search by gradients; a card with a faster search names another


def effort(raw: Mapping[str, Any], folder: Path) -> int:
    found = raw.get("effort", EFFORT)
    if type(found) is not int or not 0 <= found <= 9:
        raise BadModel(f"{folder}: effort in card.json must be a whole number from 0 to 9, not {str(found)[:20]}")
    return found


def exact(raw: Mapping[str, Any], folder: Path) -> bool:
    found = raw.get("exact", False)
    if not isinstance(found, bool):
        raise BadModel(f"{folder}: exact in card.json must be true or false, not {str(found)[:20]}")
    return found


def scale(raw: Mapping[str, Any], folder: Path) -> float:
    found = raw.get("scale", 1)
    if not is_number(found) or isinstance(found, bool) or not found > 0 or math.frexp(found)[0] != 0.5:
        raise BadModel(f"{folder}: scale in card.json must be a power of two, not {str(found)[:20]}")
    return float(found)


def packing(raw: Mapping[str, Any], folder: Path) -> Packing:
    widths, labels = raw.get("latents", [[4, record.SYMBOLS]]), raw.get("label_latents", 0)
    try:
        if not isinstance(widths, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in widths):
            raise ValueError("not a list of pairs")
        if not all(type(number) is int for pair in [*widths, [labels]] for number in pair):
            raise ValueError("not whole numbers")
        return Packing(tuple((bits, count) for bits, count in widths), labels)
    except ValueError as error:
        text = f"{str(widths)[:60]}, {str(labels)[:20]}"
        raise BadModel(
            f"{folder}: latents in card.json must be [bits, count] of each width, and label_latents how many of them "
            f"are for labels, not {text}"
        ) from error


def entries(raw: Mapping[str, Any], key: str, folder: Path) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise BadModel(f"{folder}: {key} in card.json is not a JSON object")
    return value


def finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("not a number in JSON")
    return number


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e6


def is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
