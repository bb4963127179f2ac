"""Consensus reranking on Beam: ranges of images in, files of reranked hypotheses out, joined in order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from pipelines.beam.json_shards import read_lines, write_lines
from pipelines.beam.runner import BeamRunner, complete_shards
from pipelines.beam.shards import Shard, plan_ranges
from pipelines.captions.reranker import Reranked, Reranker, write_reranked
from schemas.captions import read_tokens
from schemas.hypotheses import ImageHypotheses, from_record, read_hypotheses, read_search, to_record, write_search
from schemas.neighbors import read_neighbors
from schemas.reranking import RerankingSetting, write_setting


@dataclass(frozen=True)
class RerankingJob:
    """Artifacts, by paths that workers know too, and how to rerank. neighbors: None for self-consensus."""

    hypotheses: Path
    captions: Path
    neighbors: Path | None
    setting: RerankingSetting


def rerank_split(
    job: RerankingJob,
    directory: Path,
    shards_directory: str,
    shard_count: int,
    engine: BeamRunner,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Reranks all images of `job.hypotheses`.

    Writes `search.json`, `reranking.json` and the files of `write_reranked`, whose counts are returned.

    Shards that are there and whole are kept. The files are the same for any number of shards.

    Raises:
        ConfigurationError: no such similarity or runner, or fewer than k neighbors are known.
        ArtifactError: the artifacts do not belong together, or shards are missing although the runner ended well.
        RunnerError: the runner cannot be reached or gives up.
    """
    image_ids = [image.image_id for image in read_hypotheses(job.hypotheses)]
    shards = plan_ranges(image_ids, shards_directory, shard_count, "reranked.jsonl")
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
    """Writes the reranked hypotheses of one shard's images."""
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
            for reranked in map(reranker, images[shard.first : shard.first + len(shard.items)])
        ),
    )


@lru_cache(maxsize=1)  # once a process: the table of all sentences takes longer than a shard
def _load(job: RerankingJob) -> tuple[list[ImageHypotheses], Reranker]:
    images = list(read_hypotheses(job.hypotheses))
    neighbors = read_neighbors(job.neighbors / "neighbors.h5") if job.neighbors else None
    captions = read_tokens(job.captions / "tokens.jsonl", "train")
    return images, Reranker(images, neighbors, captions, job.setting)
