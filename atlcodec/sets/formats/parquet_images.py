"""Images in Parquet files, with their labels: in the form of Hugging Face, or image files, bytes or lists of numbers in
a column. A file, or a folder of parts (`data/train-00000-of-00002.parquet`), up to two levels down.

They are read in batches of some rows, of two columns alone. A file from a stranger is trusted as little as one of
records (`parquet_file`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from atlcodec import arrow
from atlcodec.errors import BadData
from atlcodec.files import is_parquet
from atlcodec.sets import splits
from atlcodec.sets.formats import csv_rows, parquet_columns, parquet_file
from atlcodec.sets.formats.joined import by_split, rebatched
from atlcodec.sets.formats.label_numbers import LabelNumbers
from atlcodec.sets.formats.parquet_columns import ImageColumn
from atlcodec.sets.formats.parts import Batch, Found, Part, Raw
from atlcodec.sets.image_files import SUFFIXES

DEPTH = 2  # folders below the one that is named
AT_ONCE = 16 << 20  # bytes of images in a batch, about
MOST_AT_ONCE = 4096  # images in it
FEW_AT_ONCE = 256  # of those that are long
LONG = 1 << 18  # bytes of an image: such values are kept once, however many rows have them
MOST_ROWS = 1 << 30  # of a row group
LABELS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Images:
    """The rows of a file: a `parts.Part`."""

    path: Path
    split: str
    labels: NDArray[np.int64] | None
    groups: tuple[int, ...]  # rows of each row group
    column: ImageColumn
    kind: np.dtype[Any] | None  # to which whole numbers are converted

    def __len__(self) -> int:
        return sum(self.groups)

    def images(self, size: int, start: int = 0) -> Iterator[Batch]:
        """The images from number `start` on, `size` at a time. Raises `BadData`."""
        return rebatched(self._chunks(start), size)

    def _chunks(self, start: int) -> Iterator[Batch]:
        first = 0
        for group, count in enumerate(self.groups):
            if start < first + count:
                for number, images in _of_group(self.path, self.column, group, first, count):
                    some = images[max(0, start - number) :]
                    yield self._converted(cast(NDArray[Any], some)) if self.kind else some
            first += count

    def _converted(self, images: NDArray[Any]) -> Sequence[Raw]:
        found = [np.asarray(image).astype(self.kind) for image in images] if isinstance(images, list) else None
        return cast(Sequence[Raw], images.astype(self.kind) if found is None else found)


def find(path: Path) -> Found | None:
    """The images in a Parquet file, or in those of a folder. None if it is something else.

    Raises `BadData`, also for a file of something else than images; `AtlcError` without pyarrow."""
    if not path.is_dir():
        return _found([(path, splits.found_in(path.name))]) if path.is_file() and is_parquet(path) else None
    files = list(_below(path, DEPTH))
    if not files:
        return None
    configurations = dict.fromkeys(_configuration(file.relative_to(path)) for file in files)
    if len(configurations) > 1:
        names = ", ".join(f"{name or '.'}" for name in configurations)
        raise BadData(f"{path}: has several sets: {names[:200]}; name the folder or the file of one")
    return _found([(file, _split(file.relative_to(path))) for file in files])


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """The Parquet files in a folder and those below it. A folder that cannot be read has none."""
    try:
        yield from parquet_file.files_in(folder, SUFFIXES)
        folders = [path for path in parquet_file.visible(folder) if depth and path.is_dir() and not path.is_symlink()]
    except OSError:
        return
    for path in folders:
        yield from _below(path, depth - 1)


def _split(path: Path) -> str:
    """That of a file, by its name or else that of its folder."""
    return splits.found_in(path.stem) or next(filter(None, map(splits.found_in, path.parts[-2::-1])), "")


def _configuration(path: Path) -> str:
    """The folder of a file, without folders that name a split: Hugging Face keeps several forms of a set like this."""
    return "/".join(name for name in path.parts[:-1] if not splits.found_in(name))


def _found(files: list[tuple[Path, str]]) -> Found:
    scanned = [(path, split, *_columns(path)) for path, split in files]
    known = {names for *_, names in scanned if names}
    again = [name for names in known for at, name in enumerate(names) if name in names[:at]]
    notes = [f"two labels are named {again[0]!a}, so the labels are numbers"] if again else []
    if again:
        known = set()
    if len(known) > 1:
        raise BadData(f"{files[0][0].parent}: its files have different names of labels; name one file")
    numbers = LabelNumbers(next(iter(known), ()))
    labels = [_labels(path, label, numbers) for path, _, _, label, _, _ in scanned]
    parts: list[Part] = []
    for (path, split, column, _, _, _), own in zip(scanned, labels, strict=True):
        groups = _groups(path)
        kind = _kind(path, column, groups) if column.whole else None
        final = None if own is None else numbers.final(own, f"{path}")
        if final is not None and len(final) != sum(groups):
            raise BadData(f"{path}: {len(final)} labels, but {sum(groups)} images")
        parts.append(Images(path, split, final, groups, column, kind))
    left_out = dict.fromkeys(f"column {name}" for *_, others, _ in scanned for name in others)
    used = tuple(path for path, _ in files)
    return Found(by_split(parts), numbers.classes, tuple(notes), tuple(left_out), used)


def _columns(path: Path) -> tuple[ImageColumn, str | None, list[str], tuple[str, ...]]:
    """Of a file: the column of images, the name of that of labels, the names of others, and the names of labels."""
    with parquet_file.reported(f"{path}", BadData):
        meta = arrow.require_pyarrow().parquet.read_metadata(path)
        schema = meta.schema.to_arrow_schema()
        column = parquet_columns.image_column(schema, f"{path}")
        label = parquet_columns.label_column(schema, column)
        used = {column.path, column.path.removesuffix(".bytes"), label}
        names = parquet_columns.names_of_labels(meta.metadata, label) if label is not None else ()
        if sum(_groups(path)):
            group = next(number for number, rows in enumerate(_groups(path)) if rows)
            file = parquet_file.opened(f"{path}", [column.path] if column.shares else [])
            some = next(file.iter_batches(64, row_groups=[group], columns=[column.path], use_threads=False))
            parquet_columns.check_bytes(some, column, f"{path}")
        return column, label, [name for name in schema.names if name not in used], names


def _groups(path: Path) -> tuple[int, ...]:
    meta = arrow.require_pyarrow().parquet.read_metadata(path)
    return tuple(
        parquet_file.group_sizes(meta, f"{path}", largest=parquet_file.LARGEST_GROUP, rows=MOST_ROWS, error=BadData)
    )


def _of_group(
    path: Path, column: ImageColumn, group: int, first: int, count: int
) -> Iterator[tuple[int, Sequence[Raw]]]:
    """The images of a row group in batches, each with the number of its first image. `first` is that of the group, and
    `count` how many it has. Raises `BadData`."""
    end, seen = first + count, dict[bytes, bytes]()
    with parquet_file.reported(f"{path}", BadData):
        longest = _longest(path, column, group)
        many = column.shares and longest > LONG
        batches = parquet_file.opened(f"{path}", [column.path] if many else []).iter_batches(
            FEW_AT_ONCE if many else max(1, min(MOST_AT_ONCE, AT_ONCE // max(1, longest))),
            row_groups=[group],
            columns=[column.path],
            use_threads=False,
        )
        for rows in batches:
            yield first, parquet_columns.images_of(rows, column, first, f"{path}", seen)
            first += len(rows)
    if first != end:
        raise BadData(
            f"{path}: row group {group} has {abs(end - first)} rows {'fewer' if first < end else 'more'} than it says"
        )


def _longest(path: Path, column: ImageColumn, group: int) -> int:
    """Bytes that a row of a row group may need, by its first values."""
    if column.shares:
        return parquet_file.longest(parquet_file.opened(f"{path}", [column.path]), group, column.path)
    rows = parquet_file.opened(f"{path}").iter_batches(1, row_groups=[group], columns=[column.path], use_threads=False)
    return max((row.nbytes for row in itertools.islice(rows, 1)), default=0)


def _kind(path: Path, column: ImageColumn, groups: tuple[int, ...]) -> np.dtype[Any]:
    """The type that holds all whole numbers of a file, as in a CSV file."""
    kind = 0
    for group in range(len(groups)):
        for _, images in _of_group(path, column, group, sum(groups[:group]), groups[group]):
            for some in images if isinstance(images, list) else [images]:
                kind = max(kind, csv_rows.kind_of(np.asarray(some)))
    return csv_rows.KINDS[kind]


def _labels(path: Path, label: str | None, numbers: LabelNumbers) -> NDArray[np.int32] | None:
    """The labels of a file, as `LabelNumbers.add` gives them."""
    if label is None:
        return None
    found = [np.empty(0, np.int32)]
    with parquet_file.reported(f"{path}", BadData):
        file = parquet_file.opened(f"{path}", [label])
        for rows in file.iter_batches(LABELS_AT_ONCE, columns=[label], use_threads=False):
            array = rows.column(0)
            if not arrow.require_pyarrow().types.is_dictionary(array.type):
                array = array.dictionary_encode()
            found.append(_of_dictionary(array, numbers, f"{path}"))
    return np.concatenate(found)


def _of_dictionary(array: Any, numbers: LabelNumbers, name: str) -> NDArray[np.int32]:
    compute = arrow.require_pyarrow().compute
    used = compute.drop_null(compute.unique(array.indices))
    texts = [_text(value) for value in array.dictionary.take(used).to_pylist()]
    table = np.full(len(array.dictionary) + 1, -1, np.int32)
    table[used.to_numpy()] = numbers.add(texts, name)
    found: NDArray[np.int32] = table[compute.fill_null(array.indices, -1).to_numpy(zero_copy_only=False)]
    return found


def _text(value: object) -> str | None:
    if value is None or value != value:  # NaN
        return None
    return str(int(value) if isinstance(value, bool) else value)
