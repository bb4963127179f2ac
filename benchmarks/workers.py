"""One process with all cores against a process a core; and what a run costs beside its images: the cost model."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.photographs import make_photographs
from benchmarks.timing import seconds
from model.backbones.images import cut_crops
from model.backbones.spec import BackboneSpec
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.features.extract_features import ExtractionOptions, extract_features
from pipelines.features.images import read_image

IMAGES = 256
COCO = 123_287


def run() -> None:
    """Time extraction in fresh processes, start included; from two sizes follow seconds = start + images / rate."""
    _time_decoding()
    cores = BeamEngine().cores_per_process()
    for processes in range(1, cores + 1):
        for shards in (1, 4, 16):
            if shards < processes:
                continue
            small, large = (_measure(images, processes, shards) for images in (IMAGES // 4, IMAGES))
            rate = (IMAGES - IMAGES // 4) / (large - small)
            start = small - IMAGES / 4 / rate
            print(
                f"workers: {processes} of {cores // processes} cores, {shards} shards: {IMAGES / large:.2f} images/s "
                f"with start, {rate:.2f} without; start {start:.0f} s; COCO center {COCO / rate / 3600:.1f} h, "
                f"ten crops {10 * COCO / rate / 3600:.1f} h",
                flush=True,
            )


def _time_decoding() -> None:
    """Print the decoding rate of one core."""
    with tempfile.TemporaryDirectory() as name:
        sources = make_photographs(Path(name), 64)
        for crop in ("center", "ten_crop"):
            took = seconds(lambda: [cut_crops(read_image(source)[0], 224, crop) for source in sources], repeats=3)  # noqa: B023
            print(f"workers: reading and decoding, {crop}: {len(sources) / took:.0f} images/s a core", flush=True)


def _measure(images: int, processes: int, shards: int) -> float:
    command = [sys.executable, "-m", "benchmarks.workers", str(images), str(processes), str(shards)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


def _extract(images: int, processes: int, shards: int) -> float:
    several = ("--direct_running_mode=multi_processing", f"--direct_num_workers={processes}")
    engine = BeamEngine(options=several if processes > 1 else ())
    cores = engine.cores_per_process()
    spec = BackboneSpec("vgg16/fc2", "random:0")
    options = ExtractionOptions(spec, "center", "float16", "benchmark", 32, cores, cores)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        sources = make_photographs(root, images)
        sharding = Sharding(engine, shards, str(root / "shards"))
        return seconds(lambda: extract_features(sources, root, options, sharding, 1.0))


if __name__ == "__main__":
    print(_extract(*map(int, sys.argv[1:])))
