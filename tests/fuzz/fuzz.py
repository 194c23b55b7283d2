"""Fuzz the readers with atheris: `python tests/fuzz/fuzz.py SECONDS [TARGET...]`.

Each target runs in a process of its own, for its share of the time. An input that crashes it, takes more than ten
seconds or more than a gigabyte is kept in build/fuzz, and the exit code is then 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE.parent), str(HERE)]


def one(name: str, seconds: int) -> None:
    """Does not return."""
    import atheris

    with atheris.instrument_imports(include=["atlcodec"]):
        import targets
    found = ROOT / "build" / "fuzz" / name
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.corpus(name)):
        (found / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]
    settings = [*limits, "-print_final_stats=1", f"-artifact_prefix={found.parent}/{name}-", str(found)]

    def body(data: bytes) -> None:
        targets.run(name, data)

    atheris.Setup([sys.argv[0], *settings], body)
    atheris.Fuzz()


def main(seconds: int, *names: str) -> int:
    from targets import TARGETS

    chosen, failed = list(names or TARGETS), []
    for name in chosen:
        program = [sys.executable, __file__, "--one", name, str(max(1, seconds // len(chosen)))]
        ran = subprocess.run(program, capture_output=True, text=True, errors="replace", env=os.environ, check=False)
        count = [line.split()[-1] for line in ran.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {' '.join(count) or 'no'} inputs, exit code {ran.returncode}", flush=True)
        if ran.returncode:
            failed.append(name)
            print(ran.stderr[-4000:], flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(int(float(sys.argv[1])), *sys.argv[2:]))
