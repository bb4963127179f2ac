"""Work of cluster workers in the tests, which does not need TensorFlow."""

import time
from pathlib import Path

from pipelines.engines.shards import Shard, write_shard
from schemas.errors import InputError


def write_slowly(shard: Shard) -> None:
    """Write the ids of a shard."""
    time.sleep(0.3)
    write_shard(shard, " ".join(image.image_id for image in shard.read_images()).encode())


def copy_model(shard: Shard, model: str) -> None:
    """Write the model's bytes, as seen by the worker."""
    try:
        write_shard(shard, Path(model).read_bytes())
    except OSError as error:
        raise InputError(f"{model} cannot be read ({error.strerror}); give every worker that file.") from error


def fail(shard: Shard) -> None:
    """Raises an error that is none of this package."""
    raise OSError(f"a passing fault of {shard.count} images")
