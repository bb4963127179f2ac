"""Shards: units of work, retry and resume, planned by a stable hash or as ranges, written atomically, verified."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from apache_beam.io.filesystems import FileSystems

from schemas import errors
from schemas.errors import ConfigurationError, MRNNError

_BLOCK = 1 << 22  # bytes read at a time


class Item(Protocol):
    """An element of a shard, identified by its image."""

    @property
    def image_id(self) -> str:
        """Id that selects the shard."""
        ...


@dataclass(frozen=True)
class Shard:
    """Some of the items, and the path or URL of their result file.

    Attributes:
        items: The items in order.
        path: Path or URL of the result file.
        first: Position of the first item among all items, for ranges.
    """

    path: str
    items: tuple[Any, ...]
    first: int = 0

    @property
    def digest_path(self) -> str:
        """Path of the checksum, which is written after the file."""
        return f"{self.path}.sha256"

    @property
    def error_path(self) -> str:
        """Path of a worker's typed error."""
        return f"{self.path}.error"


def plan_shards(items: Sequence[Item], directory: str, count: int, name: str) -> list[Shard]:
    """Assign items to `count` shards by a hash of their image id only.

    Items keep their order within a shard. Empty shards are left out. Files are named after `name`: `features.h5` ->
    `features-00003-of-00016.h5`.

    Raises:
        ConfigurationError: No Beam file system supports `directory`.
    """
    stem, _, suffix = name.rpartition(".")
    assigned: list[list[Item]] = [[] for _ in range(count)]
    for item in items:
        hashed = hashlib.sha256(item.image_id.encode("utf-8")).digest()
        assigned[int.from_bytes(hashed[:8], "big") % count].append(item)
    return [
        Shard(_join(directory, f"{stem}-{index:05d}-of-{count:05d}.{suffix}"), tuple(part))
        for index, part in enumerate(assigned)
        if part
    ]


def plan_ranges(items: Sequence[Any], directory: str, count: int, name: str, block: int = 1) -> list[Shard]:
    """Divide the items into at most `count` consecutive ranges of complete blocks; the last block may be shorter.

    The blocks are therefore the same for any number of shards. A file is named after its range: `hypotheses.jsonl` ->
    `hypotheses-0000100-0000199.jsonl`.

    Raises:
        ConfigurationError: No Beam file system supports `directory`.
    """
    stem, _, suffix = name.rpartition(".")
    blocks = -(-len(items) // block)
    cuts = [block * (blocks * index // count) for index in range(count)] + [len(items)]
    return [
        Shard(_join(directory, f"{stem}-{first:07d}-{last - 1:07d}.{suffix}"), tuple(items[first:last]), first)
        for first, last in pairwise(cuts)
        if first < last
    ]


def write_shard(shard: Shard, data: bytes) -> None:
    """Write the shard's file atomically, then its checksum."""
    _write_bytes(shard.path, data)
    _write_bytes(shard.digest_path, hashlib.sha256(data).hexdigest().encode("ascii"))


def is_shard_complete(shard: Shard) -> bool:
    """Return whether the shard's file exists and matches its checksum."""
    try:
        with FileSystems.open(shard.digest_path) as stream:
            expected: str = stream.read().decode("ascii", "replace")
        digest = hashlib.sha256()
        with FileSystems.open(shard.path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == expected


def invalidate_shard(shard: Shard) -> None:
    """Delete the checksum, so that the next run computes the shard again."""
    FileSystems.delete([shard.digest_path])


def write_error(shard: Shard, error: MRNNError) -> None:
    """Write a worker's error for the driver."""
    _write_bytes(shard.error_path, json.dumps([type(error).__name__, str(error)]).encode("utf-8"))


def raise_worker_error(shard: Shard) -> None:
    """Raise the error that a worker wrote, if any."""
    if FileSystems.exists(shard.error_path):
        with FileSystems.open(shard.error_path) as stream:
            kind, message = json.loads(stream.read())
        raise getattr(errors, kind)(message)


def clear_shard(shard: Shard) -> None:
    """Remove the error of an earlier run, and the checksum of an incomplete file."""
    for path in (shard.error_path, shard.digest_path):
        if FileSystems.exists(path):
            FileSystems.delete([path])


def is_finished(shard: Shard) -> bool:
    """Return whether a worker has finished a cleared shard, with a file or an error."""
    return bool(FileSystems.exists(shard.digest_path) or FileSystems.exists(shard.error_path))


def _join(directory: str, name: str) -> str:
    try:
        return str(FileSystems.join(directory, name))
    except ValueError as error:
        raise ConfigurationError(
            f"{directory} cannot be used ({error}); the extras gcp and aws add gs:// and s3://."
        ) from error


def _write_bytes(path: str, data: bytes) -> None:
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"  # two workers may process the same shard
    with FileSystems.create(temporary) as stream:
        stream.write(data)
    FileSystems.rename([temporary], [path])
