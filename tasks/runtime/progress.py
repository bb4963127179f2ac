"""How far a stage is: a bar on a terminal, else a line now and then, and a message on Luigi's status page."""

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from tasks.base.stage import Stage

log = logging.getLogger("tasks")
SECONDS_BEFORE_BAR = 2.0  # what takes less needs none
SECONDS_BETWEEN_FRAMES = 1.0  # the clock of a bar goes on while a stage says nothing
SECONDS_BETWEEN_STATUS = 1.0  # messages to Luigi's scheduler
SECONDS_BETWEEN_LINES = 30.0  # progress lines where there is no terminal
_FORMAT = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}<{remaining}, {rate_fmt}{postfix}"


class ProgressDisplay:
    """Shows the reports of one stage; use as a context manager.

    Time left and rate (percent a second) are those since the first report: what was there before took no time.
    """

    def __init__(self, task: "Stage"):
        """Shows nothing yet."""
        self._task = task
        self._fraction = 0.0
        self._first: float | None = None
        self._told = self._shown = self._started = time.monotonic()
        self._end = threading.Event()
        self._clock = threading.Thread(target=self._keep_drawing, daemon=True)
        self._bar = tqdm(
            total=100.0,
            desc=task.stage,
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
        """The stage says how much is done and what it does."""
        if self._first is None:
            self._first = self._bar.initial = 100 * fraction
            self._started = time.monotonic()
        self._fraction = fraction
        self._bar.n = 100 * fraction
        self._bar.set_postfix_str(message, refresh=False)
        now = time.monotonic()
        if now - self._told >= SECONDS_BETWEEN_STATUS and self._task.set_status_message:
            self._task.set_progress_percentage(round(100 * fraction))
            self._task.set_status_message(message)
            self._told = now
        if self._bar.disable and now - self._shown >= SECONDS_BETWEEN_LINES:
            log.info("%s: %3.0f %%, %s left, %s", self._task, 100 * fraction, self._left(now), message)
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
