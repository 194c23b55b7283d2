"""Labels of a table, as text or numbers, to the numbers of classes: those of all files of a set together."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from atlcodec.errors import BadData
from atlcodec.sets.labels import in_order
from atlcodec.sets.manifest import LONGEST_LABEL, is_label

MOST = 1 << 16  # different labels: a column with more is something else
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?([eE][+-]?0{1,3})?")  # "7", and what NumPy and pandas write: 7.0, 7.00e+00


class LabelNumbers:
    """Collects labels. First `add` those of each file, then ask for `classes` and the `final` numbers.

    Whole numbers become classes that are named by the number, in ascending order; then come texts, in alphabetical
    order. With `known` names, a whole number is the place of its name. No label is -1."""

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        self._known = known
        self._numbers: dict[str, int] = {}  # in the order in which they came
        self._seen: dict[str | int | None, int] = {}  # the same by what came, which may be written in several ways

    def add(self, labels: Iterable[str | int | None], name: str) -> NDArray[np.int32]:
        """Numbers of labels, for `final`. `name` is the file, for messages. Raises `BadData`."""
        seen = self._seen
        return np.array([seen[label] if label in seen else self._new(label, name) for label in labels], np.int32)

    def _new(self, label: str | int | None, name: str) -> int:
        number = self._number(label, name)
        if len(self._seen) < 2 * MOST:
            self._seen[label] = number
        return number

    def _number(self, label: str | int | None, name: str) -> int:
        text = "" if label is None else str(label).strip()
        if not text:
            return -1
        if _WHOLE.fullmatch(text):
            text = str(int(re.split("[.eE]", text)[0]))
        if len(self._numbers) >= MOST and text not in self._numbers:
            raise BadData(f"{name}: has more than {MOST} different labels; is the column of labels one of ids?")
        if not is_label(text):
            raise BadData(
                f"{name}: {text[:100]!a} cannot be a label: it has more than {LONGEST_LABEL} characters, or control "
                "characters"
            )
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def classes(self) -> tuple[str, ...]:
        return self._known if self._by_place() else tuple(self._sorted())

    def final(self, numbers: NDArray[np.int32], name: str) -> NDArray[np.int64] | None:
        """Numbers of `classes`; None if there is no label. Raises `BadData` for a label that has no name."""
        if self._by_place():
            places = [int(text) for text in self._numbers]
            wrong = next((n for number, n in enumerate(places) if n >= len(self._known) and number in numbers), None)
            if wrong is not None:
                raise BadData(f"{name}: has the label {wrong}, but {len(self._known)} names of labels")
            places = [max(place, -1) for place in places]
        else:
            place_of = {text: place for place, text in enumerate(self._sorted())}
            places = [place_of.get(text, -1) for text in self._numbers]
        found = np.array([*places, -1], np.int64)[numbers]  # a number of -1 is that of the last place
        return found if (found >= 0).any() else None

    def _by_place(self) -> bool:
        return bool(self._known) and all(_is_number(text) for text in self._numbers)

    def _sorted(self) -> list[str]:
        if set(self._numbers) == {"-1"}:  # what sets without labels have in their place
            return []
        return sorted(self._numbers, key=in_order)


def _is_number(text: str) -> bool:
    return _WHOLE.fullmatch(text) is not None
