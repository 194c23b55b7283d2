"""What the images of a set lost on the way to a codec's shape, in a few lines: a set may have a million images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from atlcodec.convert import Prepared
from atlcodec.shape import Shape


@dataclass
class Losses:
    """By kind (`convert.Prepared`): how many images lost something, and the line about the first. `changes` are the
    kinds of changes that were made to any image."""

    found: dict[str, tuple[int, str]] = field(default_factory=dict)
    changes: set[str] = field(default_factory=set)

    def note(self, name: str, prepared: Prepared) -> None:
        """Add one image."""
        self.changes.update(prepared.changes)
        for kind, line in prepared.losses.items():
            self._add(kind, 1, f"{name}: {line}")

    def add(self, others: Losses) -> None:
        """Add those of images that come after these."""
        self.changes |= others.changes
        for kind, (count, line) in others.found.items():
            self._add(kind, count, line)

    def lines(self) -> list[str]:
        """A line for each kind, about the first image, with the number of the others."""
        return [
            line + (f" (and {count - 1} other{'s' if count > 2 else ''} alike)" if count > 1 else "")
            for count, line in self.found.values()
        ]

    def against(self, shape: Shape) -> str:
        """What PSNR is measured against, behind "against the images"; "" if that is the images themselves."""
        words = {"grey": "in grey", "inverted": "inverted", "scaled": f"scaled to {shape[1]} x {shape[0]}"}
        return ", ".join(word for kind, word in words.items() if kind in self.changes)

    def to_json(self) -> dict[str, Any]:
        return {"found": self.found, "changes": sorted(self.changes)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Losses:
        """Raises what a wrong value makes Python raise."""
        found = {str(kind): (int(count), str(line)) for kind, (count, line) in value["found"].items()}
        return cls(found, {str(kind) for kind in value["changes"]})

    def _add(self, kind: str, count: int, line: str) -> None:
        before, first = self.found.get(kind, (0, line))
        self.found[kind] = before + count, first
