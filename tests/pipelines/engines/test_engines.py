"""All engines alike: the bytes of one process, and the faults of clusters."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.backbones.spec import BackboneSpec
from model.decoding.beam_search import PLAIN
from model.decoding.constraints import DEFAULT_CONSTRAINTS
from model.decoding.strategies import BeamStrategy
from pipelines import storage
from pipelines.captions.generate_captions import GenerationJob, generate_captions
from pipelines.captions.rerank_captions import RerankingJob, rerank_split
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Engine, Sharding, complete_shards
from pipelines.engines.shards import ImageSource, Shard, is_shard_complete, plan_shards, write_plan
from pipelines.features.extract_features import ExtractionOptions, extract_features
from schemas.checkpoint import MODEL_FILES
from schemas.errors import InputError, RunnerError, StorageAccessError
from schemas.hypotheses import SearchSetting, write_search
from schemas.io.files import write_json_lines
from schemas.reranking import RerankingSetting
from tests.support.clusters import (
    NO_JAVA,
    Cluster,
    beam_processes,
    dask_cluster,
    prism_cluster,
    spark_cluster,
)
from tests.support.faults.runs import wait_until
from tests.support.faults.work import copy_model, fail, write_slowly
from tests.support.tiny_model import write_images, write_model

LOCAL = BeamEngine()
SHARDS = 9
MakeCluster = Callable[..., AbstractContextManager[Cluster]]

dask = pytest.param(dask_cluster, id="dask", marks=pytest.mark.slow("starts a Dask cluster"))
spark = pytest.param(
    spark_cluster,
    id="spark",
    marks=[pytest.mark.slow("starts a Spark cluster"), pytest.mark.skipif(bool(NO_JAVA), reason=NO_JAVA)],
)
prism = pytest.param(prism_cluster, id="prism", marks=pytest.mark.portable)
processes = pytest.param(beam_processes, id="processes", marks=pytest.mark.slow("starts processes of Beam"))


@pytest.fixture
def make_cluster(request, tmp_path) -> MakeCluster:
    """Makes a cluster of the engine with some workers, for tests that break it."""

    def make(workers: int = 1, environment: dict[str, str] | None = None, timeout: float = 120.0):
        (tmp_path / "cluster").mkdir()
        return request.param(tmp_path / "cluster", workers, environment or {}, timeout)

    return make


@pytest.fixture(scope="module")
def cluster(request, tmp_path_factory, _s3_server) -> Iterator[Cluster]:
    """A cluster of two workers for the tests of this module; they have a store and a directory for temporary files."""
    directory = tmp_path_factory.mktemp("cluster")
    (directory / "temporary").mkdir()
    environment = {"NO_PROXY": "127.0.0.1", **_s3_server.variables, "TMPDIR": str(directory / "temporary")}
    with request.param(directory, 2, environment, 120.0) as made:
        yield made


def every(*engines, fixture="cluster"):
    return pytest.mark.parametrize(fixture, engines, indirect=True)


@pytest.fixture
def shards(tmp_path) -> list[Shard]:
    return write_plan([ImageSource(str(number)) for number in range(60)], str(tmp_path / "shards"), 12, "rows.txt")


def complete(shards, work, engine: Engine) -> None:
    complete_shards(shards, work, engine, lambda fraction, message: None)


def kill_in_the_middle(shards: list[Shard], kill: Callable[[], None]) -> threading.Thread:
    """Kills a process as soon as one of the shards is there."""

    def wait_and_kill() -> None:
        wait_until(lambda: any(storage.exists(shard.receipt_path) for shard in shards), 300)
        kill()

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


def extract(images: list[ImageSource], directory: Path, engine: Engine) -> bytes:
    options = ExtractionOptions(
        BackboneSpec("vgg16/block5_pool", "random:0", 32), "squash", "float32", "toys", batch_size=4, decode_threads=1
    )
    directory.mkdir(exist_ok=True)
    extract_features(images, directory, options, Sharding(engine, SHARDS, str(directory / "shards")), 1.0)
    return (directory / "features.h5").read_bytes() + (directory / "rejects.jsonl").read_bytes()


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[ImageSource]:
    """36 images: one is truncated, one is no image, and one is missing."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("images")
    paths = [root / f"{number:02d}.png" for number in range(36)]
    for path in paths[:35]:
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    paths[8].write_bytes(paths[8].read_bytes()[:900])
    paths[20].write_bytes(b"not an image")
    return [ImageSource(path.stem, str(path)) for path in paths]


@pytest.fixture(scope="module")
def expected_features(images, tmp_path_factory) -> bytes:
    """What one process computes."""
    return extract(images, tmp_path_factory.mktemp("features"), LOCAL)


@every(processes, dask, spark, prism)
def test_features_are_the_same_bytes_though_a_worker_is_killed(cluster, images, expected_features, tmp_path):
    shards = plan_shards(len(images), str(tmp_path / "there" / "shards"), SHARDS, "features.h5")
    killer = kill_in_the_middle(shards, cluster.kill_worker)
    try:
        found = extract(images, tmp_path / "there", cluster.engine)
    except RunnerError as error:  # Beam's local runner does not replace a process
        assert "A process of Beam's local runner ended too early" in str(error)
        found = extract(images, tmp_path / "there", cluster.engine)
    assert not killer.is_alive()
    assert found == expected_features


def caption_and_rerank(root: Path, directory: Path, engine: Engine, shared: str = "") -> list[bytes]:
    """Generates captions of the images of `root`, and reranks them by each other."""

    def sharding(stage: str) -> Sharding:
        return Sharding(engine, 4, f"{shared or directory}/{stage}/shards", shared and f"{shared}/inputs")

    job = GenerationJob(
        (root / "model",), root / "features", BeamStrategy(4, 6, DEFAULT_CONSTRAINTS, PLAIN), batch_size=3
    )
    image_ids = [f"image{number}" for number in range(14)]
    captions, reranked = directory / "captions", directory / "reranked"
    generate_captions(job, image_ids, captions, sharding("captions"))
    write_search(captions, SearchSetting("n-best", 4))
    reranking = RerankingJob(captions, root / "tokens", None, RerankingSetting("bleu"))
    rerank_split(reranking, reranked, sharding("reranked"))
    return [path.read_bytes() for path in sorted(directory.glob("*/*.jsonl"))]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    """A directory with a model, features of 14 images, and tokenized captions."""
    root = tmp_path_factory.mktemp("artifacts")
    write_model(root / "model")
    write_images(root / "features", 14)
    tokens = [["a", "dog", "runs"], ["a", "cat", "sits", "on", "the", "mat"]]
    write_json_lines(root / "tokens" / "tokens.jsonl", [{"image_id": "0", "split": "train", "tokens": tokens}])
    return root


@pytest.fixture(scope="module")
def expected_captions(artifacts) -> list[bytes]:
    """The files that one process computes."""
    expected = caption_and_rerank(artifacts, artifacts / "local", LOCAL)
    assert len(expected) == 3
    return expected


@every(processes, dask, prism)
def test_captions_and_reranking_are_the_same_bytes(cluster, artifacts, expected_captions, tmp_path):
    assert caption_and_rerank(artifacts, tmp_path, cluster.engine) == expected_captions


@every(dask, spark, prism)
def test_captions_and_reranking_need_no_common_disk(cluster, artifacts, expected_captions, new_bucket, monkeypatch):
    """Workers reach a store only, and one of them is killed."""
    shared = new_bucket("s3")
    monkeypatch.chdir(artifacts)
    here = Path("/proc/self/cwd")  # workers have another one
    shards = plan_shards(14, f"{shared}/captions/shards", 4, "hypotheses.jsonl", 3)
    killer = kill_in_the_middle(shards, cluster.kill_worker)
    found = caption_and_rerank(here, here / type(cluster).__name__, cluster.engine, shared)
    killer.join()
    assert found == expected_captions
    (cache,) = (cluster.directory / "temporary").glob("m-rnn-inputs-*")
    copies = {file.name for file in cache.glob("*/*") if file.parent.name != ".partial"}
    assert copies == {*MODEL_FILES, "hypotheses.jsonl", "tokens.jsonl"}


@every(processes, dask, spark, prism)
def test_engine_quotes_errors_of_workers(cluster, shards):
    with pytest.raises(RunnerError, match=r"failed \(.*a passing fault.*\); check \[engine\]"):
        complete(shards[:2], fail, cluster.engine)


@every(processes)
def test_engine_raises_typed_errors_of_workers(cluster, shards):
    with pytest.raises(InputError, match=r"^/nowhere/model\.bin cannot be read \(No such file or directory\)"):
        complete(shards, partial(copy_model, model="/nowhere/model.bin"), cluster.engine)


@every(dask, spark, fixture="make_cluster")
def test_cluster_without_workers_is_given_up(make_cluster, shards):
    with make_cluster(workers=0, timeout=3) as cluster:
        started = time.monotonic()
        with pytest.raises(
            RunnerError, match=r"has (had no worker|run no task) for 3 s; start some .*Complete shards are kept"
        ):
            complete(shards, write_slowly, cluster.engine)
        assert time.monotonic() - started < 120


@every(dask, spark, prism, fixture="make_cluster")
def test_worker_with_another_version_is_named(make_cluster, shards, tmp_path):
    old = tmp_path / "old" / "numpy-1.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    path = f"{old.parent}{os.pathsep}{Path.cwd()}"
    with (
        make_cluster(environment={"PYTHONPATH": path}) as cluster,
        pytest.raises(RunnerError, match=r"^The worker on \S+ has numpy 1\.0, the driver has \S+; give all workers"),
    ):
        complete(shards[:2], write_slowly, cluster.engine)


@every(dask, spark, prism, fixture="make_cluster")
def test_scheduler_that_is_killed_ends_the_run_and_the_next_one_resumes(make_cluster, shards, tmp_path):
    with make_cluster(timeout=20) as cluster:
        killer = kill_in_the_middle(shards, cluster.kill_scheduler)
        with pytest.raises(RunnerError, match=r".+ Complete shards are kept"):
            complete(shards, write_slowly, cluster.engine)
        killer.join()
    done = {shard.path: Path(shard.path).stat().st_mtime_ns for shard in shards if is_shard_complete(shard)}
    assert done
    complete(shards, write_slowly, LOCAL)
    assert all(is_shard_complete(shard) for shard in shards)
    assert {path: Path(path).stat().st_mtime_ns for path in done} == done


@every(dask, spark, prism, fixture="make_cluster")
def test_store_that_workers_cannot_use_is_named(make_cluster, new_bucket, _s3_server):
    bucket = new_bucket("s3")
    environment = {"NO_PROXY": "127.0.0.1", **_s3_server.variables, "AWS_SECRET_ACCESS_KEY": "wrong"}
    shards = write_plan([ImageSource("a")], f"{bucket}/shards", 1, "rows.txt")
    with (
        make_cluster(environment=environment) as cluster,
        pytest.raises(
            (RunnerError, StorageAccessError), match=rf"{bucket}/shards/\S+ cannot be used with these credentials"
        ),
    ):
        complete(shards, write_slowly, cluster.engine)
