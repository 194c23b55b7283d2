"""Faults on purpose: kills at random moments, disks that are full or broken, two writers at a time, power cuts.
After each, the state is the old one or the new one, and the same command then does its work.

A few of each here; with ATLC_TEST_ALL=1, as `make faults` sets it, many."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlcodec import sets
from faults_kit import NEW, OLD, SCENES, enter, result, run, whole_result
from kills_kit import again, child, finish, kills
from kit import environment

ALL = bool(os.environ.get("ATLC_TEST_ALL"))
HERE = Path(__file__).parent
FILES = [name for name in SCENES if name != "train"]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and sends signals")


@pytest.fixture(autouse=True)
def _back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Scenes change the current folder, and the home."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    yield
    os.chdir(tmp_path)


def fresh(scene: str, folder: Path) -> Path:
    folder.mkdir()
    enter(folder)
    SCENES[scene].prepare()
    return folder


# -- kills -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", [*FILES, *(["train"] if ALL else [])])
def test_killed_at_random_moments(scene: str) -> None:
    count = 3 if not ALL else 5 if scene == "train" else 40
    found = kills(scene, count, seed=int.from_bytes(os.urandom(4), "big"))
    assert found["hit"] + found["too late"] == count


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """The new file, half written; the next one of the same name takes its place."""
    fresh("write", tmp_path / "now")
    program = "import os, signal; from pathlib import Path; import atlcodec.atomic as a\n"
    program += "with a.file('x.atlc') as file:\n    file.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    ended = subprocess.run([sys.executable, "-c", program], env=environment(), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(os.listdir()) == 2
    assert run(SCENES["write"].command) == 0
    assert os.listdir() == ["x.atlc"]


def test_a_set_is_read_without_its_list_if_only_that_is_new(tmp_path: Path) -> None:
    """Killed between the two renames: the new list must not give its labels to the old records."""
    fresh("append", tmp_path / "now")
    assert sets.open("set.atlc").has_list
    Path(".set.atlc.part").mkdir()
    Path(".set.atlc.part/done").touch()
    found = sets.open("set.atlc")
    assert not found.has_list
    assert found.note.startswith("set.csv: is not used, for a run stopped while it replaced set.atlc")
    assert len(list(found)) > 0


# -- disks -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a compiler, on Linux")
    made = tmp_path_factory.mktemp("double") / "double.so"
    subprocess.run([compiler, "-shared", "-fPIC", HERE / "double.c", "-o", made, "-ldl"], check=True)
    return made


PROGRAM = "import sys; sys.path[:0] = sys.argv[1:3]; from faults_kit import SCENES, run; "
PROGRAM += "sys.exit(run(SCENES[sys.argv[3]].command))"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("scene", FILES)
def test_a_disk_that_fails(scene: str, error: int, double: Path, tmp_path: Path) -> None:
    """At the first write or sync, at the second, and so on: one line, exit code 1, and the old state."""
    wanted = whole_result(SCENES[scene], tmp_path / "whole")
    for at in range(1, 60) if ALL else (1, 2, 4, 7):
        folder = fresh(scene, tmp_path / f"now{at}")
        environ = environment(LD_PRELOAD=str(double), FAULT_BELOW=str(folder), FAULT_AT=str(at), FAULT_ERROR=str(error))
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, HERE.parents[1], HERE.parent, scene],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        state = SCENES[scene].state()
        if ran.returncode == 0:
            assert state == NEW
            break
        assert ran.returncode == 1, ran
        last = ran.stderr.splitlines()[-1]
        assert os.strerror(error) in last, ran.stderr
        assert "Traceback" not in ran.stderr
        again(SCENES[scene], tmp_path / "said", wanted)


# -- two at a time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["encode", "append", "models add", "write"])
def test_two_writers(scene: str, tmp_path: Path) -> None:
    """Both end, one of them at least with its work done; the files are whole."""
    wanted = whole_result(SCENES[scene], tmp_path / "whole")
    for turn in range(10 if ALL else 2):
        fresh(scene, tmp_path / f"now{turn}")
        said = [tmp_path / "first", tmp_path / "second"]
        codes = [finish(each) for each in [child(SCENES[scene], path) for path in said]]
        lines = [path.read_text() for path in said]
        assert 0 in codes, lines
        for code, text in zip(codes, lines, strict=True):
            assert code in (0, 1)
            assert "Traceback" not in text
            assert code == 0 or sum(line.startswith("atlc: ") for line in text.splitlines()) == 1
        assert SCENES[scene].state() == NEW
        assert result() == wanted


# -- power cuts --------------------------------------------------------------------------------------------------------


def cut(scene: str, at: int, top: Path) -> bool:
    """The power goes at a call; whether the command had ended before. Each kind of disk is then looked at."""
    folder, kept = fresh(scene, top / "now"), top / "kept"
    ran = subprocess.run(
        [sys.executable, HERE / "cut.py", scene, str(at), kept],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran
    ended = "done 0" in ran.stdout
    for disk in ("strict", "names"):
        enter(kept / disk)
        left = SCENES[scene].state()
        assert left == NEW or not ended or scene == "write append", (disk, at)
        assert left in (OLD, NEW)
    return ended


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads names of open files from /proc")
@pytest.mark.parametrize("scene", FILES)
def test_the_power_goes(scene: str, tmp_path: Path) -> None:
    """After a command has ended, its work stays; before, the old state or the new one is there, and the same command
    goes on from it."""
    wanted = whole_result(SCENES[scene], tmp_path / "whole")
    last = 10_000
    for at in [*(range(1, 200) if ALL else (2, 5, 9, 14)), last]:
        top = tmp_path / f"cut{at}"
        top.mkdir()
        ended = cut(scene, at, top)
        assert ended or at != last
        for disk in ("strict", "names"):
            enter(top / "kept" / disk)
            again(SCENES[scene], tmp_path / "said", wanted)
        shutil.rmtree(top)
        if ended and at != last:
            break
