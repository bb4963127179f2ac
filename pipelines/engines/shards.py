"""Shards: contiguous ranges of images, the unit of work, retry and resume.

Next to the file of a shard are its manifest, which lists its images, its receipt with the digest, which is written
after it, and the error that a worker wrote, if there was one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import msgspec

from pipelines import storage
from schemas import errors
from schemas.errors import ArtifactError, MRNNError
from schemas.io.files import canonical_json

Receipt = dict[str, Any]  # `sha256` and `size` of a shard's file, and facts about it

MANIFEST = ".manifest.jsonl"
_RANGE = re.compile(r"-(\d+)-(\d+)\.\w+$")


class ImageSource(msgspec.Struct, frozen=True, rename={"image_id": "id"}):
    """An image and where its file is; a line of a manifest.

    Attributes:
        image_id: Id of the image.
        path: Local path, or address of an object; empty where the pixels are not needed.
    """

    image_id: str
    path: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ImageSource)


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
    def receipt_path(self) -> str:
        """Path or URL of digest, size and facts of the file; written after the file itself."""
        return f"{self.path}.receipt.json"

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
            images: list[ImageSource] = _decoder.decode_lines(storage.read(self.manifest_path))
        except (FileNotFoundError, ValueError) as error:
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


def write_plan(
    images: Iterable[ImageSource], directory: str, count: int, name: str, block: int = 1, total: int | None = None
) -> list[Shard]:
    """Divide images into shards, see `plan_shards`, and write their manifests; one shard is in memory at a time.

    Args:
        images: The images, in order; a stream is read once.
        directory: Path or address of the directory of the shards.
        count: Maximum number of shards.
        name: Name of the files.
        block: The size of all shards but the last is a multiple of this.
        total: Number of images; needed for a stream.

    Raises:
        OSError: The directory cannot be written; of an address it is a StorageError too.
    """
    if total is None:
        images = list(images)
        total = len(images)
    shards = plan_shards(total, directory, count, name, block)
    rest = iter(images)
    for shard in shards:
        write_manifest(shard, islice(rest, shard.count))
    return shards


def write_manifest(shard: Shard, images: Iterable[ImageSource]) -> None:
    """Write the list of a shard's images."""
    storage.write(shard.manifest_path, _encoder.encode_lines(images))


def write_shard(shard: Shard, data: bytes, facts: Mapping[str, Any] | None = None) -> Receipt:
    """Write the shard's file, then its receipt, and return that; each appears at once and complete.

    Args:
        shard: The shard.
        data: Content of the file; its digest is computed here only.
        facts: What the driver has to know of the content, as JSON values.
    """
    storage.write(shard.path, data)
    receipt = {**(facts or {}), "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    storage.write(shard.receipt_path, canonical_json(receipt).encode("utf-8"))
    return receipt


def read_receipt(shard: Shard) -> Receipt:
    """Read the receipt of a shard, which has `sha256` and `size` of its file and the facts of `write_shard`.

    Raises:
        FileNotFoundError: There is none.
        ArtifactError: It is damaged.
    """
    try:
        receipt: Receipt = json.loads(storage.read(shard.receipt_path))
        if not isinstance(receipt["sha256"], str) or not isinstance(receipt["size"], int):
            raise ValueError("no digest or no size")
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{shard.receipt_path} is damaged ({error}); remove it and run again.") from error
    return receipt


def read_shard(shard: Shard) -> bytes:
    """Return the content of a shard's file.

    Raises:
        ArtifactError: It is not what its receipt describes. The receipt is removed, so that the next run computes the
            shard again.
    """
    data = storage.read(shard.path)
    if hashlib.sha256(data).hexdigest() != read_receipt(shard)["sha256"]:
        storage.delete(shard.receipt_path)
        raise ArtifactError(f"{shard.path} is damaged; run the same command again, which computes it again.")
    return data


def is_shard_complete(shard: Shard) -> bool:
    """Return whether the shard's file is there with the size of its receipt, which was written after it."""
    try:
        return bool(read_receipt(shard)["size"] == storage.size(shard.path))
    except (FileNotFoundError, ArtifactError):
        return False


def list_files(shards: Sequence[Shard]) -> dict[str, int]:
    """Return the sizes of all files in the directory of the shards by path or address, by listing it once."""
    directory = shards[0].path.rpartition("/")[0]
    return {storage.join(directory, name): size for name, size in storage.list_files(directory).items()}


def incomplete_shards(shards: Sequence[Shard]) -> list[Shard]:
    """Return the shards that are not complete: no file is read but receipts."""
    files = list_files(shards) if shards else {}

    def is_complete(shard: Shard) -> bool:
        if shard.receipt_path not in files or shard.path not in files:
            return False
        try:
            return bool(read_receipt(shard)["size"] == files[shard.path])
        except (FileNotFoundError, ArtifactError):
            return False

    return [shard for shard in shards if not is_complete(shard)]


def invalidate_shard(shard: Shard) -> None:
    """Let the next run compute this shard again."""
    storage.delete(shard.receipt_path)


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
    """Remove the errors of an earlier run, and the receipts of files that are not complete."""
    files = list_files(shards)
    for shard in shards:
        for path in (shard.error_path, shard.receipt_path):
            if path in files:
                storage.delete(path)


def are_finished(shards: Sequence[Shard]) -> bool:
    """Return whether each of some shards, which were cleared, has come to an end: by its file or by an error."""
    files = list_files(shards)
    return all(shard.receipt_path in files or shard.error_path in files for shard in shards)
