"""Finds the images of a file: grids, and the records that are images by themselves. In a damaged file, tiles get their
places by the rules of docs/format.md; what is damaged is reported, and the rest comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from atlcodec import description, files, record
from atlcodec.description import Description
from atlcodec.errors import NotARecord
from atlcodec.files import RecordSource
from atlcodec.grid_file import Grid, Numbers
from atlcodec.reader import Part, Reader
from atlcodec.record import RECORD_BYTES
from atlcodec.spans import Span

NAMED = 4  # missing tiles that a message names


def has_grids(file: RecordSource) -> bool:
    """Whether a file has a description at a place where a record begins."""
    magic = np.frombuffer(description.MAGIC, np.uint8)  # to look for it is much quicker than to compute all ids
    for batch in file.batches():
        maybe = (batch[:, : len(magic)] == magic).all(axis=1)
        if maybe.any() and description.found(batch[maybe]).any():
            return True
    return False


def images(reader: Reader, file: RecordSource) -> Iterator[Grid | Part]:
    """What a file holds, in order: each grid; and as parts, as `Reader.parts` gives them, the records that are images
    by themselves, and problems. Tiles that cannot be put in their places are records like others."""
    here: tuple[Span, Description | NotARecord] | None = None
    behind: list[Span] = []
    for span, described in _spans(reader, file):
        if described is None:
            behind.append(span)
            continue
        yield from _image(reader, file, here, behind)
        here, behind = (span, described), []
    yield from _image(reader, file, here, behind)


def whole(reader: Reader, file: RecordSource) -> Grid | None:
    """The grid that a file begins and ends with, if all tiles seem to be in their places. Only the description is read:
    `Grid.records` checks what it reads."""
    try:
        described = description.unpack(file.bytes(0, RECORD_BYTES).tobytes())
    except NotARecord:
        return None
    if file.size != (1 + described.tiles) * RECORD_BYTES or _mismatch(reader, described):
        return None
    numbers = np.arange(described.tiles)
    return Grid(file, 0, described, reader.codec(described.codec), numbers, (numbers + 1) * RECORD_BYTES)


def only(reader: Reader, file: RecordSource, *, complete: bool = True) -> tuple[Grid | Part, list[str]]:
    """The one image of a file, and what is wrong with it. Without `complete`, tiles of a grid that is not damaged are
    not read. Raises `NotARecord` if there is no image or several."""
    if not complete and (found := whole(reader, file)):
        return found, []
    kept: list[Grid | Part] = []
    problems: list[str] = []
    for one in images(reader, file):
        problems += one.problems if isinstance(one, Grid) else [one.problem] if one.problem else []
        if isinstance(one, Grid) or len(one.records):
            kept.append(one)
    if not kept:
        raise NotARecord(f"{file.name}: {problems[0] if problems else 'is empty (no records)'}")
    if len(kept) > 1 or (isinstance(kept[0], Part) and len(kept[0].records) > 1):
        raise NotARecord(f"{file.name}: has several images; use atlcodec.sets.open, or split it")
    return kept[0], problems


def _spans(reader: Reader, file: RecordSource) -> Iterator[tuple[Span, Description | NotARecord | None]]:
    """The spans of a file; descriptions have one each."""
    for span in file.spans({*reader.models, description.ID}):
        if span.skipped:
            yield span, None
            continue
        begin = span.start
        for start in range(0, span.count, files.BATCH):
            at, count = span.start + start * RECORD_BYTES, min(files.BATCH, span.count - start)
            records = file.bytes(at, count * RECORD_BYTES).reshape(-1, RECORD_BYTES)
            for row in np.nonzero(description.found(records))[0].tolist():
                place = at + row * RECORD_BYTES
                if place > begin:
                    yield Span(begin, (place - begin) // RECORD_BYTES), None
                begin = place + RECORD_BYTES
                try:
                    yield Span(place, 1), description.unpack(records[row].tobytes())
                except NotARecord as error:
                    yield Span(place, 1), error
        end = span.start + span.count * RECORD_BYTES
        if end > begin:
            yield Span(begin, (end - begin) // RECORD_BYTES), None


def _image(
    reader: Reader, file: RecordSource, here: tuple[Span, Description | NotARecord] | None, behind: list[Span]
) -> Iterator[Grid | Part]:
    """A grid, if there is a description, and the records behind it that are not its tiles."""
    if here is not None:
        span, described = here
        why = str(described) if isinstance(described, NotARecord) else _mismatch(reader, described)
        if why:
            yield problem(f"record {span.start // RECORD_BYTES}: {why}")
        elif isinstance(described, Description):
            found, behind = _put_together(reader, file, span.start, described, behind)
            yield found
    for span in behind:
        if span.skipped:
            yield problem(reader.why(file, span))
        else:
            yield from reader.records_of(file, span)


def problem(why: str) -> Part:
    """A part without records."""
    return Part(np.empty(0, np.int64), np.empty((0, RECORD_BYTES), np.uint8), None, why)


def _mismatch(reader: Reader, described: Description) -> str:
    """Why a valid description cannot be used."""
    size = f"{described.width} x {described.height} pixels"
    if described.codec not in reader.models:
        only = next(iter(reader.models.values())).name if len(reader.models) == 1 else ""
        not_installed = f"by the codec {described.codec:08x}, which is not installed"
        return f"describes an image of {size} {f'whose tiles {only} did not write' if only else not_installed}"
    shape = reader.models[described.codec].card.shape
    if shape[:2] != described.tile or described.channels == 3 != shape[-1]:
        return f"describes an image of {size} in tiles that {reader.models[described.codec].name} does not have"
    return ""


def _put_together(
    reader: Reader, file: RecordSource, start: int, described: Description, spans: list[Span]
) -> tuple[Grid, list[Span]]:
    """The grid, and the spans with what is not a tile of it."""
    codec, count = reader.codec(described.codec), described.tiles
    places, numbers, others = _placed(file, start + RECORD_BYTES, described, spans)
    found = Grid(file, start // RECORD_BYTES, described, codec, numbers, places)
    if len(numbers) == count:
        digest = hashlib.sha256()
        for first in range(0, count, files.BATCH):
            digest.update(found.records(numbers[first : first + files.BATCH])[0].data)
        if described.digest not in (bytes(16), digest.digest()[:16]):
            found.problems.append(f"record {found.number}: its tiles are not those that the description was made for")
        return found, others
    end = start + (1 + count) * RECORD_BYTES
    broken = any(span.skipped % RECORD_BYTES for span in spans)
    mine = {span: None for span in others if span.skipped and (broken or span.start < end)}
    found.problems.extend(reader.why(file, span) for span in mine)
    found.problems.append(f"record {found.number}: {_missing(described, numbers)}")
    return found, [span for span in others if span not in mine]


def _missing(described: Description, numbers: Numbers) -> str:
    """How many tiles are missing, and the first of them."""
    lost = described.tiles - len(numbers)
    if not len(numbers):
        return f"no tile of its image can be read ({described.tiles} are missing)"
    maybe = np.arange(min(described.tiles, len(numbers) + NAMED))
    first = np.setdiff1d(maybe, numbers, assume_unique=True)[:NAMED].tolist()
    named = "; ".join("row {}, column {}".format(*divmod(number, described.columns)) for number in first)
    more = "; ..." if lost > NAMED else ""
    return f"{lost} of {described.tiles} tiles are missing ({named}{more}), and have the mean of their neighbours"


def _placed(
    file: RecordSource, begin: int, described: Description, spans: list[Span]
) -> tuple[Numbers, Numbers, list[Span]]:
    """The places and numbers of the tiles in spans behind a description, and the spans of what is not a tile.

    Tiles before the first break are counted from the front, those after the last one from the end, those between by
    their distance; and so are those after the last one, if there are more records than tiles."""
    breaks = [number for number, span in enumerate(spans) if span.skipped % RECORD_BYTES]
    end = spans[-1].start + spans[-1].skipped + spans[-1].count * RECORD_BYTES if spans else begin
    if breaks and breaks[-1] == len(spans) - 1:  # the file ends in a torn record: nothing is behind it
        end -= spans[breaks.pop()].skipped
    surplus = sum(span.count for span in spans) > described.tiles
    places: list[Numbers] = []
    numbers: list[Numbers] = []
    taken: set[int] = set()
    others: list[Span] = []
    for at, span in enumerate(spans):
        if span.skipped or (not breaks and span.start >= begin + described.tiles * RECORD_BYTES):
            others.append(span)
            continue
        place = span.start + np.arange(span.count) * RECORD_BYTES
        number = (place - begin + RECORD_BYTES // 2) // RECORD_BYTES
        if breaks and at > breaks[-1] and not surplus:
            number = described.tiles - (end - place) // RECORD_BYTES
        fits = (_ids(file, span) == described.codec) & (number >= 0) & (number < described.tiles)
        if breaks:
            fits &= ~np.isin(number, np.fromiter(taken, np.int64))
            taken.update(number[fits].tolist())
        places.append(place[fits])
        numbers.append(number[fits])
        others += _runs(place[~fits])
    if not numbers:
        return np.empty(0, np.int64), np.empty(0, np.int64), others
    order = np.argsort(np.concatenate(numbers), kind="stable")
    return np.concatenate(places)[order], np.concatenate(numbers)[order], sorted(others, key=lambda span: span.start)


def _ids(file: RecordSource, span: Span) -> NDArray[np.uint32]:
    """The ids of the records of a span, read in parts."""
    found = np.empty(span.count, np.uint32)
    for start in range(0, span.count, files.BATCH):
        count = min(files.BATCH, span.count - start)
        data = file.bytes(span.start + start * RECORD_BYTES, count * RECORD_BYTES)
        found[start : start + count] = record.ids(data.reshape(-1, RECORD_BYTES))
    return found


def _runs(places: Numbers) -> list[Span]:
    """Spans of the records that begin at these bytes."""
    runs = np.split(places, np.nonzero(np.diff(places) != RECORD_BYTES)[0] + 1)
    return [Span(int(run[0]), len(run)) for run in runs if len(run)]
