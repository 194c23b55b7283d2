"""Tiles without -m: by the image, `grey` or `colour`, as soon as both are bundled. Then grids come first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import choice, description, zoo
from atlcodec.card import BUNDLED
from drawings import Pixels
from grid_kit import scene
from kit import Cli, json_lines, put, shown
from shape_kit import write_codec

GREY, COLOUR = (28, 28), (32, 32, 3)


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the bundled models, with `grey` and `colour`."""
    folder = tmp_path / "bundled"
    for name, shape in (("grey", GREY), ("colour", COLOUR)):
        write_codec(folder / name, shape)
    (folder / "default.json").write_text(json.dumps(["grey", "colour"]))
    (folder / "choice.json").write_text((BUNDLED / "choice.json").read_text())
    monkeypatch.setattr(zoo, "BUNDLED", folder)
    return folder


@pytest.fixture
def place(workplace: Path) -> Path:
    put(workplace / "grey.png", scene(70, 90))
    put(workplace / "colour.png", scene(70, 90, 3))
    return workplace


def written_by(path: str) -> str:
    found = description.unpack(Path(path).read_bytes()[:200])
    return zoo.models()[found.codec].name


def test_grey_images_get_grey_tiles_and_others_tiles_in_colour(cli: Cli, place: Path, bundled: Path) -> None:
    lines = json_lines(cli("encode", "grey.png", "colour.png", "--grid", "--json"))
    assert [line["model"] for line in lines] == ["grey", "colour"]
    assert [written_by("grey.atlc"), written_by("colour.atlc")] == ["grey", "colour"]
    for name in ("grey", "colour"):
        data = Path(f"{name}.atlc").read_bytes()
        assert atlcodec.encode_image(f"{name}.png") == data
        assert atlcodec.encode_image(shown(f"{name}.png")) == data
        assert atlcodec.decode_image(data).shape == shown(f"{name}.png").shape
    put(place / "as-colours.png", scene(70, 90)[:, :, None].repeat(3, 2))  # a grey image in three channels
    assert atlcodec.encode_image("as-colours.png") == Path("grey.atlc").read_bytes()
    cli("encode", "colour.png", "--grid", "--gray", "-o", "luminance.atlc")
    assert written_by("luminance.atlc") == "grey"


def test_without_tiles_of_a_kind_the_others_take_it(cli: Cli, place: Path, bundled: Path) -> None:
    (bundled / "default.json").write_text('["colour"]')
    cli("encode", "grey.png", "--grid")
    assert written_by("grey.atlc") == "colour"
    assert atlcodec.decode_image("grey.atlc").shape == (70, 90)
    (bundled / "default.json").write_text('["grey"]')
    assert "is in colour; --gray" in cli("encode", "colour.png", "--grid").complaint


def test_images_of_other_shapes_become_grids(cli: Cli, place: Path, bundled: Path) -> None:
    assert choice.grids_unasked()
    assert cli("encode", "grey.png", "colour.png").code == 0
    assert [written_by("grey.atlc"), written_by("colour.atlc")] == ["grey", "colour"]
    for name, shape in (("a", GREY), ("b", COLOUR)):  # of the shape of a codec: one record
        put(place / f"{name}.png", scene(*shape))
        assert cli("encode", f"{name}.png").code == 0
        assert len(Path(f"{name}.atlc").read_bytes()) == 200
    cli("encode", "grey.png", "--fit", "cover", "-o", "fitted.atlc")
    assert len(Path("fitted.atlc").read_bytes()) == 200
    cli("encode", "grey.png", "-m", "colour", "-o", "named.atlc")
    assert written_by("named.atlc") == "colour"
    ran = cli("encode", "grey.png", "a.png", "-o", "set.atlc")  # a set has one record for each image, unless asked
    assert "atlc encode --grid (encode_image) keeps its size" in ran.err


def test_today_they_are_refused(cli: Cli, place: Path) -> None:
    if choice.grids_unasked():
        pytest.skip("the bundled models have tiles for all images")
    assert "--grid" in cli("encode", "grey.png").complaint


def test_a_set_in_colour_gets_one_codec(cli: Cli, place: Path, bundled: Path) -> None:
    put(place / "pictures/a.png", scene(40, 50))
    put(place / "pictures/b.png", scene(50, 40, 3))
    done = atlcodec.encode_folder("pictures", "set.atlc", grid=True)
    assert (done.model, done.choice, done.images) == ("colour", "chosen", 2)
    (place / "pictures/b.png").unlink()
    assert atlcodec.encode_folder("pictures", "other.atlc", grid=True).model == "grey"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_line_says_that_webp_is_smaller(cli: Cli, workplace: Path, bundled: Path, channels: int) -> None:
    big = photograph(520, 530, channels)
    put(workplace / "big.png", big)
    lines = cli("encode", "big.png", "--grid").err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("atlc: warning: big.png: WebP is smaller at this quality: with as many bytes it has ")
    put(workplace / "small.png", big[:300, :300])
    assert len(cli("encode", "small.png", "--grid").err.splitlines()) == 1


def photograph(height: int, width: int, channels: int) -> Pixels:
    """Soft shapes, which WebP knows to keep."""
    image = scene(height, width, channels)
    return np.asarray(
        np.clip(image.astype(int) + np.random.default_rng(0).integers(-2, 3, image.shape), 0, 255), np.uint8
    )
