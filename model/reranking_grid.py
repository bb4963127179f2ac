"""How well consensus reranking would have chosen, for many settings at once."""

from collections.abc import Sequence

import numpy as np

from model.bootstrap import Statistics
from model.consensus import consensus_scores, rerank_order


def choices(similarities: Sequence[np.ndarray], captions_of: Sequence[np.ndarray], k: int, m: int) -> np.ndarray:
    """Which hypothesis is chosen for each image by the m largest similarities with its k nearest images: int64 (N,).

    similarities: of each image (H, R), its references in the order of their images; captions_of: of each image (K,),
    how many of them belong to each of its nearest images.
    """
    return np.array(
        [
            rerank_order(consensus_scores(similarity[:, : captions[:k].sum()], m))[0]
            for similarity, captions in zip(similarities, captions_of, strict=True)
        ]
    )


def score_of(chosen: np.ndarray, statistics: Sequence[Statistics]) -> float:
    """The score of the chosen captions; `statistics[h]` are those of everybody's h-th hypothesis, rows by image."""
    table = np.stack([each.per_image for each in statistics])
    return float(statistics[0].combine(table[chosen, np.arange(len(chosen))].sum(axis=0)))
