"""Consensus reranking (the paper's Section 8): the hypothesis that agrees most with the captions of similar images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.metrics.bootstrap import Statistics


def consensus_scores(similarity: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """Sum of the m largest similarities of each hypothesis (all, if there are fewer): (H, R) -> float64 (H,)."""
    scores: NDArray[np.float64] = consensus_scores_of_each(similarity, [m])[0]
    return scores


def consensus_scores_of_each(similarity: NDArray[np.float64], ms: Sequence[int]) -> NDArray[np.float64]:
    """`consensus_scores` for several m, sorted once: (H, R) -> float64 (len(ms), H)."""
    sums = np.zeros((len(similarity), similarity.shape[1] + 1))
    np.cumsum(np.sort(similarity, axis=1)[:, ::-1], axis=1, out=sums[:, 1:])
    return sums[:, np.minimum(ms, similarity.shape[1])].T


def self_consensus_scores(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean similarity of each hypothesis with all of its image, itself too: (H, H) -> float64 (H,).

    The choice of minimum Bayes risk when all hypotheses are equally likely; it looks at no other image.
    """
    scores: NDArray[np.float64] = similarity.mean(axis=1)
    return scores


def rerank_order(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of hypotheses by falling score; equal scores keep their order, the likelier first."""
    return np.argsort(-scores, kind="stable")


def choices(
    similarities: Sequence[NDArray[np.float64]], captions_of: Sequence[NDArray[np.int64]], k: int, ms: Sequence[int]
) -> NDArray[np.int64]:
    """Which hypothesis is chosen for each image by the m largest similarities with its k nearest: int64 (len(ms), N).

    similarities: of each image (H, R), its references in the order of their images; captions_of: of each image (K,),
    how many of them belong to each of its nearest images.
    """
    return np.stack(
        [
            # The first of the largest is the likeliest of equals, as in `rerank_order`.
            consensus_scores_of_each(similarity[:, : captions[:k].sum()], ms).argmax(axis=1)
            for similarity, captions in zip(similarities, captions_of, strict=True)
        ],
        axis=1,
    )


def score_of(chosen: NDArray[np.int64], statistics: Sequence[Statistics]) -> float:
    """The score of the chosen captions; `statistics[h]` are those of everybody's h-th hypothesis, rows by image."""
    table = np.stack([each.per_image for each in statistics])
    return float(statistics[0].combine(table[chosen, np.arange(len(chosen))].sum(axis=0)))
