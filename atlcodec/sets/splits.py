"""The names that people give to the splits of a set: train, Training, val, dev, t10k, test-set."""

from __future__ import annotations

import re

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "t10k"), TEST),
}


def split_of(word: str) -> str:
    """The split that a word names, in any case: "Training" gives "train"; "" if it names none."""
    return _WORDS.get(word.lower(), "")


def words(name: str) -> list[str]:
    """The words of a name, in lower case: "x_Train" gives "x", "train"; "k49-test-imgs" gives "k49", "test", "imgs"."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def found_in(name: str) -> str:
    """The split that one of the words of a name tells; "" if none or several do."""
    found = {split_of(word) for word in words(name)} - {""}
    return found.pop() if len(found) == 1 else ""
