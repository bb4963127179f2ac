"""Extraction on a real Dask cluster: a scheduler and three workers, processes started by Dask's own command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.backbones.spec import BackboneSpec
from pipelines.beam.runner import BeamRunner
from pipelines.beam.shards import ImageSource, plan_shards
from pipelines.features.extract_features import ExtractionOptions, extract_features
from schemas.errors import RunnerError
from tests.support.ports import free_port

OPTIONS = ExtractionOptions(
    BackboneSpec("vgg16/block5_pool", "random:0", 32), "squash", "float32", "toys", batch_size=4, decode_threads=1
)
LOCAL = BeamRunner("apache_beam.runners.portability.fn_api_runner.FnApiRunner")
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
SHARDS = 9


def run(images, directory, engine):
    directory.mkdir()
    extract_features(
        images,
        directory,
        str(directory / "shards"),
        SHARDS,
        OPTIONS,
        engine,
        1.0,
        lambda fraction, message: None,
    )
    return (directory / "features.h5").read_bytes()


@pytest.fixture
def images(tmp_path) -> list[ImageSource]:
    random = np.random.default_rng(0)
    for number in range(36):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"{number:02d}.png")
    return [ImageSource(path.stem, str(path)) for path in sorted(tmp_path.glob("*.png"))]


@pytest.fixture
def cluster(tmp_path):
    """The scheduler's address and the workers' processes."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = str(Path(sys.executable).with_name("dask"))
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    scheduler = [dask, "scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"]
    worker = [dask, "worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", tmp_path]
    with open(tmp_path / "dask.log", "w") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            for command in (scheduler, worker, worker, worker)
        ]
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow("starts a Dask cluster")
def test_killed_worker_changes_no_bytes(images, cluster, tmp_path):
    address, workers = cluster
    expected = run(images, tmp_path / "local", LOCAL)
    shards = plan_shards(len(images), str(tmp_path / "dask" / "shards"), SHARDS, "features.h5")

    victim = subprocess.Popen([sys.executable, "-c", KILLER, str(workers[0].pid), *(s.digest_path for s in shards)])
    engine = BeamRunner(DASK, (f"--dask_client_address={address}", f"--dask_npartitions={SHARDS}"))
    assert run(images, tmp_path / "dask", engine) == expected
    assert victim.wait(timeout=10) == 0
    assert workers[0].wait(timeout=10) == -signal.SIGKILL


# Waits for the first shard, then kills the worker.
KILLER = """
import os, signal, sys, time
while not any(os.path.exists(path) for path in sys.argv[2:]):
    time.sleep(0.02)
os.kill(int(sys.argv[1]), signal.SIGKILL)
"""


def test_missing_scheduler_times_out(images, tmp_path):
    started = time.monotonic()
    engine = BeamRunner(DASK, ("--dask_client_address=tcp://127.0.0.1:9", "--dask_connection_timeout=5"))
    with pytest.raises(RunnerError, match=r"DaskRunner failed .*127\.0\.0\.1:9"):
        run(images, tmp_path / "dask", engine)
    assert time.monotonic() - started < 30
