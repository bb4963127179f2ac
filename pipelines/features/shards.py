"""Feature files of shards, and their merge into the features artifact."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.engines.shards import Shard
from pipelines.features.images import ShardCounts
from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, Reject, create_features
from schemas.io.hdf5 import SCHEMA_VERSION, read_strings, write_strings


@dataclass
class ShardResult:
    """Result of a shard.

    Attributes:
        description: Origin of the features.
        image_ids: Ids of the n readable images, in the shard's order.
        features: Their features float16 or float32 (n, D).
        rejects: Images that could not be read.
        counts: Statistics.
    """

    description: FeatureDescription
    image_ids: list[str]
    features: NDArray[np.floating]
    rejects: list[Reject]
    counts: ShardCounts = field(default_factory=ShardCounts)


def encode_shard(result: ShardResult) -> bytes:
    """Return the content of the shard's file: HDF5 like the artifact, with counts and description as attributes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        for name, value in {**asdict(result.description), **asdict(result.counts)}.items():
            file.attrs[name] = value
        file.create_dataset("features", data=result.features)
        write_strings(file, "image_ids", result.image_ids)
        write_strings(file, "rejects", [json.dumps(asdict(reject)) for reject in result.rejects])
    return buffer.getvalue()


def read_rejects_of(shard: Shard) -> list[Reject]:
    """Return the rejects of a complete shard."""
    with h5py.File(io.BytesIO(storage.read(shard.path)), "r") as file:
        return _rejects(file)


def merge_shards(shards: Sequence[Shard], path: Path) -> tuple[list[Reject], ShardCounts]:
    """Merge complete shards into one features artifact with rows in the order of the shards and of their images.

    One shard is in memory at a time.

    Returns:
        The rejects in that order, and the summed counts.

    Raises:
        ArtifactError: An image is neither in its shard nor among the rejects, its features are not finite, or two
            shards were made by different networks.
    """
    image_ids: list[str] = []
    rejects: list[Reject] = []
    total = ShardCounts()
    first: ShardResult | None = None
    for shard in shards:
        result = _decode_shard(shard)
        first = first or replace(result, features=result.features[:0].copy())
        if result.description != first.description:
            raise ArtifactError(
                f"{shard.path} was made by {result.description} but {shards[0].path} by {first.description}; give all "
                "workers the same network and versions, and remove the shards that are wrong."
            )
        _check_images(shard, result)
        image_ids += result.image_ids
        rejects += result.rejects
        total = _sum(total, result.counts)
    if not image_ids:
        raise ArtifactError(f"No image could be read; the first reason was: {rejects[0].error}.")
    assert first is not None
    dimension, dtype = first.features.shape[1], str(first.features.dtype)
    with create_features(path, image_ids, dimension, dtype, first.description, rejected=len(rejects)) as merged:
        start = 0
        for shard in shards:
            result = _decode_shard(shard)
            _check_finite(result.features, result.image_ids)
            merged[start : start + len(result.features)] = result.features
            start += len(result.features)
    return rejects, total


def _decode_shard(shard: Shard) -> ShardResult:
    with h5py.File(io.BytesIO(storage.read(shard.path)), "r") as file:
        return ShardResult(
            FeatureDescription(**{each.name: str(file.attrs[each.name]) for each in fields(FeatureDescription)}),
            read_strings(file["image_ids"]),
            file["features"][:],
            _rejects(file),
            ShardCounts(**{each.name: file.attrs[each.name].item() for each in fields(ShardCounts)}),
        )


def _rejects(file: h5py.File) -> list[Reject]:
    return [Reject(**json.loads(line)) for line in read_strings(file["rejects"])]


def _check_images(shard: Shard, result: ShardResult) -> None:
    """Check that a shard has each of its images, in order, as a row or as a reject."""
    rejected = {reject.image_id for reject in result.rejects}
    expected = [image.image_id for image in shard.read_images() if image.image_id not in rejected]
    if result.image_ids != expected or len(expected) + len(rejected) != shard.count:
        raise ArtifactError(f"{shard.path} does not have the images that it should have; remove it and extract again.")


def _sum(counts: ShardCounts, others: ShardCounts) -> ShardCounts:
    return ShardCounts(
        **{each.name: getattr(counts, each.name) + getattr(others, each.name) for each in fields(ShardCounts)}
    )


def _check_finite(features: NDArray[np.floating], image_ids: Sequence[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if broken.size:
        raise ArtifactError(
            f"The features of image {image_ids[broken[0]]} are not finite in {features.dtype}; set dtype to float32, "
            "or take other weights."
        )
