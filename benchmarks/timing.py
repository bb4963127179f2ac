"""Time of a call, and a line that says how two compare."""

import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    """The shortest wall time of `repeats` calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def compare(what: str, ours: float, other: float, unit: str, ours_name: str, other_name: str) -> None:
    """Prints both rates and their ratio."""
    print(
        f"{what}: {ours_name} {ours:.1f} {unit}, {other_name} {other:.1f} {unit}, ratio {ours / other:.2f}", flush=True
    )
