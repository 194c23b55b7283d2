"""The package as its users get it: what the wheel holds, and that it works where there is no PyTorch.

The wheel is built from a copy of the repository as it would be cloned, with leftovers of earlier work lying in it, and
installed into an environment of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from atlcodec import metrics, picture

ROOT = Path(__file__).parents[2]
PARTS = ("compressor.onnx", "decompressor.onnx", "refiner.onnx")
ELSEWHERE = ("torch", "onnx", "cli", "models", "examples", "tests", "benchmarks")  # what must not come along


def run(
    *command: str | Path, cwd: Path, home: Path | None = None, fails: bool = False
) -> subprocess.CompletedProcess[str]:
    """A program as a stranger would run it: it gets no settings of ours, and with `home` no files of this user."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ATLC_", "PYTHON", "XDG_", "VIRTUAL_ENV"))
    }
    if home is not None:
        env["HOME"] = str(home)
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    assert (done.returncode != 0) == fails, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def listed() -> list[str]:
    """What a clone of the repository as it is now would hold."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    output = run(git, "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    return sorted({name for name in output.split("\0") if name and os.path.lexists(ROOT / name)})


@pytest.fixture(scope="module")
def tree(listed: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a clone, in which someone has worked: an old build with a model that is gone since, and what training
    left."""
    folder = tmp_path_factory.mktemp("tree")
    for name in listed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    bundled = next((folder / "atlcodec/models").glob("*/card.json")).parent
    shutil.copytree(bundled, folder / "build/lib/atlcodec/models/deleted")
    for leftover in ("checkpoint.pt", "heads/checkpoint.pt", "compressor.onnx.part"):
        (bundled / leftover).write_bytes(b"leftover")
    return folder


@pytest.fixture(scope="module")
def dist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the tree, the source distribution, and in `again/` the wheel built from that."""
    try:
        run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "setuptools>=77",
            cwd=tree,
        )
    except AssertionError as error:
        pytest.skip(f"pip finds no package index: {str(error).strip().splitlines()[-1]}")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, tree, cwd=folder)
    run(sys.executable, "-m", "build", "--outdir", folder / "again", tree, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and what it asks for, and nothing else, not even pip."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    run(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--no-compile", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def desk(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user who has nothing but an image of a seven, and who has encoded it."""
    folder = tmp_path_factory.mktemp("desk")
    run(fresh / "python", ROOT / "examples/draw.py", "digit.png", cwd=folder, home=folder)
    run(fresh / "atlc", "encode", "digit.png", cwd=folder, home=folder)
    return folder


def models() -> list[Path]:
    return sorted(card.parent for card in (ROOT / "atlcodec/models").glob("*/card.json"))


def test_the_wheel_holds_the_code_the_models_and_the_licences_and_nothing_else(wheel: Path, listed: list[str]) -> None:
    with ZipFile(wheel) as archive:
        held = archive.namelist()
    inside = {name for name in listed if name.startswith("atlcodec/")}
    expected = {name for name in inside if name.endswith((".py", "/py.typed"))}
    expected |= {name for name in inside if name.startswith("atlcodec/show/page/")}
    expected |= {"atlcodec/models/default.json", "atlcodec/models/choice.json"}
    for model in models():
        expected |= {f"atlcodec/models/{model.name}/{file}" for file in ("card.json", *PARTS)}
        for head in (model / "heads").iterdir():
            expected |= {
                f"atlcodec/models/{model.name}/heads/{head.name}/{file}" for file in ("card.json", "classifier.onnx")
            }
    assert "atlcodec/cli/__init__.py" in expected
    assert len(models()) >= 2
    about = {name.split("/", 1)[1] for name in held if ".dist-info/" in name}
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"} | {
        "licenses/LICENSE",
        "licenses/LICENSE-WEIGHTS",
    }


@pytest.mark.parametrize("name", ["cli", "models"])
def test_a_link_at_the_top_leads_to_the_package_folder(name: str, listed: list[str]) -> None:
    mode, blob = run("git", "ls-files", "--stage", name, cwd=ROOT).stdout.split()[:2]
    assert mode == "120000"  # a symbolic link, to git
    assert run("git", "cat-file", "blob", blob, cwd=ROOT).stdout == f"atlcodec/{name}"
    assert (ROOT / "atlcodec" / name).is_dir()
    assert not (ROOT / "atlcodec" / name).is_symlink()
    assert f"atlcodec/{name}/__init__.py" in listed


def test_the_source_distribution_builds_the_same_wheel(dist: Path, wheel: Path) -> None:
    (source,) = (dist / "again").glob("*.tar.gz")
    with tarfile.open(source) as archive:
        kinds = {member.type for member in archive}
    assert kinds == {tarfile.REGTYPE, tarfile.DIRTYPE}  # no links: not every system can unpack them
    with ZipFile(wheel) as ours, ZipFile(dist / "again" / wheel.name) as again:
        assert sorted(ours.namelist()) == sorted(again.namelist())
        for name in ours.namelist():
            assert ours.read(name) == again.read(name) or name.endswith("/RECORD"), name


def test_pytorch_comes_with_the_extra_only(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        wanted = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    names = {line: re.split(r"[^\w.-]", line)[0] for line in wanted}
    assert {names[line] for line in wanted if 'extra == "train"' in line} == {"torch", "onnx", "matplotlib"}
    assert not {names[line] for line in wanted if "extra ==" not in line} & {"torch", "onnx", "matplotlib"}


def test_every_model_is_named_in_the_licence_of_the_weights() -> None:
    text = (ROOT / "LICENSE-WEIGHTS").read_text("utf-8")
    for model in models():
        assert f"\n{model.name}: {json.loads((model / 'card.json').read_text('utf-8'))['licence']}\n" in text


def test_only_one_package_is_installed_and_all_of_it_can_be_imported(fresh: Path, tmp_path: Path) -> None:
    program = f"""
import importlib, importlib.util, json, pkgutil, sysconfig, atlcodec
missing = {{}}
names = [module.name for module in pkgutil.walk_packages(atlcodec.__path__, "atlcodec.", onerror=print)]
for name in names:
    if not name.startswith("atlcodec.training."):
        try:
            importlib.import_module(name)
        except atlcodec.AtlcError as error:  # a room of an extra
            missing[name] = str(error)
print(json.dumps({{
    "file": atlcodec.__file__,
    "site": sysconfig.get_path("purelib"),
    "names": names,
    "missing": missing,
    "elsewhere": [name for name in {ELSEWHERE} if importlib.util.find_spec(name)],
}}))
"""
    told = json.loads(run(fresh / "python", "-c", program, cwd=tmp_path).stdout)
    assert Path(told["file"]).is_relative_to(told["site"])
    assert {"atlcodec.codec", "atlcodec.cli.train", "atlcodec.models", "atlcodec.training.atl"} <= set(told["names"])
    assert told["elsewhere"] == []
    assert list(told["missing"]) == ["atlcodec.zarr"]
    assert "pip install 'atlcodec[zarr]'" in told["missing"]["atlcodec.zarr"]


def test_an_image_there_and_back_and_its_label_by_the_commands(fresh: Path, desk: Path) -> None:
    assert (desk / "digit.atlc").stat().st_size == 200
    run(fresh / "atlc", "decode", "digit.atlc", "-f", cwd=desk, home=desk)
    before, after = picture.read(desk / "digit.png"), picture.read(desk / "digit.atlc.png")
    (answer,) = run(fresh / "atlc", "classify", "--json", "digit.atlc", cwd=desk, home=desk).stdout.splitlines()
    answer = json.loads(answer)
    assert answer["label"] == "7"
    card = json.loads((ROOT / "models" / answer["model"] / "card.json").read_text("utf-8"))
    assert metrics.psnr(float(metrics.squared_error(before[None], after[None])[0])) >= card["figures"]["psnr_low"]
    assert (
        json.loads(run(fresh / "atlc", "info", "--json", "digit.atlc", cwd=desk, home=desk).stdout)["id"] == card["id"]
    )


def test_the_bundled_models_are_the_installed_ones(fresh: Path, desk: Path) -> None:
    lines = [
        json.loads(line) for line in run(fresh / "atlc", "models", "--json", cwd=desk, home=desk).stdout.splitlines()
    ]
    assert [line["name"] for line in lines] == [model.name for model in models()]
    assert {line["name"] for line in lines if line["default"]} == set(
        json.loads((ROOT / "models/default.json").read_text("utf-8"))
    )
    assert all(line["heads"] for line in lines)


def test_the_library_gives_what_the_commands_give(fresh: Path, desk: Path) -> None:
    program = """
import json, atlcodec
record = atlcodec.encode("digit.png")
answer = atlcodec.classify(record)
print(json.dumps([record.hex(), atlcodec.decode(record).tolist(), answer.label, len(atlcodec.open("digit.atlc"))]))
"""
    record, image, label, count = json.loads(run(fresh / "python", "-c", program, cwd=desk, home=desk).stdout)
    run(fresh / "atlc", "decode", "digit.atlc", "-f", cwd=desk, home=desk)
    assert bytes.fromhex(record) == (desk / "digit.atlc").read_bytes()
    assert np.array_equal(image, picture.read(desk / "digit.atlc.png"))
    assert (label, count) == ("7", 1)


@pytest.fixture(scope="module")
def data(desk: Path) -> Path:
    """A data set in IDX files: the seven, and its label."""
    folder = desk / "data"
    folder.mkdir()
    pixels = picture.read(desk / "digit.png").tobytes()
    for half in ("train", "t10k"):
        (folder / f"{half}-images-idx3-ubyte").write_bytes(np.array([0x803, 1, 28, 28], ">u4").tobytes() + pixels)
        (folder / f"{half}-labels-idx1-ubyte").write_bytes(np.array([0x801, 1], ">u4").tobytes() + b"\x07")
    return folder


def test_evaluate_needs_no_pytorch(fresh: Path, desk: Path, data: Path) -> None:
    (line,) = run(
        fresh / "atlc", "evaluate", "mnist-lenet", "--data", data, "--json", cwd=desk, home=desk
    ).stdout.splitlines()
    figures = json.loads(line)
    run(
        fresh / "atlc",
        "encode",
        "digit.png",
        "-m",
        "mnist-lenet",
        "--effort",
        "0",
        "-o",
        "named.atlc",
        "-f",
        cwd=desk,
        home=desk,
    )
    run(fresh / "atlc", "decode", "named.atlc", "-f", cwd=desk, home=desk)
    before, after = picture.read(desk / "digit.png"), picture.read(desk / "named.atlc.png")
    psnr = metrics.psnr(float(metrics.squared_error(before[None], after[None])[0]))
    assert (figures["images"], figures["accuracy"]) == (1, 100)
    assert figures["psnr"] == pytest.approx(psnr, abs=1e-3)


def test_train_says_what_it_needs_in_one_line(fresh: Path, desk: Path, data: Path) -> None:
    done = run(fresh / "atlc", "train", "--data", data, "-o", "own", cwd=desk, home=desk, fails=True)
    (line,) = done.stderr.splitlines()
    assert "atlcodec[train]" in line
    assert done.stdout == ""
    assert not (desk / "own").exists()
