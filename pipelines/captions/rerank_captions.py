"""Reranking: shards of images in, shard files of reranked hypotheses out; the driver joins them in order."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from model.text.ngrams import Words
from pipelines.captions.reranker import ImageWeights, Reranked, Reranker, weigh_images, write_reranked
from pipelines.engines.engine import Sharding
from pipelines.engines.inputs import InputFiles
from pipelines.engines.json_shards import read_lines, write_lines
from pipelines.engines.shards import ImageSource, Receipt, Shard, write_plan
from schemas.captions import read_tokens
from schemas.features import FeatureFile
from schemas.hypotheses import ImageHypotheses, from_record, read_hypotheses, read_search, to_record, write_search
from schemas.neighbors import Neighbors, read_neighbors
from schemas.reranking import RerankingSetting, write_setting


@dataclass(frozen=True)
class RerankingJob:
    """Inputs of reranking.

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


def rerank_split(job: RerankingJob, directory: Path, sharding: Sharding) -> dict[str, int]:
    """Rerank all images of `job.hypotheses`.

    Writes `search.json`, `reranking.json` and the files of `write_reranked`. Complete shards are kept. The files are
    the same for any number of shards.

    Args:
        job: Artifacts and setting.
        directory: Directory of the artifact.
        sharding: Engine and shards.

    Returns:
        Counts of `write_reranked`.

    Raises:
        ConfigurationError: There is no such similarity or engine, or fewer than k neighbors are known.
        ArtifactError: The artifacts do not belong together, or shards are missing although the engine succeeded.
        RunnerError: The engine is unreachable or fails; completed shards are kept.
    """
    image_ids = [image.image_id for image in read_hypotheses(job.hypotheses)]
    images = [ImageSource(image_id) for image_id in image_ids]
    shards = write_plan(images, sharding.directory, sharding.count, "reranked.jsonl")
    tables = Tables(
        sharding.share(job.hypotheses, ("hypotheses.jsonl",)),
        sharding.share(job.captions, ("tokens.jsonl",)),
        _share_images(job, image_ids, sharding),
        job.setting,
    )
    sharding.complete(shards, partial(rerank_shard, tables=tables))
    write_search(directory, read_search(job.hypotheses))
    write_setting(directory, job.setting)
    return write_reranked(
        directory,
        (
            Reranked(from_record(record["image"]), record["scores"], record["neighbors"], record["first_changed"])
            for record in read_lines(shards)
        ),
    )


@dataclass(frozen=True)
class Tables:
    """What workers load once.

    Attributes:
        hypotheses: `hypotheses.jsonl`.
        captions: `tokens.jsonl`.
        images: `neighbors.h5` for consensus, `weights.npz` for kernel-ridge consensus, None for self-consensus.
        setting: Setting of the reranking.
    """

    hypotheses: InputFiles
    captions: InputFiles
    images: InputFiles | None
    setting: RerankingSetting


def rerank_shard(shard: Shard, tables: Tables) -> Receipt:
    """Write the reranked hypotheses of one shard's images; return the receipt."""
    images, reranker = _load(tables)
    return write_lines(
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


def _share_images(job: RerankingJob, image_ids: Sequence[str], sharding: Sharding) -> InputFiles | None:
    """Share the neighbors, or the weights of kernel ridge regression, which is solved once and not by every worker."""
    if not job.images:
        return None
    if job.setting.method == "consensus":
        return sharding.share(job.images, ("neighbors.h5",))
    sharding.progress(0.0, "kernel ridge regression")
    captions = read_tokens(job.captions / "tokens.jsonl", "train")
    weights = weights_by_features(job.images, image_ids, captions, job.setting)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary if sharding.inputs else sharding.directory)
        directory.mkdir(parents=True, exist_ok=True)
        weights.write(directory / "weights.npz")
        return sharding.share(directory, ("weights.npz",))


@lru_cache(maxsize=1)  # once per process: the table of all sentences takes longer than a shard
def _load(tables: Tables) -> tuple[list[ImageHypotheses], Reranker]:
    images = list(read_hypotheses(tables.hypotheses.local()))
    captions = read_tokens(tables.captions.local() / "tokens.jsonl", "train")
    references: Neighbors | ImageWeights | None = None
    if tables.images:
        directory, is_consensus = tables.images.local(), tables.setting.method == "consensus"
        references = (
            read_neighbors(directory / "neighbors.h5") if is_consensus else ImageWeights.read(directory / "weights.npz")
        )
    return images, Reranker(images, references, captions, tables.setting)
