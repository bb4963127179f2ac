"""Image features on Beam: shards of images in, shard files out; the driver verifies and merges them."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.backbones.spec import BackboneSpec
from pipelines.beam.runner import BeamRunner, complete_shards
from pipelines.beam.shards import ImageSource, Shard, incomplete_shards, invalidate_shard, write_plan, write_shard
from pipelines.features.images import ShardCounts, read_ahead, read_image
from pipelines.features.shards import ShardResult, encode_shard, merge_shards, read_rejects_of
from schemas.errors import ArtifactError, InputError
from schemas.features import Reject, write_rejects


@dataclass(frozen=True)
class ExtractionOptions:
    """How to extract.

    crop: one of `model.backbones.images.CROPS`; dtype: on disk, `float16` or `float32`; dataset: name of the dataset;
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
    images: Collection[ImageSource],
    directory: Path,
    shards_directory: str,
    shard_count: int,
    options: ExtractionOptions,
    engine: BeamRunner,
    max_reject_fraction: float,
    progress: Callable[[float, str], None],
) -> ShardCounts:
    """Extract the features of all images into `features.h5` and `rejects.jsonl`; return the summed counts.

    Complete shards are kept, unless an image that they rejected has become readable. Only workers load the network.

    Raises:
        ArtifactError: Shards are missing although the runner succeeded, are of different networks, or of a worker that
            cannot see the images.
        InputError: More than `max_reject_fraction` of the images or the weights are unreadable, or there are no images.
        ConfigurationError: There is no such runner, backbone or layer.
        RunnerError: The runner is unreachable or fails; completed shards are kept.
    """
    if not images:
        raise InputError(f"There are no images to extract features of ({options.dataset}); check the annotations.")
    shards = write_plan(images, shards_directory, shard_count, "features.h5")
    for stages in (("read", "decode"), ("read",)):  # again for images that one worker cannot see and another may
        missing = set(incomplete_shards(shards))
        for shard in shards:
            if shard not in missing and _can_be_read_now(shard, stages):
                invalidate_shard(shard)
        complete_shards(shards, partial(extract_shard, options=options), engine, progress)
    for shard in shards:
        if image := _can_be_read_now(shard, ("read",)):
            raise ArtifactError(
                f"A worker could not read {image.path}, which the driver can; give all workers the same files."
            )
    progress(1.0, f"merging {len(shards)} shards")
    rejects, counts = merge_shards(shards, directory / "features.h5")
    write_rejects(directory, rejects)
    if len(rejects) > max_reject_fraction * len(images):
        first = rejects[0]
        raise InputError(
            f"{len(rejects)} of {len(images)} images could not be read (image {first.image_id}: {first.error}), "
            f"more than max_reject_fraction allows; fix those in {directory / 'rejects.jsonl'}, or raise it."
        )
    return counts


def extract_shard(shard: Shard, options: ExtractionOptions) -> None:
    """Write the features of one shard; every image has either features or a reject."""
    # Only workers load TensorFlow.
    from pipelines.features.extractor import FeatureExtractor

    network = FeatureExtractor(options.backbone, options.crop, options.dtype, options.inference_threads)
    images = shard.read_images()
    counts = ShardCounts(images=shard.count)
    image_ids: list[str] = []
    rejects: list[Reject] = []
    blocks = [np.empty((0, network.dimension), options.dtype)]
    pixels: list[np.ndarray] = []  # the crops of each image in the batch

    def run_batch() -> None:
        started = time.monotonic()
        blocks.append(network.features(pixels))
        counts.inference_seconds += time.monotonic() - started
        counts.batches += 1
        counts.batch_places += options.batch_size
        pixels.clear()

    waiting = time.monotonic()
    for image, outcome in read_ahead(
        images, network.input_size, options.crop, options.decode_threads, 2 * options.batch_size, counts
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
    """Return whether an image that was rejected in one of `stages` is readable now."""
    rejected = {reject.image_id for reject in read_rejects_of(shard) if reject.stage in stages}
    for image in shard.read_images() if rejected else ():
        if image.image_id in rejected:
            try:
                read_image(image)
            except (OSError, InputError):
                continue
            return image
    return None
