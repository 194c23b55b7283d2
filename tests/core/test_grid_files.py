"""Files with grids: what is damaged is reported, the rest comes back, and no promise is believed."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest

import atlcodec
from atlcodec import description, grid_encoder, grid_file, grid_finder
from atlcodec.codec import Codec
from atlcodec.description import Description
from atlcodec.errors import LossWarning, NotARecord
from atlcodec.files import RecordFile
from atlcodec.grid import Region, Whole
from atlcodec.grid_file import Grid
from atlcodec.reader import Part, Reader
from drawings import Pixels
from grid_kit import scene
from kit import MNIST, records

ROWS, COLUMNS = 6, 5
IMAGE = scene(28 * ROWS, 28 * COLUMNS)


@pytest.fixture(scope="module")
def data() -> bytes:
    """A grid of thirty tiles that do not overlap; tile k begins at byte 200 (k + 1)."""
    return bytes(grid_encoder.encode(Whole(IMAGE), [Codec.load(MNIST)], 0, 0).data)


@pytest.fixture(scope="module")
def whole(data: bytes) -> Pixels:
    return atlcodec.decode_image(data)


def found(data: bytes, model: str | None = None) -> tuple[list[Grid], list[Part], list[str]]:
    """The grids, the parts with records, and all problems."""
    grids, parts, problems = [], [], []
    for one in grid_finder.images(Reader(model), RecordFile(np.frombuffer(data, np.uint8), "x")):
        if isinstance(one, Grid):
            grids.append(one)
            problems += one.problems
        elif one.codec:
            parts.append(one)
        else:
            problems.append(one.problem)
    return grids, parts, problems


def lost(grid: Grid) -> list[int]:
    return sorted({*range(grid.description.tiles)} - {*grid.numbers.tolist()})


def right(data: bytes, grid: Grid, original: bytes) -> bool:
    """Whether all tiles that were found have the places that they had."""
    packed, there = grid.records(grid.numbers)
    expected = np.frombuffer(original, np.uint8).reshape(-1, 200)[1:][grid.numbers]
    return bool(there.all()) and np.array_equal(packed, expected)


def test_a_grid_without_damage(data: bytes) -> None:
    grids, parts, problems = found(data)
    assert (len(grids), parts, problems) == (1, [], [])
    assert (grids[0].number, lost(grids[0])) == (0, [])
    assert right(data, grids[0], data)


@pytest.mark.parametrize("which", [0, 7, 29])
def test_a_damaged_tile_has_the_mean_of_its_neighbours(data: bytes, whole: Pixels, which: int) -> None:
    bad = bytearray(data)
    bad[200 * (which + 1) + 3] ^= 0x21
    grids, parts, problems = found(bytes(bad))
    assert lost(grids[0]) == [which]
    assert parts == []
    row, column = divmod(which, COLUMNS)
    assert problems[0].startswith(f"record {which + 1}: no installed codec has the id")
    assert problems[1:] == [
        f"record 0: 1 of 30 tiles are missing (row {row}, column {column}), and have the mean of their neighbours"
    ]
    with pytest.warns(LossWarning) as told:
        image = atlcodec.decode_image(bytes(bad))
    assert [str(one.message).removeprefix("the image: ") for one in told] == problems
    tile = np.zeros(whole.shape, bool)
    tile[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28] = True
    inside = tile.copy()
    for axis in (0, 1):  # the filter changes the pixels on both sides of the seams
        inside &= np.roll(tile, 1, axis) & np.roll(tile, -1, axis)
        tile |= np.roll(tile, 1, axis) | np.roll(tile, -1, axis)
    assert np.array_equal(image[~tile], whole[~tile])
    assert len(np.unique(image[inside])) <= 1 + 28 * 4


@pytest.mark.parametrize("seed", range(20))
def test_after_lost_or_inserted_bytes_no_tile_has_a_wrong_place(data: bytes, seed: int) -> None:
    draw = random.Random(seed)
    at, count = draw.randrange(200, len(data) - 400), draw.choice([1, 7, 199, 200, 201, 500])
    if draw.random() < 0.5:
        changed = data[:at] + data[at + count :]
        most = (at + count - 1) // 200 - at // 200 + 1
    else:
        changed = data[:at] + draw.randbytes(count) + data[at:]
        most = 1
    if (len(changed) - len(data)) % 200 == 0:
        pytest.skip("whole records more or less cannot be told from tiles in their places")
    grids, _, problems = found(changed)
    assert len(grids) == 1
    assert len(problems) >= 2 or (most == 1 and at % 200 == 0)
    assert right(changed, grids[0], data)
    assert len(lost(grids[0])) <= most + 1
    tail = (len(changed) - len(data) + at + 600) // 200
    assert all(number < tail for number in lost(grids[0]))


def test_two_breaks(data: bytes) -> None:
    changed = data[:1000] + data[1001:3000] + b"?" + data[3000:]
    grids, parts, _ = found(changed)
    assert lost(grids[0]) == [4]
    assert right(changed, grids[0], data)
    assert parts == []


def test_several_images_in_a_file(data: bytes, whole: Pixels) -> None:
    single, small = records(3).tobytes(), atlcodec.encode_image(scene(30, 20), "mnist", 0)
    grids, parts, problems = found(single + data + small + single)
    assert problems == []
    assert [grid.number for grid in grids] == [3, 34]
    begin = 34 + len(small) // 200
    assert [part.numbers.tolist() for part in parts] == [[0, 1, 2], [begin, begin + 1, begin + 2]]
    assert np.array_equal(grid_file.pixels(grids[0]), whole)
    assert np.array_equal(grid_file.pixels(grids[1]), atlcodec.decode_image(small))
    order = [type(one) for one in grid_finder.images(Reader(), RecordFile(np.frombuffer(single + data, np.uint8), "x"))]
    assert order == [Part, Grid]


def test_a_missing_description_leaves_records(data: bytes) -> None:
    grids, parts, problems = found(data[200:])
    assert (grids, problems) == ([], [])
    assert sum(len(part.records) for part in parts) == 30
    bad = b"B" + data[1:]
    grids, parts, problems = found(bad)
    assert grids == []
    assert len(problems) == 1
    assert sum(len(part.records) for part in parts) == 30


@pytest.mark.parametrize("left", [200, 399, 400, 401, 200 * 16 + 50, 200 * 30])
def test_a_grid_cut_short(data: bytes, whole: Pixels, left: int) -> None:
    grids, _, problems = found(data[:left])
    there = left // 200 - 1
    assert lost(grids[0]) == [*range(there, 30)]
    assert len(problems) == 1 + (left % 200 > 0)
    assert right(data, grids[0], data)
    if there * grid_file.MISSING < 30:
        with pytest.raises(NotARecord, match=f"needs 30 tiles, and the file has only {there}"):
            grids[0].strips()
    else:
        rows = there // COLUMNS * 28 - 28
        image = grid_file.pixels(grids[0])
        assert image.shape == whole.shape
        assert np.array_equal(image[: max(rows, 0)], whole[: max(rows, 0)])


def test_a_description_that_promises_terabytes(data: bytes) -> None:
    codec = Codec.load(MNIST)
    for height, width in [(2**32 - 1, 2**32 - 1), (28, 2**32 - 1), (2**32 - 1, 1), (10**5, 10**5)]:
        huge = Description(height, width, 1, codec.id, (28, 28)).pack() + data[200:]
        tracemalloc.start()
        grids, _, problems = found(huge)
        with pytest.raises(NotARecord, match="tiles, and the file has only 30; get another copy"):
            grids[0].strips()
        with pytest.warns(LossWarning), pytest.raises(NotARecord, match="has only 30"):
            atlcodec.decode_image(huge)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
        tracemalloc.stop()
        assert f"{grids[0].description.tiles - 30} of {grids[0].description.tiles} tiles are missing" in problems[-1]
        crop = grids[0].strips(Region(0, 0, 28, 1))  # what is in the file can be looked at
        assert np.array_equal(next(crop)[:, 0], codec.decode(data[200:400])[0][:, 0])


def test_swapped_tiles_are_noticed(data: bytes) -> None:
    swapped = data[:200] + data[400:600] + data[200:400] + data[600:]
    assert found(swapped)[2] == ["record 0: its tiles are not those that the description was made for"]


def test_tiles_of_other_codecs(data: bytes) -> None:
    other = records(1, "fashion").tobytes()
    grids, parts, problems = found(data[:400] + other + data[600:])
    assert lost(grids[0]) == [1]
    assert [part.codec.name for part in parts if part.codec] == ["fashion"]
    assert len(problems) == 1
    _, parts, problems = found(data, "fashion")
    assert parts == []
    assert problems[0] == "record 0: describes an image of 140 x 168 pixels whose tiles fashion did not write"
    assert "written by mnist, not by fashion" in problems[1]
    strange = Description(168, 140, 1, 0x12345678, (28, 28)).pack() + data[200:]
    grids, parts, problems = found(strange)
    assert (grids, sum(len(part.records) for part in parts)) == ([], 30)
    assert problems == [
        "record 0: describes an image of 140 x 168 pixels by the codec 12345678, which is not installed"
    ]
    for fields in ({"tile": (28, 29)}, {"channels": 3}):
        wrong = Description(**{**description.unpack(data[:200]).__dict__, **fields}).pack() + data[200:]
        grids, parts, problems = found(wrong)
        assert (grids, sum(len(part.records) for part in parts)) == ([], 30)
        assert "in tiles that mnist does not have" in problems[0]


def test_random_damage_never_ends_in_a_traceback_or_much_memory(data: bytes) -> None:
    draw = random.Random(6)
    decoded = 0
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            how, at = draw.random(), draw.randrange(len(bad))
            if how < 0.3:
                bad[at] = draw.randrange(256)
            elif how < 0.5:
                del bad[at : at + draw.choice([1, 200, 333, 2000])]
            elif how < 0.6:
                bad[at:at] = draw.randbytes(draw.choice([1, 200, 300]))
            elif len(bad) > 200:  # another description, whose CRC-32 is valid
                head = bytearray(bad[:196])
                head[draw.randrange(5, 44)] = draw.randrange(256)
                bad[:200] = bytes(head) + description.closing(bytes(head), description.ID)
        tracemalloc.start()
        for grid in found(bytes(bad))[0]:
            try:
                for strip in grid.strips():
                    assert strip.dtype == np.uint8
                decoded += 1
            except NotARecord:
                pass
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
        tracemalloc.stop()
    assert decoded > 20
