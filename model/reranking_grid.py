"""How well consensus reranking would have chosen, for many settings at once."""

from collections.abc import Sequence

import numpy as np

from model.bootstrap import Statistics
from model.consensus import consensus_scores_of_each


def choices(
    similarities: Sequence[np.ndarray], captions_of: Sequence[np.ndarray], k: int, ms: Sequence[int]
) -> np.ndarray:
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


def score_of(chosen: np.ndarray, statistics: Sequence[Statistics]) -> float:
    """The score of the chosen captions; `statistics[h]` are those of everybody's h-th hypothesis, rows by image."""
    table = np.stack([each.per_image for each in statistics])
    return float(statistics[0].combine(table[chosen, np.arange(len(chosen))].sum(axis=0)))
