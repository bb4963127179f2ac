"""Ten million images without content: plan, engine with an empty function, index, verification."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import ProcessShard, complete_shards
from pipelines.engines.shards import ImageSource, Receipt, Shard, incomplete_shards, write_plan, write_shard
from pipelines.features.shards import join_shards
from schemas.features import FeatureFile

IMAGES, SHARDS = 10_000_000, 2_000
FACTS = {
    "description": {"kind": "none", "preprocessing": "none", "weights_digest": "0" * 64, "dataset": "benchmark"},
    "dimension": 4096,
    "dtype": "float16",
    "offset": 0,
    "rejects": [],
    "counts": {},
}
T = TypeVar("T")


def run() -> None:
    """Measure in a process of its own, whose memory is that of the driver."""
    subprocess.run([sys.executable, "-m", "benchmarks.planning"], check=True)


def _images() -> Iterator[ImageSource]:
    for number in range(IMAGES):
        yield ImageSource(f"{number:08d}", f"s3://bucket/images/{number:08d}.jpg")


def _write_nothing(shard: Shard) -> Receipt:
    return write_shard(shard, b"", FACTS)


def _measure(name: str, action: Callable[[], T]) -> T:
    started, before = time.monotonic(), os.times()
    result = action()
    after = os.times()
    processor = after.user + after.system - before.user - before.system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took = time.monotonic() - started
    print(f"planning: {name}: {took:.1f} s, {processor:.1f} s of processor time, peak {peak:.2f} GiB", flush=True)
    return result


def _main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        engine = BeamEngine()
        shards = _measure(
            f"manifests of {IMAGES:,} images in {SHARDS:,} shards",
            lambda: write_plan(_images(), str(root / "shards"), SHARDS, "features.h5", total=IMAGES),
        )
        graph = engine.build_pipeline(ProcessShard(_write_nothing), [shard.manifest_path for shard in shards])
        print(f"planning: graph of Beam: {graph.to_runner_api().ByteSize() / 1e3:.0f} kB", flush=True)
        _measure("Beam, empty function", lambda: complete_shards(shards, _write_nothing, engine, lambda *_: None))
        _measure("index", lambda: join_shards(shards, root / "features.h5", merge=False))
        _measure("shards are complete", lambda: incomplete_shards(shards))
        features = _measure("opening the index", lambda: FeatureFile(root / "features.h5"))
        assert "09999999" in features and len(features.features) == IMAGES
        files = sum(1 for path in root.rglob("*") if path.is_file())
        size = (root / "features.h5").stat().st_size / 1e6
        print(f"planning: {files:,} files; the index has {size:.0f} MB", flush=True)


if __name__ == "__main__":
    _main()
