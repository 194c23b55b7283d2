"""Kill a command at random moments, again and again: `python tests/kills_kit.py append 200`.

After each kill the state must be the old one or the new one, and the same command must then give what it gives
undisturbed, and leave nothing else behind. Prints how many kills hit, and what they left."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from faults_kit import NEW, OLD, SCENES, Scene, enter, result, run, whole_result


def child(scene: Scene, said: Path) -> int:
    """Start the command in a process of its own, a fork of this one: nothing is imported anew."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        lines = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(lines, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
        code = run(scene.command)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def again(scene: Scene, said: Path, wanted: dict[str, str]) -> None:
    """The same command once more."""
    code = finish(child(scene, said))
    lines = said.read_text()
    assert "Traceback" not in lines, lines
    assert code == 0 or any(word in lines for word in scene.again), lines
    assert scene.state() == NEW
    found = result()
    assert found == wanted, (sorted(set(found.items()) ^ set(wanted.items())), lines)


def kills(name: str, count: int, seed: int = 0) -> Counter[str]:
    """How many kills found the command running, and what state they left."""
    scene, rng, found = SCENES[name], random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="kills-") as top:
        said = Path(top, "said")
        wanted = whole_result(scene, Path(top, "whole"))
        fresh = Path(top, "fresh")
        fresh.mkdir()
        enter(fresh)
        scene.prepare()
        longest = 0.0
        for number in range(-2, count):  # the first two are not killed, and say how long it takes
            folder = Path(shutil.copytree(fresh, Path(top, "now")))
            enter(folder)
            begun = time.monotonic()
            process = child(scene, said)
            if number < 0:
                assert finish(process) == 0, said.read_text()
                longest = max(longest, time.monotonic() - begun)
                assert result() == wanted, said.read_text()
            else:
                time.sleep(rng.uniform(0, 1.05 * longest))
                os.kill(process, signal.SIGKILL)
                hit = finish(process) == -signal.SIGKILL
                left = scene.state()
                assert hit or left == NEW
                found["hit" if hit else "too late"] += 1
                found[f"left the {left} state"] += 1
                again(scene, said, wanted)
                if __name__ == "__main__" and number % 20 == 19:
                    print(number + 1, dict(found), flush=True)
            os.chdir(top)
            shutil.rmtree(folder)
    assert found["left the old state"] + found["left the new state"] == max(count, 0), (OLD, NEW)
    return found


if __name__ == "__main__":
    which, times = sys.argv[1], int(sys.argv[2])
    if which == "train":
        import atlcodec.training.pretrained  # noqa: F401 - once, in this process
    print(which, dict(kills(which, times, seed=int(time.time()))), flush=True)
