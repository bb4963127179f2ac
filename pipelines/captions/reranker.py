"""Consensus reranking of a whole split: references looked up by neighbors, hypotheses put into their new order."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.reranking.config import SIMILARITIES
from model.reranking.consensus import consensus_scores, rerank_order, self_consensus_scores
from model.reranking.similarity import BleuSimilarity, CiderSimilarity, Similarity
from model.text.ngrams import SentenceTable, Words
from schemas.errors import ArtifactError, ConfigurationError
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.io.files import write_json_lines
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting

_log = logging.getLogger(__name__)


class Comparison:
    """Hypotheses and references in one table, found by their images.

    similarity: `cider`, with document frequencies of all references, `bleu`, or `bleu-compat`, which keeps a slip of
    mRNN-CR. hypotheses and references: tokenized sentences by image id.
    """

    def __init__(
        self, similarity: str, hypotheses: Mapping[str, Sequence[Words]], references: Mapping[str, Sequence[Words]]
    ):
        """Raises ConfigurationError if there is no such similarity."""
        if similarity not in SIMILARITIES:
            raise ConfigurationError(f"There is no similarity {similarity!r}; set it to {', '.join(SIMILARITIES)}.")
        sentences: list[Words] = []
        self._rows: list[dict[str, np.ndarray]] = []
        for side in (hypotheses, references):
            rows = {}
            for image_id, own in side.items():
                rows[image_id] = np.arange(len(sentences), len(sentences) + len(own))
                sentences.extend(own)
            self._rows.append(rows)
        table = SentenceTable(sentences)
        self._similarity: Similarity = (
            CiderSimilarity(table, list(self._rows[1].values()))
            if similarity == "cider"
            else BleuSimilarity(table, compat=similarity == "bleu-compat")
        )

    def with_references(self, image_id: str, nearest: Sequence[str]) -> np.ndarray:
        """Similarity of an image's hypotheses with all references of the images `nearest`: float64 (H, R).

        Raises:
            ArtifactError: one of those has no references.
        """
        hypotheses, references = self._rows
        unknown = next((each for each in nearest if each not in references), None)
        if unknown is not None:
            raise ArtifactError(f"Image {unknown} is a neighbor without captions; the artifacts do not fit.")
        rows = [references[each] for each in nearest]
        return self._similarity(hypotheses[image_id], np.concatenate([np.empty(0, np.int64), *rows]))

    def among_hypotheses(self, image_id: str) -> np.ndarray:
        """Similarity of an image's hypotheses with one another: float64 (H, H)."""
        rows = self._rows[0][image_id]
        return self._similarity(rows, rows)


SHOWN_NEIGHBORS = 10  # kept in `reranked.jsonl` for the report


@dataclass(frozen=True)
class Reranked:
    """An image's hypotheses in their new order, their consensus scores, some neighbors; whether another is first."""

    image: ImageHypotheses
    scores: list[float]
    neighbors: list[str]
    first_changed: bool


class Reranker:
    """Puts the hypotheses of images of one split into order."""

    def __init__(
        self,
        images: Sequence[ImageHypotheses],
        neighbors: Neighbors | None,
        training_captions: Mapping[str, Sequence[Words]],
        setting: RerankingSetting,
    ):
        """`training_captions`: tokenized, by image id. Without `neighbors`, hypotheses are compared with one another.

        Raises:
            ConfigurationError: no such similarity.
        """
        hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
        self._comparison = Comparison(setting.similarity, hypotheses, training_captions)
        self._neighbors = neighbors
        self._setting = setting
        if neighbors and len(neighbors.reference_ids) < setting.k:
            _log.warning("k = %d is limited to the %d reference images", setting.k, len(neighbors.reference_ids))

    def __call__(self, image: ImageHypotheses) -> Reranked:
        """One of the images.

        Raises:
            ConfigurationError: fewer than k neighbors are known.
            ArtifactError: the image has no neighbors, or a neighbor no captions; the artifacts do not fit.
        """
        if self._neighbors:
            nearest = self._neighbors.nearest(image.image_id, self._setting.k)
            similarity = self._comparison.with_references(image.image_id, nearest)
            scores = consensus_scores(similarity, self._setting.m)
        else:
            nearest = []
            scores = self_consensus_scores(self._comparison.among_hypotheses(image.image_id))
        order = rerank_order(scores)
        return Reranked(
            ImageHypotheses(image.image_id, tuple(image.captions[index] for index in order)),
            [round(float(scores[index]), 6) for index in order],
            nearest[:SHOWN_NEIGHBORS],
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
    """Writes the reordered `hypotheses.jsonl`, and `reranked.jsonl` with scores and neighbors; returns counts."""
    every = list(images)
    write_hypotheses(directory, (each.image for each in every))
    write_json_lines(
        directory / "reranked.jsonl",
        ({"image_id": each.image.image_id, "scores": each.scores, "neighbors": each.neighbors} for each in every),
    )
    return {"images": len(every), "first_changed": sum(each.first_changed for each in every)}
