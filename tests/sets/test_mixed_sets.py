"""Sets whose records are of several models: `--each`, and what reads and continues them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import atlcodec
from atlcodec import sets
from atlcodec.codec import Codec
from atlcodec.errors import BadData
from atlcodec.sets import manifest
from atlcodec.sets.losses import Losses
from drawings import Pixels, seven
from kit import FASHION, MNIST, Cli, json_lines, put, shown
from sets_kit import MOMENTS, Draw, killed, stop_after


def coat(number: int) -> Pixels:
    """A piece of cloth, uint8 (28, 28)."""
    image = np.zeros((28, 28), np.uint8)
    image[2:27, 6:22] = np.random.default_rng(number).integers(120, 180, (25, 16))
    return image


@pytest.fixture
def both(workplace: Path, draw: Draw) -> dict[str, Pixels]:
    """The folder "in" with sevens and coats, by path."""
    found = {f"coat/{number}.png": coat(number) for number in range(3)}
    found |= {f"seven/{number}.png": draw(number) for number in range(4)}
    for path, pixels in found.items():
        put(Path("in", path), pixels)
    return found


def models_of(listed: str = "set.csv") -> list[str]:
    """The column of a list."""
    header, *lines = Path(listed).read_text("utf-8").splitlines()
    assert header == "record,path,label,model"
    return [line.split(",")[3] for line in lines]


def test_each_image_gets_the_model_that_it_would_get_alone(cli: Cli, both: dict[str, Pixels]) -> None:
    ran = cli("encode", "in", "-o", "set.atlc", "--each")
    assert (ran.code, ran.out) == (0, b"")
    assert f"7 images -> set.atlc, set.csv  1400 bytes  4 of {MNIST}, 3 of {FASHION} (each its own)  " in ran.err
    assert "suit another model" not in ran.err
    assert Path("set.atlc").read_bytes() == b"".join(atlcodec.encode(pixels) for pixels in both.values())
    assert models_of() == [FASHION] * 3 + [MNIST] * 4
    assert [(entry.path, entry.label) for entry in manifest.read("set.csv")] == [(p, p.split("/")[0]) for p in both]
    done = atlcodec.encode_folder("in", "python.atlc", each=True)
    assert (done.model, done.choice) == (f"4 of {MNIST}, 3 of {FASHION}", "each its own")
    assert Path("python.atlc").read_bytes() == Path("set.atlc").read_bytes()
    assert cli("encode", "in", "-o", "-", "--each").out == Path("set.atlc").read_bytes()
    names = [str(Path("in", path)) for path in both]
    assert cli("encode", *names, "-o", "files.atlc", "--each").code == 0
    assert Path("files.atlc").read_bytes() == Path("set.atlc").read_bytes()
    assert "give one of them" in cli("encode", "in", "-o", "x.atlc", "--each", "-m", MNIST).misuse
    with pytest.raises(ValueError, match=r"each=True"):
        atlcodec.encode_folder("in", "x.atlc", each=True, model=MNIST)


def test_one_model_for_the_set_unless_you_ask(cli: Cli, both: dict[str, Pixels]) -> None:
    ran = cli("encode", "in", "-o", "set.atlc")
    assert f"of 7 images some suit another model: 3 {FASHION}; --each (each=True) gives each image its own" in ran.err
    assert Path("set.csv").read_text("utf-8").startswith("record,path,label\n")
    shutil.rmtree("in/coat")
    assert cli("encode", "in", "-o", "same.atlc", "--each").code == 0
    assert Path("same.csv").read_text("utf-8").startswith("record,path,label\n")  # their models do not differ


def test_effort_is_that_which_you_ask_for(cli: Cli, both: dict[str, Pixels]) -> None:
    for effort in (0, 5):
        assert cli("encode", "in", "-o", "set.atlc", "--each", "--effort", str(effort), "-f").code == 0
        expected = b"".join(atlcodec.encode(pixels, effort=effort) for pixels in both.values())
        assert Path("set.atlc").read_bytes() == expected


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_all_commands_read_a_mixed_set(output: str, cli: Cli, both: dict[str, Pixels]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    assert cli("encode", "in", "-o", output, "--each").code == 0
    if output == "set.parquet":
        assert pq.read_table(output).column("model").to_pylist() == [FASHION] * 3 + [MNIST] * 4
        assert pq.read_table(output).column("path").to_pylist() == list(both)
    (summary,) = json_lines(cli("info", output, "--summary", "--json"))
    assert (summary["records"], summary["models"]) == (7, {MNIST: 4, FASHION: 3})
    assert summary["labels"] == {"coat": 3, "seven": 4}
    answers = json_lines(cli("classify", output, "--json"))
    assert [answer["model"] for answer in answers] == [FASHION] * 3 + [MNIST] * 4
    assert [answer["path"] for answer in answers] == list(both)
    assert {answer["label"] for answer in answers[3:]} == {"7"}
    assert cli("decode", output, "-o", "out").code == 0
    for path, pixels in both.items():
        assert np.array_equal(shown(Path("out", path)), atlcodec.decode(atlcodec.encode(pixels)))
    put(Path("query.png"), seven(1))
    assert cli("encode", "query.png", "-m", MNIST).code == 0
    ran = cli("similar", "query.atlc", output, "--top", "1")
    assert ran.lines == [f"query.atlc: {output}[4]  0.00  seven/1.png  seven"]
    assert f"left out 3 records of {FASHION}" in ran.err
    parts = list(sets.open(output))
    assert sorted((part.codec.name, len(part.records)) for part in parts if part.codec) == [(FASHION, 3), (MNIST, 4)]


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_images_are_added(output: str, cli: Cli, both: dict[str, Pixels], draw: Draw) -> None:
    """Also to a set of one model, which becomes a mixed one then."""
    pq = pytest.importorskip("pyarrow.parquet")
    put(Path("more/coat/9.png"), coat(9))
    put(Path("more/seven/9.png"), draw(-2))
    put(Path("last/seven/10.png"), draw(-3))
    shutil.move("in/coat", "coat")
    assert cli("encode", "in", "-o", output).code == 0
    ran = cli("encode", "more", "-o", output, "--append", "--each")
    assert f"2 images -> {output}" in ran.err
    assert f"1 of {FASHION}, 1 of {MNIST} (each its own)" in ran.err
    complaint = cli("encode", "last", "-o", output, "--append").complaint
    assert "name the model for the new ones with -m (model=), or give each its own with --each (each=True)" in complaint
    assert cli("encode", "last", "-o", output, "--append", "-m", FASHION).code == 0
    expected = [MNIST] * 4 + [FASHION, MNIST, FASHION]
    models = models_of() if output == "set.atlc" else pq.read_table(output).column("model").to_pylist()
    assert models == expected
    answers = json_lines(cli("classify", output, "--json"))
    assert [answer["model"] for answer in answers] == expected
    assert [answer["path"] for answer in answers][4:] == ["coat/9.png", "seven/9.png", "seven/10.png"]


@pytest.mark.usefixtures("batches_of_two")
def test_a_stopped_run_continues(cli: Cli, both: dict[str, Pixels], monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.kron(seven(), np.ones((11, 11), np.uint8))).save("in/seven/0.png")  # something is lost
    how = "--each", "--resize", "--range", "0", "4095"
    whole = cli("encode", "in", "-o", "whole.atlc", *how).err
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert cli("encode", "in", "-o", "set.atlc", *how).code == 130
    ran = cli("encode", "in", "-o", "set.atlc", *how)
    assert "6 images are encoded already" in ran.err
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    assert Path("set.csv").read_text("utf-8") == Path("whole.csv").read_text("utf-8")
    assert ran.err.splitlines()[1:] == whole.replace("whole", "set").splitlines()
    assert "reduced from 308 x 308 to 28 x 28 pixels\n" in ran.err


@pytest.mark.parametrize("moment", list(MOMENTS)[3:])
def test_a_killed_append_continues_where_a_set_becomes_mixed(moment: str, cli: Cli, both: dict[str, Pixels]) -> None:
    """The list that was there has no models yet, and the new one has: either may be in place."""
    shutil.move("in/coat", "coat")
    put(Path("more/coat/9.png"), coat(9))
    for output in ("whole.atlc", "set.atlc"):
        assert cli("encode", "in", "-o", output, "-m", MNIST).code == 0
    assert cli("encode", "more", "-o", "whole.atlc", "--append", "--each").code == 0
    killed(moment, "encode", "more", "-o", "set.atlc", "--append", "--each")
    assert cli("encode", "more", "-o", "set.atlc", "--append", "--each").code == 0
    assert models_of() == [MNIST] * 4 + [FASHION]
    for ending in ("atlc", "csv"):
        assert Path(f"set.{ending}").read_bytes() == Path(f"whole.{ending}").read_bytes()


def test_a_list_with_models_is_checked_as_others_are(workplace: Path) -> None:
    path = Path("set.csv")
    path.write_text('record,path,label,model\n0,a.png,x,mnist\n1,"b,c.png",,"anything, at all"\n', "utf-8")
    assert [(entry.path, entry.label) for entry in manifest.read(path)] == [("a.png", "x"), ("b,c.png", None)]
    assert manifest.is_list(path)
    assert manifest.length(path) == 2
    for line in ("0,a.png,x", "0,a.png,x,mnist,more"):
        path.write_text(f"record,path,label,model\n{line}\n", "utf-8")
        with pytest.raises(BadData, match=r"line 2: must contain .*: record,path,label,model$"):
            manifest.read(path)
    path.write_text("record,path,label,model\n", "utf-8")
    assert (manifest.read(path), manifest.length(path)) == ([], 0)


def test_the_frames_of_an_animation_in_a_folder(cli: Cli, workplace: Path) -> None:
    frames = [Image.fromarray(seven(slant)) for slant in range(4)]
    for folder in ("a", "b"):
        Path("in", folder).mkdir(parents=True)
    frames[0].save("in/a/wave.gif", save_all=True, append_images=frames[1:])
    put(Path("in/b/one.png"), seven())
    Path("in/b/broken.gif").write_bytes(b"GIF89a")
    ran = cli("encode", "in", "-o", "set.atlc", "--frame", "all", "-m", MNIST)
    assert ran.code == 1
    assert "broken.gif: " in ran.err
    entries = [(entry.path, entry.label) for entry in manifest.read("set.csv")]
    assert entries == [*((f"a/wave-{n:04d}.gif", "a") for n in range(4)), ("b/one.png", "b")]
    expected = Codec.load(MNIST).encode(np.stack([*(np.asarray(frame) for frame in frames), seven()]))
    assert Path("set.atlc").read_bytes() == expected.tobytes()
    os.remove("in/b/broken.gif")
    complaint = cli("encode", "in", "-o", "set.atlc", "--append", "--frame", "all").complaint
    assert "5 images are in the set already (a/wave-0000.gif, ...)" in complaint


def test_a_frame_that_has_the_path_of_another_image(cli: Cli, workplace: Path) -> None:
    frames = [Image.fromarray(seven(slant)) for slant in range(3)]
    Path("in").mkdir()
    frames[0].save("in/wave.gif", save_all=True, append_images=frames[1:])
    frames[1].save("in/wave-0001.gif")
    ran = cli("encode", "in", "-o", "set.atlc", "--frame", "all", "-m", MNIST)
    assert ran.code == 0
    listed = ["wave-0001.gif", "wave-0000.gif", "wave-0001-2.gif", "wave-0002.gif"]
    assert [entry.path for entry in manifest.read("set.csv")] == listed


def test_losses_are_counted_and_kept_as_json() -> None:
    losses, others = Losses(), Losses()
    losses.found["blank"] = 1, "a.png: became blank"
    others.found |= {"blank": (2, "b.png: became blank"), "reduced": (1, "c.png: reduced")}
    others.changes |= {"scaled", "grey"}
    losses.add(others)
    assert losses.lines() == ["a.png: became blank (and 2 others alike)", "c.png: reduced"]
    assert losses.against((20, 30)) == "in grey, scaled to 30 x 20"
    again = Losses.from_json(losses.to_json())
    assert (again.lines(), again.changes) == (losses.lines(), losses.changes)
