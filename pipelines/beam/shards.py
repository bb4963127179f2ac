"""Shards: the unit of work, retry and resume. Planned by a stable hash or as ranges, written whole, verified."""

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
    """What shards are made of: anything about an image."""

    @property
    def image_id(self) -> str:
        """Decides on the shard."""
        ...


@dataclass(frozen=True)
class Shard:
    """A part of the items, and `path`, the address of the file that comes of them.

    first: of a range, the place of its first item among all.
    """

    path: str
    items: tuple[Any, ...]
    first: int = 0

    @property
    def digest_path(self) -> str:
        """Where the digest of the shard's file is; written after the file itself."""
        return f"{self.path}.sha256"

    @property
    def error_path(self) -> str:
        """Where a worker leaves a typed error."""
        return f"{self.path}.error"


def plan_shards(items: Sequence[Item], directory: str, count: int, name: str) -> list[Shard]:
    """Deals items to `count` shards by a hash of their image's id: an item's shard depends on nothing else.

    Within a shard the items keep their order. Shards without items are left out. `name` is that of the files, with a
    suffix: `features.h5` -> `features-00003-of-00016.h5`.

    Raises:
        ConfigurationError: `directory` is an address of a kind that Beam does not know here.
    """
    stem, _, suffix = name.rpartition(".")
    dealt: list[list[Item]] = [[] for _ in range(count)]
    for item in items:
        hashed = hashlib.sha256(item.image_id.encode("utf-8")).digest()
        dealt[int.from_bytes(hashed[:8], "big") % count].append(item)
    return [
        Shard(_join(directory, f"{stem}-{index:05d}-of-{count:05d}.{suffix}"), tuple(part))
        for index, part in enumerate(dealt)
        if part
    ]


def plan_ranges(items: Sequence[Any], directory: str, count: int, name: str, block: int = 1) -> list[Shard]:
    """Cuts the items into at most `count` ranges that follow one another, each of whole blocks (but the last).

    Work that is done block by block is then the same for any number of shards. A file is named after its range, so
    that those of another cut are not mistaken for it: `name` `hypotheses.jsonl` -> `hypotheses-0000100-0000199.jsonl`.

    Raises:
        ConfigurationError: `directory` is an address of a kind that Beam does not know here.
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
    """Writes the shard's file, then its digest, each under a temporary name first."""
    _write_bytes(shard.path, data)
    _write_bytes(shard.digest_path, hashlib.sha256(data).hexdigest().encode("ascii"))


def is_shard_complete(shard: Shard) -> bool:
    """Whether the shard's file is there and has the digest that was written after it."""
    try:
        with FileSystems.open(shard.digest_path) as stream:
            expected = stream.read().decode("ascii", "replace")
        digest = hashlib.sha256()
        with FileSystems.open(shard.path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == expected


def invalidate_shard(shard: Shard) -> None:
    """Has this shard made anew by the next run."""
    FileSystems.delete([shard.digest_path])


def write_error(shard: Shard, error: MRNNError) -> None:
    """Leaves an error of a worker for the driver."""
    _write_bytes(shard.error_path, json.dumps([type(error).__name__, str(error)]).encode("utf-8"))


def raise_worker_error(shard: Shard) -> None:
    """Raises the error that a worker left, if one did."""
    if FileSystems.exists(shard.error_path):
        with FileSystems.open(shard.error_path) as stream:
            kind, message = json.loads(stream.read())
        raise getattr(errors, kind)(message)


def clear_shard(shard: Shard) -> None:
    """Removes the error of an earlier run, and the digest of a file that is not whole."""
    for path in (shard.error_path, shard.digest_path):
        if FileSystems.exists(path):
            FileSystems.delete([path])


def is_finished(shard: Shard) -> bool:
    """Whether a worker has come to an end with a shard that was cleared: there is its file, or an error."""
    return bool(FileSystems.exists(shard.digest_path) or FileSystems.exists(shard.error_path))


def _join(directory: str, name: str) -> str:
    try:
        return str(FileSystems.join(directory, name))
    except ValueError as error:
        raise ConfigurationError(
            f"{directory} cannot be used ({error}); the extras gcp and aws add gs:// and s3://."
        ) from error


def _write_bytes(path: str, data: bytes) -> None:
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"  # two workers may be given the same shard
    with FileSystems.create(temporary) as stream:
        stream.write(data)
    FileSystems.rename([temporary], [path])
