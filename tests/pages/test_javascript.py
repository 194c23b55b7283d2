"""The reader in JavaScript, which is written after docs/format.md, sees in a file what this library sees in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import atlcodec
from atlcodec import description, record
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec
from atlcodec.errors import LossWarning
from atlcodec.shape import Shape
from grid_kit import add_colours, scene
from shape_kit import pictures, write_codec

EXAMPLE = Path(__file__).parents[2] / "examples/javascript"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no Node.js here"),
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules/onnxruntime-node").exists(),
        reason="onnxruntime-node is not installed: (cd examples/javascript && npm ci --ignore-scripts)",
    ),
]


def read(path: Path, *more: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    assert NODE is not None
    command = [NODE, EXAMPLE / "atlc.mjs", path, *more]
    return subprocess.run(command, cwd=path.parent, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def records(draw: Callable[..., NDArray[np.uint8]]) -> record.Records:
    """Fifty-one records of three models."""
    sevens = np.stack([draw(slant) for slant in np.linspace(-4, 4, 51)])
    names = ("mnist-lenet", "kmnist-lenet", "fashion-lenet")
    return np.concatenate([Codec.load(name).encode(sevens[k::3]) for k, name in enumerate(names)])


def test_the_same_labels_and_pixels(records: record.Records, tmp_path: Path) -> None:
    atlcodec.write(tmp_path / "x.atlc", records)
    done = read(tmp_path / "x.atlc", BUNDLED, "x.pgm")
    assert (done.returncode, done.stderr) == (0, "")
    expected = [atlcodec.classify(row) for row in records]
    seen = [re.fullmatch(r"(\d+): (.+) \((.+)%\)", line) for line in done.stdout.splitlines()]
    assert [(line[1], line[2]) for line in seen if line] == [
        (str(k), answer.label) for k, answer in enumerate(expected)
    ]
    percent = [float(line[3]) for line in seen if line]
    assert np.allclose(percent, [100 * answer.probability for answer in expected], atol=0.2)
    with Image.open(tmp_path / "x.pgm") as sheet:
        pixels = np.array(sheet, int).reshape(-1, 28, 28)
    assert np.array_equal(pixels, [atlcodec.decode(row) for row in records])


@pytest.mark.parametrize(("shape", "mode"), [((20, 31), "L"), ((29, 31, 3), "RGB")])
def test_images_of_another_shape_and_in_colour(shape: Shape, mode: str, tmp_path: Path) -> None:
    codec = Codec.load(str(write_codec(tmp_path / "models" / "other", shape)))
    packed = codec.encode(pictures(shape, 5))
    (tmp_path / "x.atlc").write_bytes(packed.tobytes())
    done = read(tmp_path / "x.atlc", tmp_path / "models", "x.pgm")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 5
    with Image.open(tmp_path / "x.pgm") as sheet:
        assert (sheet.mode, sheet.size) == (mode, (shape[1], 5 * shape[0]))
        assert np.array_equal(np.array(sheet).reshape(5, *shape), codec.decode(packed))
    both = np.concatenate([packed, Codec.load("mnist-lenet").encode(np.zeros((1, 28, 28), np.uint8))])
    (tmp_path / "both.atlc").write_bytes(both.tobytes())
    shutil.copytree(BUNDLED / "mnist-lenet", tmp_path / "models" / "mnist-lenet")
    done = read(tmp_path / "both.atlc", tmp_path / "models", "y.pgm")
    assert done.returncode != 0
    assert "images of several shapes" in done.stderr
    assert len(done.stdout.splitlines()) == 6


def test_a_flipped_bit_is_reported_and_the_rest_is_read(records: record.Records, tmp_path: Path) -> None:
    flipped = records[:5].copy()
    flipped[2, 77] ^= 8
    (tmp_path / "x.atlc").write_bytes(flipped.tobytes() + b"torn")
    done = read(tmp_path / "x.atlc")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["0", "1", "3", "4"]
    damaged, torn = done.stderr.splitlines()
    assert re.match("2: damaged, or its model is not installed", damaged)
    assert re.match("5: damaged", torn)


def test_files_that_hold_no_records_are_one_line(tmp_path: Path) -> None:
    """No stack trace of Node, and not a line for each 200 bytes."""
    page, records = tmp_path / "page.md", tmp_path / "x.atlc"
    page.write_text("a page of text\n" * 500)
    atlcodec.write(records, b"")
    for arguments, code, line in (
        ((page,), 1, f"{page}: holds no record of an installed model; is it an .atlc file?\n"),
        ((tmp_path / "nowhere",), 1, f"{tmp_path / 'nowhere'}: does not exist\n"),
        ((tmp_path,), 1, f"{tmp_path}: is a folder\n"),
        ((records, tmp_path / "models"), 1, f"{tmp_path / 'models'}: does not exist\n"),
        ((records,), 0, ""),
    ):
        done = read(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", line)
    assert NODE is not None
    done = subprocess.run([NODE, EXAMPLE / "atlc.mjs"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: node atlc.mjs FILE [MODELS] [OUT.pgm]\n")


def test_nothing_is_kept_about_the_user(records: record.Records, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    atlcodec.write(tmp_path / "x.atlc", records[:1])
    done = read(tmp_path / "x.atlc", env={"HOME": str(home), "PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []


def test_a_setting_of_the_user_stays() -> None:
    assert NODE is not None
    program = f"await import({str(EXAMPLE / 'atlc.mjs')!r}); console.log(process.env.ORT_DISABLE_TELEMETRY)"
    command = [NODE, "--input-type=module", "-e", program]
    for own, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "true"}, "true")):
        env = {"PATH": os.environ["PATH"], **own}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")


@pytest.mark.parametrize(("overlap", "channels"), [(0, 1), (3, 1), (0, 3), (5, 3)])
def test_grids(overlap: int, channels: int, tmp_path: Path, user_folder: Path) -> None:
    codec = add_colours(tmp_path) if channels == 3 else Codec.load("mnist-lenet")
    models = user_folder if channels == 3 else BUNDLED
    image = scene(70, 65, channels)
    data = bytearray(atlcodec.encode_image(image, codec.name, 0, overlap))
    (tmp_path / "x.atlc").write_bytes(data)
    done = read(tmp_path / "x.atlc", models, "x.ppm")
    assert (done.returncode, done.stderr) == (0, "")
    described = description.unpack(bytes(data[:200]))
    size = f"{described.columns} x {described.rows} tiles"
    assert done.stdout.splitlines()[0] == f"0: an image of 65 x 70 pixels in {size}"
    assert done.stdout.splitlines()[-1].endswith(f"row {described.rows - 1}, column {described.columns - 1}")
    drawn = np.asarray(Image.open(tmp_path / "x.ppm"))
    apart = np.abs(drawn.astype(int) - atlcodec.decode_image(bytes(data)))
    assert apart.max() <= 1  # the tiles are within 1
    data[5 * 200 + 9] ^= 0x11
    (tmp_path / "x.atlc").write_bytes(data[:-200])
    done = read(tmp_path / "x.atlc", models, "x.ppm")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "0: 1 tiles are missing"
    with pytest.warns(LossWarning):
        back = atlcodec.decode_image(bytes(data[:-200]))
    assert np.abs(np.asarray(Image.open(tmp_path / "x.ppm")).astype(int) - back).max() <= 1


def test_a_grid_that_promises_too_much_and_one_of_a_later_version(tmp_path: Path) -> None:
    data = atlcodec.encode_image(scene(40, 40), "mnist-lenet", 0)
    huge = description.Description(2**32 - 1, 2**32 - 1, 1, Codec.load("mnist-lenet").id, (28, 28)).pack()
    head = data[:4] + b"\2" + data[5:196]
    later = head + description.closing(head, description.ID)
    (tmp_path / "x.atlc").write_bytes(huge + data[200:400] + later + data[400:600])
    done = read(tmp_path / "x.atlc", BUNDLED)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith("0: describes ")
    assert second == "2: a description of a later version, or a damaged one"
    assert len(done.stdout.splitlines()) == 2
