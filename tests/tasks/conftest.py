"""A data directory, and Luigi workers as users have them."""

from pathlib import Path

import luigi
import luigi.worker
import pytest


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "var"


@pytest.fixture
def run():
    """Runs a task with a real Luigi worker; returns whether all went well."""

    def run_task(task: luigi.Task, workers: int = 1) -> bool:
        scheduler = luigi.scheduler.Scheduler()
        with luigi.worker.Worker(scheduler=scheduler, worker_processes=workers, worker_id="test") as worker:
            worker.add(task)
            return bool(worker.run())

    return run_task
