"""How far a transfer of bytes is: fraction, rate and time left; and how far several are together."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from pipelines.data.dataset import Progress

SECONDS_BETWEEN_REPORTS = 0.5
MEGABYTE = 1e6


class Meter:
    """Turns byte counts into calls of a progress function, at most one every `SECONDS_BETWEEN_REPORTS`."""

    def __init__(self, progress: Progress, what: str, total: int | None, done: int = 0):
        """`what` opens each message; `total` bytes are expected, if known; `done` of them were there before."""
        self._progress = progress
        self._what = what
        self._total = total
        self._done_before = done
        self._started = time.monotonic()
        self._reported = self._started

    def update(self, done: int) -> None:
        """Reports that `done` bytes of the total are through, unless the last report is too recent."""
        now = time.monotonic()
        if now - self._reported < SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        rate = (done - self._done_before) / (now - self._started)
        if self._total:
            fraction = min(1.0, done / self._total)
            left = timedelta(seconds=round((self._total - done) / rate)) if rate > 0 else "unknown time"
            amount = (
                f"{done / MEGABYTE:.1f} of {self._total / MEGABYTE:.1f} MB, {rate / MEGABYTE:.1f} MB/s, {left} left"
            )
        else:
            fraction, amount = 0.0, f"{done / MEGABYTE:.1f} MB, {rate / MEGABYTE:.1f} MB/s"
        self._progress(fraction, f"{self._what}: {amount}")


class Stopped(Exception):
    """Work is given up because other work failed."""


class Shares:
    """One progress made of those of several transfers that go on at once, in threads."""

    def __init__(self, progress: Progress, sizes: Sequence[int | None]):
        """Each counts by its size in bytes; all count the same if one is unknown."""
        known = [size for size in sizes if size]
        self._weights = known if len(known) == len(sizes) else [1] * len(sizes)
        self._fractions = [0.0] * len(sizes)
        self._progress = progress
        self._stopped = False
        self._lock = threading.Lock()

    def of(self, index: int) -> Progress:
        """The progress function of one transfer; it raises Stopped after `stop`."""

        def progress(fraction: float, message: str) -> None:
            with self._lock:
                if self._stopped:
                    raise Stopped
                self._fractions[index] = fraction
                done = sum(weight * each for weight, each in zip(self._weights, self._fractions, strict=True))
                self._progress(done / sum(self._weights), message)

        return progress

    def stop(self) -> None:
        """Ends those that still go on, at their next report."""
        with self._lock:
            self._stopped = True
