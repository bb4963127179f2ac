"""Processor time of feature extraction per engine and store: driver, workers and services of the engine together.

The network is tiny and so are the images, so that what engine and store cost shows. Each run is a process of its own;
the difference of two runs with the same shards is the cost of the images, the rest is that of starting everything.
"""

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.photographs import make_photographs
from model.backbones.spec import BackboneSpec
from pipelines import storage
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Engine, Sharding
from pipelines.engines.manual import ManualEngine
from pipelines.engines.shards import ImageSource
from pipelines.features.extract_features import ExtractionOptions, extract_features
from schemas.errors import RunnerError
from tests.support.clusters import NO_JAVA, PRISM, dask_cluster, prism_cluster, spark_cluster
from tests.support.stores import s3_server

ENGINES = ("one-process", "processes", "dask", "spark", "prism", "manual")
STORES = ("disk", "s3")
WORKERS, SHARDS, FILES, SMALL, LARGE = 2, 4, 64, 64, 2_112
SPEC = BackboneSpec("keras:MobileNet", "random:0", 32)
_SUBREAPER = 36  # of prctl: processes whose parents end are then waited for here


def run() -> None:
    """Print the cost of starting and the cost per image of each engine on each store."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with s3_server() as server, tempfile.TemporaryDirectory() as name:
        os.environ.update({"CUDA_VISIBLE_DEVICES": "", "NO_PROXY": "127.0.0.1", **server.variables})
        sources = make_photographs(Path(name), FILES, (64, 48))
        for engine in ENGINES:
            if (engine == "spark" and NO_JAVA) or (engine == "prism" and not PRISM.exists()):
                print(f"engines: {engine} is not installed", flush=True)
                continue
            for store in STORES:
                place = name if store == "disk" else server.new_bucket()
                for source in sources if store == "s3" else ():
                    storage.upload(Path(source.path), storage.join(place, Path(source.path).name))
                small, large = (_processor_seconds(engine, place, images) for images in (SMALL, LARGE))
                per_image = (large - small) / (LARGE - SMALL)
                print(
                    f"engines: {engine}, {store}: {1e3 * per_image:.2f} ms per image, "
                    f"start {small - SMALL * per_image:.1f} s of processor time",
                    flush=True,
                )


def _processor_seconds(engine: str, place: str, images: int) -> float:
    """Extract features in a process of its own; return its processor time and that of all processes below it."""
    others = set(psutil.Process().children())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "benchmarks.engines", engine, place, name, str(images)]
        with open(Path(name) / "log", "wb") as log:
            done = subprocess.run(command, stdout=log, stderr=log)
        if done.returncode:
            raise RunnerError(f"{engine} failed: {(Path(name) / 'log').read_text()[-2000:]}")
        psutil.wait_procs(set(psutil.Process().children()) - others, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def _engine(name: str, directory: Path) -> Iterator[Engine]:
    if name == "manual":
        yield ManualEngine()
    elif name == "one-process":
        yield BeamEngine()
    elif name == "processes":
        yield BeamEngine(options=("--direct_running_mode=multi_processing", f"--direct_num_workers={WORKERS}"))
    else:
        clusters = {"dask": dask_cluster, "spark": spark_cluster, "prism": prism_cluster}
        with clusters[name](directory, WORKERS, {}, 120.0) as cluster:
            yield cluster.engine


def _extract(name: str, place: str, directory: str, images: int) -> None:
    names = [f"{number % FILES:06d}.jpg" for number in range(images)]
    sources = [ImageSource(f"{number:06d}", storage.join(place, each)) for number, each in enumerate(names)]
    options = ExtractionOptions(SPEC, "squash", "float16", "benchmark", 32, decode_threads=1, inference_threads=1)
    root = Path(directory) / "artifact"
    shards = storage.join(place if storage.is_address(place) else directory, f"shards-{images}")
    root.mkdir()
    with _engine(name, root) as engine:
        sharding = Sharding(engine, SHARDS, shards)
        try:
            extract_features(sources, root, options, sharding, 0.0)
        except RunnerError:
            if name != "manual":
                raise
            for index in range(SHARDS):
                command = ["-m", "tasks.cli", "extract-shard", "--manifest", shards, "--index", str(index)]
                subprocess.run([sys.executable, *command], check=True)
            extract_features(sources, root, options, sharding, 0.0)


if __name__ == "__main__":
    _extract(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
