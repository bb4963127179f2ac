"""Wall and processor times of calls, and their comparison."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Time that a call takes.

    Attributes:
        wall: Wall time in seconds.
        cpu: Processor time in seconds, of all threads of this process and of child processes that ended in the call.
    """

    wall: float
    cpu: float

    def times(self, factor: float) -> "Cost":
        """Return the cost of `factor` as much work."""
        return Cost(self.wall * factor, self.cpu * factor)


def cost(call: Callable[[], Any]) -> Cost:
    """Measure one call."""
    wall, before = time.perf_counter(), _processor_seconds()
    call()
    return Cost(time.perf_counter() - wall, _processor_seconds() - before)


def _processor_seconds() -> float:
    usages = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def per_unit(call: Callable[[], Any], amount: float) -> Callable[[], Cost]:
    """Return a function that measures one call and returns the cost of a unit of the `amount` of work that it does."""
    return lambda: cost(call).times(1.0 / amount)


class Rounds:
    """Costs of the same work, done in several ways, in rounds of each way once.

    A slow spell of the machine meets all ways alike, so that ratios within a round are more stable than the costs.
    """

    def __init__(
        self, ways: Mapping[str, Callable[[], Cost]], rounds: int = 5, before: Callable[[], Any] = lambda: None
    ):
        """Measure.

        Args:
            ways: By name, functions that do the work and return its cost.
            rounds: Number of rounds.
            before: Called before each way; it does not count.
        """
        self.costs: list[dict[str, Cost]] = []
        for _ in range(rounds):
            self.costs.append({})
            for name, measure in ways.items():
                before()
                self.costs[-1][name] = measure()

    def rate(self, name: str) -> float:
        """Return the median number of units of work per second of wall time."""
        return 1.0 / statistics.median(each[name].wall for each in self.costs)

    def ratio(self, ours: str, other: str) -> str:
        """Return how many times as fast ours is: the median ratio by wall time, in brackets by processor time."""
        wall, cpu = (
            statistics.median(getattr(each[other], kind) / getattr(each[ours], kind) for each in self.costs)
            for kind in ("wall", "cpu")
        )
        return f"{wall:.2f} ({cpu:.2f})"


def seconds(call: Callable[[], Any], repeats: int = 1) -> float:
    """Return the shortest wall time of `repeats` calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def compare_rounds(
    what: str,
    ours: tuple[Callable[[], Any], float],
    other: tuple[Callable[[], Any], float],
    before: Callable[[], Any] = lambda: None,
) -> None:
    """Measure both in alternation and print a row of a table: rates of both, and `Rounds.ratio`.

    Args:
        what: Question and unit of the rates.
        ours: A call, and the amount of work that it does.
        other: The same for what ours is compared with.
        before: Called before each call; it does not count.
    """
    rounds = Rounds({"ours": per_unit(*ours), "other": per_unit(*other)}, before=before)
    print_row(what, f"{rounds.rate('ours'):,.1f}", f"{rounds.rate('other'):,.1f}", rounds.ratio("ours", "other"))


def print_row(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def print_head(*titles: str) -> None:
    """Print the titles of a Markdown table."""
    print_row(*titles)
    print("|" + "---|" * len(titles), flush=True)
