"""Feature files of shards, and their merge into the features artifact."""

import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import h5py
import numpy as np
from apache_beam.io.filesystems import FileSystems

from pipelines.beam.shards import Shard
from pipelines.features.images import ShardCounts
from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, Reject, create_features
from schemas.io.hdf5 import SCHEMA_VERSION, read_strings, write_strings

BLOCK_BYTES = 1 << 25  # bytes of rows that are gathered from all shards at a time


@dataclass
class ShardResult:
    """Features (n, D) float16 or float32 of the readable images, in the shard's order, and the rejects."""

    description: FeatureDescription
    image_ids: list[str]
    features: np.ndarray
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
    with FileSystems.open(shard.path) as stream, h5py.File(stream, "r") as file:
        return _rejects(file)


def merge_shards(shards: Sequence[Shard], image_ids: Sequence[str], path: Path) -> tuple[list[Reject], ShardCounts]:
    """Merge complete shards into one features artifact with rows in the order of `image_ids`.

    Memory is bounded by a block of rows: shards have the same order, and are read sequentially.

    Returns:
        The rejects, in the same order, and the summed counts.

    Raises:
        ArtifactError: An image is neither in a shard nor rejected, its features are not finite, or shards are of
            different networks.
    """
    with ExitStack() as stack:
        streams = [stack.enter_context(FileSystems.open(shard.path)) for shard in shards]
        files = [stack.enter_context(h5py.File(stream, "r")) for stream in streams]
        description = _common_description(shards, files)
        rejects = [reject for file in files for reject in _rejects(file)]
        place = {
            image_id: (shard, row)
            for shard, file in enumerate(files)
            for row, image_id in enumerate(read_strings(file["image_ids"]))
        }
        lost = sorted(set(image_ids) - set(place) - {reject.image_id for reject in rejects})
        if lost:
            raise ArtifactError(f"Image {lost[0]} (of {len(lost)}) is in no shard below {path.parent}; extract again.")
        kept = [image_id for image_id in image_ids if image_id in place]
        if not kept:
            raise ArtifactError(f"No image could be read; the first reason was: {rejects[0].error}.")
        sample = files[place[kept[0]][0]]["features"]
        with create_features(
            path, kept, sample.shape[1], str(sample.dtype), description, rejected=len(rejects)
        ) as merged:
            step = max(1, BLOCK_BYTES // (sample.shape[1] * sample.dtype.itemsize))
            for start in range(0, len(kept), step):
                rows = _gather([place[image_id] for image_id in kept[start : start + step]], files, sample)
                _check_finite(rows, kept[start : start + step])
                merged[start : start + len(rows)] = rows
        order = {image_id: number for number, image_id in enumerate(image_ids)}
        return sorted(rejects, key=lambda reject: order[reject.image_id]), _summed_counts(files)


def _common_description(shards: Sequence[Shard], files: Sequence[h5py.File]) -> FeatureDescription:
    first, *others = [
        FeatureDescription(**{name.name: str(file.attrs[name.name]) for name in fields(FeatureDescription)})
        for file in files
    ]
    for shard, other in zip(shards[1:], others, strict=True):
        if other != first:
            raise ArtifactError(
                f"{shard.path} was made by {other} but {shards[0].path} by {first}; give all workers the same network "
                "and versions, and remove the shards that are wrong."
            )
    return first


def _rejects(file: h5py.File) -> list[Reject]:
    return [Reject(**json.loads(line)) for line in read_strings(file["rejects"])]


def _summed_counts(files: Sequence[h5py.File]) -> ShardCounts:
    return ShardCounts(
        **{each.name: sum(file.attrs[each.name].item() for file in files) for each in fields(ShardCounts)}
    )


def _gather(places: Sequence[tuple[int, int]], files: Sequence[h5py.File], sample: h5py.Dataset) -> np.ndarray:
    """Return the rows (len(places), D) at (shard, row), which are contiguous in each shard."""
    rows = np.empty((len(places), sample.shape[1]), sample.dtype)
    owner, row = np.array(places).T
    for shard in np.unique(owner):
        targets = np.flatnonzero(owner == shard)
        first, last = row[targets[0]], row[targets[-1]]
        rows[targets] = files[shard]["features"][first : last + 1]
    return rows


def _check_finite(rows: np.ndarray, image_ids: Sequence[str]) -> None:
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if broken.size:
        raise ArtifactError(
            f"The features of image {image_ids[broken[0]]} are not finite in {rows.dtype}; set dtype to float32, or "
            "take other weights."
        )
