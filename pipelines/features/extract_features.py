"""Image features on Beam: shards of images in, shard files out; the driver verifies and merges them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.backbones.spec import BackboneSpec
from pipelines.beam.runner import BeamRunner, complete_shards
from pipelines.beam.shards import Shard, invalidate_shard, is_shard_complete, plan_shards, write_shard
from pipelines.features.images import ImageSource, ShardCounts, read_ahead, read_image
from pipelines.features.shards import ShardResult, encode_shard, merge_shards, read_rejects_of
from schemas.errors import ArtifactError, InputError
from schemas.features import Reject, write_rejects


@dataclass(frozen=True)
class ExtractionOptions:
    """How to extract.

    crop: one of `model.backbones.images.CROPS`; dtype: on disk, `float16` or `float32`; dataset: name of the corpus;
    batch_size: images at a time; decode_threads: threads that read and decode ahead of the network;
    inference_threads: threads of
    the network on a CPU, 0 for as many as TensorFlow likes.
    """

    backbone: BackboneSpec
    crop: str
    dtype: str
    dataset: str
    batch_size: int
    decode_threads: int
    inference_threads: int = 0


def extract_features(
    images: Sequence[ImageSource],
    directory: Path,
    shards_directory: str,
    shard_count: int,
    options: ExtractionOptions,
    engine: BeamRunner,
    max_reject_fraction: float,
    progress: Callable[[float, str], None],
) -> ShardCounts:
    """Extracts the features of all images into `features.h5` and `rejects.jsonl` in `directory`; returns summed counts.

    Shards that are there and whole are kept, unless an image that they rejected can be read by now. The network is
    loaded where the work is done, never here.

    Raises:
        ArtifactError: shards are missing although the runner ended well, or were made by different networks, or by a
            worker that does not see the images.
        InputError: more than `max_reject_fraction` of the images cannot be read, or the weights cannot, or there are no
            images.
        ConfigurationError: no such runner, backbone or layer.
        RunnerError: the runner cannot be reached or gives up; shards that are done are kept.
    """
    if not images:
        raise InputError(f"There are no images to extract features of ({options.dataset}); check the annotations.")
    shards = plan_shards(images, shards_directory, shard_count, "features.h5")
    for stages in (("read", "decode"), ("read",)):  # a second time for what one worker did not see and another may
        for shard in shards:
            if is_shard_complete(shard) and _can_be_read_now(shard, stages):
                invalidate_shard(shard)
        complete_shards(shards, partial(extract_shard, options=options), engine, progress)
    for shard in shards:
        if image := _can_be_read_now(shard, ("read",)):
            raise ArtifactError(
                f"A worker could not read {image.path}, which the driver can; give all workers the same files."
            )
    progress(1.0, f"merging {len(shards)} shards")
    rejects, counts = merge_shards(shards, [image.image_id for image in images], directory / "features.h5")
    write_rejects(directory, rejects)
    if len(rejects) > max_reject_fraction * len(images):
        first = rejects[0]
        raise InputError(
            f"{len(rejects)} of {len(images)} images could not be read (image {first.image_id}: {first.error}), "
            f"more than max_reject_fraction allows; mend those that {directory / 'rejects.jsonl'} lists, or raise it."
        )
    return counts


def extract_shard(shard: Shard, options: ExtractionOptions) -> None:
    """Writes the features of one shard. Every image ends up either among the features or among the rejects."""
    # Only a worker computes: TensorFlow is loaded there, and in no driver.
    from pipelines.features.extractor import FeatureExtractor

    network = FeatureExtractor(options.backbone, options.crop, options.dtype, options.inference_threads)
    counts = ShardCounts(images=len(shard.items))
    image_ids: list[str] = []
    rejects: list[Reject] = []
    blocks = [np.empty((0, network.dimension), options.dtype)]
    pixels: list[np.ndarray] = []  # of each image in the batch its crops

    def run_batch() -> None:
        started = time.monotonic()
        blocks.append(network.features(pixels))
        counts.inference_seconds += time.monotonic() - started
        counts.batches += 1
        counts.batch_places += options.batch_size
        pixels.clear()

    waiting = time.monotonic()
    for image, outcome in read_ahead(
        shard.items, network.input_size, options.crop, options.decode_threads, 2 * options.batch_size, counts
    ):
        counts.wait_seconds += time.monotonic() - waiting
        if isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            image_ids.append(image.image_id)
            pixels.append(outcome)
            if len(pixels) == options.batch_size:
                run_batch()
        waiting = time.monotonic()
    if pixels:
        run_batch()
    counts.rejected = len(rejects)
    description = network.description(options.dataset)
    write_shard(shard, encode_shard(ShardResult(description, image_ids, np.concatenate(blocks), rejects, counts)))


def _can_be_read_now(shard: Shard, stages: Sequence[str]) -> ImageSource | None:
    """An image, rejected in one of `stages`, whose file was mended since, or which only the worker could not read."""
    rejected = {reject.image_id for reject in read_rejects_of(shard) if reject.stage in stages}
    for image in shard.items:
        if image.image_id in rejected:
            try:
                read_image(image)
            except (OSError, InputError):
                continue
            readable: ImageSource = image
            return readable
    return None
