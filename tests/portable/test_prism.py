"""Extraction through Beam's portable job service: Prism, and a pool of workers in a process of its own.

This is what Flink's and Spark's job servers speak too. `make test-portable` builds Prism from its Go module.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.backbones.spec import BackboneSpec
from pipelines.beam.runner import BeamRunner
from pipelines.beam.shards import ImageSource
from pipelines.features.extract_features import ExtractionOptions, extract_features
from tests.support.faults.runs import wait_until
from tests.support.ports import free_port, listens

pytestmark = pytest.mark.portable

OPTIONS = ExtractionOptions(
    BackboneSpec("vgg16/block5_pool", "random:0", 32), "squash", "float32", "toys", batch_size=4, decode_threads=1
)
LOCAL = BeamRunner("apache_beam.runners.portability.fn_api_runner.FnApiRunner")
PRISM = Path(sys.executable).with_name("prism")


@pytest.fixture
def portable(tmp_path) -> Iterator[BeamRunner]:
    """An engine of three processes: the job service, the pool of workers, and what drives them here."""
    job_port, pool_port = free_port(), free_port()
    service = [str(PRISM), f"--job_port={job_port}", "--serve_http=false"]
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"]
    # The pool starts its workers as `python`: that has to be this one.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "PATH": path}
    with open(tmp_path / "services.log", "w") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            for command in (service, pool)
        ]
    for port in (job_port, pool_port):
        wait_until(partial(listens, port), 60)
    yield BeamRunner(
        "apache_beam.runners.portability.portable_runner.PortableRunner",
        (
            f"--job_endpoint=127.0.0.1:{job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=127.0.0.1:{pool_port}",
        ),
    )
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_prism_gives_the_bytes_of_one_process(portable, tmp_path):
    random = np.random.default_rng(0)
    images = []
    for number in range(24):
        path = tmp_path / f"{number:02d}.png"
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
        images.append(ImageSource(path.stem, str(path)))
    (tmp_path / "broken.png").write_bytes(b"")
    images.insert(7, ImageSource("broken", str(tmp_path / "broken.png")))
    made = {}
    for name, engine in (("local", LOCAL), ("portable", portable)):
        directory = tmp_path / name
        directory.mkdir()
        counts = extract_features(
            images, directory, str(directory / "shards"), 5, OPTIONS, engine, 1.0, lambda fraction, message: None
        )
        assert (counts.images, counts.rejected) == (25, 1)
        made[name] = (directory / "features.h5").read_bytes()
    assert made["portable"] == made["local"]
