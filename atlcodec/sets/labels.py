"""Labels of a set in the order in which people expect them."""

from __future__ import annotations


def in_order(label: str) -> tuple[bool, int, str]:
    """A key for sorting: numbers as numbers, and before words."""
    number = label.isascii() and label.isdecimal() and len(label) < 19
    return not number, int(label) if number else 0, label
