"""Whole folders: encoded into one file and a list, added to, continued after a stop, and decoded into a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import atlcodec
from atlcodec import files, picture, sets, zoo
from atlcodec.codec import Codec
from atlcodec.sets import manifest, sources
from atlcodec.sets.manifest import Entry
from conftest import Cli, Ran, environment

Pixels = NDArray[np.uint8]
Draw = Callable[[float], Pixels]
MNIST, FASHION = (model.name for model in zoo.default()[:2])
ORDER = ["1/b.png", "1/deep/er/c.png", "1/z.png", "10/a.png", "2/x.png", "2-x/a.png", "flat.png"]  # that of their parts


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BATCH", 2)


@pytest.fixture
def pictures(draw: Draw) -> dict[str, Pixels]:
    """Sevens that differ, by path."""
    return {path: draw(number - 3) for number, path in enumerate(ORDER)}


@pytest.fixture
def folder(pictures: dict[str, Pixels]) -> Path:
    for path in reversed(ORDER):  # made in another order than they are to be found
        put(Path("in", path), pictures[path])
    return Path("in")


def put(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture.png(pixels))


def files_below(folder: Path | str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if not path.is_dir())


def encoded(pictures: Iterator[Pixels] | list[Pixels], model: str = MNIST) -> bytes:
    """What the library makes of them."""
    atlcodec.write("expected", Codec.load(model).encode(np.stack(list(pictures))))
    data = Path("expected").read_bytes()
    Path("expected").unlink()
    return data


def json_lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.lines]


def write_idx(folder: Path, name: str, array: Pixels) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


# -- there and back ----------------------------------------------------------------------------------------------------


def test_encode_and_decode_a_folder(cli: Cli, folder: Path, pictures: dict[str, Pixels]) -> None:
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "elsewhere").symlink_to("/")
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert (ran.code, ran.out) == (0, b"")
    assert "7 images -> set.atlc, set.csv  1400 bytes" in ran.err
    assert "leaving out 2 files without an image's name (elsewhere, notes.txt)" in ran.err
    assert Path("set.atlc").read_bytes() == encoded([pictures[path] for path in ORDER])
    labels = ["1", "1", "1", "10", "2", "2-x", None]
    assert manifest.read("set.csv") == [Entry(n, *entry) for n, entry in enumerate(zip(ORDER, labels, strict=True))]
    assert sorted(os.listdir()) == ["in", "set.atlc", "set.csv"]

    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("out") == sorted(ORDER)
    for path, packed in zip(ORDER, atlcodec.open("set.atlc").array, strict=True):
        assert np.array_equal(np.asarray(Image.open(Path("out", path))), atlcodec.decode(packed))
    lines = json_lines(cli("classify", "--json", "set.atlc"))
    assert [(line["record"], line["path"], line["true_label"]) for line in lines] == list(
        zip(range(7), ORDER, labels, strict=True)
    )
    assert [line["label"] for line in lines] == [
        atlcodec.classify(packed).label for packed in atlcodec.open("set.atlc").array
    ]
    assert cli("classify", "set.atlc").lines[2].startswith("set.atlc[2]: ")
    assert cli("info", "set.atlc").lines[-2:] == [
        f"set.atlc: 1400 bytes, 7 records (7 of {MNIST})",
        "set.atlc: labels: 3 of 1, 1 of 10, 1 of 2, 1 of 2-x",
    ]
    (line,) = json_lines(cli("info", "--summary", "--json", "set.atlc"))
    assert line["models"] == {MNIST: 7}
    assert line["labels"] == {"1": 3, "10": 1, "2": 1, "2-x": 1}
    assert len(cli("info", "--summary", "set.atlc").lines) == 2


def test_a_parquet_file_is_the_same_set(cli: Cli, folder: Path) -> None:
    pytest.importorskip("pyarrow")
    for output in ("set.atlc", "set.parquet"):
        assert cli("encode", folder, "-o", output, "-m", MNIST).code == 0
        assert cli("decode", output, "-o", f"{output}.out/").code == 0
    from atlcodec.sets import parquet

    assert parquet.open("set.parquet").array.tobytes() == Path("set.atlc").read_bytes()
    assert [*parquet.open("set.parquet").entries()] == manifest.read("set.csv")
    assert sorted(os.listdir()) == ["in", "set.atlc", "set.atlc.out", "set.csv", "set.parquet", "set.parquet.out"]
    assert [Path("set.atlc.out", path).read_bytes() for path in ORDER] == [
        Path("set.parquet.out", path).read_bytes() for path in ORDER
    ]
    for command in (["classify", "--json"], ["classify"], ["info", "--json"], ["info"]):
        ran = cli(*command, "set.parquet")
        ran_of_atlc = cli(*command, "set.atlc")
        size = f"{Path('set.parquet').stat().st_size} bytes"
        assert ran.out.decode().replace("parquet", "atlc").replace(size, "1400 bytes") == ran_of_atlc.out.decode()
        assert (ran.code, ran.err) == (0, "")


def test_damage_in_parquet_is_reported_as_in_an_atlc_file(cli: Cli, folder: Path) -> None:
    pytest.importorskip("pyarrow")
    from atlcodec import arrow
    from atlcodec.sets import parquet

    assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 0
    records, listed = np.array(atlcodec.open("set.atlc").array), manifest.read("set.csv")
    records[3, 100] ^= 0x10
    Path("set.atlc").write_bytes(records.tobytes())
    parquet.write("set.parquet", [arrow.batch(records, [e.label for e in listed], [e.path for e in listed])])
    for command in (["classify", "--json"], ["decode", "-o", "out"], ["info", "--json"]):
        of_atlc = cli(*command, "set.atlc", *(["-f"] if command[0] == "decode" else []))
        of_parquet = cli(*command, "set.parquet", *(["-f"] if command[0] == "decode" else []))
        assert of_atlc.code == of_parquet.code == 1
        assert "record 3: damaged" in of_parquet.err
        assert of_parquet.err.replace("parquet", "atlc") == of_atlc.err
        assert of_parquet.out.replace(b"parquet", b"atlc") == of_atlc.out
    assert files_below("out") == sorted(path for path in ORDER if path != ORDER[3])


def test_labels_below_train_and_test(cli: Cli, digit: Pixels) -> None:
    for path in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "train/3.png", "other/x/4.png"):
        put(Path("in", path), digit)
    assert cli("encode", "in", "-o", "set.atlc", "-m", MNIST).code == 0
    assert {entry.path: entry.label for entry in manifest.read("set.csv")} == {
        "other/x/4.png": None,
        "test/cat/2.png": "cat",
        "train/3.png": None,
        "train/cat/1.png": "cat",
        "train/dog/1.png": "dog",
    }


def test_idx_files(cli: Cli, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BATCH", 4)
    images = np.stack([draw(slant / 5) for slant in range(-9, 6)])
    write_idx(Path("in"), "train-images-idx3-ubyte", images[:10])
    write_idx(Path("in"), "train-labels-idx1-ubyte", np.arange(10, dtype=np.uint8) % 2)
    write_idx(Path("in"), "t10k-images-idx3-ubyte", images[10:])
    Path("in/labels.txt").write_text("ant\nbee\n")
    ran = cli("encode", "in", "-o", "set.atlc")
    assert ran.code == 0
    assert " (chosen) " in ran.err
    assert Path("set.atlc").read_bytes() == encoded(list(images), ran.err.split("bytes")[1].split()[0])
    entries = manifest.read("set.csv")
    assert [entry.path for entry in entries] == [f"train/{n:05d}.png" for n in range(10)] + [
        f"test/{n:05d}.png" for n in range(5)
    ]
    assert [entry.label for entry in entries] == ["ant", "bee"] * 5 + [None] * 5
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert len(files_below("out/train")) == 10
    with Path("in/t10k-images-idx3-ubyte").open("ab") as file:
        file.write(b"!")
    assert "it has more" in cli("encode", "in", "-o", "x.atlc").err
    with Path("in/t10k-images-idx3-ubyte").open("ab") as file:
        file.truncate(1000)
    assert "it has fewer" in cli("encode", "in", "-o", "x.atlc").err
    assert not Path("x.atlc").exists()


def test_one_model_is_chosen_for_a_set(cli: Cli, folder: Path, pictures: dict[str, Pixels]) -> None:
    chosen = cli("encode", folder, "-o", "set.atlc").err.split("bytes")[1].split()
    together = cli("encode", *(folder / path for path in ORDER), "-o", "x.atlc").err.split("bytes")[1].split()
    assert chosen == together
    assert (
        Path("set.atlc").read_bytes()
        == Path("x.atlc").read_bytes()
        == encoded([pictures[path] for path in ORDER], chosen[0])
    )
    for path in ORDER:
        put(folder / path, np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8))
    assert "warning: set.atlc: 7 of 7 measured images" in cli("encode", folder, "-f", "-o", "set.atlc").err


@pytest.mark.usefixtures("batches_of_two")
def test_several_reading_processes_give_the_same(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PER_PROCESS", 1)
    (folder / "1/bad.png").write_text("not an image")
    ran = [cli("encode", folder, "-o", f"{jobs}.atlc", "-m", MNIST, "-j", jobs) for jobs in "12"]
    assert [each.code for each in ran] == [1, 1]
    assert "1/bad.png: not an image" in ran[1].err
    assert ran[0].err == ran[1].err.replace(" 2.", " 1.")
    assert Path("1.atlc").read_bytes() == Path("2.atlc").read_bytes()
    assert Path("1.csv").read_bytes() == Path("2.csv").read_bytes()


def test_pipes_take_the_records_alone(cli: Cli, folder: Path, pictures: dict[str, Pixels]) -> None:
    ran = cli("encode", folder, "-o", "-", "-m", MNIST)
    assert (ran.code, ran.out) == (0, encoded([pictures[path] for path in ORDER]))
    assert cli("encode", folder, "-o", "/dev/null", "-m", MNIST).code == 0
    assert os.listdir() == ["in"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_bad_images_and_names_are_reported_and_the_others_go_on(cli: Cli, folder: Path) -> None:
    (folder / "1/bad.png").write_text("not an image")
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    for name in ("back\\slash.png", "con.png", "FLAT.png"):
        shutil.copy(folder / "flat.png", folder / name)
    shutil.copy(folder / "flat.png", folder / "\udcff.png")
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert ran.code == 1
    for complaint in (
        "in/1/bad.png: not an image",
        "in/broken.png: No such file",
        "in/loop.png: Too many levels of symbolic links",
        "slash.png: its path contains a backslash",
        "in/con.png: its path contains a name that Windows reserves",
        "in/flat.png: its path is the same as another one on some systems",
        "in/\\udcff.png: its path contains control characters, or is not Unicode",
    ):
        assert complaint in ran.err
    assert sorted(entry.path for entry in manifest.read("set.csv")) == sorted([*ORDER[:-1], "FLAT.png"])


def test_nothing_to_encode(cli: Cli) -> None:
    Path("in").mkdir()
    assert "in: has no images" in cli("encode", "in", "-o", "set.atlc").complaint
    Path("in/bad.png").write_text("not an image")
    assert "in/bad.png: not an image" in cli("encode", "in", "-o", "set.atlc").complaint
    assert os.listdir() == ["in"]


def test_nothing_is_overwritten_without_force(cli: Cli, folder: Path) -> None:
    for name in ("set.atlc", "set.csv", "set.parquet"):
        Path(name).write_text("mine")
        output = "set.parquet" if name == "set.parquet" else "set.atlc"
        assert (
            f"{name}: exists already; -f (overwrite=True) replaces it" in cli("encode", folder, "-o", output).complaint
        )
        assert Path(name).read_text() == "mine"
        assert not [left for left in os.listdir() if left.startswith(".")]
        Path(name).unlink()
    Path("set.csv").write_text("mine")
    assert cli("encode", folder, "-f", "-o", "set.atlc").code == 0
    assert len(manifest.read("set.csv")) == 7
    assert (
        "warning: set.csv: lists the records that set.atlc had before"
        in cli("encode", "in/flat.png", "-f", "-o", "set.atlc").err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["in"],
        ["in", "-o", "out/"],
        ["in", "-o", "in"],
        ["in", "-o", "set.atlc", "--append", "-f"],
        ["in", "-o", "-", "--append"],
        ["in/flat.png", "-o", "set.atlc", "--append"],
        ["in/flat.png", "-o", "set.parquet"],
        ["in", "-o", "set.atlc", "-j", "0"],
    ],
)
def test_bad_usage(arguments: list[str], cli: Cli, folder: Path) -> None:
    assert cli("encode", *arguments).misuse.startswith("Usage: atlc")
    assert os.listdir() == ["in"]


# -- adding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_a_folder_is_added(output: str, cli: Cli, folder: Path, pictures: dict[str, Pixels], draw: Draw) -> None:
    pytest.importorskip("pyarrow")
    put(Path("more/1/new.png"), draw(9))
    put(Path("more/3/new.png"), draw(8))
    assert cli("encode", folder, "-o", output, "-m", FASHION, "--append").code == 0  # there was nothing to add to
    ran = cli("encode", "more", "-o", output, "--append")
    assert ran.code == 0
    assert f"{FASHION} (as before)" in ran.err
    from atlcodec.sets import parquet

    expected = encoded([*(pictures[path] for path in ORDER), draw(9), draw(8)], FASHION)
    entries = [*parquet.open(output).entries()] if output == "set.parquet" else manifest.read("set.csv")
    held = parquet.open(output).array.tobytes() if output == "set.parquet" else Path(output).read_bytes()
    assert held == expected
    assert entries[-2:] == [Entry(7, "1/new.png", "1"), Entry(8, "3/new.png", "3")]
    before = {path: Path(path).read_bytes() for path in os.listdir() if Path(path).is_file()}
    for again, word in (
        ("more", "more: the set has 1/new.png and 1 more already"),
        ("in", "in: the set has 1/b.png and 6 more already"),
    ):
        assert word in cli("encode", again, "-o", output, "--append").complaint
        assert {path: Path(path).read_bytes() for path in before} == before
    put(Path("other/1/NEW.png"), draw(9))
    assert "the set has 1/NEW.png already" in cli("encode", "other", "-o", output, "--append").complaint
    Path("other/1/NEW.png").rename("other/1/newer.png")
    ran = cli("encode", "other", "-o", output, "--append", "-m", MNIST)
    assert ran.code == 0
    assert f"warning: {output}: has records of {FASHION}; adding records of {MNIST}" in ran.err
    Path("other/1/newer.png").rename("other/1/newest.png")
    assert f"records of {MNIST}, {FASHION}; name the model for the new ones with -m" in cli(
        "encode", "other", "-o", output, "--append"
    ).complaint.replace(f"{FASHION}, {MNIST}", f"{MNIST}, {FASHION}")


def test_append_refuses_a_set_that_does_not_belong_together(cli: Cli, folder: Path, digit: Pixels) -> None:
    put(Path("more/new.png"), digit)
    assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 0
    records, listed = Path("set.atlc").read_bytes(), Path("set.csv").read_bytes()
    for content, names, word in (
        (records[:-200], listed, "lists 7 records, but set.atlc has 6"),
        (records, listed[: listed.rindex(b"6,")], "lists 6 records, but set.atlc has 7"),
        (records[:-50], listed, "torn record"),
        (records, None, "no list of their paths (set.csv)"),
        (records, b"name,age\n", "is not the list of a record file"),
        (None, listed, "lists 7 records, but set.atlc has 0"),
    ):
        for path, data in (("set.atlc", content), ("set.csv", names)):
            Path(path).unlink(missing_ok=True)
            if data is not None:
                Path(path).write_bytes(data)
        before = sorted(os.listdir())
        assert word in cli("encode", "more", "-o", "set.atlc", "--append").complaint
        assert sorted(os.listdir()) == before
        assert content is None or Path("set.atlc").read_bytes() == content
    Path("set.atlc").write_bytes(records)
    Path("set.csv").write_bytes(listed.rstrip(b"\n"))  # as some editors save it
    assert cli("encode", "more", "-o", "set.atlc", "--append").code == 0
    assert [entry.record for entry in manifest.read("set.csv")] == list(range(8))


# -- stopped and continued ----------------------------------------------------------------------------------------

DIES = """
import os, signal
from pathlib import Path
from atlcodec import files
from atlcodec.sets import journal, sources
sources.BATCH = 2

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def nth(function, number, then=die):
    calls = iter(range(1000))
    def counted(*arguments, **options):
        if next(calls) == number:
            return then(*arguments, **options)
        return function(*arguments, **options)
    return counted

def torn(self, batch, loaded, records, quality):
    with self.records.open("ab") as file:
        file.write(records.tobytes()[:333])
    with self.list.open("ab") as file:
        file.write(b"4,half a li")
    with self._log.open("ab") as file:
        file.write(b'{"stamp": "')
    die()

{patch}
from atlcodec.cli import main
main()
"""
MOMENTS = {  # and how many images are not encoded again
    "journal.Journal.add = nth(journal.Journal.add, 0)": 0,
    "journal.Journal.add = nth(journal.Journal.add, 2)": 3,
    "journal.Journal.add = nth(journal.Journal.add, 2, torn)": 3,
    "os.replace = nth(os.replace, 2)": 7,  # the log and the job were put in place before; now the list would be
    "os.replace = nth(os.replace, 3)": 7,  # the list is there, the records not
    "journal.Journal.remove = die": 7,
}


def killed(patch: str, *arguments: str | Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DIES.replace("{patch}", patch), *map(str, arguments)],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr


@pytest.mark.usefixtures("batches_of_two")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_continues_to_the_same_result(
    moment: str, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1/bad.png").write_text("not an image")  # the problems of the first part are reported again
    whole = cli("encode", folder, "-o", "whole.atlc", "-m", MNIST)
    killed(moment, "encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert all(
        name.startswith(".") or name in ("in", "whole.atlc", "whole.csv", "set.csv") for name in os.listdir()
    ) or (moment == "journal.Journal.remove = die")
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert ran.code == whole.code == 1
    assert "1/bad.png: not an image" in ran.err
    assert (f"{MOMENTS[moment]} images are encoded already" in ran.err) == (MOMENTS[moment] > 0)
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    assert Path("set.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not [name for name in os.listdir() if name.startswith(".") and not name.startswith(".atlc-")]


@pytest.mark.parametrize("moment", list(MOMENTS)[3:])
def test_a_killed_append_continues(moment: str, cli: Cli, folder: Path, draw: Draw) -> None:
    put(Path("more/new.png"), draw(9))
    for output in ("whole.atlc", "set.atlc"):
        assert cli("encode", folder, "-o", output, "-m", MNIST).code == 0
    assert cli("encode", "more", "-o", "whole.atlc", "--append").code == 0
    killed(moment, "encode", "more", "-o", "set.atlc", "--append")
    shutil.copytree("in", "others")
    if moment != "journal.Journal.remove = die":
        assert "another command was stopped" in cli("encode", "others", "-o", "set.atlc", "-m", FASHION).complaint
    assert cli("encode", "more", "-o", "set.atlc", "--append").code == 0
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    assert Path("set.csv").read_bytes() == Path("whole.csv").read_bytes()


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C would, after so many batches."""
    from atlcodec.sets.journal import Journal

    add, left = Journal.add, iter([True] * count)

    def stopping(self: Journal, *arguments: Any) -> None:
        if not next(left, False):
            raise KeyboardInterrupt
        add(self, *arguments)

    monkeypatch.setattr(Journal, "add", stopping)


@pytest.mark.usefixtures("batches_of_two")
def test_only_what_has_not_changed_is_kept(
    cli: Cli, folder: Path, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
        assert ran.code == 130
        assert "the same command continues from here" in ran.err
    kept = shutil.copytree(".set.atlc.part", "kept")
    put(folder / "1/z.png", digit)  # the third picture, in the second batch
    os.utime(folder / "1/z.png", ns=(1, 1))
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert "2 images are encoded already" in ran.err
    assert cli("encode", folder, "-o", "whole.atlc", "-m", MNIST).code == 0
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    for arguments in (["-m", FASHION], ["-m", MNIST, "--gray"]):  # another command
        shutil.copytree(kept, ".set.atlc.part")
        ran = cli("encode", folder, "-o", "set.atlc", "-f", *arguments)
        assert "discarding what another command left unfinished" in ran.err
        assert "already" not in ran.err
    shutil.copytree(kept, ".set.atlc.part")
    with Path(".set.atlc.part/records.atlc").open("r+b") as file:  # a disk that lost what was written
        file.seek(500)
        file.write(bytes(100))
    put(folder / "1/z.png", digit)
    ran = cli("encode", folder, "-o", "set.atlc", "-f", "-m", MNIST)
    assert "2 images are encoded already" in ran.err
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()


@pytest.mark.usefixtures("batches_of_two")
def test_images_of_a_stopped_run_get_labels_that_are_new_since(
    cli: Cli, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        put(Path(f"in/a/{number}.png"), digit)
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        assert cli("encode", "in", "-o", "set.atlc", "-m", MNIST).code == 130
    put(Path("in/b/0.png"), digit)
    assert cli("encode", "in", "-o", "set.atlc", "-m", MNIST).code == 0
    assert [entry.label for entry in manifest.read("set.csv")] == ["a"] * 4 + ["b"]


def test_only_one_run_at_a_time_and_only_in_a_folder_of_its_user(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atlcodec.sets.journal import Journal

    with Journal("set.atlc"):
        assert "another run is writing it" in cli("encode", folder, "-o", "set.atlc").complaint
    assert os.listdir() == ["in"]
    Path("elsewhere").mkdir()
    Path(".set.atlc.part").symlink_to("elsewhere")
    assert "remove it" in cli("encode", folder, "-o", "set.atlc").complaint
    assert os.listdir("elsewhere") == []


# -- a list from a stranger --------------------------------------------------------------------------------------------


@pytest.fixture
def packed(draw: Draw) -> Callable[..., None]:
    """set.atlc, of as many records as paths are given, and set.csv with these, as they are."""

    def pack(*paths: str) -> None:
        atlcodec.write("set.atlc", Codec.load(MNIST).encode(np.stack([draw(n) for n in range(len(paths))])))
        lines = [manifest.HEADER, *(f'{n},"{path}",' for n, path in enumerate(paths))]
        Path("set.csv").write_text("\n".join(lines) + "\n", "utf-8")

    return pack


@pytest.mark.parametrize(
    "path",
    [
        "../out.png",
        "/tmp/x.png",
        "a/../../x.png",
        "C:/x.png",
        "a\\..\\x.png",
        "good.png",
        "GOOD",
        "nul.png",
        "",
        "x\x1b.png",
    ],
)
def test_an_unsafe_path_is_refused_before_anything_is_written(path: str, cli: Cli, packed: Callable[..., None]) -> None:
    packed("good.png", "also.png", path)
    Path("sub").mkdir()
    said = cli("decode", "set.atlc", "-o", "sub/out", "-f").complaint
    assert "set.csv: " in said
    assert said.isprintable()
    assert os.listdir("sub") == []
    assert sorted(os.listdir()) == ["set.atlc", "set.csv", "sub"]
    ran = cli("classify", "--json", "set.atlc")
    assert ran.code == 1
    assert "set.csv: " in ran.err
    assert [line["record"] for line in json_lines(ran)] == [0, 1, 2]
    assert all("path" not in line for line in json_lines(ran))
    assert cli("classify", "set.atlc").code == 0


def test_links_in_the_target_are_not_followed(cli: Cli, packed: Callable[..., None]) -> None:
    packed("first.png", "a/b/x.png", "a/y.png")
    Path("victim").mkdir()
    Path("victim/kept.png").write_text("mine")
    for link, to in (
        ("out/a", "victim"),
        ("out/a/b", "victim"),
        ("out/a/y.png", "victim/kept.png"),
        ("out/first.png", "victim/new.png"),
    ):
        Path(link).parent.mkdir(parents=True)
        Path(link).symlink_to(Path(to).resolve())
        assert f"{link}: is a link" in cli("decode", "set.atlc", "-o", "out", "-f").complaint
        assert files_below("victim") == ["kept.png"]
        assert Path("victim/kept.png").read_text() == "mine"
        assert files_below("out") == [link.removeprefix("out/")] or link in ("out/a", "out/a/b")
        shutil.rmtree("out")
    Path("real").mkdir()
    Path("out").symlink_to("real")  # the folder that was named may be a link
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("real") == ["a/b/x.png", "a/y.png", "first.png"]


def test_a_list_of_another_file(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a.png", "b.png", "c.png")
    records = Path("set.atlc").read_bytes()
    for content in (records[:400], records + records[:200], records[:-1]):
        Path("set.atlc").write_bytes(content)
        assert "do not belong together" in cli("decode", "set.atlc", "-o", "out").complaint
        assert not Path("out").exists()
    Path("set.csv").write_text("name,age\nx,7\n")  # not a list
    Path("set.atlc").write_bytes(records)
    assert cli("decode", "set.atlc", "-o", "out").code == 0
    assert files_below("out") == [f"set.atlc.{n:06d}.png" for n in range(3)]


def test_after_lost_bytes_no_image_gets_the_name_of_another(cli: Cli, packed: Callable[..., None]) -> None:
    packed(*(f"{letter}.jpg" for letter in "abcdefgh"))
    records = Path("set.atlc").read_bytes()
    Path("set.atlc").write_bytes(records[:450] + records[451:1100] + b"!" + records[1100:])
    lines = json_lines(cli("classify", "--json", "set.atlc"))
    assert [line.get("path") for line in lines] == ["a.jpg", "b.jpg", None, None, None, None]
    assert cli("decode", "set.atlc", "-o", "out").code == 1
    assert {"a.jpg.png", "b.jpg.png"} == {path for path in files_below("out") if not path.startswith("set.")}


def test_two_lists_into_one_folder(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a.png", "b.png")
    for suffix in ("atlc", "csv"):
        shutil.copy(f"set.{suffix}", f"two.{suffix}")
    ran = cli("decode", "set.atlc", "two.atlc", "-o", "out", "-f")
    assert ran.code == 1
    assert "two.atlc: has paths" in ran.err
    assert files_below("out") == ["a.png", "b.png"]


def test_a_set_of_one(cli: Cli, packed: Callable[..., None]) -> None:
    packed("a/b.png")
    assert cli("decode", "set.atlc", "-o", "out/").code == 0
    assert files_below("out") == ["a/b.png"]
    assert cli("decode", "set.atlc").code == 0
    assert cli("decode", "set.atlc", "-o", "x.png").code == 0
    assert Path("set.atlc.png").read_bytes() == Path("x.png").read_bytes() == Path("out/a/b.png").read_bytes()


# -- from Python -------------------------------------------------------------------------------------------------------


def test_encode_folder_from_python(folder: Path, pictures: dict[str, Pixels]) -> None:
    (folder / "1/bad.png").write_text("not an image")
    (folder / "notes.txt").write_text("not an image")
    notes: list[str] = []
    seen: list[str] = []
    steps: list[tuple[int, int]] = []
    result = atlcodec.encode_folder(
        folder,
        "set.atlc",
        model=MNIST,
        effort=0,
        log=notes.append,
        problem=seen.append,
        progress=lambda done, count: steps.append((done, count)),
    )
    records = Codec.load(MNIST).encode(np.stack([pictures[path] for path in ORDER]), effort=0)
    assert Path("set.atlc").read_bytes() == records.tobytes()
    assert [entry.path for entry in manifest.read("set.csv")] == ORDER
    assert (result.images, result.records, result.bytes, result.model, result.choice) == (7, 7, 1400, MNIST, "")
    assert result.paths == (Path("set.atlc"), Path("set.csv"))
    assert result.psnr is not None
    assert 25 < result.psnr < 60
    assert result.warning == ""
    assert [problem.split(": ")[0] for problem in result.problems] == ["in/1/bad.png"]
    assert seen == list(result.problems)
    assert notes == ["in: leaving out 1 file without an image's name (notes.txt)"]
    assert (steps[0], steps[-1]) == ((0, 8), (8, 8))
    put(Path("more/new.png"), pictures[ORDER[0]])
    more = atlcodec.encode_folder("more", "set.atlc", append=True)
    assert (more.images, more.records, more.choice) == (1, 8, "as before")


def test_encode_folder_to_an_open_file(folder: Path, pictures: dict[str, Pixels]) -> None:
    with Path("x").open("wb") as file:
        result = sets.encode_folder(folder, file)
    assert Path("x").read_bytes() == encoded([pictures[path] for path in ORDER], result.model)
    assert (result.images, result.paths, result.choice) == (7, (), "chosen")


def test_encode_folder_refuses_what_it_cannot_do(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: No such file"):
        sets.encode_folder("nowhere", "set.atlc")
    with pytest.raises(atlcodec.AtlcError, match="is not a folder"):
        sets.encode_folder(folder / "flat.png", "set.atlc")
    for output, overwrite in (("set.atlc", True), ("/dev/null", False)):
        with pytest.raises(ValueError, match="append"):
            sets.encode_folder(folder, output, append=True, overwrite=overwrite)
    Path("set.atlc").write_text("mine")
    with pytest.raises(atlcodec.AtlcError, match="overwrite=True"):
        sets.encode_folder(folder, "set.atlc")
    assert sorted(os.listdir()) == ["in", "set.atlc"]


@pytest.mark.parametrize("output", ["set.atlc", "set.parquet"])
def test_a_record_set_joins_records_and_list(output: str, folder: Path, pictures: dict[str, Pixels]) -> None:
    pytest.importorskip("pyarrow")
    sets.encode_folder(folder, output, model=MNIST)
    records = sets.open(output)
    assert (len(records), records.has_list) == (7, True)
    (part,) = records
    assert part.codec is not None
    assert part.numbers.tolist() == list(range(7))
    assert [entry.path for entry in part.entries or ()] == ORDER
    assert part.records.tobytes() == encoded([pictures[path] for path in ORDER])
    assert [part.entries for part in records.parts(entries=False)] == [None]
    assert {number: entry.path for number, entry in records.lookup({2, 5}).items()} == {2: ORDER[2], 5: ORDER[5]}
    (other,) = sets.open(output, model=FASHION)
    assert (other.codec, other.entries) == (None, None)
    assert other.problem.startswith(f"{output}: ")
    with pytest.raises(FileNotFoundError):
        sets.open("missing" + Path(output).suffix)


def test_a_mixed_set_keeps_entries_and_order(packed: Callable[..., None], draw: Draw) -> None:
    packed(*(f"{number}.png" for number in range(40)))
    array = np.array(atlcodec.open("set.atlc").array)
    others = [1, 2, 5, 30, 39]
    array[others] = Codec.load(FASHION).encode(np.stack([draw(0)] * 5), effort=0)
    array[20, 0] ^= 1
    Path("set.atlc").write_bytes(array.tobytes())
    records = sets.open("set.atlc")
    for part in records:
        if part.codec is not None:
            assert [(entry.record, entry.path) for entry in part.entries or ()] == [
                (number, f"{number}.png") for number in part.numbers
            ]
            assert (part.codec.name == FASHION) == (part.numbers[0] in others)
    batches = list(records.map(lambda codec, some: some[:, 0]))
    assert [row.number for rows, _ in batches for row in rows] == [n for n in range(40) if n != 20]
    (problem,) = (problem for _, problem in batches if problem)
    assert problem.startswith("set.atlc: record 20: damaged")


def test_a_list_that_becomes_invalid_later_is_one_problem(
    packed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH", 2)
    packed("a.png", "b.png", "../c.png", "d.png", "e.png")
    parts = list(sets.open("set.atlc"))
    assert [part.problem for part in parts if part.codec is None] == [
        "set.csv: line 4: the path '../c.png' leads out of the folder; going on without paths"
    ]
    first, *others = (part.entries for part in parts if part.codec)
    assert [entry.path for entry in first or ()] == ["a.png", "b.png"]
    assert others == [None, None]


def test_one_image_does_not_wait_for_sets() -> None:
    code = "import sys, atlcodec.cli.encode; print(*(name for name in sys.modules if name.startswith('atlcodec.sets')))"
    shown = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert not {f"atlcodec.sets.{name}" for name in ("encode", "sinks", "journal", "parquet")} & {*shown.stdout.split()}
    code = "import sys, atlcodec; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert "atlcodec.sets" not in shown.stdout.split()
