"""Shards whose files contain one JSON value per item, in the order of the items."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipelines.engines.shards import Receipt, Shard, read_shard, write_shard
from schemas.errors import ArtifactError
from schemas.io.files import canonical_json


def write_lines(shard: Shard, values: Iterable[Any]) -> Receipt:
    """Write the shard's file and its receipt, and return that."""
    return write_shard(shard, "".join(canonical_json(value) + "\n" for value in values).encode("utf-8"))


def read_lines(shards: Sequence[Shard]) -> Iterator[Any]:
    """Yield the values of all shards in order.

    Raises:
        ArtifactError: The numbers of values and items of a shard differ.
    """
    for shard in shards:
        lines = read_shard(shard).splitlines()
        if len(lines) != shard.count:
            raise ArtifactError(f"{shard.path} has {len(lines)} lines for {shard.count} images; remove it.")
        yield from map(json.loads, lines)
