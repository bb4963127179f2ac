"""`mrnn extract-shard` as plain processes, as SLURM and Kubernetes start them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.backbones.spec import BackboneSpec
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.engines.manual import ManualEngine
from pipelines.engines.shards import ImageSource
from pipelines.features.extract_features import PLAN, ExtractionOptions, extract_features
from schemas.errors import RunnerError
from tests.support import warm_process

SPEC = BackboneSpec("vgg16/block5_pool", "random:0", 32)
OPTIONS = ExtractionOptions(SPEC, "squash", "float32", "toys", batch_size=4, decode_threads=1, inference_threads=1)
LOCAL = BeamEngine()


def extract(directory: Path, engine: BeamEngine) -> bytes:
    folder = directory.parent / "images"
    images = [ImageSource(path.stem, str(path)) for path in sorted(folder.iterdir())]
    directory.mkdir(exist_ok=True)
    extract_features(images, directory, OPTIONS, Sharding(engine, 3, str(directory / "shards")), 1.0)
    return (directory / "features.h5").read_bytes()


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A directory with the manifests of nine images in three shards."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(8):
        pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"")
    with pytest.raises(RunnerError, match=r"^3 shards remain; run `mrnn extract-shard --manifest` on"):
        extract(tmp_path / "manual", ManualEngine())
    return tmp_path / "manual" / "shards"


@pytest.mark.slow("starts TensorFlow in five processes")
def test_shards_of_plain_processes_give_the_same_bytes(planned, mrnn, tmp_path):
    first = str(planned / "features-0000000-0000002.h5.manifest.jsonl")
    for arguments, message in (
        (("--manifest", first, "--threads", "1"), "is complete"),
        (("--manifest", planned, "--index", "0"), "was complete already"),
        (("--manifest", planned, "--index", "1"), "is complete"),
        (("--manifest", planned, "--index", "2"), "is complete"),
    ):
        run = mrnn("extract-shard", *arguments)
        assert run.returncode == 0, run.stderr
        assert run.stdout.endswith(f"{message}.\n")
    # In a process of its own, where the number of threads can still be set.
    run = warm_process.run(extract, tmp_path / "local", LOCAL, directory=planned, environment=os.environ)
    assert run.returncode == 0, run.stderr
    assert extract(tmp_path / "manual", ManualEngine()) == (tmp_path / "local" / "features.h5").read_bytes()


def test_wrong_manifest_is_one_sentence(planned, mrnn):
    for arguments, message in (
        (("--manifest", planned / "features.h5"), "is not a manifest"),
        (("--manifest", planned, "--index", "3"), "has 3 manifests; --index is 0 to 2."),
        (("--manifest", planned.parent, "--index", "0"), "There is no manifest in"),
    ):
        run = mrnn("extract-shard", *arguments)
        assert run.returncode == 1
        assert message in run.stderr and "Traceback" not in run.stderr


def test_worker_with_other_versions_is_refused(planned, mrnn):
    plan = json.loads((planned / PLAN).read_text())
    plan["versions"]["numpy"] = "1.0"
    (planned / PLAN).write_text(json.dumps(plan))
    run = mrnn("extract-shard", "--manifest", planned, "--index", "0")
    assert run.returncode == 1
    assert "the driver has 1.0; give all workers the driver's versions" in run.stderr
