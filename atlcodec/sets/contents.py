"""What a set has, in one line: "60 images (40 train, 20 test), 9 labels: 0 1 2 ...; left out: notes.txt"."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from atlcodec.sets.labels import alike
from atlcodec.sets.manifest import counted
from atlcodec.sets.sources import Name, Source
from atlcodec.sets.splits import SPLITS, TEST

MOST_LABELS = 30  # that are named
MOST_LEFT_OUT = 5
FIRST = 5  # entries that a dry run shows


@dataclass(frozen=True)
class Contents:
    """Of a set, before its images are read, or with the number of those that could not be."""

    splits: dict[str, int]  # how many images each split has; "" stands for no split
    labelled_in: dict[str, int]  # how many of them have a label
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    first: tuple[Name, ...]
    problems: tuple[str, ...] = ()  # what could not even be counted, and why
    unread: int = 0  # with these
    learned: bool = False  # whether they are to be learned from or measured, where not all images can be used

    @property
    def labelled(self) -> int:
        return sum(self.labelled_in.values())

    @property
    def images(self) -> int:
        """How many there are, without those that cannot be read."""
        return sum(self.splits.values()) - (self.unread - len(self.problems))

    def is_used(self, split: str, *, labelled: bool) -> bool:
        """Whether training and `atlc evaluate` use images of a split: not those in no split, if others are in one, and
        none without a label, if others have one. A test set without any label still has a quality."""
        if not split and set(self.splits) - {""}:
            return False
        return labelled or not self.labelled or (split == TEST and not self.labelled_in.get(TEST))

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
        if self.learned and (unused := self._unused()):
            others.append(f"not used: {', '.join(unused)}")
        if self.unread:
            others.append(f"{counted(self.unread, 'image')} could not be read")
        return others

    def _unused(self) -> list[str]:
        found = []
        for split, count in self.splits.items():
            some = f"{split} image" if split else "image"
            missing = count - self.labelled_in.get(split, 0)
            if not self.is_used(split, labelled=True):
                found.append(f"{counted(count, some)} in no split")
            elif missing and not self.is_used(split, labelled=False):
                found.append(f"{counted(missing, some)} without a label")
        return found

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        splits = {split: count for split, count in self.splits.items() if split}
        return {"images": self.images, "splits": splits, "labels": list(self.labels), "labelled": self.labelled} | {
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }


def contents(source: Source) -> Contents:
    """Of a source, from the names of its images."""
    splits, labelled = Counter[str](), Counter[str]()
    problems, first = list[str](), list[Name]()
    for listed in source.listed():
        splits.update(name.split for name in listed.names)
        labelled.update(name.split for name in listed.names if name.label is not None)
        problems += listed.problems
        first += itertools.islice(listed.names, FIRST - len(first))
    return Contents(
        {split: splits[split] for split in (*SPLITS, "") if split in splits},
        dict(labelled),
        source.classes,
        source.left_out,
        (*source.notes, *alike(source.classes)),
        tuple(first),
        tuple(problems),
        len(problems),
    )


def _quoted(label: str) -> str:
    return repr(label) if " " in label else label
