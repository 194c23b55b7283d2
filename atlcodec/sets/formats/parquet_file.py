"""Parquet files from strangers: opened so that a small one cannot ask for much memory, with pyarrow's errors as errors
of this package."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atlcodec import arrow
from atlcodec.errors import AtlcError, MissingFile, NotARecord
from atlcodec.files import is_parquet

LARGEST_GROUP = 1 << 30  # bytes of a row group that is read


def opened(name: str, dictionaries: Sequence[str] = ()) -> Any:
    """A `pyarrow.parquet.ParquetFile`. The values of these columns come as dictionaries: one long text repeated a
    million times costs its length once. No page is read ahead."""
    pa = arrow.require_pyarrow()
    return pa.parquet.ParquetFile(
        name,
        read_dictionary=list(dictionaries),
        pre_buffer=False,
        buffer_size=1 << 16,
        page_checksum_verification=True,
    )


def group_sizes(meta: Any, name: str, *, largest: int, rows: int, error: type[AtlcError] = NotARecord) -> list[int]:
    """The number of rows of each row group. Raises `error` if one has more bytes or rows than this."""
    # Only the row group is asked: pyarrow ends the process if the metadata of a column is broken.
    groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
    for group in groups:
        if not (0 <= group.total_byte_size <= largest and 0 <= group.num_rows <= rows):
            raise error(f"{name}: a row group has more than {largest} bytes; write the file again with smaller ones")
    return [group.num_rows for group in groups]


def longest(dictionaries: Any, group: int, column: str) -> int:
    """Bytes of the longest value that many rows of a row group may share; of its first values, if they share none.
    `dictionaries` is the file, opened with this column as a dictionary."""
    pa = arrow.require_pyarrow()
    first = next(dictionaries.iter_batches(1, row_groups=[group], columns=[column], use_threads=False), None)
    if first is None:
        return 0
    values = leaf(first.column(0), column)
    return pa.compute.max(pa.compute.binary_length(values.dictionary)).as_py() or 0


def leaf(array: Any, column: str) -> Any:
    """The array of a column `image` or, in a struct, `image.bytes`. A struct that is null has null members."""
    _, dot, member = column.partition(".")
    return arrow.require_pyarrow().compute.struct_field(array, member) if dot and member else array


@contextmanager
def reported(name: str, error: type[AtlcError] = NotARecord) -> Iterator[None]:
    """pyarrow's errors as errors of this package."""
    pa = arrow.require_pyarrow()
    try:
        yield
    except AtlcError:
        raise
    except FileNotFoundError as missing:
        raise MissingFile(name) from missing
    except (pa.ArrowException, OSError, UnicodeDecodeError) as wrong:
        why = (getattr(wrong, "strerror", None) or str(wrong)).strip().splitlines()
        said = why[0][:200].rstrip(".") if why else type(wrong).__name__
        raise error(f"{name}: cannot be read as Parquet ({said}); get another copy") from wrong


def files_in(folder: Path, others: Collection[str] = ()) -> list[Path]:
    """The Parquet files in a folder, sorted by name. Those of programs, like _SUCCESS and _metadata, are left out, and
    files with the endings of `others` are not opened."""
    return [path for path in visible(folder) if path.suffix.lower() not in others and is_parquet(path)]


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name, without names that begin with a point or an underscore."""
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._")
