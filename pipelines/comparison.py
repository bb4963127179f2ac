"""Hypotheses of a whole split beside the captions of other images, and which images are looked at."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.ngrams import SentenceTable, Words
from model.similarity import BleuSimilarity, CiderSimilarity, Similarity
from schemas.errors import ArtifactError, ConfigurationError
from schemas.neighbours import Neighbours

SIMILARITIES = ("cider", "bleu", "bleu-compat")


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

    def known(self, image_id: str) -> list[str]:
        """All that are known, nearest first; raises ArtifactError if the image has none."""
        if image_id not in self._row:
            raise ArtifactError(f"Image {image_id} has hypotheses but no neighbours; find its neighbours first.")
        ids = self._neighbours.reference_ids
        return [ids[index] for index in self._neighbours.indices[self._row[image_id]] if ids[index] != image_id]

    def of(self, image_id: str, k: int) -> list[str]:
        """The k nearest.

        Raises:
            ArtifactError: the image has no neighbours; ConfigurationError: it has fewer than k.
        """
        nearest = self.known(image_id)
        if len(nearest) < k:
            raise ConfigurationError(f"k = {k} neighbours are asked for, {len(nearest)} are known; lower k.")
        return nearest[:k]
