"""Progress of a stage: a bar on a terminal, log lines elsewhere, and a message on the status page."""

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType

from tqdm import tqdm

from tasks.runtime.job import Job, StatusPage

log = logging.getLogger("tasks")
SECONDS_BEFORE_BAR = 2.0  # shorter stages need no bar
SECONDS_BETWEEN_FRAMES = 1.0  # the elapsed time is updated between reports too
SECONDS_BETWEEN_STATUS = 1.0  # between messages on the status page
SECONDS_BETWEEN_LINES = 30.0  # between log lines where there is no terminal
_FORMAT = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}<{remaining}, {rate_fmt}{postfix}"


class ProgressDisplay:
    """Context manager that shows the progress reports of one stage.

    Time left and rate (percent per second) are measured from the first report: what a resumed stage finds done took no
    time.
    """

    def __init__(self, job: Job, status: StatusPage | None = None):
        """Prepare the bar.

        Args:
            job: The stage.
            status: Its entry on a status page, if there is one.
        """
        self._job = job
        self._status = status
        self._fraction = 0.0
        self._first: float | None = None
        self._told = self._shown = self._started = time.monotonic()
        self._end = threading.Event()
        self._clock = threading.Thread(target=self._keep_drawing, daemon=True)
        self._bar = tqdm(
            total=100.0,
            desc=job.name,
            unit="%",
            bar_format=_FORMAT,
            disable=None,
            leave=False,
            delay=SECONDS_BEFORE_BAR,
        )
        self._bar.set_postfix_str("starting", refresh=False)

    def __enter__(self) -> "ProgressDisplay":
        if not self._bar.disable:
            self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        if not self._bar.disable:
            self._clock.join()
        self._bar.close()

    def report(self, fraction: float, message: str) -> None:
        """Show the completed fraction of the stage and its current step."""
        if self._first is None:
            self._first = self._bar.initial = 100 * fraction
            self._started = time.monotonic()
        self._fraction = fraction
        self._bar.n = 100 * fraction
        self._bar.set_postfix_str(message, refresh=False)
        now = time.monotonic()
        if self._status and now - self._told >= SECONDS_BETWEEN_STATUS:
            self._status.show(round(100 * fraction), message)
            self._told = now
        if self._bar.disable and now - self._shown >= SECONDS_BETWEEN_LINES:
            log.info("%s: %3.0f %%, %s left, %s", self._job, 100 * fraction, self._left(now), message)
            self._shown = now

    def _left(self, now: float) -> str:
        done = 100 * self._fraction - (self._first or 0.0)
        if done <= 0.0:
            return "unknown time"
        return str(timedelta(seconds=round((now - self._started) * (100 - 100 * self._fraction) / done)))

    def _keep_drawing(self) -> None:
        wait = SECONDS_BEFORE_BAR
        while not self._end.wait(wait):
            self._bar.refresh()
            wait = SECONDS_BETWEEN_FRAMES
