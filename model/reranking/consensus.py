"""Consensus reranking (the paper's Section 8): scores of hypotheses by the captions of similar images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import Statistics


def consensus_scores(similarity: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """Sum the m largest similarities of each hypothesis.

    Args:
        similarity: Similarity of each hypothesis to each reference, float64 (H, R).
        m: Number of similarities to sum; limited to R.

    Returns:
        float64 (H,).
    """
    scores: NDArray[np.float64] = consensus_scores_of_each(similarity, [m])[0]
    return scores


def consensus_scores_of_each(similarity: NDArray[np.float64], ms: Sequence[int]) -> NDArray[np.float64]:
    """Compute `consensus_scores` for several m with one sort.

    Args:
        similarity: Similarity of each hypothesis to each reference, float64 (H, R).
        ms: Numbers of similarities to sum; limited to R.

    Returns:
        float64 (len(ms), H).
    """
    sums = np.zeros((len(similarity), similarity.shape[1] + 1))
    np.cumsum(np.sort(similarity, axis=1)[:, ::-1], axis=1, out=sums[:, 1:])
    return sums[:, np.minimum(ms, similarity.shape[1])].T


def self_consensus_scores(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean similarity of each hypothesis to all hypotheses of its image, itself included.

    The largest is the minimum Bayes risk choice if all hypotheses are equally likely. No other image is used.

    Args:
        similarity: Similarities of the hypotheses to one another, float64 (H, H).

    Returns:
        float64 (H,).
    """
    scores: NDArray[np.float64] = similarity.mean(axis=1)
    return scores


def rerank_order(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of hypotheses by decreasing score, int64 (H,); equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def choices(
    similarities: Sequence[NDArray[np.float64]], captions_of: Sequence[NDArray[np.int64]], k: int, ms: Sequence[int]
) -> NDArray[np.int64]:
    """Choose a hypothesis of each image by consensus with its k nearest images, for several m.

    Args:
        similarities: Similarities float64 (H, R) of each of the N images, whose references are in the order of its
            nearest images.
        captions_of: Number of references of each of the K nearest images, int64 (K,), of each image.
        k: Number of nearest images.
        ms: Numbers of largest similarities that are summed.

    Returns:
        Indices of the chosen hypotheses, int64 (len(ms), N).
    """
    return np.stack(
        [
            # argmax returns the first, most probable hypothesis of equal ones, like `rerank_order`.
            consensus_scores_of_each(similarity[:, : captions[:k].sum()], ms).argmax(axis=1)
            for similarity, captions in zip(similarities, captions_of, strict=True)
        ],
        axis=1,
    )


def score_of(chosen: NDArray[np.int64], statistics: Sequence[Statistics]) -> float:
    """Score the chosen hypotheses of all images by a metric.

    Args:
        chosen: Index of the chosen hypothesis of each image, int64 (N,).
        statistics: Statistics of the metric of the h-th hypotheses of all images, by h.
    """
    table = np.stack([each.per_image for each in statistics])
    return float(statistics[0].combine(table[chosen, np.arange(len(chosen))].sum(axis=0)))
