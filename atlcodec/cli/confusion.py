"""`atlc classify --summary`: how many records have each label; and, where a list has the true ones, which labels were
taken for which."""

from __future__ import annotations

import json
from collections import Counter

from atlcodec.cli.common import escape
from atlcodec.sets.manifest import counted
from atlcodec.sets.record_set import Row

WIDEST = 30  # columns of a table; for more labels only the commonest confusions are listed
COMMONEST = 10


class Confusion:
    """Counts of labels."""

    def __init__(
        self, labels: Counter[str] | None = None, pairs: Counter[tuple[str, str]] | None = None, unsure: int = 0
    ) -> None:
        self.labels = labels or Counter()
        self.pairs = pairs or Counter()  # true label, label
        self.unsure = unsure

    def add(self, rows: list[Row], least: float | None) -> None:
        for row in rows:
            label = row.codec.labels[int(row.value.argmax())]
            self.labels[label] += 1
            self.unsure += row.codec.is_unsure(float(row.value.max()), least)
            if row.entry is not None and row.entry.label is not None:
                self.pairs[row.entry.label, label] += 1

    @property
    def right(self) -> int:
        return sum(count for (true, label), count in self.pairs.items() if true == label)

    def as_json(self, name: str) -> str:
        confused = [{"true_label": true, "label": label, "count": count} for (true, label), count in self._sorted()]
        line = {"file": name, "records": self.labels.total(), "labels": dict(sorted(self.labels.items()))}
        line |= {"unsure": self.unsure, "labelled": self.pairs.total(), "right": self.right, "confusion": confused}
        return json.dumps(line)

    def as_text(self, name: str) -> str:
        counts = ", ".join(f"{count} of {label}" for label, count in sorted(self.labels.items()))
        lines = [f"{name}: {counted(self.labels.total())}" + (f": {counts}" if counts else "")]
        if self.unsure:
            lines.append(f"{name}: {counted(self.unsure, 'label')} unsure")
        if total := self.pairs.total():
            lines.append(f"{name}: {self.right} of {counted(total, 'label')} right ({self.right / total:.1%})")
            lines += self._table()
        return "\n".join(map(escape, lines))

    def _sorted(self) -> list[tuple[tuple[str, str], int]]:
        return sorted(self.pairs.items())

    def _table(self) -> list[str]:
        """A row for each true label, a column for each label that was read."""
        rows = sorted({true for true, _ in self.pairs})
        columns = sorted({label for _, label in self.pairs} | {*rows})
        if len(columns) > WIDEST:
            wrong = [(pair, count) for pair, count in self.pairs.most_common() if pair[0] != pair[1]]
            return [f"  {count} of {true} read as {label}" for (true, label), count in wrong[:COMMONEST]]
        first = max(4, *(len(true) for true in rows))
        widths = [max(len(label), *(len(str(self.pairs[true, label])) for true in rows)) for label in columns]
        head = "  ".join(label.rjust(width) for label, width in zip(columns, widths, strict=True))
        lines = [f"  {'true'.ljust(first)}  {head}"]
        for true in rows:
            cells = [
                str(self.pairs[true, label] or ".").rjust(width) for label, width in zip(columns, widths, strict=True)
            ]
            lines.append(f"  {true.ljust(first)}  {'  '.join(cells)}")
        return lines
