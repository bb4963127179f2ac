"""How far a transfer of bytes is: fraction, rate and time left."""

import time
from datetime import timedelta

from pipelines.datasets.base import Progress

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
