"""A Dask cluster whose workers hang, come late, leave or cannot be reached.

Tests of all engines are in tests/pipelines/engines/test_engines.py.
"""

import subprocess
import threading
from functools import partial

import pytest

from pipelines.engines.engine import complete_shards
from pipelines.engines.shards import ImageSource, is_shard_complete, write_plan
from schemas.errors import ArtifactError, InputError, RunnerError
from tests.support.clusters import DaskCluster
from tests.support.faults.work import copy_model, write_slowly

pytestmark = pytest.mark.faults
SHARDS = 12


@pytest.fixture
def cluster(tmp_path, request):
    """A scheduler with a timeout for silent workers; the test starts the workers."""
    (tmp_path / "cluster").mkdir()
    cluster = DaskCluster(tmp_path / "cluster", timeout=120, worker_ttl=getattr(request, "param", "5m"))
    cluster.start_scheduler()
    yield cluster
    cluster.stop()


@pytest.fixture
def shards(tmp_path):
    return write_plan([ImageSource(str(number)) for number in range(60)], str(tmp_path / "shards"), SHARDS, "rows.txt")


def complete(shards, work, cluster):
    complete_shards(shards, work, cluster.engine, lambda fraction, message: None)


def when_a_shard_is_done(shards, *command: str) -> subprocess.Popen:
    """Run a command as soon as one of the shards is there."""
    paths = " ".join(f"-e {shard.receipt_path} -o" for shard in shards).removesuffix(" -o")
    return subprocess.Popen(["sh", "-c", f"until [ {paths} ]; do sleep 0.05; done; {' '.join(command)}"])


def test_worker_without_the_model_file_is_named(cluster, shards):
    cluster.start_worker("without")
    with pytest.raises(InputError, match=r"model\.bin"):
        complete(shards, partial(copy_model, model="/proc/self/cwd/model.bin"), cluster)


def test_workers_without_the_driver_directory_are_an_error(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards = write_plan([ImageSource(str(number)) for number in range(60)], "/proc/self/cwd/shards", SHARDS, "rows.txt")
    cluster.start_worker("elsewhere")
    with pytest.raises(ArtifactError, match="its workers must be able to write there, and the driver to read there"):
        complete(shards, write_slowly, cluster)


@pytest.mark.parametrize("cluster", ["30s"], indirect=True)
def test_hanging_worker_is_replaced(cluster, shards):
    hanging, _ = cluster.start_worker("hanging"), cluster.start_worker("going")
    when_a_shard_is_done(shards, "kill", "-STOP", str(hanging.pid))
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)


def test_late_worker_is_waited_for(cluster, shards):
    threading.Timer(3, cluster.start_worker, ["late"]).start()
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)


def test_cluster_that_lost_all_workers_times_out(cluster, shards):
    when_a_shard_is_done(shards, "kill", "-KILL", str(cluster.start_worker("only").pid))
    cluster.wait_for_workers(1)
    cluster.timeout = 10
    with pytest.raises(RunnerError, match=r"has had no worker for 10 s; .* Complete shards are kept"):
        complete(shards, write_slowly, cluster)
    done = [shard for shard in shards if is_shard_complete(shard)]
    assert 0 < len(done) < len(shards)


@pytest.mark.parametrize("reachable", [0, 1])
def test_unreachable_worker_does_its_part(cluster, shards, reachable):
    """A worker that accepts shards, but cannot be reached."""
    for number in range(reachable):
        cluster.start_worker(f"reachable {number}")
    cluster.start_worker(
        "unreachable", "--listen-address", "tcp://127.0.0.1:0", "--contact-address", "tcp://127.0.0.1:9"
    )
    cluster.wait_for_workers(reachable + 1)
    complete(shards, write_slowly, cluster)
    assert all(is_shard_complete(shard) for shard in shards)
