"""The text below an image. Labels and paths may come from strangers: `visible` shows what would hide or turn text."""

from __future__ import annotations

import unicodedata

from atlcodec.show.items import Item

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode categories: controls, direction marks, unassigned
JOINERS = "\u200c\u200d"  # Persian and emoji need them


def visible(text: str) -> str:
    """The text with \\u{202e} for each character that cannot be seen."""
    if text.isprintable():
        return text
    return "".join(c if c in JOINERS or unicodedata.category(c) not in HIDDEN else f"\\u{{{ord(c):x}}}" for c in text)


def caption(item: Item) -> str:
    """The label of an image, and what is wrong with it."""
    if item.query:
        return "query"
    if item.label is None or (item.true is not None and not item.comparable and item.distance is None):
        return item.true or item.path or (item.file if item.grid else str(item.number))
    if item.wrong:
        return f"{item.label}, not {item.true}"
    return f"{item.label}?" if item.unsure else item.label


def figures(item: Item) -> str:
    """The numbers below a label: how probable it is, and how near the image is to its original."""
    if item.distance is not None:
        return f"{item.distance:.1f} away"
    parts = [f"{item.probability:.0%}"] if item.label is not None else []
    if parts and item.true is not None and not item.comparable:
        parts = [f"{item.label} {parts[0]}"]
    return "  ".join([*parts, *([f"{item.psnr:.1f} dB"] if item.psnr is not None else [])])
