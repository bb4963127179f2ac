"""Merging 200,000 rows of 4096 float16 from 64 shards: rate against the disk's, and memory."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_run
from benchmarks.timing import Cost, Rounds, cost, per_unit, print_head, print_row
from pipelines.engines.shards import ImageSource, plan_shards, write_plan
from pipelines.features.images import ShardCounts
from pipelines.features.shards import ShardResult, join_shards, write_result
from schemas.features import FeatureDescription

ROWS, DIMENSION, SHARDS = 200_000, 4096, 64
DESCRIPTION = FeatureDescription("benchmark", "none", "0" * 64, "benchmark")


def run() -> None:
    """Make the shards, then merge them in processes of their own, whose memory is the driver's."""
    with tempfile.TemporaryDirectory() as name:
        shards = write_plan(sources(), name, SHARDS, "features.h5")
        random = np.random.default_rng(0)
        for shard in shards:
            rows = random.random((shard.count, DIMENSION), np.float32).astype(np.float16)
            ids = [image.image_id for image in shard.read_images()]
            write_result(shard, ShardResult(DESCRIPTION, ids, rows, [], ShardCounts(len(ids))))
        size, peaks = ROWS * DIMENSION * 2, []

        def merge() -> Cost:
            command = [sys.executable, "-m", "benchmarks.merging", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            (Path(name) / "merged.h5").unlink()
            *taken, peak = map(float, done.stdout.split())
            peaks.append(peak)
            return Cost(*taken).times(1e6 / size)

        print(describe_run("python -m benchmarks merging"))
        print_head("merging", "reading and writing as much", "ratio")
        rounds = Rounds({"merge": merge, "copy": per_unit(lambda: _copy(Path(name)), size / 1e6)})
        print_row(*(f"{rounds.rate(way):.0f} MB/s" for way in ("merge", "copy")), rounds.ratio("merge", "copy"))
        print(f"\nPeak memory {max(peaks) / 2**20:.2f} GiB", flush=True)


def sources() -> list[ImageSource]:
    """The images that nobody has."""
    return [ImageSource(f"image-{number:06d}", "") for number in range(ROWS)]


def _copy(directory: Path) -> None:
    """All shards, read and written in blocks to one file, and synced."""
    with open(directory / "copy", "wb") as target:
        for path in sorted(directory.glob("*.h5")):
            with open(path, "rb") as source:
                while block := source.read(1 << 24):
                    target.write(block)
        target.flush()
        os.fsync(target.fileno())
    (directory / "copy").unlink()


if __name__ == "__main__":
    planned = plan_shards(ROWS, sys.argv[1], SHARDS, "features.h5")
    taken = cost(lambda: join_shards(planned, Path(sys.argv[1]) / "merged.h5", merge=True))
    print(*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
