"""Image features on Beam: one straight line, shards in, shard files out; the driver verifies and merges them."""

import importlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from model.backbones import Backbone, BackboneSpec, load_backbone
from model.images import cut_crops, decode_image
from pipelines.shards import (
    ImageSource,
    Shard,
    ShardCounts,
    ShardResult,
    forget_shards,
    merge_shards,
    plan_shards,
    read_counts,
    write_shard,
)
from schemas.errors import ArtifactError, ConfigurationError, InputError, RunnerError
from schemas.features import FeatureDescription, Reject, write_rejects

ATTEMPTS = 3  # runs of the pipeline before shards that still do not verify are an error


@dataclass(frozen=True)
class ExtractionOptions:
    """How to extract.

    crop: one of `model.images.CROPS`; dtype: on disk, `float16` or `float32`; batch_size: images at a time;
    decode_threads: threads that read and decode ahead of the network.
    """

    backbone: BackboneSpec
    crop: str
    dtype: str
    batch_size: int
    decode_threads: int


@dataclass(frozen=True)
class Engine:
    """Where the pipeline runs: a runner's class path, its options, and the hints of the one ParDo.

    Hints are Beam resource hints such as `min_ram="4GB"` or `accelerator="type:nvidia-tesla-t4;count:1"`.
    """

    runner: str
    options: tuple[str, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()

    def pipeline(self) -> beam.Pipeline:
        """A new pipeline on this engine; its options are these alone, whatever the command line says."""
        module, _, name = self.runner.rpartition(".")
        try:
            runner = getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(f"Beam has no runner {self.runner!r} ({error}); set [beam] runner.") from error
        return beam.Pipeline(runner=runner, options=PipelineOptions(list(self.options)))


class WorkOnShard(beam.DoFn):
    """Shard -> its file. What it yields, the shard's path, carries no data: the driver looks at the files."""

    def __init__(self, options: ExtractionOptions):
        """Only configuration is kept here; the network is loaded where the work is done, once a process."""
        self.options = options

    def process(self, shard: Shard) -> Iterator[str]:
        """Reads and decodes ahead in threads, runs full batches through the network, writes the file."""
        write_shard(shard, extract_shard(shard, load_backbone(self.options.backbone), self.options))
        yield shard.path


def extraction(
    pipeline: beam.Pipeline, shards: Sequence[Shard], options: ExtractionOptions, hints: Iterable[tuple[str, str]] = ()
) -> beam.PCollection:
    """The pipeline: `Create | Reshuffle | ParDo`; gives the paths of the shards done."""
    work = beam.ParDo(WorkOnShard(options)).with_resource_hints(**dict(hints))
    return pipeline | "Shards" >> beam.Create(list(shards)) | beam.Reshuffle() | "WorkOnShard" >> work


def extract_shard(shard: Shard, backbone: Backbone, options: ExtractionOptions) -> ShardResult:
    """Features of one shard. Every image ends up either among the features or among the rejects."""
    counts = ShardCounts(images=len(shard.images))
    result = ShardResult([], np.empty((0, backbone.dimension), options.dtype), [], counts)
    blocks: list[np.ndarray] = []
    pixels: list[np.ndarray] = []  # of each image in the batch its crops

    def run_batch() -> None:
        started = time.monotonic()
        of_crops = backbone.features(np.concatenate(pixels))
        block = of_crops.reshape(len(pixels), -1, backbone.dimension).mean(axis=1).astype(options.dtype)
        counts.inference_seconds += time.monotonic() - started
        counts.batches += 1
        counts.batch_places += options.batch_size
        blocks.append(block)
        pixels.clear()

    waiting = time.monotonic()
    for image, outcome in _read_ahead(shard.images, options, counts):
        counts.wait_seconds += time.monotonic() - waiting
        if isinstance(outcome, Reject):
            result.rejects.append(outcome)
        else:
            result.image_ids.append(image.image_id)
            pixels.append(outcome)
            if len(pixels) == options.batch_size:
                run_batch()
        waiting = time.monotonic()
    if pixels:
        run_batch()
    counts.rejected = len(result.rejects)
    if blocks:
        result.features = np.concatenate(blocks)
    return result


def extract_features(
    images: Sequence[ImageSource],
    directory: Path,
    shards_directory: str,
    shard_count: int,
    options: ExtractionOptions,
    engine: Engine,
    dataset: str,
    max_reject_fraction: float,
    progress: Callable[[float, str], None],
) -> ShardCounts:
    """Extracts the features of all images into `features.h5` and `rejects.jsonl` in `directory`; returns summed counts.

    Shards that are there and verify are kept. The runner is not trusted: what it left undone, or damaged, is done again
    up to `ATTEMPTS` times.

    Raises:
        ArtifactError: shards are still missing after that.
        InputError: more than `max_reject_fraction` of the images cannot be read; they are looked at again next time.
        ConfigurationError: no such runner, backbone or layer.
        RunnerError: the runner cannot be reached or gives up; shards that are done are kept.
    """
    backbone = load_backbone(options.backbone)
    shards = plan_shards(images, shards_directory, shard_count)
    for _ in range(ATTEMPTS):
        missing = [shard for shard in shards if read_counts(shard) is None]
        if not missing:
            break
        pipeline = engine.pipeline()
        extraction(pipeline, missing, options, engine.hints)
        try:
            with _watch(shards, progress):
                pipeline.run().wait_until_finish()
        except Exception as error:  # runners raise what they like
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise RunnerError(
                f"The Beam runner {engine.runner} failed ({reason}); check [beam] runner and options. Shards that are "
                "done are kept."
            ) from error
    counts = [read_counts(shard) for shard in shards]
    lost = [shard.path for shard, count in zip(shards, counts, strict=True) if count is None]
    if lost:
        raise ArtifactError(f"Shard {lost[0]} (of {len(lost)}) is not there after {ATTEMPTS} runs; see the log above.")
    description = FeatureDescription(
        kind=options.backbone.kind,
        preprocessing=f"{options.crop} crop to {options.backbone.input_size}, {backbone.preprocessing}",
        weights_digest=backbone.weights_digest,
        dataset=dataset,
    )
    progress(1.0, f"merging {len(shards)} shards")
    rejects = merge_shards(shards, [image.image_id for image in images], directory / "features.h5", description)
    write_rejects(directory, rejects)
    if len(rejects) > max_reject_fraction * len(images):
        forget_shards([shard for shard, count in zip(shards, counts, strict=True) if count and count.rejected])
        first = rejects[0]
        raise InputError(
            f"{len(rejects)} of {len(images)} images could not be read (image {first.image_id}: {first.error}), "
            f"more than max_reject_fraction allows; mend those that {directory / 'rejects.jsonl'} lists, or raise it."
        )
    totals = {field.name: sum(getattr(count, field.name) for count in counts) for field in fields(ShardCounts)}
    return ShardCounts(**totals)


def _read_ahead(
    images: Sequence[ImageSource], options: ExtractionOptions, counts: ShardCounts
) -> Iterator[tuple[ImageSource, np.ndarray | Reject]]:
    """Decoded images in order, two batches ahead of the reader at most."""
    lock = threading.Lock()

    def read(image: ImageSource) -> np.ndarray | Reject:
        started, size = time.monotonic(), 0
        try:
            with FileSystems.open(image.path) as stream:
                data = stream.read()
            size = len(data)
            return cut_crops(decode_image(data), options.backbone.input_size, options.crop)
        except OSError as error:
            return Reject(image.image_id, "read", " ".join(str(error).split()))
        except InputError as error:
            return Reject(image.image_id, "decode", str(error))
        finally:
            with lock:
                counts.decode_seconds += time.monotonic() - started
                counts.bytes_read += size

    with ThreadPoolExecutor(options.decode_threads) as pool:
        ahead: deque[tuple[ImageSource, Future[np.ndarray | Reject]]] = deque()
        for image in images:
            ahead.append((image, pool.submit(read, image)))
            if len(ahead) > 2 * options.batch_size:
                first, future = ahead.popleft()
                yield first, future.result()
        for first, future in ahead:
            yield first, future.result()


class _watch:  # noqa: N801  (used like a function, in a with statement)
    """Reports, from a thread, how many images lie in finished shards, while the pipeline runs."""

    def __init__(self, shards: Sequence[Shard], progress: Callable[[float, str], None]):
        self._shards, self._progress = shards, progress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _report(self) -> None:
        total = sum(len(shard.images) for shard in self._shards)
        started, at_start = time.monotonic(), None
        while not self._stop.wait(2.0):
            done = sum(len(shard.images) for shard in self._shards if FileSystems.exists(shard.digest_path))
            at_start = done if at_start is None else at_start
            rate = (done - at_start) / (time.monotonic() - started)
            self._progress(done / total, f"{done} of {total} images, {rate:.1f} images/s")
