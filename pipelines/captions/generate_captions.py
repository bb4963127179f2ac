"""Caption generation on Beam: shards of images in, shard files of hypotheses out; the driver joins them in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engines.engine import Engine, complete_shards
from pipelines.engines.json_shards import read_lines, write_lines
from pipelines.engines.shards import ImageSource, Shard, write_plan
from schemas.checkpoint import read_checkpoint
from schemas.features import FeatureFile
from schemas.hypotheses import from_record, to_record, write_hypotheses
from schemas.vocabulary import Vocabulary

if TYPE_CHECKING:
    from model.decoding.strategies import Decode, Search  # loads TensorFlow, which a driver does without


@dataclass(frozen=True)
class GenerationJob:
    """Inputs of caption generation, by paths that are valid for workers too.

    Attributes:
        models: Model artifacts; several are an ensemble.
        features: Feature artifact.
        search: Decoding strategy.
        batch_size: Number of images per batch.
        inference_threads: Threads of the network on a CPU; 0 is TensorFlow's default.
    """

    models: tuple[Path, ...]
    features: Path
    search: "Search"
    batch_size: int
    inference_threads: int = 0


def generate_captions(
    job: GenerationJob,
    image_ids: Sequence[str],
    directory: Path,
    shards_directory: str,
    shard_count: int,
    engine: Engine,
    progress: Callable[[float, str], None],
) -> int:
    """Write `hypotheses.jsonl` for all images that have features, in order.

    Complete shards are kept. Shards consist of complete batches, so that the files are the same for any number of
    shards, if all workers compute the same.

    Args:
        job: Artifacts and decoding strategy.
        image_ids: Ids of the images.
        directory: Directory of the artifact.
        shards_directory: Path or URL of the directory of the shards.
        shard_count: Maximum number of shards.
        engine: Beam runner.
        progress: Called with a fraction and a message.

    Returns:
        Number of captioned images.

    Raises:
        ArtifactError: An artifact is damaged, or shards are missing although the runner succeeded.
        ConfigurationError: There is no such runner, or no caption satisfies the decoding constraints.
        RunnerError: The runner is unreachable or fails; completed shards are kept.
    """
    features = FeatureFile(job.features / "features.h5")
    known = [ImageSource(image_id) for image_id in image_ids if image_id in features]
    shards = write_plan(known, shards_directory, shard_count, "hypotheses.jsonl", job.batch_size)
    complete_shards(shards, partial(caption_shard, job=job), engine, progress)
    return write_hypotheses(directory, map(from_record, read_lines(shards)))


def caption_shard(shard: Shard, job: GenerationJob) -> None:
    """Write the hypotheses of one shard's images."""
    from model.decoding.strategies import decode_rows

    decode, vocabulary = _load(job)
    image_ids = [image.image_id for image in shard.read_images()]
    rows = FeatureFile(job.features / "features.h5").read(image_ids)
    write_lines(shard, map(to_record, decode_rows(decode, vocabulary, image_ids, rows, job.batch_size, shard.first)))


@lru_cache(maxsize=1)  # once per process: the search is compiled
def _load(job: GenerationJob) -> "tuple[Decode, Vocabulary]":
    # TensorFlow is loaded in workers only.
    from model.decoding.ensemble import as_one
    from model.devices import prepare_process
    from model.mrnn.network import load_network

    prepare_process(job.inference_threads)
    networks = [load_network(read_checkpoint(path).network) for path in job.models]
    return job.search(as_one(networks)), read_checkpoint(job.models[0]).vocabulary
