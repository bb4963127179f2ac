"""Feature files of shards, and the features artifact that they are: merged into one file, or behind an index."""

import io
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.engines.shards import Receipt, Shard, read_receipt, read_shard, write_shard
from pipelines.features.images import ShardCounts
from schemas.errors import ArtifactError
from schemas.features import (
    SHARDS,
    FeatureDescription,
    FeatureShard,
    Reject,
    create_features,
    create_features_index,
)
from schemas.io.hdf5 import SCHEMA_VERSION, encode_strings, write_strings


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


@dataclass(frozen=True)
class ShardFacts:
    """Facts about the file of a shard from its receipt, which the driver uses without reading the file.

    Attributes:
        description: Origin of the features.
        dimension: D, the length of a feature vector.
        dtype: Data type of the features.
        offset: Position in the file of the feature matrix in bytes.
        rejects: Images without a row.
        counts: Statistics.
        sha256: Digest of the file, in hex.
        size: Size of the file in bytes.
    """

    description: FeatureDescription
    dimension: int
    dtype: str
    offset: int
    rejects: list[Reject]
    counts: ShardCounts
    sha256: str
    size: int


def write_result(shard: Shard, result: ShardResult) -> Receipt:
    """Write a shard's file, HDF5 like the artifact with the counts as attributes, and its receipt; return that.

    Raises:
        ArtifactError: A feature is not finite; names the image.
    """
    _check_finite(result.features, result.image_ids)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        for name, value in {**asdict(result.description), **asdict(result.counts)}.items():
            file.attrs[name] = value
        features = file.create_dataset("features", data=result.features)
        write_strings(file, "image_ids", result.image_ids)
        facts = {
            "description": asdict(result.description),
            "dimension": features.shape[1],
            "dtype": str(features.dtype),
            "offset": features.id.get_offset() or 0,  # HDF5 allocates no space for no rows
            "rejects": [asdict(reject) for reject in result.rejects],
            "counts": asdict(result.counts),
        }
    return write_shard(shard, buffer.getvalue(), facts)


def read_facts(shard: Shard) -> ShardFacts:
    """Return the facts of a complete shard.

    Raises:
        ArtifactError: Its receipt is not that of features.
    """
    try:
        return msgspec.convert(read_receipt(shard), ShardFacts)
    except msgspec.ValidationError as error:
        raise ArtifactError(f"{shard.receipt_path} is damaged ({error}); remove it and run again.") from error


def join_shards(
    shards: Sequence[Shard], path: Path, *, merge: bool, progress: Callable[[float, str], None] = lambda *_: None
) -> tuple[list[Reject], ShardCounts]:
    """Make one features artifact of complete shards, with rows in the order of the shards and of their images.

    One shard is in memory at a time.

    Args:
        shards: Complete shards.
        path: The artifact's `features.h5`.
        merge: Whether that file has all rows. Otherwise, it is an index, and the files of the shards are copied next
            to it (linked on the same file system) without being read.
        progress: Called with a fraction and a message.

    Returns:
        The rejects, and the summed counts.

    Raises:
        ArtifactError: An image is neither in its shard nor among the rejects, a shard is damaged, or two shards were
            made by different networks.
    """
    facts = [read_facts(shard) for shard in shards]
    first = facts[0]
    for shard, each in zip(shards, facts, strict=True):
        if each.description != first.description:
            raise ArtifactError(
                f"{shard.path} was made by {each.description} but {shards[0].path} by {first.description}; give all "
                "workers the same network and versions, and remove the shards that are wrong."
            )
    blocks = [_expected_ids(shard, each) for shard, each in zip(shards, facts, strict=True)]
    rejects = [reject for each in facts for reject in each.rejects]
    image_ids = np.concatenate(blocks)
    if not len(image_ids):
        raise ArtifactError(f"No image could be read; the first reason was: {rejects[0].error}.")
    if merge:
        shutil.rmtree(path.with_name(SHARDS), ignore_errors=True)  # of an interrupted run that did not merge
        with create_features(
            path, image_ids, first.dimension, first.dtype, first.description, rejected=len(rejects)
        ) as merged:
            start = 0
            for number, (shard, expected) in enumerate(zip(shards, blocks, strict=True)):
                progress(number / len(shards), f"merging {len(shards)} shards")
                rows = _read_rows(shard, expected)
                merged[start : start + len(rows)] = rows
                start += len(rows)
    else:
        _collect_files(shards, facts, path.with_name(SHARDS), progress)
        files = [
            FeatureShard(shard.path.rpartition("/")[2], len(block), each.offset, each.sha256)
            for shard, block, each in zip(shards, blocks, facts, strict=True)
        ]
        create_features_index(
            path, files, image_ids, first.dimension, first.dtype, first.description, rejected=len(rejects)
        )
    total = ShardCounts(
        **{each.name: sum(getattr(one.counts, each.name) for one in facts) for each in fields(ShardCounts)}
    )
    return rejects, total


def _expected_ids(shard: Shard, facts: ShardFacts) -> NDArray[np.bytes_]:
    """Return the ids of the rows that a shard has, as encoded strings (n,)."""
    rejected = {reject.image_id for reject in facts.rejects}
    expected = [image.image_id for image in shard.read_images() if image.image_id not in rejected]
    if len(expected) + len(rejected) != shard.count:
        raise ArtifactError(f"{shard.path} does not have the images that it should have; remove it and extract again.")
    return encode_strings(expected)


def _read_rows(shard: Shard, expected: NDArray[np.bytes_]) -> NDArray[np.floating]:
    """Read the rows of a shard, whose bytes and ids are compared with what they should be."""
    with h5py.File(io.BytesIO(read_shard(shard)), "r") as file:
        if not np.array_equal(file["image_ids"][()], expected):
            raise ArtifactError(
                f"{shard.path} does not have the images that it should have; remove it and extract again."
            )
        rows: NDArray[np.floating] = file["features"][:]
    return rows


def _collect_files(
    shards: Sequence[Shard], facts: Sequence[ShardFacts], directory: Path, progress: Callable[[float, str], None]
) -> None:
    """Link or copy the files of the shards to a directory, which then has no others."""
    directory.mkdir(exist_ok=True)
    names = {shard.path.rpartition("/")[2] for shard in shards}
    for other in directory.iterdir():  # of an interrupted run with another plan
        if other.name not in names:
            other.unlink()
    for number, (shard, each) in enumerate(zip(shards, facts, strict=True)):
        progress(number / len(shards), f"collecting {len(shards)} shards")
        target = directory / shard.path.rpartition("/")[2]
        if target.exists() and target.stat().st_size == each.size:
            continue
        target.unlink(missing_ok=True)
        if not storage.is_address(shard.path):
            with suppress(OSError):  # another file system
                os.link(shard.path, target)
        if not target.exists():
            storage.download(shard.path, target)
        if target.stat().st_size != each.size:
            raise ArtifactError(f"{shard.path} changed while it was copied; run the same command again.")


def _check_finite(features: NDArray[np.floating], image_ids: Sequence[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if broken.size:
        raise ArtifactError(
            f"The features of image {image_ids[broken[0]]} are not finite in {features.dtype}; set dtype to float32, "
            "or take other weights."
        )
