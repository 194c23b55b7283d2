"""docs/guide.md: every block does what the page shows."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import metrics, picture
from atlcodec.codec import Codec
from atlcodec.sets import manifest
from atlcodec.sets.manifest import Entry
from kit import ROOT, Cli

PAGE = (ROOT / "docs" / "guide.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
(MODEL,) = {*re.findall(r" -m (\S+)", PAGE)}  # the page uses one
BLOCK = re.compile(r"^( *)```(console|python)\n(.*?)^ *```$", re.M | re.S)
# What another machine may print otherwise, in the last digit or altogether.
VARIES = re.compile(r"\d+\.\d dB|\(\d+\.\d%\)|\d+\.\d+%|\"probability\": [\d.]+|parquet: +\d+ bytes|parquet  \d+ bytes")


@dataclass(frozen=True)
class Recipe:
    """One section, after all of its blocks ran in the current folder, and what they left."""

    names: dict[str, Any]  # of the Python blocks
    said: list[str]  # by the commands


Follow = Callable[[str], Recipe]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images, and the set that the first section makes of them."""
    folder = tmp_path_factory.mktemp("world")
    subprocess.run([sys.executable, str(ROOT / "examples/draw.py"), "--set", "pictures"], cwd=folder, check=True)
    paths = [path.relative_to(folder / "pictures").as_posix() for path in sorted(folder.glob("pictures/*/*.png"))]
    images = np.stack([picture.read(folder / "pictures" / path) for path in paths])
    atlcodec.write(folder / "set.atlc", Codec.load(MODEL).encode(images))
    manifest.write(folder / "set.csv", [Entry(number, path, path[0]) for number, path in enumerate(paths)])
    return folder


@pytest.fixture
def follow(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Follow:
    """Runs a section in a fresh copy of that folder, and compares what is printed with what the page shows."""
    here = Path(shutil.copytree(world, tmp_path / "here"))
    monkeypatch.chdir(here)

    def follow(section: str) -> Recipe:
        if section == "Whole sets":
            (here / "set.atlc").unlink()
            (here / "set.csv").unlink()
            shutil.rmtree(here / "pictures")
            shutil.rmtree(here / "more")
        recipe = Recipe({}, [])
        for indent, language, block in BLOCK.findall(SECTIONS[section]):
            lines = [line.removeprefix(indent) for line in block.splitlines()]
            if language == "python":
                run_python("\n".join(lines), recipe.names)
            else:
                run_console(lines, cli, recipe.said)
        return recipe

    return follow


def run_python(code: str, names: dict[str, Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "docs/guide.md", "exec"), names)
    shown = re.findall(r"print\(.*\)  # (.*)", code)
    assert " ".join(out.getvalue().split()) == " ".join(" ".join(shown).split())


def run_console(lines: list[str], cli: Cli, said: list[str]) -> None:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[0] == 0
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        command, shown = lines[start].removeprefix("$ "), lines[start + 1 : end]
        if command.startswith("npm "):
            continue  # was done, or the test would be skipped
        if command.startswith("atlc "):
            ran = cli(*shlex.split(command)[1:])
            code, printed = ran.code, ran.err + ran.out.decode()
        else:
            command = command.replace("examples/", f"{shlex.quote(str(ROOT))}/examples/")
            command = re.sub("^python ", f"{shlex.quote(sys.executable)} ", command)
            done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
            code, printed = done.returncode, done.stderr + done.stdout
        assert code == 0, printed
        pattern = "\n".join(".*" if line == "..." else re.escape(VARIES.sub("#", line)) for line in shown)
        assert re.fullmatch(pattern, VARIES.sub("#", printed).rstrip("\n"), re.S), f"{command}\n{printed}"
        said += printed.splitlines()


def test_whole_sets(follow: Follow, world: Path) -> None:
    recipe = follow("Whole sets")
    records = atlcodec.open("set.atlc").array
    assert np.array_equal(records, atlcodec.open(world / "set.atlc").array)
    assert np.array_equal(atlcodec.open("bigger.atlc")[:40], records)
    assert sorted(path.name for path in Path("decoded/7").iterdir()) == [f"{number:02}.png" for number in range(20)]
    assert np.array_equal(picture.read("decoded/7/19.png"), atlcodec.decode(records[39]))
    assert sum('"true_label": "7"' in line and '"label": "7"' in line for line in recipe.said) == 20
    assert [entry.path for entry in manifest.entries("bigger.csv")][40:] == ["1/new.png", "7/new.png"]


def test_images_of_any_size(follow: Follow) -> None:
    recipe = follow("Images of any size")
    with Image.open("scene.png") as image, Image.open("scene.atlc.png") as back, Image.open("crop.png") as crop:
        original, whole = np.asarray(image), np.asarray(back)
        assert np.array_equal(np.asarray(crop), whole[56:96, 28:128])
    assert metrics.psnr(float(((whole.astype(float) - original) ** 2).mean())) > 40
    assert np.array_equal(recipe.names["image"], whole)
    labels = [json.loads(line) for line in recipe.said if line.startswith("{")]
    assert len(labels) == 88
    for line in labels:  # as the page was drawn
        if line["row"] < 7 and line["column"] < 10:
            assert line["label"] == ("7" if 10 * line["row"] >= 7 * line["column"] else "1")
    with Image.open("map.png") as image:
        assert image.width == 300
        assert image.height > 200


def test_parquet_and_arrow(follow: Follow, world: Path) -> None:
    pytest.importorskip("pyarrow")
    names = follow("Parquet and Arrow").names
    assert np.array_equal(names["sevens"], atlcodec.open(world / "set.atlc")[20:])
    assert names["parquet"].open("sevens.parquet").ids == (Codec.load(MODEL).id,)


def test_a_codec_of_your_own(follow: Follow) -> None:
    said = follow("A codec of your own").said
    assert any(line.startswith("0.05 minutes: --") for line in said)
    codec = Codec.load("./mine")
    assert codec.labels == ("1", "7")
    assert codec.decode(atlcodec.open("mine.atlc").array).shape == (40, 28, 28)


def test_a_classifier_of_your_own(follow: Follow, user_folder: Path) -> None:
    follow("A classifier of your own")
    assert [path.parent.name for path in user_folder.rglob("classifier.onnx")] == ["one-or-seven"]
    codec = Codec.load(MODEL, head="one-or-seven")
    assert codec.labels == ("1", "7")
    assert codec.classify(atlcodec.open("set.atlc").array).argmax(1).tolist() == [0] * 20 + [1] * 20


def test_sheets_and_pages(follow: Follow) -> None:
    said = follow("Sheets and pages").said
    assert said[-1].startswith("digits.atlc -> sheet.png")
    assert Path("page.html").read_bytes().startswith(b"<!doctype html>")
    assert picture.read("sheet.png").shape[1] > 500


def test_similarity_search(follow: Follow) -> None:
    recipe = follow("Similarity search")
    assert [line.split()[-1] for line in recipe.said] == ["7", "7", "7"]
    assert (recipe.names["numbers"] < 20).all()  # ones are like ones
    assert (np.diff(recipe.names["distances"]) >= 0).all()


def test_pillow_and_imageio(follow: Follow) -> None:
    frame = follow("Pillow and imageio").names["frame"]
    assert np.abs(frame.astype(int) - atlcodec.decode(atlcodec.open("set.atlc")[39])).max() <= 1
    with Image.open("large.png") as image:
        assert image.size == (280, 280)
    assert Path("seven.atlc").read_bytes() == atlcodec.encode("pictures/7/19.png", MODEL)


def test_pytorch(follow: Follow) -> None:
    names = follow("PyTorch").names
    assert any(
        weight.grad is not None and weight.grad.abs().sum() > 0 for weight in names["codec"].compressor.parameters()
    )


def test_zarr_and_numcodecs(follow: Follow, world: Path) -> None:
    pytest.importorskip("zarr")
    import atlcodec.zarr

    atlcodec.zarr.register()  # in an environment that was set up before the entry point was there
    names = follow("Zarr and numcodecs").names
    assert names["data"] == (world / "set.atlc").read_bytes()
    assert metrics.psnr(metrics.squared_error(names["images"], names["array"][:]).mean()) > 25
    assert sum(path.stat().st_size for path in Path("set.zarr/c").rglob("*") if path.is_file()) == 48 * 200


@pytest.mark.skipif(not shutil.which("node"), reason="there is no Node.js here")
@pytest.mark.skipif(
    not (ROOT / "examples/javascript/node_modules/onnxruntime-node").exists(),
    reason="onnxruntime-node is not installed: make test-all",
)
def test_javascript(follow: Follow) -> None:
    said = follow("JavaScript").said
    assert [line.split()[1] for line in said] == ["1"] * 20 + ["7"] * 20


def test_a_cluster(follow: Follow) -> None:
    pytest.importorskip("pyarrow")
    follow("A cluster")


def test_encoder_effort(follow: Follow) -> None:
    quick, best = (float(line.split()[-2]) for line in follow("Encoder effort").said if line.endswith("dB"))
    assert best > quick + 1
    images = np.stack([picture.read(path) for path in sorted(Path("pictures").glob("*/*.png"))])
    for name, effort in (("quick", 0), ("best", 9)):
        assert Path(f"{name}.atlc").read_bytes() == Codec.load(MODEL).encode(images, effort).tobytes()


def test_the_table_of_tasks_has_commands_and_options_that_exist(cli: Cli) -> None:
    rows = [line for line in PAGE[: PAGE.index("\n## ")].splitlines() if line.startswith("| ")][1:]
    found = [command for row in rows for command in re.findall(r"(?<![/_])atlc (\w[^`|]*?) *[`|\\]", row)]
    assert len(found) >= 7
    for command in found:
        words = command.split()
        name = words[:2] if words[0] == "models" else words[:1]
        text = cli(*name, "-h").out.decode()
        assert f"Usage: atlc {' '.join(name)}" in text
        for option in (word for word in words if word.startswith("-") and word != "-"):
            assert re.search(rf"^ +(-\w, )?{option}\b", text, re.M), command
    for name in ("open", "Codec"):
        assert any(f"atlcodec.{name}" in row for row in rows)
        assert hasattr(atlcodec, name)


def test_no_section_is_left_out_and_links_lead_somewhere() -> None:
    for section in SECTIONS:
        assert f"test_{section.lower().replace(' ', '_')}" in globals()
        assert f"[{section}](#{section.lower().replace(' ', '-')})" in " ".join(PAGE.split())
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    offered = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"pip install '\.\[(\w+)\]'", PAGE):
        assert f"\n{extra} = [" in offered
