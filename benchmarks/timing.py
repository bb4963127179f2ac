"""Wall times of calls, and their comparison."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any


def seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    """Return the shortest wall time of `repeats` calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def medians(calls: Sequence[Callable[[], Any]], repeats: int, before: Callable[[], Any]) -> list[float]:
    """The median wall time of each call over `repeats` rounds of all of them, so that a slow spell meets all alike.

    `before` comes before each call and does not count.
    """
    rounds = []
    for _ in range(repeats):
        rounds.append([])
        for call in calls:
            before()
            rounds[-1].append(seconds(call))
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def compare(what: str, ours: float, other: float, unit: str, ours_name: str, other_name: str) -> None:
    """Print both rates and their ratio."""
    print(
        f"{what}: {ours_name} {ours:.1f} {unit}, {other_name} {other:.1f} {unit}, ratio {ours / other:.2f}", flush=True
    )
