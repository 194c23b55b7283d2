"""Time, in the same way in all benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
Calls = dict[str, Callable[[], object]]  # what is timed, by name


def turns(calls: Mapping[K, Callable[[], object]], rounds: int, seconds: float = 0) -> dict[K, list[float]]:
    """Seconds per call in each turn; a turn lasts for `seconds`, or for one call.

    All calls take a turn in every round, so that a slow spell of the machine does not hit one of them alone. Every
    other round goes backwards, so that the neighbours change. The first call of a turn fills caches, untimed."""
    taken: dict[K, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name in list(calls)[:: -1 if number % 2 else 1]:
            calls[name]()
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds or not count:
                calls[name]()
                count += 1
            taken[name].append(elapsed / count)
    return taken


def best(calls: Mapping[K, Callable[[], object]], rounds: int, seconds: float = 0) -> dict[K, float]:
    """Seconds per call in the best turn."""
    return {name: min(taken) for name, taken in turns(calls, rounds, seconds).items()}
