"""Exact nearest neighbours between two sets of feature vectors, in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np

from schemas.errors import ConfigurationError

METRICS = ("euclidean", "cosine")
BLOCK = 256  # targets at a time
ROUNDING = 1e-11  # bound of the error of a squared distance, in shares of the squared lengths of the two vectors


def nearest(
    targets: np.ndarray,
    references: np.ndarray,
    count: int,
    metric: str,
    progress: Callable[[float], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest references of each target, nearest first, equal distances by position.

    targets (N, D), references (M, D) -> indices int32 (N, K) into the references and distances float32 (N, K), with
    K = min(count, M). metric: `euclidean` as in the paper's Section 8, or `cosine` (1 - cosine of the angle).

    Raises:
        ConfigurationError: another metric.
    """
    if metric not in METRICS:
        raise ConfigurationError(f"There is no metric {metric!r}; set it to {' or '.join(METRICS)}.")
    references = _prepare(references, metric)
    squares = np.einsum("md,md->m", references, references)
    count = min(count, len(references))
    indices = np.empty((len(targets), count), np.int32)
    distances = np.empty((len(targets), count), np.float32)
    for start in range(0, len(targets), BLOCK):
        block = _prepare(targets[start : start + BLOCK], metric)
        own = np.einsum("nd,nd->n", block, block)
        rounded = own[:, None] + squares - 2.0 * (block @ references.T)
        reach = np.partition(rounded, count - 1, axis=1)[:, count - 1] + ROUNDING * (own + squares.max())
        for row, target in enumerate(block):
            # The expansion above is fast but rounds; those that may be nearest are measured again, without it.
            near = np.flatnonzero(rounded[row] <= reach[row])
            squared = np.square(references[near] - target).sum(axis=1)
            order = np.argsort(squared, kind="stable")[:count]
            indices[start + row] = near[order]
            # Of unit vectors, half the squared distance is 1 - cosine.
            distances[start + row] = np.sqrt(squared[order]) if metric == "euclidean" else squared[order] / 2.0
        progress((start + len(block)) / len(targets))
    return indices, distances


def _prepare(vectors: np.ndarray, metric: str) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors
