"""Consensus reranking of a whole split: references looked up by neighbours, hypotheses put into their new order."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from model.consensus import consensus_scores, rerank_order, self_consensus_scores
from model.ngrams import SentenceTable, Words
from model.similarity import BleuSimilarity, CiderSimilarity, Similarity
from schemas.errors import ArtifactError, ConfigurationError
from schemas.files import write_json_lines
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.neighbours import Neighbours

SIMILARITIES = ("cider", "bleu", "bleu-compat")
SHOWN_NEIGHBOURS = 10  # kept in `reranked.jsonl` for the report


class Comparison:
    """Hypotheses and references in one table, found by their images.

    similarity: `cider`, with document frequencies of all references, `bleu`, or `bleu-compat`, which keeps a slip of
    mRNN-CR. hypotheses and references: tokenised sentences by image id.
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
            raise ArtifactError(f"Image {unknown} is a neighbour without captions; the artifacts do not fit.")
        rows = [references[each] for each in nearest]
        return self._similarity(hypotheses[image_id], np.concatenate([np.empty(0, np.int64), *rows]))

    def among_hypotheses(self, image_id: str) -> np.ndarray:
        """Similarity of an image's hypotheses with one another: float64 (H, H)."""
        rows = self._rows[0][image_id]
        return self._similarity(rows, rows)


class NearestImages:
    """The nearest reference images of each image, never the image itself."""

    def __init__(self, neighbours: Neighbours):
        """Looks them up in the artifact."""
        self._neighbours = neighbours
        self._row = {image_id: number for number, image_id in enumerate(neighbours.target_ids)}

    def of(self, image_id: str, k: int) -> list[str]:
        """The k nearest.

        Raises:
            ArtifactError: the image has no neighbours; ConfigurationError: it has fewer than k.
        """
        if image_id not in self._row:
            raise ArtifactError(f"Image {image_id} has hypotheses but no neighbours; find its neighbours first.")
        ids = self._neighbours.reference_ids
        nearest = [ids[index] for index in self._neighbours.indices[self._row[image_id]] if ids[index] != image_id]
        if len(nearest) < k:
            raise ConfigurationError(f"k = {k} neighbours are asked for, {len(nearest)} are known; lower k.")
        return nearest[:k]


def rerank(
    images: Sequence[ImageHypotheses],
    neighbours: Neighbours | None,
    training_captions: Mapping[str, Sequence[Words]],
    similarity: str,
    k: int,
    m: int,
    directory: Path,
    progress: Callable[[float], None],
) -> dict[str, int]:
    """Writes the reordered `hypotheses.jsonl`, and `reranked.jsonl` with consensus scores; returns counts.

    similarity: as of `Comparison`; `training_captions` are the tokenised captions by image id. Without `neighbours`,
    each hypothesis is compared with the others of its image alone (self-consensus).

    Raises:
        ConfigurationError: no such similarity, or fewer than k neighbours are known.
        ArtifactError: an image has no neighbours, or a neighbour no captions; the artifacts do not belong together.
    """
    hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
    comparison = Comparison(similarity, hypotheses, training_captions)
    found = NearestImages(neighbours) if neighbours else None
    reordered, records, changed = [], [], 0
    for number, image in enumerate(images, start=1):
        nearest = found.of(image.image_id, k) if found else []
        scores = (
            consensus_scores(comparison.with_references(image.image_id, nearest), m)
            if found
            else self_consensus_scores(comparison.among_hypotheses(image.image_id))
        )
        order = rerank_order(scores)
        changed += int(order[0] != 0)
        reordered.append(ImageHypotheses(image.image_id, tuple(image.captions[index] for index in order)))
        records.append(
            {
                "image_id": image.image_id,
                "scores": [round(float(scores[index]), 6) for index in order],
                "neighbours": nearest[:SHOWN_NEIGHBOURS],
            }
        )
        progress(number / len(images))
    write_hypotheses(directory, reordered)
    write_json_lines(directory / "reranked.jsonl", records)
    return {"images": len(images), "first_changed": changed}
