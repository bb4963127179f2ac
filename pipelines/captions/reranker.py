"""Consensus reranking of a split: references looked up by image, hypotheses sorted by their scores."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.reranking.config import BLEU_WEIGHT, SIMILARITIES
from model.reranking.consensus import consensus_scores, rerank_order, self_consensus_scores
from model.reranking.kernel_ridge import kernel_ridge_weights
from model.reranking.similarity import BleuSimilarity, CiderSimilarity, Similarity, SumSimilarity
from model.text.ngrams import SentenceTable, Words
from schemas.errors import ArtifactError, ConfigurationError
from schemas.hypotheses import ImageHypotheses, write_hypotheses
from schemas.io.files import write_json_lines
from schemas.neighbors import Neighbors
from schemas.reranking import RerankingSetting

_log = logging.getLogger(__name__)
SHOWN_NEIGHBORS = 10  # kept in `reranked.jsonl` for the report


@dataclass(frozen=True, eq=False)
class ImageWeights:
    """Weights of all training images for each target image, for kernel-ridge consensus.

    Attributes:
        target_ids: Ids of the N target images.
        reference_ids: Ids of the M training images.
        values: Weights float32 (N, M); 0 where both are the same image.
    """

    target_ids: Sequence[str]
    reference_ids: Sequence[str]
    values: NDArray[np.float32]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.target_ids)}

    def of(self, image_id: str) -> NDArray[np.float32]:
        """Return the weights of all training images for a target image, float32 (M,).

        Raises:
            ArtifactError: The image has none.
        """
        if image_id not in self._row_of:
            raise ArtifactError(f"Image {image_id} has no features; extract the features of its split.")
        weights: NDArray[np.float32] = self.values[self._row_of[image_id]]
        return weights

    def write(self, path: Path) -> None:
        """Write an NPZ file."""
        np.savez(path, values=self.values, target_ids=self.target_ids, reference_ids=self.reference_ids)

    @classmethod
    def read(cls, path: Path) -> "ImageWeights":
        """Read an NPZ file of `write`."""
        with np.load(path) as file:
            return cls(file["target_ids"].tolist(), file["reference_ids"].tolist(), file["values"])


def weigh_images(
    target_ids: Sequence[str],
    targets: NDArray[np.floating],
    reference_ids: Sequence[str],
    references: NDArray[np.floating],
    setting: RerankingSetting,
) -> ImageWeights:
    """Compute the weights of training images by kernel ridge regression.

    Args:
        target_ids: Ids of the target images.
        targets: Their features (N, D).
        reference_ids: Ids of the training images.
        references: Their features (M, D).
        setting: Setting with `gamma` and `regularization`.

    Raises:
        ConfigurationError: One of these is not above 0.
    """
    assert setting.gamma is not None and setting.regularization is not None
    values = kernel_ridge_weights(references, targets, setting.gamma, setting.regularization)
    columns = {image_id: column for column, image_id in enumerate(reference_ids)}
    for row, image_id in enumerate(target_ids):
        if image_id in columns:  # an image is not its own reference
            values[row, columns[image_id]] = 0.0
    return ImageWeights(target_ids, reference_ids, values)


class Comparison:
    """Hypotheses and references in one table, found by their images.

    Args:
        similarity: `cider`, with document frequencies of all references, `bleu`, `cider+bleu` (CIDEr-D plus
            `BLEU_WEIGHT` times BLEU) or `bleu-compat`, which reproduces an error of mRNN-CR.
        hypotheses: Tokenized hypotheses by image id.
        references: Tokenized references by image id.

    Raises:
        ConfigurationError: There is no such similarity.
    """

    def __init__(
        self, similarity: str, hypotheses: Mapping[str, Sequence[Words]], references: Mapping[str, Sequence[Words]]
    ):
        if similarity not in SIMILARITIES:
            raise ConfigurationError(f"There is no similarity {similarity!r}; set it to {', '.join(SIMILARITIES)}.")
        self._sentences: list[tuple[str, ...]] = []
        self._rows: list[dict[str, NDArray[np.int64]]] = []
        for side in (hypotheses, references):
            rows = {}
            for image_id, own in side.items():
                rows[image_id] = np.arange(len(self._sentences), len(self._sentences) + len(own))
                self._sentences.extend(map(tuple, own))
            self._rows.append(rows)
        self._owners_of = _owners_of_repeated(hypotheses, references)
        table = SentenceTable(self._sentences)
        self._similarity = _make_similarity(similarity, table, list(self._rows[1].values()))

    def with_references(self, image_id: str, images: Sequence[str]) -> NDArray[np.float64]:
        """Compare an image's hypotheses with all references of other images.

        Args:
            image_id: The image.
            images: Ids of the other images.

        Returns:
            Similarities float64 (H, R), the references in the order of their images.

        Raises:
            ArtifactError: One of those has no references.
        """
        return self._similarity(self._rows[0][image_id], np.concatenate(self._reference_rows(images)))

    def utilities(self, image_id: str, images: Sequence[str], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Weighted sums of the mean similarities of an image's hypotheses with the references of each other image.

        A hypothesis that repeats a reference word for word is not compared with it, but with the other references of
        that image: it would be its own evidence.

        Args:
            image_id: The image.
            images: Ids of N other images.
            weights: Their weights, (S, N).

        Returns:
            float64 (H, S).

        Raises:
            ArtifactError: One of those has no references.
        """
        rows = self._reference_rows(images)[1:]
        counts = np.array([len(each) for each in rows])
        of_references = np.repeat(weights / counts, counts, axis=1)
        own = self._rows[0][image_id]
        sums = self._similarity.weighted_sums(own, np.concatenate(rows), of_references)
        column_of = {each: column for column, each in enumerate(images)}
        for position, row in enumerate(own):
            for other in self._owners_of.get(self._sentences[row], ()):
                if other in column_of:
                    of_image = self._rows[1][other]
                    similarity = self._similarity(own[position : position + 1], of_image)[0]
                    differs = [self._sentences[each] != self._sentences[row] for each in of_image]
                    mean = similarity[differs].mean() if any(differs) else 0.0
                    sums[position] += weights[:, column_of[other]] * (mean - similarity.mean())
        return sums

    def among_hypotheses(self, image_id: str) -> NDArray[np.float64]:
        """Compare an image's hypotheses with one another: float64 (H, H)."""
        rows = self._rows[0][image_id]
        return self._similarity(rows, rows)

    def _reference_rows(self, images: Sequence[str]) -> list[NDArray[np.int64]]:
        """Return the rows of the references of each image, after an empty array."""
        references = self._rows[1]
        unknown = next((each for each in images if each not in references), None)
        if unknown is not None:
            raise ArtifactError(f"Image {unknown} is a neighbor without captions; the artifacts do not fit.")
        return [np.empty(0, np.int64), *(references[each] for each in images)]


def _make_similarity(name: str, table: SentenceTable, documents: Sequence[NDArray[np.int64]]) -> Similarity:
    match name:
        case "cider":
            return CiderSimilarity(table, documents)
        case "cider+bleu":
            return SumSimilarity((1.0, CiderSimilarity(table, documents)), (BLEU_WEIGHT, BleuSimilarity(table)))
        case _:
            return BleuSimilarity(table, compat=name == "bleu-compat")


def _owners_of_repeated(
    hypotheses: Mapping[str, Sequence[Words]], references: Mapping[str, Sequence[Words]]
) -> dict[tuple[str, ...], set[str]]:
    """Return the ids of the images that have a hypothesis as a reference, by the hypothesis."""
    generated = {tuple(words) for own in hypotheses.values() for words in own}
    owners: dict[tuple[str, ...], set[str]] = {}
    for image_id, own in references.items():
        for words in map(tuple, own):
            if words in generated:
                owners.setdefault(words, set()).add(image_id)
    return owners


@dataclass(frozen=True)
class Reranked:
    """An image after reranking.

    Attributes:
        image: Its hypotheses in their new order.
        scores: Their scores, descending.
        neighbors: Ids of the training images with the largest influence, first `SHOWN_NEIGHBORS`.
        first_changed: Whether another hypothesis is first now.
    """

    image: ImageHypotheses
    scores: list[float]
    neighbors: list[str]
    first_changed: bool


class Reranker:
    """Sorter of the hypotheses of the images of one split by their scores.

    Args:
        images: Images with their hypotheses.
        references: Neighbors for consensus, weights for kernel-ridge consensus, or None for self-consensus.
        training_captions: Tokenized training captions by image id.
        setting: Setting of the reranking.

    Raises:
        ConfigurationError: There is no such similarity.
    """

    def __init__(
        self,
        images: Sequence[ImageHypotheses],
        references: Neighbors | ImageWeights | None,
        training_captions: Mapping[str, Sequence[Words]],
        setting: RerankingSetting,
    ):
        hypotheses = {image.image_id: [each.tokens for each in image.captions] for image in images}
        self._comparison = Comparison(setting.similarity, hypotheses, training_captions)
        self._references = references
        self._setting = setting
        if isinstance(references, Neighbors) and len(references.reference_ids) < setting.k:
            _log.warning("k = %d is limited to the %d reference images", setting.k, len(references.reference_ids))

    def __call__(self, image: ImageHypotheses) -> Reranked:
        """Rerank one of the images.

        Raises:
            ConfigurationError: Fewer than k neighbors are known.
            ArtifactError: The image has no neighbors or features, or a neighbor no captions.
        """
        scores, neighbors = self._score(image.image_id)
        order = rerank_order(scores)
        return Reranked(
            ImageHypotheses(image.image_id, tuple(image.captions[index] for index in order)),
            [round(float(scores[index]), 6) for index in order],
            neighbors[:SHOWN_NEIGHBORS],
            bool(order[0] != 0),
        )

    def _score(self, image_id: str) -> tuple[NDArray[np.float64], list[str]]:
        """Return the scores of an image's hypotheses, and the training images by decreasing influence."""
        references = self._references
        if isinstance(references, Neighbors):
            nearest = references.nearest(image_id, self._setting.k)
            return consensus_scores(self._comparison.with_references(image_id, nearest), self._setting.m), nearest
        if isinstance(references, ImageWeights):
            weights = references.of(image_id)
            scores = self._comparison.utilities(image_id, references.reference_ids, weights[None])[:, 0]
            return scores, [references.reference_ids[each] for each in np.argsort(-weights, kind="stable")]
        return self_consensus_scores(self._comparison.among_hypotheses(image_id)), []


def rerank(
    images: Sequence[ImageHypotheses], reranker: Reranker, directory: Path, progress: Callable[[float], None]
) -> dict[str, int]:
    """Rerank images in this process, and write the files of `write_reranked`.

    Args:
        images: Images with their hypotheses.
        reranker: Reranker of these images.
        directory: Directory to write to.
        progress: Called with the finished fraction.

    Returns:
        Counts of `write_reranked`.
    """

    def one_by_one() -> Iterator[Reranked]:
        for number, image in enumerate(images, start=1):
            yield reranker(image)
            progress(number / len(images))

    return write_reranked(directory, one_by_one())


def write_reranked(directory: Path, images: Iterable[Reranked]) -> dict[str, int]:
    """Write the reordered `hypotheses.jsonl`, and `reranked.jsonl` with scores and neighbors; return counts."""
    every = list(images)
    write_hypotheses(directory, (each.image for each in every))
    write_json_lines(
        directory / "reranked.jsonl",
        ({"image_id": each.image.image_id, "scores": each.scores, "neighbors": each.neighbors} for each in every),
    )
    return {"images": len(every), "first_changed": sum(each.first_changed for each in every)}
