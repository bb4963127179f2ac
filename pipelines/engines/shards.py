"""Shards: contiguous ranges of images, the unit of work, retry and resume.

Next to the file of a shard are its manifest, which lists its images, its digest, which is written after it, and the
error that a worker wrote, if there was one.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from pipelines import storage
from schemas import errors
from schemas.errors import ArtifactError, MRNNError

MANIFEST = ".manifest.jsonl"
_RANGE = re.compile(r"-(\d+)-(\d+)\.\w+$")
_encode = json.JSONEncoder().encode


@dataclass(frozen=True)
class ImageSource:
    """An image and the location of its file.

    Attributes:
        image_id: Id of the image.
        path: Local path, or URL of an object; empty where the pixels are not needed.
    """

    image_id: str
    path: str = ""


@dataclass(frozen=True)
class Shard:
    """A range of the images.

    Attributes:
        path: Path or URL of the file that is computed from the images.
        first: Position of the first image among all.
        count: Number of images.
    """

    path: str
    first: int
    count: int

    @property
    def manifest_path(self) -> str:
        """Path or URL of the list of images: JSON lines with `id` and `path`."""
        return f"{self.path}{MANIFEST}"

    @property
    def digest_path(self) -> str:
        """Path or URL of the SHA-256 of the file; written after the file itself."""
        return f"{self.path}.sha256"

    @property
    def error_path(self) -> str:
        """Path or URL of the typed error that a worker wrote."""
        return f"{self.path}.error"

    def read_images(self) -> list[ImageSource]:
        """Read the images from the manifest.

        Raises:
            ArtifactError: The manifest is missing or damaged.
        """
        try:
            lines = storage.read(self.manifest_path).splitlines()
            images = [ImageSource(record["id"], record["path"]) for record in map(json.loads, lines)]
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"Manifest {self.manifest_path} cannot be read ({error}); plan the shards again."
            ) from error
        if len(images) != self.count:
            raise ArtifactError(
                f"Manifest {self.manifest_path} has {len(images)} images, not {self.count}; plan the shards again."
            )
        return images


def shard_of(manifest_path: str) -> Shard:
    """Return the shard of a manifest, whose name has the range.

    Raises:
        ArtifactError: The name is not that of a manifest.
    """
    path = manifest_path.removesuffix(MANIFEST)
    found = _RANGE.search(path)
    if path == manifest_path or not found:
        raise ArtifactError(f"{manifest_path} is not a manifest; its name must end like -0000100-0000199.h5{MANIFEST}.")
    first, last = int(found[1]), int(found[2])
    return Shard(path, first, last - first + 1)


def plan_shards(total: int, directory: str, count: int, name: str, block: int = 1) -> list[Shard]:
    """Divide `total` images into contiguous ranges.

    The files are named after their range, so that those of another plan are not mistaken for them.

    Args:
        total: Number of images.
        directory: Path or URL of the directory of the shards.
        count: Maximum number of shards.
        name: Name of the files, such as `features.h5` for `features-0000100-0000199.h5`.
        block: The size of all shards but the last is a multiple of this. Work that is done block by block is then the
            same for any number of shards.
    """
    stem, _, suffix = name.rpartition(".")
    blocks = -(-total // block)
    cuts = [block * (blocks * index // count) for index in range(count)] + [total]
    return [
        Shard(storage.join(directory, f"{stem}-{first:07d}-{last - 1:07d}.{suffix}"), first, last - first)
        for first, last in pairwise(cuts)
        if first < last
    ]


def write_plan(images: Collection[ImageSource], directory: str, count: int, name: str, block: int = 1) -> list[Shard]:
    """Divide images into shards, see `plan_shards`, and write their manifests; one shard is in memory at a time.

    Args:
        images: All images.
        directory: Path or URL of the directory of the shards.
        count: Maximum number of shards.
        name: Name of the files, see `plan_shards`.
        block: The size of all shards but the last is a multiple of this.

    Raises:
        OSError: The directory cannot be written; for a URL it is a StorageError too.
    """
    shards = plan_shards(len(images), directory, count, name, block)
    rest = iter(images)
    for shard in shards:
        write_manifest(shard, islice(rest, shard.count))
    return shards


def write_manifest(shard: Shard, images: Iterable[ImageSource]) -> None:
    """Write the list of a shard's images."""
    lines = [f'{{"id": {_encode(image.image_id)}, "path": {_encode(image.path)}}}\n' for image in images]
    storage.write(shard.manifest_path, "".join(lines).encode("utf-8"))


def write_shard(shard: Shard, data: bytes) -> None:
    """Write the shard's file, then its digest, each atomically."""
    storage.write(shard.path, data)
    storage.write(shard.digest_path, hashlib.sha256(data).hexdigest().encode("ascii"))


def is_shard_complete(shard: Shard) -> bool:
    """Return whether the shard's file exists and has the digest that was written after it."""
    try:
        return storage.read(shard.digest_path).decode("ascii", "replace") == storage.digest(shard.path)
    except FileNotFoundError:
        return False


def list_files(shards: Sequence[Shard]) -> set[str]:
    """Return the paths or URLs of all files in the directory of the shards, by listing it once."""
    directory = shards[0].path.rpartition("/")[0]
    return {storage.join(directory, name) for name in storage.list_files(directory)}


def incomplete_shards(shards: Sequence[Shard]) -> list[Shard]:
    """Return the shards that are not complete; files are read where there is a digest only."""
    files = list_files(shards) if shards else set()
    return [shard for shard in shards if shard.digest_path not in files or not is_shard_complete(shard)]


def invalidate_shard(shard: Shard) -> None:
    """Let the next run compute this shard again."""
    storage.delete(shard.digest_path)


def write_error(shard: Shard, error: MRNNError) -> None:
    """Write the error of a worker for the driver."""
    storage.write(shard.error_path, json.dumps([type(error).__name__, str(error)]).encode("utf-8"))


def raise_worker_error(shards: Sequence[Shard]) -> None:
    """Raise the first error that a worker left, if one did."""
    files = list_files(shards)
    for shard in shards:
        if shard.error_path in files:
            kind, message = json.loads(storage.read(shard.error_path))
            raise getattr(errors, kind)(message)


def clear_shards(shards: Sequence[Shard]) -> None:
    """Remove the errors of an earlier run, and the digests of files that are not complete."""
    files = list_files(shards)
    for shard in shards:
        for path in (shard.error_path, shard.digest_path):
            if path in files:
                storage.delete(path)


def are_finished(shards: Sequence[Shard]) -> bool:
    """Return whether each of some shards, which were cleared, has come to an end: by its file or by an error."""
    files = list_files(shards)
    return all(shard.digest_path in files or shard.error_path in files for shard in shards)
