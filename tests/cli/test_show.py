"""`atlc show`: sheets in the terminal and as PNG files."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import picture
from atlcodec.codec import Codec
from atlcodec.record import Records
from atlcodec.sets import manifest, record_set
from atlcodec.show import blocks, captions, items, page, panels
from drawings import Pixels
from kit import Cli, put, records, shown

SLANTS = np.linspace(-3, 3, 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw: Callable[[float], Pixels]) -> Path:
    """Twelve sevens; the list calls the fourth a three, and does not know the last."""
    root = tmp_path_factory.mktemp("sets")
    images = np.stack([draw(slant) for slant in SLANTS])
    atlcodec.write(root / "set.atlc", Codec.load("mnist").encode(images, effort=0))
    labels = ["3" if number == 3 else None if number == 11 else "7" for number in range(12)]
    entries = [manifest.Entry(number, f"{number}.png", label) for number, label in enumerate(labels)]
    manifest.write(root / "set.csv", entries)
    for number, image in enumerate(images):
        put(root / "originals" / f"{number}.png", image)
    put(root / "page.png", np.tile(images[0], (3, 4))[:70, :100])
    return root


def packed(folder: Path) -> Records:
    return np.fromfile(folder / "set.atlc", np.uint8).reshape(-1, 200)


def pixels_of(lines: list[str]) -> Pixels:
    """The pixels of half blocks."""
    rows = []
    for line in lines:
        upper, lower = [], []
        for codes, characters in re.findall(r"\x1b\[([\d;]+)m(▀+)", line):
            numbers = list(map(int, codes.split(";")))
            upper += [numbers[2:5]] * len(characters)
            lower += [numbers[7:10]] * len(characters)
        rows += [upper, lower]
    return np.array(rows, np.uint8)


def test_a_terminal_shows_the_pixels_and_the_labels(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ran = cli("show", folder / "set.atlc", "--force", "--limit", "4")
    assert ran.code == 0
    images = Codec.load("mnist").decode(packed(folder))
    drawn = pixels_of(ran.lines[:14])
    assert np.array_equal(drawn[..., 0], np.concatenate([images[0], images[1]], axis=1))
    assert re.fullmatch(r"7 +7 *", ran.lines[14])
    assert "\x1b[1;31m7, not 3\x1b[0m" in ran.lines[29]
    assert ran.lines[30] == "set.atlc: 4 of 12 images (--limit)"
    assert "set.atlc: 10 of 11 labels right (90.9%)" in ran.lines


def test_nothing_goes_into_a_pipe(cli: Cli, folder: Path) -> None:
    assert "is not a terminal; name a file" in cli("show", folder / "set.atlc").complaint


def test_usage(cli: Cli, folder: Path) -> None:
    assert "name a file that ends in .html or .png" in cli("show", folder / "set.atlc", "-o", "x.jpg").misuse
    assert "--original DIR" in cli("show", folder / "set.atlc", "-o", "x.png", "--sort", "psnr").misuse
    assert "already exists" in cli("show", folder / "set.atlc", "-o", folder / "page.png").complaint


def collected(folder: Path, *more: str) -> list[items.Item]:
    problems: list[object] = []
    found = list(items.collect(record_set.open(folder / "set.atlc"), problems.append))
    assert problems == []
    return found


def test_the_order_is_what_was_asked_for(folder: Path) -> None:
    found = collected(folder)
    assert [item.number for item in items.pick(found, "order", 3)] == [0, 1, 2]
    by_probability = items.pick(found, "probability", 12)
    assert by_probability[0].number == 3
    rest = [item.probability for item in by_probability[1:]]
    assert rest == sorted(rest)
    assert [item.true for item in items.pick(found, "label", 2)] == ["3", "7"]
    for number, item in enumerate(found):
        item.psnr = [30.0, 20.0, 40.0][number] if number < 3 else None
    assert [item.number for item in items.pick(found, "psnr", 3)] == [1, 0, 2]


def test_a_sheet_shows_images_labels_and_confusions(cli: Cli, folder: Path, tmp_path: Path) -> None:
    sheets = []
    for name in ("set.atlc", "bare.atlc"):
        (tmp_path / name).write_bytes((folder / "set.atlc").read_bytes())
        if name == "set.atlc":
            (tmp_path / "set.csv").write_bytes((folder / "set.csv").read_bytes())
        ran = cli("show", tmp_path / name, "-o", tmp_path / f"{name}.png", "--scale", "2")
        assert (ran.code, ran.out) == (0, b"")
        assert f"{name}.png  12 images" in ran.err
        sheets.append(shown(tmp_path / f"{name}.png"))
    image = panels.coloured(Codec.load("mnist").decode(packed(folder))[0])
    assert holds(sheets[0], image.repeat(2, 0).repeat(2, 1))
    red = np.array([190, 18, 30])
    assert (sheets[0] == red).all(axis=2).sum() > 100  # the wrong one
    assert not (sheets[1] == red).all(axis=2).any()
    assert sheets[0].shape[0] > sheets[1].shape[0]  # the table


def holds(sheet: Pixels, image: Pixels) -> bool:
    """Whether the image is a part of the sheet."""
    height, width = image.shape[:2]
    row = image[height // 2].tobytes()
    for top in range(len(sheet) - height + 1):
        line = sheet[top + height // 2].tobytes()
        at = line.find(row)
        while at >= 0:
            x = at // 3
            if at % 3 == 0 and np.array_equal(sheet[top : top + height, x : x + width], image):
                return True
            at = line.find(row, at + 1)
    return False


def test_labels_that_the_classifier_does_not_know_are_not_wrong(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.atlc").write_bytes((folder / "set.atlc").read_bytes())
    manifest.write(tmp_path / "x.csv", [manifest.Entry(at, f"{at}.png", "seven") for at in range(12)])
    found = list(items.collect(record_set.open(tmp_path / "x.atlc"), print))
    assert not any(item.wrong for item in found)
    assert captions.caption(found[0]) == "seven"
    assert captions.figures(found[0]).startswith("7 ")
    assert cli("show", tmp_path / "x.atlc", "-o", tmp_path / "x.png").code == 0
    assert not (shown(tmp_path / "x.png") == np.array([190, 18, 30])).all(axis=2).any()


def test_what_is_left_out_is_said(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.atlc").write_bytes((folder / "set.atlc").read_bytes())
    for limit, said in (("5", "the first 5 images (--limit)"), ("12", "12 images"), ("13", "12 images")):
        ran = cli("show", tmp_path / "bare.atlc", "-o", tmp_path / "x.png", "-f", "--limit", limit)
        assert ran.err.strip().endswith(f"x.png  {said}")


def test_damage_is_reported_and_the_rest_is_shown(cli: Cli, folder: Path, tmp_path: Path) -> None:
    damaged = bytearray((folder / "set.atlc").read_bytes())
    damaged[450] ^= 1
    (tmp_path / "damaged.atlc").write_bytes(damaged)
    for name in ("x.png", "x.html"):
        ran = cli("show", tmp_path / "damaged.atlc", "-o", tmp_path / name)
        assert ran.code == 1
        assert "record 2: damaged" in ran.err
        assert f"{name}  11 images" in ran.err
    (tmp_path / "empty.atlc").touch()
    assert "no images to show" in cli("show", tmp_path / "empty.atlc", "-o", tmp_path / "y.png").err


def test_originals_are_beside_the_images(cli: Cli, folder: Path, tmp_path: Path) -> None:
    ran = cli("show", folder / "set.atlc", "-o", tmp_path / "x.png", "--original", folder / "originals", "--scale", "1")
    assert ran.code == 0
    decoded = Codec.load("mnist").decode(packed(folder))[5]
    original = picture.read(folder / "originals/5.png")
    lost = np.clip(128 + 4 * (decoded.astype(int) - original), 0, 255).astype(np.uint8)
    sheet = shown(tmp_path / "x.png")
    for image in (original, decoded, lost):
        assert holds(sheet, panels.coloured(image))
    (tmp_path / "few").mkdir()
    ran = cli("show", folder / "set.atlc", "-o", tmp_path / "y.png", "--original", tmp_path / "few")
    assert ran.code == 1
    assert ran.err.count("No such file") == 12
    assert (tmp_path / "y.png").exists()


def test_similar_shows_its_hits(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "query.atlc").write_bytes((folder / "set.atlc").read_bytes()[1000:1200])
    ran = cli("similar", tmp_path / "query.atlc", folder / "set.atlc", "--top", "3", "-o", tmp_path / "x.png")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err.strip().endswith("x.png  4 images")
    decoded = Codec.load("mnist").decode(packed(folder))[5]
    assert holds(shown(tmp_path / "x.png"), panels.coloured(decoded.repeat(3, 0).repeat(3, 1)))
    assert ".html or .png" in cli("similar", tmp_path / "query.atlc", folder / "set.atlc", "-o", "x.txt").misuse


def test_a_page_is_small(cli: Cli, tmp_path: Path) -> None:
    """Besides the networks: 4 MB for 10,000 records."""
    packed = np.tile(records(100), (100, 1))
    (tmp_path / "x.atlc").write_bytes(packed.tobytes())
    manifest.write(tmp_path / "x.csv", [manifest.Entry(at, f"some/folder/{at}.png", "7") for at in range(10_000)])
    assert cli("show", tmp_path / "x.atlc", "-o", tmp_path / "x.html").code == 0
    codec = Codec.load("mnist")
    networks = len(codec.model.file("decompressor")) + len(codec.head.file())
    made = (tmp_path / "x.html").read_text("utf-8")
    assert len(made.encode()) - networks * 4 / 3 < 4e6
    carried = re.findall(r'<script class="records" type="text/plain">(.*?)</script>', made)
    assert b"".join(map(base64.b64decode, carried)) == packed.tobytes()


def test_too_much_for_a_page_is_refused(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST", 11)
    said = cli("show", folder / "set.atlc", "-o", tmp_path / "x.html").complaint
    assert "12 records are too many for a page, which holds 11; give --limit" in said


def test_a_grid_is_one_image(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("encode", "--grid", "-m", "mnist", folder / "page.png", "-o", tmp_path / "page.atlc").code == 0
    ran = cli("show", tmp_path / "page.atlc", "-o", tmp_path / "x.png", "--scale", "1")
    assert "1 image" in ran.err
    assert holds(shown(tmp_path / "x.png"), panels.coloured(atlcodec.decode_image(tmp_path / "page.atlc")))


def test_text_from_strangers_is_shown_as_it_is() -> None:
    assert captions.visible("a\u202eb<script>") == "a\\u{202e}b<script>"
    assert captions.visible("\U0001f469\u200d\U0001f52c") == "\U0001f469\u200d\U0001f52c"
    assert blocks.fitted("日本語", 5) == "日本…"
    assert blocks.fitted("abc", 3) == "abc"


def test_a_large_image_becomes_smaller() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    image[:, ::2] = 200
    assert panels.smaller(image, 40).shape == (17, 34, 3)
    assert (panels.smaller(image, 50) == 100).all()
    assert panels.smaller(image, 250, 4).shape == (100, 200, 3)


def test_a_sheet_that_is_too_large_is_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    many = tmp_path / "many.atlc"
    many.write_bytes((folder / "set.atlc").read_bytes() * 1500)
    said = cli("show", many, "-o", tmp_path / "x.png", "--limit", "18000", "--scale", "16").complaint
    assert "too large; give --limit" in said
    assert not (tmp_path / "x.png").exists()
    assert Image.MAX_IMAGE_PIXELS is not None
