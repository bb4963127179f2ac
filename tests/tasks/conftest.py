"""A data directory, and Luigi workers as users have them."""

from pathlib import Path

import luigi
import luigi.worker
import pytest
from PIL import Image


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "var"


@pytest.fixture
def run():
    """Run a task with a real Luigi worker; returns whether all went well."""

    def run_task(task: luigi.Task, workers: int = 1) -> bool:
        scheduler = luigi.scheduler.Scheduler()
        with luigi.worker.Worker(scheduler=scheduler, worker_processes=workers, worker_id="test") as worker:
            worker.add(task)
            return bool(worker.run())

    return run_task


@pytest.fixture
def source(tmp_path):
    """A custom dataset of three images, one in each split."""
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["image,caption,split"]
    for number, split in enumerate(("train", "val", "test")):
        Image.new("L", (3, 2)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,a cat number {number},{split}")
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def stage(data_dir, source):
    """Make stages as the command line does with `--DownloadDataset-source`."""
    configuration = luigi.configuration.get_config()
    configuration.set("DownloadDataset", "source", str(source))
    yield lambda cls, **parameters: cls(dataset="custom", data_dir=str(data_dir), **parameters)
    configuration.remove_section("DownloadDataset")
