"""Caption generation: shards of images in, shard files of hypotheses out; the driver joins them in order."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines import storage
from pipelines.engines.engine import Sharding
from pipelines.engines.inputs import InputFiles
from pipelines.engines.json_shards import read_lines, write_lines
from pipelines.engines.shards import ImageSource, Receipt, Shard, incomplete_shards, write_plan
from schemas.checkpoint import MODEL_FILES, read_checkpoint
from schemas.features import FeatureFile
from schemas.hypotheses import from_record, to_record, write_hypotheses
from schemas.vocabulary import Vocabulary

if TYPE_CHECKING:
    from model.decoding.strategies import Decode, Search  # loads TensorFlow, which a driver does without


@dataclass(frozen=True)
class GenerationJob:
    """Inputs of caption generation.

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


def generate_captions(job: GenerationJob, image_ids: Sequence[str], directory: Path, sharding: Sharding) -> int:
    """Write `hypotheses.jsonl` for all images that have features, in order.

    Complete shards are kept. Shards consist of complete batches, so that the files are the same for any number of
    shards, if all workers compute the same. Workers receive the features of their shards only.

    Args:
        job: Artifacts and decoding strategy.
        image_ids: Ids of the images.
        directory: Directory of the artifact.
        sharding: Engine and shards.

    Returns:
        Number of captioned images.

    Raises:
        ArtifactError: An artifact is damaged, or shards are missing although the engine succeeded.
        ConfigurationError: There is no such engine, or no caption satisfies the decoding constraints.
        RunnerError: The engine is unreachable or fails; completed shards are kept.
    """
    features = FeatureFile(job.features / "features.h5")
    known = [ImageSource(image_id) for image_id in image_ids if image_id in features]
    shards = write_plan(known, sharding.directory, sharding.count, "hypotheses.jsonl", job.batch_size)
    for shard in incomplete_shards(shards):
        ids = [image.image_id for image in known[shard.first : shard.first + shard.count]]
        buffer = io.BytesIO()
        np.save(buffer, features.read(ids))
        storage.write(_features_path(shard), buffer.getvalue())
    models = tuple(sharding.share(model, MODEL_FILES) for model in job.models)
    decoder = Decoder(models, job.search, job.inference_threads)
    sharding.complete(shards, partial(caption_shard, decoder=decoder, batch_size=job.batch_size))
    return write_hypotheses(directory, map(from_record, read_lines(shards)))


@dataclass(frozen=True)
class Decoder:
    """What workers load once: the models and their search.

    Attributes:
        models: Files of each model.
        search: Decoding strategy.
        inference_threads: Threads of the network on a CPU; 0 is TensorFlow's default.
    """

    models: tuple[InputFiles, ...]
    search: "Search"
    inference_threads: int


def caption_shard(shard: Shard, decoder: Decoder, batch_size: int) -> Receipt:
    """Write the hypotheses of one shard's images; return the receipt."""
    from model.decoding.strategies import decode_rows

    decode, vocabulary = _load(decoder)
    image_ids = [image.image_id for image in shard.read_images()]
    rows = np.load(io.BytesIO(storage.read(_features_path(shard))))
    return write_lines(shard, map(to_record, decode_rows(decode, vocabulary, image_ids, rows, batch_size, shard.first)))


def _features_path(shard: Shard) -> str:
    """Return the path or URL of the features of a shard's images, which the driver writes."""
    return f"{shard.path}.features.npy"


@lru_cache(maxsize=1)  # once per process: the search is compiled
def _load(decoder: Decoder) -> "tuple[Decode, Vocabulary]":
    # TensorFlow is loaded in workers only.
    from model.decoding.ensemble import as_one
    from model.devices import prepare_process
    from model.mrnn.network import load_network

    prepare_process(decoder.inference_threads)
    checkpoints = [read_checkpoint(files.local()) for files in decoder.models]
    networks = [load_network(checkpoint.network) for checkpoint in checkpoints]
    return decoder.search(as_one(networks)), checkpoints[0].vocabulary
