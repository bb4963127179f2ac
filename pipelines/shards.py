"""Shards: the unit of work, retry and resume. Planned by a stable hash, written whole, verified, merged in order."""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import numpy as np
from apache_beam.io.filesystems import FileSystems

from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, Reject, create_features
from schemas.hdf5 import create_hdf5, read_strings, write_strings


@dataclass(frozen=True)
class ImageSource:
    """An image and where its file lies: a local path or an address that Beam's filesystems know."""

    image_id: str
    path: str


@dataclass(frozen=True)
class Shard:
    """The images of one shard, and `path`, the address of its file."""

    path: str
    images: tuple[ImageSource, ...]

    @property
    def digest_path(self) -> str:
        """Where the digest and the counts of the shard's file are; written after the file itself."""
        return self.path.removesuffix(".h5") + ".json"


@dataclass
class ShardCounts:
    """What happened in a shard: images, rejects and bytes read; seconds of reading and decoding (summed over
    threads), waiting for pixels, and inference; batches and the share of their places that were filled."""

    images: int = 0
    rejected: int = 0
    bytes_read: int = 0
    decode_seconds: float = 0.0
    wait_seconds: float = 0.0
    inference_seconds: float = 0.0
    batches: int = 0
    batch_places: int = 0


@dataclass
class ShardResult:
    """Features (n, D) float16 or float32 of the images that could be read, in the shard's order, and the others."""

    image_ids: list[str]
    features: np.ndarray
    rejects: list[Reject]
    counts: ShardCounts = field(default_factory=ShardCounts)


def plan_shards(images: Sequence[ImageSource], directory: str, count: int) -> list[Shard]:
    """Deals images to `count` shards by a hash of their ids: an image's shard depends on nothing else.

    Within a shard the images keep their order. Shards without images are left out.
    """
    dealt: list[list[ImageSource]] = [[] for _ in range(count)]
    for image in images:
        hashed = hashlib.sha256(image.image_id.encode("utf-8")).digest()
        dealt[int.from_bytes(hashed[:8], "big") % count].append(image)
    return [
        Shard(FileSystems.join(directory, f"features-{index:05d}-of-{count:05d}.h5"), tuple(part))
        for index, part in enumerate(dealt)
        if part
    ]


def write_shard(shard: Shard, result: ShardResult) -> None:
    """Writes the shard's file, then its digest file, each under a temporary name first."""
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / "shard.h5"
        with create_hdf5(local) as file:
            file.create_dataset("features", data=result.features)
            write_strings(file, "image_ids", result.image_ids)
            write_strings(file, "rejects", [json.dumps(asdict(reject)) for reject in result.rejects])
        data = local.read_bytes()
    _write_bytes(shard.path, data)
    summary = {"sha256": hashlib.sha256(data).hexdigest(), "counts": asdict(result.counts)}
    _write_bytes(shard.digest_path, json.dumps(summary).encode("utf-8"))


def read_counts(shard: Shard) -> ShardCounts | None:
    """The counts of a shard whose file is there and has the digest that was written with it, else None."""
    try:
        with FileSystems.open(shard.digest_path) as stream:
            summary = json.loads(stream.read())
        with FileSystems.open(shard.path) as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        counts = ShardCounts(**summary["counts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    complete = digest == summary["sha256"] and counts.images == len(shard.images)
    return counts if complete else None


def forget_shards(shards: Sequence[Shard]) -> None:
    """Has these shards made anew by the next run."""
    FileSystems.delete([shard.digest_path for shard in shards])


def merge_shards(
    shards: Sequence[Shard], image_ids: Sequence[str], path: Path, description: FeatureDescription
) -> list[Reject]:
    """Merges verified shards into one feature artifact with rows in the order of `image_ids`; returns the rejects.

    Memory is bounded by a chunk of rows: the images of each shard are in that order too, so that every shard is read
    from its start to its end.

    Raises:
        ArtifactError: an image is neither in a shard nor among the rejects, or its features are not finite.
    """
    with ExitStack() as stack:
        streams = [stack.enter_context(FileSystems.open(shard.path)) for shard in shards]
        files = [stack.enter_context(h5py.File(stream, "r")) for stream in streams]
        rejects = [Reject(**json.loads(line)) for file in files for line in read_strings(file["rejects"])]
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
        with create_features(path, kept, sample.shape[1], str(sample.dtype), description) as merged:
            for start in range(0, len(kept), merged.chunks[0]):
                stop = min(start + merged.chunks[0], len(kept))
                rows = _gather([place[image_id] for image_id in kept[start:stop]], files, sample)
                broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
                if broken.size:
                    raise ArtifactError(
                        f"The features of image {kept[start + broken[0]]} are not finite in {sample.dtype}; "
                        "set dtype to float32, or take other weights."
                    )
                merged[start:stop] = rows
    order = {image_id: number for number, image_id in enumerate(image_ids)}
    return sorted(rejects, key=lambda reject: order[reject.image_id])


def _gather(places: list[tuple[int, int]], files: list[h5py.File], sample: h5py.Dataset) -> np.ndarray:
    rows = np.empty((len(places), sample.shape[1]), sample.dtype)
    for shard, file in enumerate(files):
        wanted = [(target, row) for target, (owner, row) in enumerate(places) if owner == shard]
        if wanted:
            targets, sources = zip(*wanted, strict=True)
            rows[list(targets)] = file["features"][sources[0] : sources[-1] + 1]
    return rows


def _write_bytes(path: str, data: bytes) -> None:
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"  # two workers may be given the same shard
    with FileSystems.create(temporary) as stream:
        stream.write(data)
    FileSystems.rename([temporary], [path])
