"""What a set has, in one line: "60 images (40 train, 20 test), 9 labels: 0 1 2 ...; left out: notes.txt"."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from atlcodec.sets.manifest import counted
from atlcodec.sets.sources import Name, Source
from atlcodec.sets.splits import SPLITS

MOST_LABELS = 30  # that are named
MOST_LEFT_OUT = 5
FIRST = 5  # entries that a dry run shows


@dataclass(frozen=True)
class Contents:
    """Of a set, before its images are read, or with the number of those that could not be."""

    splits: dict[str, int]  # how many images each split has; "" is none
    labelled: int
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    first: tuple[Name, ...]
    unread: int = 0

    @property
    def images(self) -> int:
        """How many there are, without those that cannot be read."""
        return sum(self.splits.values()) - self.unread

    def line(self) -> str:
        """Without a name in front."""
        parts = [counted(self.images, "image")]
        named = [f"{count} {split or 'in no split'}" for split, count in self.splits.items()]
        if set(self.splits) - {""}:
            parts[0] += f" ({', '.join(named)})"
        parts.append(self._about_labels())
        return "; ".join([", ".join(parts), *self._about_others()])

    def _about_labels(self) -> str:
        if not self.labelled:
            return "no labels"
        shown = [_quoted(label) for label in self.labels[:MOST_LABELS]] + ["..."] * (len(self.labels) > MOST_LABELS)
        text = f"{counted(len(self.labels), 'label')}: {' '.join(shown)}"
        missing = sum(self.splits.values()) - self.labelled
        return f"{text} ({missing} without a label)" if missing else text

    def _about_others(self) -> list[str]:
        others = []
        if self.left_out:
            more = len(self.left_out) - MOST_LEFT_OUT
            shown = ", ".join(self.left_out[:MOST_LEFT_OUT]) + (f" and {more} more" if more > 0 else "")
            others.append(f"left out: {shown}")
        if self.unread:
            others.append(f"{counted(self.unread, 'image')} could not be read")
        return others

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        splits = {split: count for split, count in self.splits.items() if split}
        return {"images": self.images, "splits": splits, "labels": list(self.labels), "labelled": self.labelled} | {
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }


def contents(source: Source) -> Contents:
    """Of a source, from the names of its images."""
    splits: Counter[str] = Counter()
    labelled, unread, first = 0, 0, list[Name]()
    for batch in source.batches():
        splits.update(name.split for name in batch.names)
        labelled += sum(name.label is not None for name in batch.names)
        unread += len(batch.problems)
        first += itertools.islice(batch.names, FIRST - len(first))
    return Contents(
        {split: splits[split] for split in (*SPLITS, "") if split in splits},
        labelled,
        source.classes,
        source.left_out,
        tuple(source.notes),
        tuple(first),
    )


def _quoted(label: str) -> str:
    return repr(label) if " " in label else label
