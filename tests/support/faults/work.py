"""What workers of a cluster do in the tests: nothing that needs TensorFlow."""

import time
from dataclasses import dataclass
from pathlib import Path

from pipelines.beam.shards import Shard, write_shard
from schemas.errors import InputError


@dataclass(frozen=True)
class Image:
    """What shards are made of."""

    image_id: str


def write_slowly(shard: Shard) -> None:
    """Writes the ids of a shard."""
    time.sleep(0.3)
    write_shard(shard, " ".join(item.image_id for item in shard.items).encode())


def copy_model(shard: Shard, model: str) -> None:
    """Writes the model's bytes, as seen by the worker."""
    try:
        write_shard(shard, Path(model).read_bytes())
    except OSError as error:
        raise InputError(f"{model} cannot be read ({error.strerror}); give every worker that file.") from error
