"""Progress of transfers: fraction, rate and time left of one, and the fraction of several together."""

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
        """Start the clock.

        Args:
            progress: Called with a fraction and a message.
            what: Start of each message.
            total: Expected bytes, if known.
            done: Bytes that were there before.
        """
        self._progress, self._what, self._total, self._before = progress, what, total, done
        self._started = self._reported = time.monotonic()

    def update(self, done: int) -> None:
        """Report that `done` bytes of the total are through, unless the last report is too recent."""
        now = time.monotonic()
        if now - self._reported < SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        rate = (done - self._before) / (now - self._started)
        fraction, of_total, left = 0.0, "", ""
        if self._total:
            fraction, of_total = min(1.0, done / self._total), f" of {self._total / MEGABYTE:.1f}"
            left = f", {timedelta(seconds=round((self._total - done) / rate))} left" if rate > 0 else ""
        self._progress(fraction, f"{self._what}: {done / MEGABYTE:.1f}{of_total} MB, {rate / MEGABYTE:.1f} MB/s{left}")


class Stopped(Exception):
    """A transfer is aborted because another failed."""


class JointProgress:
    """One progress of several transfers in threads."""

    def __init__(self, progress: Progress, sizes: Sequence[int | None]):
        """Weight each transfer by its size in bytes, or all equally if one is unknown."""
        self._weights = [size or 0 for size in sizes] if all(sizes) else [1] * len(sizes)
        self._fractions = [0.0] * len(sizes)
        self._progress = progress
        self._stopped = False
        self._lock = threading.Lock()

    def of(self, index: int) -> Progress:
        """Return the progress function of one transfer; it raises Stopped after `stop`."""

        def progress(fraction: float, message: str) -> None:
            with self._lock:
                if self._stopped:
                    raise Stopped
                self._fractions[index] = fraction
                done = sum(weight * each for weight, each in zip(self._weights, self._fractions, strict=True))
                self._progress(done / sum(self._weights), message)

        return progress

    def stop(self) -> None:
        """End the transfers that are still running, at their next report."""
        with self._lock:
            self._stopped = True
