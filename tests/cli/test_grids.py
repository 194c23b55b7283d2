"""Grids on the command line: images of any size, there and back; what is damaged is told and the rest comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import atlcodec
from atlcodec import description, picture
from grid_kit import add_colours, scene
from kit import MNIST, Cli, files_in, json_lines, put, records, shown


@pytest.fixture
def place(workplace: Path) -> Path:
    """The current folder, with a scene in grey and one in colour."""
    put(workplace / "scene.png", scene(100, 130))
    put(workplace / "colour.png", scene(90, 60, 3))
    return workplace


def test_there_and_back(cli: Cli, place: Path) -> None:
    ran = cli("encode", "scene.png", "--grid")
    data = (place / "scene.atlc").read_bytes()
    assert ran.code == 0
    size = f"{len(data)} bytes  fashion (chosen)  130 x 100 pixels in 6 x 4 tiles that overlap by 4"
    assert ran.err.startswith(f"scene.png -> scene.atlc  {size}")
    assert data == atlcodec.encode_image("scene.png")
    assert cli("decode", "scene.atlc").err == "scene.atlc -> scene.atlc.png  fashion\n"
    assert np.array_equal(shown("scene.atlc.png"), atlcodec.decode_image(data))
    again = cli("decode", "-", stdin=data)
    assert again.out == (place / "scene.atlc.png").read_bytes()
    cli("decode", "scene.atlc", "--crop", "100,20,30,40", "--scale", "2", "-o", "crop.png")
    part = atlcodec.decode_image(data)[20:60, 100:]
    assert np.array_equal(shown("crop.png"), part.repeat(2, 0).repeat(2, 1))


def test_json_and_the_decibels_of_the_whole_image(cli: Cli, place: Path) -> None:
    (line,) = json_lines(cli("encode", "scene.png", "--grid", "-m", "fashion", "--overlap", "0", "--json"))
    back = atlcodec.decode_image("scene.atlc").astype(float)
    psnr = 10 * np.log10(255**2 / ((back - scene(100, 130)) ** 2).mean())
    assert line["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert (line["width"], line["height"], line["grid"], line["records"]) == (130, 100, True, 21)
    (line,) = json_lines(cli("decode", "scene.atlc", "--json"))
    assert (line["output"], line["width"], line["height"]) == ("scene.atlc.png", 130, 100)


def test_colours(cli: Cli, place: Path, user_folder: Path) -> None:
    assert (
        "is in colour; --gray (gray=True) takes its luminance"
        in cli("encode", "colour.png", "--grid", "-m", MNIST).complaint
    )
    assert "in grey" in cli("encode", "colour.png", "--grid", "--gray").err
    add_colours(place)
    assert cli("encode", "scene.png", "colour.png", "--grid", "-m", "colours", "-o", "out/").code == 0
    assert files_in(place / "out") == ["colour.atlc", "scene.atlc"]
    assert cli("decode", "out/scene.atlc", "out/colour.atlc").code == 0
    assert (shown("out/scene.atlc.png").shape, shown("out/colour.atlc.png").shape) == ((100, 130), (90, 60, 3))


def test_an_image_of_the_shape_of_the_codec_is_one_record(cli: Cli, place: Path) -> None:
    put(place / "small.png", scene(28, 28))
    assert cli("encode", "small.png", "--grid", "-m", MNIST).code == 0
    assert (place / "small.atlc").read_bytes() == atlcodec.encode("small.png", MNIST)


def test_files_with_several_images(cli: Cli, place: Path) -> None:
    data = records(2).tobytes() + atlcodec.encode_image("scene.png") + atlcodec.encode_image(scene(30, 40))
    (place / "x.atlc").write_bytes(data)
    assert cli("decode", "x.atlc").complaint == "atlc: x.atlc: has 4 images; name a folder for them: -o DIR/"
    assert cli("decode", "x.atlc", "-o", "out/").err == "x.atlc -> out/  4 images\n"
    assert files_in(place / "out") == [f"x.atlc.{number:06}.png" for number in (0, 1, 2, 27)]
    assert np.array_equal(shown("out/x.atlc.000002.png"), atlcodec.decode_image(data[400 : 27 * 200]))
    assert "has several images" in cli("decode", "x.atlc", "--crop", "0,0,5,5").complaint


def test_damage_is_told_and_the_rest_comes_back(cli: Cli, place: Path) -> None:
    data = bytearray(atlcodec.encode_image("scene.png"))
    data[2 * 200 + 5] ^= 0x77
    (place / "x.atlc").write_bytes(data)
    ran = cli("decode", "x.atlc")
    assert ran.code == 1
    assert ran.err.splitlines()[1:] == [
        "atlc: x.atlc: record 0: 1 of 24 tiles are missing (row 0, column 1), and have the mean of their neighbours",
        "x.atlc -> x.atlc.png  fashion",
    ]
    assert shown("x.atlc.png").shape == (100, 130)
    huge = description.Description(10**9, 10**9, 1, description.unpack(bytes(data[:200])).codec, (28, 28)).pack()
    (place / "huge.atlc").write_bytes(huge + data[200:])
    ran = cli("decode", "huge.atlc")
    assert ran.code == 1
    assert "and the file has only 23; get another copy" in ran.err
    assert not (place / "huge.atlc.png").exists()
    later = data[:4] + b"\7" + data[5:196]
    (place / "later.atlc").write_bytes(later + description.closing(bytes(later), description.ID) + data[200:600])
    ran = cli("decode", "later.atlc", "-o", "tiles/")
    assert "record 0: is a description of version 7; a newer atlcodec may read it" in ran.err
    assert files_in(place / "tiles") == ["later.atlc.png"]  # of the one tile that is left


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--grid", "--fit", "cover"], "--grid keeps the size"),
        (["--grid", "--each"], "one model"),
        (["--grid", "--frame", "all"], "one frame"),
        (["--overlap", "3"], "--overlap is for the tiles of --grid"),
        (["--grid", "colour.png", "-o", "x"], "end it in / for a folder"),
        (["--grid", "-o", "x.png"], "name a file that ends in .atlc"),
    ],
)
def test_wrong_usage(cli: Cli, place: Path, options: list[str], why: str) -> None:
    assert why in cli("encode", "scene.png", *options).misuse
    assert not (place / "scene.atlc").exists()


def test_more_wrong_usage(cli: Cli, place: Path) -> None:
    cli("encode", "scene.png", "--grid")
    assert "already exists" in cli("encode", "scene.png", "--grid").complaint
    assert "skipped" in cli("encode", "scene.png", "--grid", "--skip-existing").err
    for crop in ("1,2,3", "a,b,c,d", "-1,0,5,5"):
        assert "is not LEFT,TOP,WIDTH,HEIGHT" in cli("decode", "scene.atlc", f"--crop={crop}").misuse
    ran = cli("decode", "scene.atlc", "--crop", "120,0,20,5")
    assert "the crop of 20 x 5 pixels at 120, 0 does not lie in the image of 130 x 100" in ran.complaint
    ran = cli("encode", "-f", "scene.png", "--grid", "--overlap=15")
    assert "can overlap by 0 to 14 pixels, not by 15" in ran.complaint
    assert picture.read("scene.png").shape == (100, 130)


def test_a_label_for_each_tile(cli: Cli, place: Path) -> None:
    cli("encode", "scene.png", "--grid")
    ran = cli("classify", "scene.atlc")
    answers = [atlcodec.classify(packed) for packed in atlcodec.open("scene.atlc")[1:]]
    assert (ran.code, len(ran.lines)) == (0, 24)
    assert ran.lines[7].startswith("scene.atlc[8] row 1, column 1: ")
    lines = json_lines(cli("classify", "--json", "scene.atlc"))
    for number, (line, answer) in enumerate(zip(lines, answers, strict=True)):
        assert (line["record"], line["row"], line["column"]) == (number + 1, *divmod(number, 6))
        assert (line["label"], line["probability"]) == (answer.label, pytest.approx(answer.probability, abs=1e-5))
    piped = cli("classify", "-", "--json", stdin=(place / "scene.atlc").read_bytes())
    assert [line["column"] for line in json_lines(piped)] == [*range(6)] * 4
    mixed = records(2).tobytes() + (place / "scene.atlc").read_bytes()
    (place / "mixed.atlc").write_bytes(mixed[:-200])
    ran = cli("classify", "--json", "mixed.atlc")
    assert ["row" in line for line in json_lines(ran)] == [False] * 2 + [True] * 23
    assert "record 2: 1 of 24 tiles are missing (row 3, column 5)" in ran.err
    assert cli("classify", "--summary", "mixed.atlc").out.startswith(b"mixed.atlc: 25 records: ")


def test_a_map_of_labels(cli: Cli, place: Path) -> None:
    cli("encode", "scene.png", "--grid", "--overlap", "0", "-m", "fashion")
    assert cli("classify", "scene.atlc", "--map", "map.png").err == "scene.atlc -> map.png  map of labels\n"
    drawn, image = shown("map.png").astype(int), atlcodec.decode_image("scene.atlc")
    assert drawn.shape[0] > 100
    assert drawn.shape[1] >= 130
    answers = [atlcodec.classify(packed) for packed in atlcodec.open("scene.atlc")[1:]]
    over: dict[str, NDArray[np.float64]] = {}
    for number, answer in enumerate(answers):
        (row, column), share = divmod(number, 5), 0.15 if answer.unsure else 0.45
        y, x = row * 28 + 9, column * 28 + 9
        colour = (drawn[y, x] - image[y, x] * (1 - share)) / share
        assert np.abs(colour - over.setdefault(answer.label, colour)).max() < 8
    assert len({tuple(np.rint(colour / 9)) for colour in over.values()}) == len(over)
    assert "already exists" in cli("classify", "scene.atlc", "--map", "map.png").complaint
    assert cli("classify", "scene.atlc", "--map", "map.png", "-f").code == 0
    (place / "single.atlc").write_bytes(records(1).tobytes())
    assert "is not an image in tiles" in cli("classify", "single.atlc", "--map", "x.png").complaint
    assert "one that ends in .png" in cli("classify", "scene.atlc", "--map", "x.jpg").misuse


def test_a_map_of_a_damaged_image(cli: Cli, place: Path) -> None:
    data = bytearray(atlcodec.encode_image("scene.png", "fashion", overlap=0))
    data[8 * 200] ^= 1
    (place / "x.atlc").write_bytes(data)
    assert cli("classify", "x.atlc", "--map", "map.png").code == 1
    drawn = shown("map.png")[28 + 2 : 54, 2 * 28 + 2 : 3 * 28 - 2]
    assert (drawn == drawn[:, :, :1]).all()  # no colour, for there is no label


def test_info_lists_grids(cli: Cli, place: Path) -> None:
    data = records(1).tobytes() + atlcodec.encode_image("scene.png", "fashion")
    (place / "x.atlc").write_bytes(data)
    ran = cli("info", "x.atlc")
    about = "x.atlc[1]: an image of 130 x 100 pixels in grey: 6 x 4 tiles of fashion, 28 x 28 that overlap by 4"
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0] == about
    assert len(ran.lines) == 1 + 25 + 1
    assert cli("info", "--summary", "x.atlc").lines == [
        f"x.atlc: {len(data)} bytes, 25 records (24 of fashion, 1 of {MNIST})",
        about,
    ]
    assert json_lines(cli("info", "--summary", "--json", "x.atlc"))[0]["grids"] == 1
    line = json_lines(cli("info", "--json", "x.atlc"))[0]
    assert (line["record"], line["grid"]["rows"], line["grid"]["columns"], line["grid"]["missing"]) == (1, 4, 6, 0)
    ran = cli("info", "-", "--summary", stdin=data[200:-201])
    assert ran.code == 1
    assert ran.lines[1] == about.replace("x.atlc[1]", "standard input[0]") + ", 2 of them missing"
