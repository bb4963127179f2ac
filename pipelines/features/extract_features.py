"""Feature extraction: shards of images in, shard files out; the driver verifies and merges them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.backbones.spec import BackboneSpec
from pipelines import storage
from pipelines.engines.engine import Sharding, refuse_other_versions
from pipelines.engines.inputs import InputFiles
from pipelines.engines.shards import (
    MANIFEST,
    ImageSource,
    Receipt,
    Shard,
    incomplete_shards,
    invalidate_shard,
    is_shard_complete,
    shard_of,
    write_plan,
)
from pipelines.features.images import ShardCounts, read_ahead, read_image
from pipelines.features.shards import ShardResult, join_shards, read_facts, write_result
from schemas.errors import ArtifactError, InputError
from schemas.features import Reject, write_rejects
from schemas.io.files import canonical_json
from schemas.io.packages import versions

MERGE_LIMIT = 200_000  # images
PLAN = "extraction.json"  # options and versions, next to the manifests


@dataclass(frozen=True)
class ExtractionOptions:
    """Options of an extraction.

    Attributes:
        backbone: The backbone.
        crop: One of `model.backbones.images.CROPS`.
        dtype: Data type of the stored features, `float16` or `float32`.
        dataset: Name of the dataset.
        batch_size: Number of images per batch.
        decode_threads: Threads that read and decode images ahead of the network.
        inference_threads: Threads of the network on a CPU; 0 is TensorFlow's default.
    """

    backbone: BackboneSpec
    crop: str
    dtype: str
    dataset: str
    batch_size: int
    decode_threads: int
    inference_threads: int = 0


@dataclass(frozen=True)
class Plan:
    """Content of `PLAN`, by which processes of their own compute shards.

    Attributes:
        options: Backbone, crop and resources.
        network: Files of the network that workers load; None if its package has them.
        versions: Versions of the driver's packages.
    """

    options: ExtractionOptions
    network: InputFiles | None
    versions: dict[str, str]


def extract_features(
    images: Iterable[ImageSource],
    directory: Path,
    options: ExtractionOptions,
    sharding: Sharding,
    max_reject_fraction: float,
    *,
    total: int | None = None,
    merge_limit: int = MERGE_LIMIT,
) -> ShardCounts:
    """Extract the features of all images into `features.h5` and `rejects.jsonl`.

    Complete shards are kept, unless an image that they rejected has become readable. Only workers load the network.

    Args:
        images: All images.
        directory: Directory of the artifact.
        options: Backbone, crop and resources.
        sharding: Engine and shards.
        max_reject_fraction: Largest tolerated fraction of unreadable images.
        total: Number of images; needed if they are a stream.
        merge_limit: Largest number of images whose features are merged into one file. More stay in the files of the
            shards, and `features.h5` is their index.

    Returns:
        The summed counts of the shards.

    Raises:
        ArtifactError: Shards are missing although the engine succeeded, are of different networks, or of a worker that
            cannot see the images.
        InputError: More than `max_reject_fraction` of the images or the weights are unreadable, or there are no images.
        ConfigurationError: There is no such engine, backbone or layer.
        RunnerError: The engine is unreachable or fails; completed shards are kept.
    """
    if total is None:
        images = list(images)
        total = len(images)
    if not total:
        raise InputError(f"There are no images to extract features of ({options.dataset}); check the annotations.")
    shards = write_plan(images, sharding.directory, sharding.count, "features.h5", total=total)
    plan = Plan(options, _share_network(options.backbone, sharding), versions())
    storage.write(storage.join(sharding.directory, PLAN), canonical_json(asdict(plan)).encode("utf-8"))
    for stages in (("read", "decode"), ("read",)):  # again for images that one worker cannot see and another may
        missing = set(incomplete_shards(shards))
        for shard in shards:
            if shard not in missing and _can_be_read_now(shard, stages):
                invalidate_shard(shard)
        sharding.complete(shards, partial(extract_shard, options=options, network_files=plan.network))
    for shard in shards:
        if image := _can_be_read_now(shard, ("read",)):
            raise ArtifactError(
                f"A worker could not read {image.path}, which the driver can; give all workers the same "
                "files, or put the images on a store and set ExtractFeatures.images_at."
            )
    rejects, counts = join_shards(
        shards, directory / "features.h5", merge=total <= merge_limit, progress=sharding.progress
    )
    write_rejects(directory, rejects)
    if len(rejects) > max_reject_fraction * total:
        first = rejects[0]
        raise InputError(
            f"{len(rejects)} of {total} images could not be read (image {first.image_id}: {first.error}), "
            f"more than max_reject_fraction allows; fix those in {directory / 'rejects.jsonl'}, or raise it."
        )
    return counts


def extract_manifest(manifest_path: str, threads: int = 0) -> bool:
    """Extract the features of one shard as a process of its own, unless the shard is complete.

    Args:
        manifest_path: Path or URL of the manifest, which the driver has written.
        threads: Threads that decode images, and threads of the network on a CPU; 0 means those of the driver's plan.

    Returns:
        Whether the shard was computed.

    Raises:
        ArtifactError: The file is not a manifest, or there is no plan next to it.
        RunnerError: This process has other package versions than the driver.
        InputError: The weights are unreadable.
    """
    shard = shard_of(manifest_path)
    plan_path = storage.join(manifest_path.rpartition("/")[0] or ".", PLAN)
    try:
        plan = msgspec.json.decode(storage.read(plan_path), type=Plan)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise ArtifactError(f"Plan {plan_path} cannot be read ({error}); plan the shards again.") from error
    refuse_other_versions(plan.versions)
    if is_shard_complete(shard):
        return False
    options = plan.options
    if threads:
        options = replace(options, decode_threads=threads, inference_threads=threads)
    extract_shard(shard, options, plan.network)
    return True


def list_manifests(directory: str) -> list[str]:
    """Return the paths or URLs of all manifests in a directory, in the order of the images.

    Raises:
        ArtifactError: There are none.
    """
    found = [storage.join(directory, name) for name in storage.list_files(directory) if name.endswith(MANIFEST)]
    if not found:
        raise ArtifactError(f"There is no manifest in {directory}; plan the shards with the runner `manual`.")
    return sorted(found, key=lambda path: shard_of(path).first)


def extract_shard(shard: Shard, options: ExtractionOptions, network_files: InputFiles | None = None) -> Receipt:
    """Write the features of one shard; every image has either features or a reject.

    Args:
        shard: The shard.
        options: Backbone, crop and resources.
        network_files: Files of the network below one directory; None if its package has them.

    Returns:
        The receipt of the shard.
    """
    # Only workers load TensorFlow.
    from pipelines.features.extractor import FeatureExtractor

    spec = options.backbone.with_files_in(network_files.local()) if network_files else options.backbone
    network = FeatureExtractor(spec, options.crop, options.dtype, options.inference_threads)
    images = shard.read_images()
    counts = ShardCounts(images=shard.count)
    image_ids: list[str] = []
    rejects: list[Reject] = []
    blocks = [np.empty((0, network.dimension), options.dtype)]
    pixels: list[NDArray[np.uint8]] = []  # the crops of each image in the batch

    def run_batch() -> None:
        started = time.monotonic()
        blocks.append(network.features(pixels))
        counts.inference_seconds += time.monotonic() - started
        counts.batches += 1
        counts.batch_places += options.batch_size
        pixels.clear()

    waiting = time.monotonic()
    ahead = 2 * options.batch_size
    for image, outcome in read_ahead(images, network.cut, options.decode_threads, ahead, counts):
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
    return write_result(shard, ShardResult(description, image_ids, np.concatenate(blocks), rejects, counts))


def _share_network(spec: BackboneSpec, sharding: Sharding) -> InputFiles | None:
    path = spec.local_path
    if path is None or not path.exists():  # workers may have weights that the driver lacks
        return None
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    names = [each.relative_to(path.parent).as_posix() for each in files if each.is_file()]
    return sharding.share(path.parent, names)


def _can_be_read_now(shard: Shard, stages: Sequence[str]) -> ImageSource | None:
    """Return the first image that was rejected in one of `stages` and is readable now; None if there is none."""
    rejected = {reject.image_id for reject in read_facts(shard).rejects if reject.stage in stages}
    for image in shard.read_images() if rejected else ():
        if image.image_id in rejected:
            try:
                read_image(image)
            except (OSError, InputError):
                continue
            return image
    return None
