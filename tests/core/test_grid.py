"""Images of any size in tiles: cut and joined as docs/format.md says it, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from atlcodec import grid
from atlcodec.description import BESIDE, BLENDED, FILTERED, SMOOTHED, Description
from atlcodec.grid import Region, Tiles, Whole

Pixels = NDArray[np.uint8]
TREATED = [
    (0, BESIDE),
    (0, FILTERED),
    (1, BLENDED),
    (3, BLENDED),
    (5, BLENDED),
    (1, SMOOTHED),
    (3, SMOOTHED),
    (5, SMOOTHED),
]


def image(height: int, width: int, channels: int) -> Pixels:
    """Clouds with some noise, so that seams have small and large steps."""
    rng = np.random.default_rng(height * 1000 + width)
    down, across = np.mgrid[0:height, 0:width]
    clouds = 128 + 90 * np.sin(down / 9) * np.cos(across / 7)
    made = clouds[:, :, None] + rng.normal(0, 12, (height, width, channels))
    return np.asarray(np.clip(made if channels == 3 else made[:, :, 0], 0, 255), np.uint8)


def described(height: int, width: int, channels: int, overlap: int, seams: int) -> Description:
    return Description(height, width, channels, 1, (10, 13), overlap, seams)


def tiles_of(pixels: Pixels, made: Description, colours: bool) -> Pixels:
    return np.concatenate(list(grid.cut(Whole(pixels), made, colours)))


def rows_of(tiles: Pixels, made: Description, at: Region) -> Iterator[Tiles]:
    whole = tiles.reshape(made.rows, made.columns, *tiles.shape[1:])
    for row in whole[at.top : at.bottom, at.left : at.right]:
        yield Tiles(row, np.ones(len(row), bool))


def joined(tiles: Pixels, made: Description, crop: Region | None = None) -> Pixels:
    crop = crop or Region(0, 0, made.height, made.width)
    at = grid.around(made, crop)
    return np.concatenate(list(grid.join(made, rows_of(tiles, made, at), at, crop)))


def expected(tiles: Pixels, made: Description) -> Pixels:
    """The page's rules, one tile and one pixel after the other."""
    (height, width), (down, across), overlap = made.tile, made.steps, made.overlap
    size = (made.rows - 1) * down + height, (made.columns - 1) * across + width
    total = np.zeros((*size, *tiles.shape[3:]), np.int64)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, made.columns)
        weights = np.outer(weighted(row, made.rows, height, overlap), weighted(column, made.columns, width, overlap))
        part = total[row * down : row * down + height, column * across : column * across + width]
        part += tile * weights.reshape(height, width, *[1] * (tile.ndim - 2))
    if overlap:
        total = (total + 2 * overlap * overlap) // (4 * overlap * overlap)
    if made.seams == SMOOTHED:
        total[: made.height, : made.width] = softened(total[: made.height, : made.width], made)
    if made.seams == FILTERED:
        for seam in range(width, size[1], width):
            smooth(total[:, seam - 1], total[:, seam])
        for seam in range(height, size[0], height):
            smooth(total[seam - 1], total[seam])
    return total[: made.height, : made.width].astype(np.uint8)


def weighted(number: int, count: int, side: int, overlap: int) -> list[int]:
    if not overlap:
        return [1] * side
    weights = [2 * overlap] * side
    for i in range(overlap):
        if number > 0:
            weights[i] = 2 * i + 1
        if number < count - 1:
            weights[side - overlap + i] = 2 * overlap - 2 * i - 1
    return weights


def smooth(before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
    p, q = before.reshape(-1), after.reshape(-1)
    for k in range(len(p)):
        step = int(q[k] - p[k])
        if -32 < step < 32:
            p[k], q[k] = p[k] + (step + 2) // 4, q[k] - (step + 2) // 4
    before[...], after[...] = p.reshape(before.shape), q.reshape(after.shape)


def softened(values: NDArray[np.int64], made: Description) -> NDArray[np.int64]:
    """Both passes, pixel by pixel."""
    for axis, tiles in ((1, made.columns), (0, made.rows)):
        step, lines = made.steps[axis], values.swapaxes(0, axis)
        before, after = lines.copy(), lines.copy()
        for at in {n * step + i for n in range(1, tiles) for i in range(made.overlap + 1)}:
            if at + 1 < len(before):
                for k in np.ndindex(before.shape[1:]):
                    p, q, r = (int(before[(at + j, *k)]) for j in (-1, 0, 1))
                    if max(p, q, r) - min(p, q, r) < 64:
                        after[(at, *k)] = (p + 2 * q + r + 2) // 4
        values = after.swapaxes(0, axis)
    return values


@pytest.mark.parametrize(("overlap", "seams"), TREATED)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (10, 13), (11, 14), (47, 3), (2, 90), (64, 71)], ids=str)
def test_tiles_are_joined_as_the_page_says(size: tuple[int, int], channels: int, overlap: int, seams: int) -> None:
    pixels, made = image(*size, channels), described(*size, channels, overlap, seams)
    tiles = tiles_of(pixels, made, channels == 3)
    assert len(tiles) == made.tiles
    rng = np.random.default_rng(5)
    worse = np.clip(tiles + rng.integers(-9, 10, tiles.shape), 0, 255).astype(np.uint8)
    assert np.array_equal(joined(worse, made), expected(worse, made))
    if seams in (BESIDE, BLENDED):
        assert np.array_equal(joined(tiles, made), pixels)


@pytest.mark.parametrize(("overlap", "seams"), TREATED)
def test_a_crop_is_a_part_of_the_whole(overlap: int, seams: int) -> None:
    pixels, made = image(64, 71, 3), described(64, 71, 3, overlap, seams)
    tiles = tiles_of(255 - pixels, made, True)
    whole, rng = joined(tiles, made), np.random.default_rng(2)
    for _ in range(60):
        (top, bottom), (left, right) = (sorted(rng.choice(side + 1, 2, replace=False)) for side in (64, 71))
        crop = Region(int(top), int(left), int(bottom), int(right))
        assert np.array_equal(joined(tiles, made, crop), whole[top:bottom, left:right]), crop
    assert grid.around(made, Region(0, 0, 1, 1)) == Region(0, 0, 1, 1)


def test_tiles_are_cut_in_blocks_and_padded_with_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, made = image(64, 71, 1), described(64, 71, 1, 3, BLENDED)
    whole = tiles_of(pixels, made, False)
    assert np.array_equal(whole[0], pixels[:10, :13])
    assert (whole[-1][-1] == whole[-1][63 - 8 * 7]).all()
    monkeypatch.setattr(grid, "BLOCK", 1)
    blocks = list(grid.cut(Whole(pixels), made, False))
    assert len(blocks) == made.rows
    assert np.array_equal(np.concatenate(blocks), whole)


def test_grey_images_in_tiles_in_colour() -> None:
    pixels, made = image(30, 40, 1), described(30, 40, 1, 0, BESIDE)
    tiles = tiles_of(pixels, made, True)
    assert tiles.shape == (made.tiles, 10, 13, 3)
    assert np.array_equal(joined(tiles, made), pixels)
    tiles[0, 0, 0] = 1, 2, 5
    assert joined(tiles, made)[0, 0] == 3
    tiles[0, 0, 0] = 255, 255, 254
    assert joined(tiles, made)[0, 0] == 255


def test_a_missing_tile_has_the_mean_of_its_neighbours() -> None:
    made = described(30, 39, 3, 0, BESIDE)
    tiles = np.zeros((9, 10, 13, 3), np.uint8)
    tiles[[1, 3, 5, 7]] = np.array([[10, 0, 0], [20, 0, 0], [31, 0, 0], [41, 255, 0]])[:, None, None]
    there = np.ones((3, 3), bool)
    there[1, 1] = False

    def filled() -> Pixels:
        rows = (Tiles(*both) for both in zip(tiles.reshape(3, 3, 10, 13, 3), there, strict=True))
        whole = Region(0, 0, 3, 3)
        return np.concatenate(list(grid.join(made, rows, whole, Region(0, 0, 30, 39))))

    assert (filled()[10:20, 13:26] == (26, 64, 0)).all()  # 25.5 and 63.75
    there[:2] = False
    assert (filled()[10:20, 13:26] == (41, 255, 0)).all()
    there[2] = False
    assert (filled() == 128).all()
