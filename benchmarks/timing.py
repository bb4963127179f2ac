"""Wall and processor times of calls, and their comparison."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Time that a call takes.

    Attributes:
        wall: Wall time in seconds.
        cpu: Processor time of this process in seconds, of all its threads.
    """

    wall: float
    cpu: float

    def times(self, factor: float) -> "Cost":
        """Return the cost of `factor` as much work."""
        return Cost(self.wall * factor, self.cpu * factor)


def cost(call: Callable[[], Any]) -> Cost:
    """Measure one call."""
    wall, before = time.perf_counter(), os.times()
    call()
    after = os.times()
    return Cost(time.perf_counter() - wall, after.user + after.system - before.user - before.system)


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


def compare_rounds(
    what: str, ours: tuple[Callable[[], Any], float], other: tuple[Callable[[], Any], float], rounds: int = 5
) -> None:
    """Measure both in alternation and print a row of a table.

    The row has the median rate of each by wall time, and the median ratio of the rates within a round, by wall time and
    in brackets by processor time.

    Args:
        what: Question and unit of the rates.
        ours: A call, and the amount of work that it does.
        other: The same for what ours is compared with.
        rounds: Number of rounds.
    """
    costs = [(cost(ours[0]).times(1.0 / ours[1]), cost(other[0]).times(1.0 / other[1])) for _ in range(rounds)]
    rates = [1.0 / statistics.median(each[index].wall for each in costs) for index in range(2)]
    wall = statistics.median(theirs.wall / own.wall for own, theirs in costs)
    cpu = statistics.median(theirs.cpu / own.cpu for own, theirs in costs)
    print(f"| {what} | {rates[0]:,.1f} | {rates[1]:,.1f} | {wall:.2f} ({cpu:.2f}) |", flush=True)
