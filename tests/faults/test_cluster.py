"""Faulty Dask clusters, whose parts crash, hang or differ: the shards are completed, or the error gives the reason."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import distributed
import pytest

from pipelines.beam.runner import BeamRunner, complete_shards
from pipelines.beam.shards import ImageSource, is_shard_complete, write_plan
from schemas.errors import ArtifactError, InputError, RunnerError
from tests.support.faults.runs import ROOT
from tests.support.faults.work import copy_model, write_slowly
from tests.support.ports import free_port

pytestmark = pytest.mark.faults
DASK = str(Path(sys.executable).with_name("dask"))
SHARDS = 12


@dataclass
class Cluster:
    """Dask's scheduler and workers as processes, each in a directory of its own."""

    directory: Path
    port: int
    worker_ttl: str = "5m"  # Dask's default; how long a worker may be silent
    processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def engine(self) -> BeamRunner:
        return BeamRunner(
            "apache_beam.runners.dask.dask_runner.DaskRunner",
            (f"--dask_client_address={self.address}", f"--dask_npartitions={SHARDS}", "--dask_connection_timeout=30"),
        )

    def scheduler(self) -> subprocess.Popen:
        return self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))

    def worker(self, name: str, *arguments: str, path: Path = ROOT) -> subprocess.Popen:
        """Start a worker in the directory `name`; modules of `path` take precedence."""
        (self.directory / name).mkdir()
        options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(self.directory / name)]
        return self._start("worker", self.address, *options, *arguments, folder=name, path=path)

    def _start(self, *arguments: str, folder: str = "", path: Path = ROOT) -> subprocess.Popen:
        with open(self.directory / "dask.log", "a") as log:
            process = subprocess.Popen(
                [DASK, *arguments, "--no-dashboard"],
                cwd=self.directory / folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{path}:{ROOT}",
                    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": self.worker_ttl,
                },
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process


@pytest.fixture
def cluster(tmp_path, request):
    """A scheduler, told how long a worker may be silent; workers are the test's to start."""
    port = free_port()
    (tmp_path / "cluster").mkdir()
    made = Cluster(tmp_path / "cluster", port, getattr(request, "param", "5m"))
    made.scheduler()
    yield made
    for process in made.processes:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture
def shards(tmp_path):
    return write_plan([ImageSource(str(number)) for number in range(60)], str(tmp_path / "shards"), SHARDS, "rows.txt")


def complete(shards, work, cluster):
    complete_shards(shards, work, cluster.engine, lambda fraction, message: None)


def when_a_shard_is_done(shards, *command: str) -> subprocess.Popen:
    """Runs a command as soon as one of the shards is there."""
    paths = " ".join(f"-e {shard.digest_path} -o" for shard in shards).removesuffix(" -o")
    return subprocess.Popen(["sh", "-c", f"until [ {paths} ]; do sleep 0.05; done; {' '.join(command)}"])


def test_worker_with_another_version_is_named(cluster, shards, tmp_path):
    old = tmp_path / "old" / "numpy-1.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    cluster.worker("old", path=tmp_path / "old")
    with pytest.raises(RunnerError, match=r"^The worker on \S+ has numpy 1\.0, the driver has \S+; give all workers"):
        complete(shards, write_slowly, cluster)


def test_worker_without_the_model_file_is_named(cluster, shards):
    cluster.worker("without")
    with pytest.raises(InputError, match=r"model\.bin"):
        complete(shards, partial(copy_model, model="/proc/self/cwd/model.bin"), cluster)


def test_workers_without_the_driver_directory_are_an_error(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards = write_plan([ImageSource(str(number)) for number in range(60)], "/proc/self/cwd/shards", SHARDS, "rows.txt")
    cluster.worker("elsewhere")
    with pytest.raises(ArtifactError, match="its workers must be able to write there, and the driver to read there"):
        complete(shards, write_slowly, cluster)


@pytest.mark.parametrize("cluster", ["30s"], indirect=True)
def test_hanging_worker_is_replaced(cluster, shards):
    hanging, _ = cluster.worker("hanging"), cluster.worker("going")
    when_a_shard_is_done(shards, "kill", "-STOP", str(hanging.pid))
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)


def test_killed_scheduler_is_reported_and_the_next_run_resumes(cluster, shards):
    cluster.worker("first")
    when_a_shard_is_done(shards, "kill", "-KILL", str(cluster.processes[0].pid))
    with pytest.raises(RunnerError, match="Complete shards are kept"):
        complete(shards, write_slowly, cluster)
    done = {shard.path: Path(shard.path).stat().st_mtime_ns for shard in shards if is_shard_complete(shard)}
    assert done
    cluster.scheduler()
    cluster.worker("second")
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)
    assert {path: Path(path).stat().st_mtime_ns for path in done} == done


def test_cluster_without_workers_times_out(cluster, shards):
    started = time.monotonic()
    with pytest.raises(RunnerError, match=rf"^Dask's scheduler at {cluster.address} has had no worker for 30 s; start"):
        complete(shards, write_slowly, cluster)
    assert time.monotonic() - started < 90


def test_late_worker_is_waited_for(cluster, shards):
    threading.Timer(3, cluster.worker, ["late"]).start()
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)


def test_cluster_that_lost_all_workers_times_out(cluster, shards):
    when_a_shard_is_done(shards, "kill", "-KILL", str(cluster.worker("only").pid))
    with pytest.raises(RunnerError, match=r"has had no worker for 30 s; .* Complete shards are kept"):
        complete(shards, write_slowly, cluster)
    done = [shard for shard in shards if is_shard_complete(shard)]
    assert 0 < len(done) < len(shards)


@pytest.mark.parametrize("reachable", [0, 1])
def test_unreachable_worker_does_its_part(cluster, shards, reachable):
    """Its connection to the scheduler is its own making: it is given shards, but nobody gets an answer from it."""
    for number in range(reachable):
        cluster.worker(f"reachable {number}")
    cluster.worker("unreachable", "--listen-address", "tcp://127.0.0.1:0", "--contact-address", "tcp://127.0.0.1:9")
    with distributed.Client(cluster.address, timeout=120) as client:
        client.wait_for_workers(reachable + 1, timeout=60)
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)
