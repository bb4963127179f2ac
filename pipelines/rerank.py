"""Consensus reranking of a whole split: references looked up by neighbours, hypotheses put into their new order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.consensus import consensus_scores, rerank_order, self_consensus_scores
from model.ngrams import Words
from pipelines.comparison import Comparison, NearestImages
from schemas.files import write_json_lines
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.neighbours import Neighbours
from schemas.reranking import RerankingSetting

SHOWN_NEIGHBOURS = 10  # kept in `reranked.jsonl` for the report


@dataclass(frozen=True)
class Reranked:
    """An image's hypotheses in their new order, their consensus scores, some neighbours; whether another is first."""

    image: ImageHypotheses
    scores: list[float]
    neighbours: list[str]
    first_changed: bool


class Reranker:
    """Puts the hypotheses of images of one split into order."""

    def __init__(
        self,
        images: Sequence[ImageHypotheses],
        neighbours: Neighbours | None,
        training_captions: Mapping[str, Sequence[Words]],
        setting: RerankingSetting,
    ):
        """`training_captions`: tokenised, by image id. Without `neighbours`, hypotheses are compared with one another.

        Raises:
            ConfigurationError: no such similarity.
        """
        hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
        self._comparison = Comparison(setting.similarity, hypotheses, training_captions)
        self._neighbours = NearestImages(neighbours) if neighbours else None
        self._setting = setting

    def __call__(self, image: ImageHypotheses) -> Reranked:
        """One of the images.

        Raises:
            ConfigurationError: fewer than k neighbours are known.
            ArtifactError: the image has no neighbours, or a neighbour no captions; the artifacts do not fit.
        """
        if self._neighbours:
            nearest = self._neighbours.of(image.image_id, self._setting.k)
            similarity = self._comparison.with_references(image.image_id, nearest)
            scores = consensus_scores(similarity, self._setting.m)
        else:
            nearest = []
            scores = self_consensus_scores(self._comparison.among_hypotheses(image.image_id))
        order = rerank_order(scores)
        return Reranked(
            ImageHypotheses(image.image_id, tuple(image.captions[index] for index in order)),
            [round(float(scores[index]), 6) for index in order],
            nearest[:SHOWN_NEIGHBOURS],
            bool(order[0] != 0),
        )


def rerank(
    images: Sequence[ImageHypotheses], reranker: Reranker, directory: Path, progress: Callable[[float], None]
) -> dict[str, int]:
    """Reranks all images here; writes and returns what `write_reranked` does."""

    def one_by_one() -> Iterator[Reranked]:
        for number, image in enumerate(images, start=1):
            yield reranker(image)
            progress(number / len(images))

    return write_reranked(directory, one_by_one())


def write_reranked(directory: Path, images: Iterable[Reranked]) -> dict[str, int]:
    """Writes the reordered `hypotheses.jsonl`, and `reranked.jsonl` with scores and neighbours; returns counts."""
    every = list(images)
    write_hypotheses(directory, (each.image for each in every))
    write_json_lines(
        directory / "reranked.jsonl",
        ({"image_id": each.image.image_id, "scores": each.scores, "neighbours": each.neighbours} for each in every),
    )
    return {"images": len(every), "first_changed": sum(each.first_changed for each in every)}
