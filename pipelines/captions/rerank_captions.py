"""Reranking on Beam: shards of images in, shard files of reranked hypotheses out; the driver joins them in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from model.text.ngrams import Words
from pipelines.captions.reranker import ImageWeights, Reranked, Reranker, weigh_images, write_reranked
from pipelines.engines.engine import Engine, complete_shards
from pipelines.engines.json_shards import read_lines, write_lines
from pipelines.engines.shards import ImageSource, Shard, write_plan
from schemas.captions import read_tokens
from schemas.features import FeatureFile
from schemas.hypotheses import ImageHypotheses, from_record, read_hypotheses, read_search, to_record, write_search
from schemas.neighbors import Neighbors, read_neighbors
from schemas.reranking import RerankingSetting, write_setting


@dataclass(frozen=True)
class RerankingJob:
    """Inputs of reranking, by paths that are valid for workers too.

    Attributes:
        hypotheses: Artifact with the hypotheses.
        captions: Artifact with the tokenized captions.
        images: Artifact by which images are compared: neighbors for consensus, features for kernel-ridge consensus,
            None for self-consensus.
        setting: Setting of the reranking.
    """

    hypotheses: Path
    captions: Path
    images: Path | None
    setting: RerankingSetting


def rerank_split(
    job: RerankingJob,
    directory: Path,
    shards_directory: str,
    shard_count: int,
    engine: Engine,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Rerank all images of `job.hypotheses`.

    Writes `search.json`, `reranking.json` and the files of `write_reranked`. Complete shards are kept. The files are
    the same for any number of shards.

    Args:
        job: Artifacts and setting.
        directory: Directory of the artifact.
        shards_directory: Path of the directory of the shards.
        shard_count: Maximum number of shards.
        engine: Beam runner.
        progress: Called with a fraction and a message.

    Returns:
        Counts of `write_reranked`.

    Raises:
        ConfigurationError: There is no such similarity or runner, or fewer than k neighbors are known.
        ArtifactError: The artifacts do not belong together, or shards are missing although the runner succeeded.
        RunnerError: The runner is unreachable or fails; completed shards are kept.
    """
    image_ids = [image.image_id for image in read_hypotheses(job.hypotheses)]
    images = [ImageSource(image_id) for image_id in image_ids]
    shards = write_plan(images, shards_directory, shard_count, "reranked.jsonl")
    if job.setting.method == "kernel-ridge":  # solved once, not by every worker
        progress(0.0, "kernel ridge regression")
        job = replace(job, images=_write_weights(job, image_ids, Path(shards_directory)))
    complete_shards(shards, partial(rerank_shard, job=job), engine, progress)
    write_search(directory, read_search(job.hypotheses))
    write_setting(directory, job.setting)
    return write_reranked(
        directory,
        (
            Reranked(from_record(record["image"]), record["scores"], record["neighbors"], record["first_changed"])
            for record in read_lines(shards)
        ),
    )


def rerank_shard(shard: Shard, job: RerankingJob) -> None:
    """Write the reranked hypotheses of one shard's images."""
    images, reranker = _load(job)
    write_lines(
        shard,
        (
            {
                "image": to_record(reranked.image),
                "scores": reranked.scores,
                "neighbors": reranked.neighbors,
                "first_changed": reranked.first_changed,
            }
            for reranked in map(reranker, images[shard.first : shard.first + shard.count])
        ),
    )


def weights_by_features(
    features: Path, image_ids: Sequence[str], captions: Mapping[str, Sequence[Words]], setting: RerankingSetting
) -> ImageWeights:
    """Compute the weights of the captioned training images that have features, for each target image.

    Args:
        features: Feature artifact.
        image_ids: Ids of the target images.
        captions: Training captions by image id.
        setting: Setting of kernel-ridge consensus.

    Raises:
        ArtifactError: A target image has no features, or the file is missing or corrupted.
    """
    file = FeatureFile(features / "features.h5")
    training_ids = [image_id for image_id, own in captions.items() if own and image_id in file]
    return weigh_images(image_ids, file.read(image_ids), training_ids, file.read(training_ids), setting)


def _write_weights(job: RerankingJob, image_ids: Sequence[str], directory: Path) -> Path:
    assert job.images is not None
    captions = read_tokens(job.captions / "tokens.jsonl", "train")
    path = directory / "weights.npz"
    directory.mkdir(parents=True, exist_ok=True)
    weights_by_features(job.images, image_ids, captions, job.setting).write(path)
    return path


@lru_cache(maxsize=1)  # once per process: the table of all sentences takes longer than a shard
def _load(job: RerankingJob) -> tuple[list[ImageHypotheses], Reranker]:
    images = list(read_hypotheses(job.hypotheses))
    captions = read_tokens(job.captions / "tokens.jsonl", "train")
    references: Neighbors | ImageWeights | None = None
    if job.images:
        is_consensus = job.setting.method == "consensus"
        references = read_neighbors(job.images / "neighbors.h5") if is_consensus else ImageWeights.read(job.images)
    return images, Reranker(images, references, captions, job.setting)
