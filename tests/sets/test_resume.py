"""A run that was stopped or killed continues, and ends as an unbroken one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from atlcodec.sets import manifest
from drawings import Pixels
from kit import FASHION, MNIST, Cli, put
from sets_kit import MOMENTS, Draw, killed, stop_after


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
        assert (
            "another command stopped while it wrote this file"
            in cli("encode", "others", "-o", "set.atlc", "-m", FASHION).complaint
        )
    assert cli("encode", "more", "-o", "set.atlc", "--append").code == 0
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    assert Path("set.csv").read_bytes() == Path("whole.csv").read_bytes()


@pytest.mark.usefixtures("batches_of_two")
def test_only_unchanged_images_are_not_encoded_again(
    cli: Cli, folder: Path, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
        assert ran.code == 130
        assert "the same command continues from here" in ran.err
    kept = shutil.copytree(".set.atlc.part", "kept")
    put(folder / "1/z.png", digit)  # the third image, in the second batch
    os.utime(folder / "1/z.png", ns=(1, 1))
    ran = cli("encode", folder, "-o", "set.atlc", "-m", MNIST)
    assert "2 images are encoded already" in ran.err
    assert "set.atlc: discarding 4 images of an unfinished run" in ran.err
    assert cli("encode", folder, "-o", "whole.atlc", "-m", MNIST).code == 0
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()
    for arguments in (["-m", FASHION], ["-m", MNIST, "--gray"]):  # another command
        shutil.copytree(kept, ".set.atlc.part")
        ran = cli("encode", folder, "-o", "set.atlc", "-f", *arguments)
        assert "set.atlc: discarding 6 images of an unfinished run" in ran.err
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
    cli: Cli, workplace: Path, digit: Pixels, monkeypatch: pytest.MonkeyPatch
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
    assert "is not your folder; delete it to encode set.atlc" in cli("encode", folder, "-o", "set.atlc").complaint
    assert os.listdir("elsewhere") == []


@pytest.mark.usefixtures("batches_of_two")
def test_a_run_of_another_folder_is_discarded_and_that_is_said(
    cli: Cli, folder: Path, digit: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, "more", copy_function=shutil.copy2)  # the same names and times of change
    put(Path("more/1/b.png"), digit)
    os.utime("more/1/b.png", ns=(os.stat(folder / "1/b.png").st_mtime_ns,) * 2)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 130
    complaint = cli("encode", "more", "-o", "set.atlc", "-m", MNIST).complaint
    assert "another command left 4 records of it in .set.atlc.part; run that command again" in complaint
    assert "4 images are encoded already" in cli("encode", folder, "-o", "set.atlc", "-m", MNIST).err
    Path("set.atlc").unlink()
    Path("set.csv").unlink()
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST).code == 130
    ran = cli("encode", "more", "-o", "set.atlc", "-m", MNIST, "-f")
    assert "set.atlc: discarding 4 images of an unfinished run\n" in ran.err
    assert "already" not in ran.err
    assert cli("encode", "more", "-o", "whole.atlc", "-m", MNIST).code == 0
    assert Path("set.atlc").read_bytes() == Path("whole.atlc").read_bytes()


def test_a_slow_run_is_kept_in_smaller_steps(
    cli: Cli, folder: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLC_THREADS", "1")
    for number in range(130):
        put(folder / f"more/{number}.png", draw(0))
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        assert cli("encode", folder, "-o", "set.atlc", "-m", MNIST, "--effort", "8").code == 130
    assert "41 images are encoded already" in cli("encode", folder, "-o", "set.atlc", "-m", MNIST, "--effort", "8").err
    assert len(manifest.read("set.csv")) == 137
