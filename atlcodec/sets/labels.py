"""Labels of a set in the order in which people expect them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def in_order(label: str) -> tuple[bool, int, str]:
    """A key for sorting: numbers as numbers, and before words."""
    number = re.fullmatch(r"-?[0-9]{1,18}", label) is not None
    return not number, int(label) if number else 0, label


def alike(labels: Sequence[str]) -> list[str]:
    """A note if labels differ in case or spaces alone, or look the same: two ways to write one, most likely. Single
    letters are what they are: some sets tell small ones from capital ones."""
    found: dict[str, list[str]] = {}
    for label in labels:
        plain = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        if len(plain) > 1:
            found.setdefault(plain, []).append(label)
    same = [some for some in found.values() if len(some) > 1]
    if not same:
        return []
    more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
    return [f"the labels {' and '.join(map(ascii, same[0]))}{more} count as different; are they one?"]
