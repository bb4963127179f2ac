"""Clusters of processes on this machine, by the programs of Dask, Spark and Beam's Prism, as engines use them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

import psutil

from pipelines.engines.beam import BeamEngine
from pipelines.engines.dask import DaskEngine
from pipelines.engines.engine import Engine
from pipelines.engines.spark import SparkEngine
from tests.support import warm_process
from tests.support.dask_program import run_dask
from tests.support.faults.runs import ROOT, wait_until
from tests.support.ports import free_port, listens

BIN = Path(sys.executable).parent
PRISM = BIN / "prism"
NO_JAVA = "Spark needs Java" if shutil.which("java") is None and "JAVA_HOME" not in os.environ else ""


class Cluster(Protocol):
    """A cluster whose processes can be killed.

    Attributes:
        directory: Directory that it writes to.
        engine: The engine that uses it.
    """

    directory: Path
    engine: Engine

    def kill_worker(self) -> None:
        """Kill a worker; another takes its place."""

    def kill_scheduler(self) -> None:
        """Kill the process that assigns shards to workers."""


@contextmanager
def beam_processes(
    directory: Path, workers: int, environment: Mapping[str, str], timeout: float
) -> Iterator["BeamProcesses"]:
    """Processes of Beam's local runner, which have the environment of the driver."""
    options = ("--direct_running_mode=multi_processing", f"--direct_num_workers={workers}")
    made = BeamProcesses(directory, BeamEngine(options=options))
    try:
        yield made
    finally:
        for worker in made.workers():  # a run that lost one leaves the others
            os.kill(worker, signal.SIGKILL)


@dataclass
class BeamProcesses:
    """See `beam_processes`."""

    directory: Path
    engine: BeamEngine

    def workers(self) -> list[int]:
        """Process ids of Beam's SDK workers."""
        return find_processes("sdk_worker_main")

    def kill_worker(self) -> None:
        """Kill a process; the next run starts others."""
        _kill(self.workers()[0])

    def kill_scheduler(self) -> None:
        """Kill the scheduler, which is the driver itself."""
        _kill(os.getpid())


@dataclass
class DaskCluster:
    """Dask's scheduler and workers, in directories of their own."""

    directory: Path
    timeout: float = 60.0
    worker_ttl: str = "5m"  # Dask's default; how long a worker may be silent
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    schedulers: list[BaseProcess] = field(default_factory=list)
    workers: list[BaseProcess] = field(default_factory=list)

    @property
    def engine(self) -> DaskEngine:
        """The engine of this cluster."""
        return DaskEngine(self.address, self.timeout)

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> BaseProcess:
        """Start the scheduler, at the same address each time, and wait until it listens."""
        self.schedulers.append(self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port)))
        wait_until(partial(listens, self.port), 120)
        return self.schedulers[-1]

    def start_worker(self, name: str, *arguments: str, environment: Mapping[str, str] = {}) -> BaseProcess:
        """Start a worker in the directory `name`."""
        folder = self.directory / name
        folder.mkdir(parents=True)
        options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(folder)]
        worker = self._start("worker", self.address, *options, *arguments, folder=name, environment=environment)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int) -> None:
        """Wait until the scheduler has a number of workers."""
        if count:
            import distributed  # takes a second, which a run without these clusters need not spend

            with distributed.Client(self.address, timeout=120) as client:
                client.wait_for_workers(count, timeout=120)

    def kill_worker(self) -> None:
        """Kill a worker and start another one."""
        running = [worker for worker in self.workers if worker.is_alive()]
        self.start_worker(f"worker{len(self.workers)}", environment=self.environment)
        running[0].kill()

    def kill_scheduler(self) -> None:
        """Kill the scheduler."""
        self.schedulers[-1].kill()

    def stop(self) -> None:
        """Kill all processes, also stopped ones."""
        for process in (*self.workers, *self.schedulers):
            process.kill()
            process.join()

    def _start(self, *arguments: str, folder: str = "", environment: Mapping[str, str] = {}) -> BaseProcess:
        variables = {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": self.worker_ttl}
        return warm_process.start(
            run_dask,
            (*arguments, "--no-dashboard"),
            self.directory / folder,
            self.directory / "dask.log",
            **{**variables, **environment},
        )


@contextmanager
def dask_cluster(
    directory: Path, workers: int, environment: Mapping[str, str], timeout: float
) -> Iterator[DaskCluster]:
    """A Dask cluster with some workers, which have variables of their own."""
    cluster = DaskCluster(directory, timeout, environment=environment)
    try:
        cluster.start_scheduler()
        for number in range(workers):
            cluster.start_worker(f"worker{number}", environment=environment)
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()


@dataclass
class SparkCluster:
    """Executors of one core, which Spark starts together with its driver, and starts again."""

    directory: Path
    engine: SparkEngine

    def kill_worker(self) -> None:
        """Kill an executor."""
        _kill(find_processes("CoarseGrainedExecutorBackend")[0])

    def kill_scheduler(self) -> None:
        """Kill the driver's Java program."""
        _kill(find_processes("SparkSubmit")[0])


@contextmanager
def spark_cluster(
    directory: Path, workers: int, environment: Mapping[str, str], timeout: float
) -> Iterator[SparkCluster]:
    """A Spark cluster whose executors have variables of their own; without workers, none has cores enough."""
    options = {
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.local.dir": str(directory),
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.task.maxFailures": "2",
        **({} if workers else {"spark.executor.cores": "2"}),
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
    }
    from pyspark import SparkContext

    timeout = max(timeout, 120.0) if workers else timeout  # it counts while executors start
    yield SparkCluster(directory, SparkEngine(f"local-cluster[{workers or 1},1,1024]", options, timeout))
    if not find_processes("SparkSubmit"):  # a process has one Java program, which a test has killed
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None


@dataclass
class PrismCluster:
    """Beam's portable job service and a pool of workers."""

    directory: Path
    engine: BeamEngine
    service: int
    pool: int

    def kill_worker(self) -> None:
        """Kill a worker that the pool has started; it starts others."""
        _kill(psutil.Process(self.pool).children(recursive=True)[0].pid)

    def kill_scheduler(self) -> None:
        """Kill the job service."""
        _kill(self.service)


@contextmanager
def prism_cluster(
    directory: Path, workers: int, environment: Mapping[str, str], timeout: float
) -> Iterator[PrismCluster]:
    """Prism with a pool of workers that have variables of their own; `make test-portable` builds Prism."""
    job_port, pool_port = free_port(), free_port()
    service = [str(PRISM), f"--job_port={job_port}", "--serve_http=false"]
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"]
    # The pool starts its workers as `python`: that has to be this one.
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **environment}
    with open(directory / "services.log", "w") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
            for command in (service, pool)
        ]
    try:
        for port in (job_port, pool_port):
            wait_until(partial(listens, port), 60)
        engine = BeamEngine(
            "apache_beam.runners.portability.portable_runner.PortableRunner",
            (
                f"--job_endpoint=127.0.0.1:{job_port}",
                "--environment_type=EXTERNAL",
                f"--environment_config=127.0.0.1:{pool_port}",
                # Beam waits that long for a service that has died, and gives up jobs that take longer.
                f"--job_server_timeout={round(3 * timeout)}",
            ),
        )
        yield PrismCluster(directory, engine, processes[0].pid, processes[1].pid)
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def find_processes(text: str) -> list[int]:
    """Ids of the processes below this one whose command line contains a text."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if text in command and not command.startswith(("/bin/sh", "sh ", "bash ")):
            found.append(process.pid)
    return found
