"""Progress display of long stages."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tasks.runtime.progress import ProgressDisplay
from tests.support.toys import Source


@pytest.fixture
def source(data_dir):
    return Source(dataset="toys", data_dir=str(data_dir))


def test_progress_without_a_terminal_is_lines_with_time_left(source, caplog, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("tasks.runtime.progress.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("tasks.runtime.progress.SECONDS_BETWEEN_LINES", 0.0)
    caplog.set_level("INFO", "tasks")
    with ProgressDisplay(source.job()) as display:
        display.report(0.5, "going on where it stopped")
        display.report(0.75, "shard 3 of 4")
    first, second = (record.getMessage() for record in caplog.records)
    assert first == f"{source}:  50 %, unknown time left, going on where it stopped"
    # 25 % since the first report took 20 s, as the clock of this test has it.
    assert second == f"{source}:  75 %, 0:00:20 left, shard 3 of 4"


def test_progress_on_a_terminal_is_a_bar_with_rate_and_time_left(data_dir):
    command = [sys.executable, "-m", "luigi", "--module", "tests.support.toys", "Source", "--local-scheduler"]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    process = subprocess.Popen(
        [*command, "--dataset", "toys", "--data-dir", str(data_dir), "--pace", "4"],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # so Linux reports that the other side is closed
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    assert re.search(r"Source  50%\|█+ +\| 00:0\d<\S+, .*%.*half way", shown.decode())
