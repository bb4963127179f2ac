"""Concurrent runs on one data directory, which compute each artifact once."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from pipelines.artifacts.verify_artifacts import verify_artifacts
from tasks.runtime.locks import is_locked, lock_path
from tests.support.faults.runs import ROOT, Run, configured, started, wait_until
from tests.support.ports import free_port, listens

YEAR = 365 * 86400
SECONDS_TO_TAKE_OVER = 20.0
MADE_BY_ANOTHER = 10  # `already_running` of configs/default.cfg: another worker of the central scheduler did a part


def run_at_once(runs: list[Run]) -> Counter:
    """Wait for all runs; return how often each stage was started, according to their output."""
    threads = [threading.Thread(target=run.finish) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        assert run.process.returncode in (0, MADE_BY_ANOTHER), "".join(run.output)
    return Counter(line.split(" ", 1)[1] for run in runs for line in run.output if started(line))


def check_all_was_made_once(runs: list[Run], data_dir) -> None:
    starts = run_at_once(runs)
    found = dict(verify_artifacts(data_dir))
    assert set(found.values()) == {None}
    assert len(starts) == len(found)
    assert set(starts.values()) == {1}


@pytest.mark.slow("starts four runs")
def test_four_runs_at_once_make_everything_once(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    check_all_was_made_once([Run("tasks", "TokenizeCaptions", configuration) for _ in range(4)], data_dir)


@pytest.mark.faults
def test_four_runs_of_the_whole_pipeline_at_once_make_everything_once(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    check_all_was_made_once(
        [Run("tests.support.faults.lean", "LeanPipeline", configuration) for _ in range(4)], data_dir
    )


@pytest.mark.parametrize("clock", [0, -YEAR, YEAR], ids=["right", "behind", "ahead"])
def test_lock_of_a_killed_process_is_taken_over(tmp_path, clock):
    configuration, data_dir = configured(tmp_path / "run")
    first = Run("tests.support.faults.slow", "Slow", configuration, "--dataset", "toys")
    wait_until(lambda: list(data_dir.glob("toys/Slow/*/half.txt")), 120)
    (directory,) = data_dir.glob("toys/Slow/*/")
    os.utime(lock_path(directory), (time.time() + clock,) * 2)
    assert is_locked(directory)
    second = Run("tests.support.faults.slow", "Slow", configuration, "--dataset", "toys")
    assert any("is being computed by another process; waiting for it" in line for line in second.lines())
    first.kill(all_at_once=False)
    killed = time.monotonic()
    assert any(started(line) for line in second.lines())
    assert time.monotonic() - killed < SECONDS_TO_TAKE_OVER
    second.kill(all_at_once=True)


@contextmanager
def luigid(configuration):
    """The options that name a central scheduler."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from luigi.cmdline import luigid; luigid()",
            "--port",
            str(port),
            "--address",
            "127.0.0.1",
        ],
        cwd=ROOT,
        env={**os.environ, "LUIGI_CONFIG_PATH": str(configuration)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: listens(port), 60)
        yield ["--scheduler-host", "127.0.0.1", "--scheduler-port", str(port), "--worker-keep-alive"]
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow("starts luigid and two runs")
def test_two_workers_on_a_central_scheduler_make_everything_once(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    with luigid(configuration) as options:
        check_all_was_made_once([Run("tasks", "TokenizeCaptions", configuration, *options) for _ in range(2)], data_dir)


@pytest.mark.slow("starts luigid and two runs")
def test_two_runs_on_a_central_scheduler_of_the_configuration_exit_with_0(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    with luigid(configuration) as options:
        core = f"[core]\nlocal_scheduler = false\nscheduler_host = 127.0.0.1\nscheduler_port = {options[3]}\n"
        configuration.write_text(configuration.read_text().replace("[core]\nlocal_scheduler = false\n", core))
        runs = [
            subprocess.Popen(
                [sys.executable, "-m", "tasks.cli", "run", str(configuration), "TokenizeCaptions"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        output = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], output
    assert not any("deprecated" in each or "Warning" in each for each in output)
    starts = Counter(found for each in output for line in each.splitlines() if (found := started(line)))
    assert starts == {"DownloadDataset": 1, "PrepareAnnotations": 1, "TokenizeCaptions": 1}
    assert set(dict(verify_artifacts(data_dir)).values()) == {None}


@pytest.mark.slow("waits until a worker is given up")
def test_stage_of_a_killed_worker_moves_to_the_other_worker(tmp_path):
    configuration, data_dir = configured(tmp_path / "run")
    with luigid(configuration) as options:
        first = Run("tests.support.faults.slow", "AfterSlow", configuration, "--dataset", "toys", *options)
        assert any(started(line) for line in first.lines())
        second = Run("tests.support.faults.slow", "AfterSlow", configuration, "--dataset", "toys", *options)
        wait_until(lambda: list(data_dir.glob("toys/Slow/*/half.txt")), 120)
        first.kill(all_at_once=False)
        assert any(started(line) for line in second.lines())
        second.kill(all_at_once=True)
